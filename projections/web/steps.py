"""What can be done about a complaint now, in the order in which it is usually done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from access.roles import Action
from projections.projection import Document

PROGRESS = (
    "raised",
    "handed_over",
    "first_contact",
    "planned",
    "told",
    "carried_out",
    "agreement",
    "returned",
    "satisfaction_call",
    "signed_off",
    "archived",
)
"""The way of a complaint through the house."""
Group = Literal["next", "customer", "form", "class", "responsibility"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A command, where it is posted under the complaint; what is not usually next stands in a group."""

    path: str
    action: Action
    possible: Callable[[Document, str], bool]
    """For a complaint that has not ended, and who is asking."""
    group: Group = "next"


def offers(complaint: Document, actor: str, may: Callable[[Action], bool]) -> dict[Group, list[str]]:
    """By group, the paths of what somebody may do and what would not be refused as things stand.

    How often a customer has to have been tried is for the rulebook: that alone is offered too early.
    """
    found: dict[Group, list[str]] = {}
    for offer in OFFERS:
        if not may(offer.action) or (complaint["ended"] and offer.path != "report-to-region"):
            continue
        # Nobody sealed a customer's key for a complaint from elsewhere: nothing can be typed about it.
        if complaint.get("origin") and (offer.path in _TYPED or complaint["ended"]):
            continue
        if offer.possible(complaint, actor):
            found.setdefault(offer.group, []).append(offer.path)
    return found


def _done(step: str) -> Callable[[Document], bool]:
    return lambda complaint: step in complaint["done"]


def _reached(complaint: Document) -> bool:
    return "first_contact" in complaint["done"] or complaint.get("unreachable", False)


def _acted_on(complaint: Document) -> bool:
    return "resolution" in complaint or "carried_out" in complaint["done"]


def _lacks(step: str, given: Callable[[Document], bool]) -> Callable[[Document, str], bool]:
    return lambda complaint, actor: step not in complaint["done"] and given(complaint)


def _always(complaint: Document) -> bool:
    return True


_TYPED = frozenset({"cause", "plan", "return", "call-back", "reclassify", "appeal"})
OFFERS = (
    Offer("resume", Action.COMPLAINT_FOLLOW, lambda c, _: c.get("paused_at") is not None),
    Offer("appeal/decide", Action.COMPLAINT_DECIDE, lambda c, _: c.get("appeal") == "filed"),
    Offer("hand-over", Action.COMPLAINT_FOLLOW, _lacks("handed_over", _always)),
    Offer(
        "contact",
        Action.COMPLAINT_CONTACT,
        _lacks("first_contact", lambda c: "resolution" not in c),
    ),
    Offer("cause", Action.COMPLAINT_ANSWER, _lacks("cause_found", lambda c: "returned" not in c["done"])),
    Offer("plan", Action.COMPLAINT_ANSWER, _lacks("planned", _reached)),
    Offer("tell", Action.COMPLAINT_ANSWER, _lacks("told", _done("planned"))),
    Offer("carry-out", Action.COMPLAINT_ANSWER, _lacks("carried_out", _done("planned"))),
    Offer("resolve", Action.COMPLAINT_RESOLVE, lambda c, _: "resolution" not in c and _reached(c)),
    Offer("return", Action.COMPLAINT_ANSWER, _lacks("returned", _acted_on)),
    Offer(
        "call-back",
        Action.COMPLAINT_FOLLOW,
        # Who signed the plan does not ask whether it helped.
        lambda c, actor: (
            "satisfaction_call" not in c["done"] and _acted_on(c) and c.get("responsible") != actor
        ),
    ),
    Offer("sign-off", Action.COMPLAINT_DECIDE, _lacks("signed_off", _done("satisfaction_call"))),
    Offer("archive", Action.COMPLAINT_FOLLOW, lambda c, _: "signed_off" in c["done"]),
    Offer(
        "contact",
        Action.COMPLAINT_CONTACT,
        lambda c, _: "first_contact" in c["done"] and "resolution" not in c,
        "customer",
    ),
    Offer(
        "give-up-reaching",
        Action.COMPLAINT_FOLLOW,
        lambda c, _: c["attempts"] > 0 and not _reached(c),
        "customer",
    ),
    Offer(
        "resolve",
        Action.COMPLAINT_RESOLVE,
        lambda c, _: "resolution" not in c and not _reached(c),
        "customer",
    ),
    Offer("hand-over", Action.COMPLAINT_FOLLOW, lambda c, _: "handed_over" in c["done"], "form"),
    Offer("cause", Action.COMPLAINT_ANSWER, lambda c, _: "cause_found" in c["done"], "form"),
    Offer("plan", Action.COMPLAINT_ANSWER, lambda c, _: "planned" in c["done"], "form"),
    Offer(
        "sign-off",
        Action.COMPLAINT_DECIDE,
        _lacks("signed_off", lambda c: c["calls"] > 0 and "satisfaction_call" not in c["done"]),
        "form",
    ),
    Offer("reclassify", Action.COMPLAINT_FOLLOW, lambda c, _: True, "class"),
    Offer("pause", Action.COMPLAINT_FOLLOW, lambda c, _: c.get("paused_at") is None, "class"),
    Offer("blame", Action.COMPLAINT_BLAME, lambda c, _: True, "responsibility"),
    Offer(
        "appeal",
        Action.COMPLAINT_APPEAL,
        lambda c, actor: c.get("blamed") == actor and not c.get("appeal"),
        "responsibility",
    ),
    Offer(
        "report-to-region",
        Action.COMPLAINT_FOLLOW,
        lambda c, _: not c.get("reported_to_region"),
        "responsibility",
    ),
)

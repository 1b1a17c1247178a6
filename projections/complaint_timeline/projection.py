"""The timeline of a complaint: every fact with who and when, and where the complaint stands."""

from collections.abc import Callable
from typing import Any

from events import Event
from events.customer_care import (
    ENDED,
    AppealDecided,
    AppealFiled,
    BlameAssigned,
    CauseFound,
    ComplaintArchived,
    ComplaintHandedOver,
    ComplaintPaused,
    ComplaintRaised,
    ComplaintReclassified,
    ComplaintResolved,
    ComplaintResumed,
    ComplaintSignedOff,
    ComplaintTakenOver,
    CustomerContacted,
    CustomerTold,
    CustomerUnreachable,
    DeadlineBreached,
    DeadlineDropped,
    DeadlineMet,
    DeadlineSet,
    Escalated,
    ForeignStateRecorded,
    FormReturned,
    NotificationSent,
    PlanCarriedOut,
    PlanSigned,
    ReportedToRegion,
    SatisfactionCallMade,
)
from projections.facts import Fact, values
from projections.projection import Document, Projection

STATUSES = (
    "raised",
    "handed_over",
    "contacted",
    "planned",
    "told",
    "carried_out",
    "resolved",
    "returned",
    "objecting",
    "accepted",
    "signed_off",
    "archived",
    "withdrawn",
    "voided",
)
"""Where a complaint of ours may stand, in the order of its life; the last three end it."""


def evolve(complaint: Document | None, fact: Fact) -> Document:
    complaint = {**(complaint or _blank(fact)), "last_at": fact.occurred_at}
    complaint |= _CHANGES[fact.event](complaint, fact.data, fact.occurred_at)
    if step := _step(fact):
        complaint["done"] = {step: fact.occurred_at, **complaint["done"]}
    return complaint


def _blank(fact: Fact) -> Document:
    return {
        "complaint_id": fact.correlation_id,
        "site": fact.site,
        "status": "raised",
        "raised_at": fact.occurred_at,
        "since": fact.occurred_at,
        "attempts": 0,
        "ended": False,
        "deadlines": {},
        "done": {},
        "calls": 0,
        "answers": {},
    }


def _step(fact: Fact) -> str | None:
    """What the fact says is done."""
    outcome = getattr(fact.data, "outcome", None)
    if outcome == "not_reached" or getattr(fact.data, "resolution", None) == "withdrawn":
        return None
    return _STEPS.get(fact.event)


Change = Callable[[Document, Any, str], Document]
"""What a fact changes: the document before, the fact's data, when it happened."""


def _nothing(complaint: Document, data: Any, at: str) -> Document:
    return {}


def _raised(complaint: Document, raised: Any, at: str) -> Document:
    said = values(raised)
    severities = [raised.severity, *said.pop("further_severities", [])]
    return said | {"severities": severities, "status": "raised", "since": at, "raised_at": at}


def _reaches(status: str, **more: Any) -> Change:
    """The complaint comes to stand there, unless it has come further already."""

    def change(complaint: Document, data: Any, at: str) -> Document:
        before = complaint["status"]
        if before in STATUSES and STATUSES.index(before) >= STATUSES.index(status):
            return dict(more)
        return {"status": status, "since": at, **more}

    return change


def _contacted(complaint: Document, contacted: Any, at: str) -> Document:
    tried = {"attempts": complaint["attempts"] + 1}
    if contacted.outcome != "reached" or "first_contact_at" in complaint or complaint["ended"]:
        return tried
    return tried | {"first_contact_at": at} | _reaches("contacted")(complaint, contacted, at)


def _signed(complaint: Document, plan: Any, at: str) -> Document:
    return {"responsible": plan.signed_by} | _reaches("planned")(complaint, plan, at)


def _resolved(complaint: Document, resolved: Any, at: str) -> Document:
    if resolved.resolution == "withdrawn":
        return {"status": "withdrawn", "since": at, "ended": True, "resolution": "withdrawn"}
    agreed = {"resolution": resolved.resolution, "resolved_at": at}
    return agreed | _reaches("resolved")(complaint, resolved, at)


def _called(complaint: Document, call: Any, at: str) -> Document:
    answers = {**complaint["answers"], call.outcome: complaint["answers"].get(call.outcome, 0) + 1}
    called = {"calls": complaint["calls"] + 1, "answers": answers}
    return called if call.outcome == "not_reached" else called | {"status": call.outcome, "since": at}


def _reclassified(complaint: Document, data: Any, at: str) -> Document:
    return {"subject": data.subject, "severity": data.severities[0], "severities": data.severities}


def _decided(complaint: Document, data: Any, at: str) -> Document:
    appeal = {"appeal": "granted" if data.granted else "refused"}
    return appeal | ({"status": "voided", "since": at, "ended": True} if data.granted else {})


def _deadline(outcome: str) -> Change:
    def change(complaint: Document, data: Any, at: str) -> Document:
        deadlines = complaint["deadlines"]
        said = {
            name: value for name, value in values(data).items() if name not in ("complaint_id", "next_at")
        }
        before = {} if outcome == "pending" else deadlines.get(data.rule, {})
        return {"deadlines": {**deadlines, data.rule: {**before, **said, "outcome": outcome}}}

    return change


def _dropped(complaint: Document, data: Any, at: str) -> Document:
    """What has passed stays breached."""
    deadline = complaint["deadlines"].get(data.rule, {})
    if deadline.get("outcome") != "pending":
        return {}
    return _deadline("dropped")(complaint, data, at)


def _taken_over(complaint: Document, data: Any, at: str) -> Document:
    said = {name: value for name, value in values(data).items() if value != []}
    counted = {"handovers": 0, "reopened": 0}
    return said | counted | _stands({**complaint, **counted}, data, at)


def _stands(complaint: Document, data: Any, at: str) -> Document:
    """Where the other system has it. A state that nobody has given a meaning stays what it is called there,
    and says neither that the complaint ended nor that it began anew."""
    status = data.meaning or data.state or complaint["status"]
    ended = data.meaning in ENDED if data.meaning else complaint["ended"]
    team = data.team or complaint.get("team")
    return {
        "state": data.state,
        "meaning": data.meaning,
        "status": status,
        "since": complaint["since"] if status == complaint["status"] else at,
        "ended": ended,
        "reopened": complaint.get("reopened", 0) + (complaint["ended"] and not ended),
        "team": team,
        "line": data.line or complaint.get("line"),
        "handovers": complaint.get("handovers", 0) + (complaint.get("team") not in (None, team)),
    }


_CHANGES: dict[type[Event], Change] = {
    ComplaintRaised: _raised,
    ComplaintTakenOver: _taken_over,
    ForeignStateRecorded: _stands,
    ComplaintHandedOver: lambda complaint, data, at: (
        {"holder": data.to} | _reaches("handed_over")(complaint, data, at)
    ),
    CustomerContacted: _contacted,
    CustomerUnreachable: lambda complaint, data, at: {"unreachable": True},
    CauseFound: _nothing,
    PlanSigned: _signed,
    CustomerTold: _reaches("told"),
    PlanCarriedOut: _reaches("carried_out"),
    ComplaintResolved: _resolved,
    FormReturned: _reaches("returned"),
    SatisfactionCallMade: _called,
    ComplaintSignedOff: _reaches("signed_off"),
    ComplaintArchived: _reaches("archived", ended=True),
    ComplaintReclassified: _reclassified,
    ComplaintPaused: lambda complaint, data, at: {"waiting": data.waiting, "paused_at": data.paused_at},
    ComplaintResumed: lambda complaint, data, at: {"waiting": None, "paused_at": None},
    BlameAssigned: lambda complaint, data, at: {
        "blamed": data.person,
        "blamed_for": data.step,
        "blamed_at": at,
        "appeal": None,
    },
    AppealFiled: lambda complaint, data, at: {"appeal": "filed"},
    AppealDecided: _decided,
    ReportedToRegion: lambda complaint, data, at: {"reported_to_region": True},
    DeadlineSet: _deadline("pending"),
    DeadlineMet: _deadline("met"),
    DeadlineBreached: _deadline("breached"),
    DeadlineDropped: _dropped,
    Escalated: lambda complaint, data, at: {"escalated_to": data.level},
    NotificationSent: _nothing,
}


_STEPS: dict[type[Event], str] = {
    ComplaintRaised: "raised",
    ComplaintHandedOver: "handed_over",
    CustomerContacted: "first_contact",
    CauseFound: "cause_found",
    PlanSigned: "planned",
    CustomerTold: "told",
    PlanCarriedOut: "carried_out",
    ComplaintResolved: "agreement",
    FormReturned: "returned",
    SatisfactionCallMade: "satisfaction_call",
    ComplaintSignedOff: "signed_off",
    ComplaintArchived: "archived",
}
"""What is done once; `done` says when it was first. Steps of rules among them, by their names there."""


def waiting_deadlines(complaint: Document) -> list[Document]:
    """Those whose step is still not done, the earliest first; without those that stand still."""
    paused_at = complaint.get("paused_at")
    waiting = [
        each
        for each in complaint["deadlines"].values()
        if each["outcome"] == "breached"
        or (each["outcome"] == "pending" and not (paused_at and paused_at <= each["due_at"]))
    ]
    undone = (each for each in waiting if each["step"] not in complaint["done"])
    return [] if complaint["ended"] else sorted(undone, key=lambda each: str(each["due_at"]))


def next_due(complaint: Document) -> str | None:
    """The earliest deadline that is still to be kept, or was missed with its step still not done."""
    return next((each["due_at"] for each in waiting_deadlines(complaint)), None)


COMPLAINT_TIMELINE = Projection(
    name="complaint_timeline",
    version=4,
    handles=tuple(_CHANGES),
    key="complaint_id",
    evolve=evolve,
    begins=lambda fact: fact.event is ComplaintRaised,
    columns={
        "open": ("boolean", lambda complaint: not complaint["ended"]),
        "raised_at": ("timestamptz", lambda complaint: complaint["raised_at"]),
        "next_due": ("timestamptz", next_due),
        "follows": ("text", lambda complaint: complaint.get("follows")),
        "blamed": ("text", lambda complaint: complaint.get("blamed")),
    },
)

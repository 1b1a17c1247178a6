"""The shop's rules and prices of a site: what holds, what will, and the form for the next version (X-14)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from access.guard import needs
from access.problems import missing
from access.roles import SITE, Action
from access.tokens import Principal
from projections.reading import Views
from projections.web.rendering import page

Format: TypeAlias = Literal[
    "text",
    "number",
    "fen",
    "flag",
    "numbers",
    "words",
    "periods",
    "week",
    "days",
    "operations",
    "priced_parts",
]
"""How `rules.js` writes and reads a field."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where versions are read and published, the name of one and of all of them, and what can be changed."""

    url: str
    one: str
    all: str
    fields: Mapping[str, tuple[Format, str]]
    """By its path in a version: how it is written, and its name."""


KINDS = {
    "reception": Kind(
        "/reception/v1/rules",
        "rules",
        "rules",
        {
            "owner": ("text", "Owner"),
            "opening.week": ("week", "Opening hours of the week"),
            "opening.days": ("days", "Holidays and other days"),
            "slot_minutes": ("number", "Minutes of a reception"),
            "slots_between_buffers": ("number", "Slots between two buffers"),
            "gap_minutes": ("number", "Minutes saved by two receptions"),
            "lead_time_hours": ("number", "Hours of lead time"),
            "advisors": ("number", "Advisors"),
            "bays": ("number", "Bays"),
            "high_value_fen": ("fen", "High-value part from, in yuan"),
            "reminder_hours": ("numbers", "Reminders, hours before"),
            "missed_after_minutes": ("number", "Missed after minutes"),
            "patience_minutes": ("number", "Minutes of patience in the queue"),
            "manager_from_fen": ("fen", "Manager takes part from, in yuan"),
            "peak": ("periods", "Peak hours of delivery"),
            "major_from_minutes": ("number", "Major repair from minutes of labour"),
            "follow_up_days": ("numbers", "Follow-up call, first and last day"),
            "gate_pass_hours": ("number", "Hours that a gate pass is valid"),
        },
    ),
    "workshop": Kind(
        "/workshop/v1/rules",
        "rules",
        "rules",
        {
            "owner": ("text", "Owner"),
            "dispatch": ("words", "Ways of dispatching"),
            "check_percent": ("number", "Ask for progress after, in percent"),
            "alarm_percent": ("number", "Alarm after, in percent"),
            "test_drive": ("flag", "Test drive before the check"),
            "wash": ("flag", "Wash before the return"),
            "rework_leader_percent": ("number", "Share of the leader in reworks, in percent"),
            "licence_percent": ("number", "Licence from, in percent of the test"),
        },
    ),
    "prices": Kind(
        "/reception/v1/price-list",
        "price_list",
        "price_lists",
        {
            "owner": ("text", "Owner"),
            "labour_hour_fen.mechatronic": ("fen", "Mechatronic labour hour, in yuan"),
            "labour_hour_fen.body_paint": ("fen", "Body and paint labour hour, in yuan"),
            "operations": ("operations", "Operations"),
            "parts": ("priced_parts", "Parts"),
        },
    ),
}
Publisher = Annotated[Principal, needs(Action.SHOP_RULES_PUBLISH)]


def rules_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/rules")
    async def sites(request: Request, who: Publisher) -> Response:
        """The rules of the reader's site; who has several chooses."""
        if who.site:
            return RedirectResponse(f"/sites/{quote(who.site)}/rules", 303)
        return page(
            request,
            "sites.html",
            who,
            sites=await views.sites(who),
            title="Rules and prices",
            leads_to="rules",
        )

    @router.get("/sites/{site}/rules")
    async def rules(
        request: Request, site: Annotated[str, Path(pattern=f"^{SITE}$")], who: Publisher
    ) -> Response:
        if not who.at(site):
            raise missing()
        return page(request, "rules.html", who, site=site, kinds=KINDS)

    return router

"""The timeline of a complaint: every fact with who and when, and where the complaint stands."""

from collections.abc import Callable
from typing import Any

from events import Event
from events.customer_care import ComplaintRaised, ComplaintResolved, CustomerContacted
from projections.facts import Fact, values
from projections.projection import Document, Projection
from projections.timeline import entry


def evolve(complaint: Document | None, fact: Fact) -> Document:
    complaint = {**(complaint or _blank(fact)), "last_at": fact.occurred_at}
    complaint |= _CHANGES[fact.event](complaint, fact.data, fact.occurred_at)
    return complaint | {"entries": [*complaint["entries"], entry(fact)]}


def _blank(fact: Fact) -> Document:
    return {
        "complaint_id": fact.correlation_id,
        "site": fact.site,
        "status": "raised",
        "raised_at": fact.occurred_at,
        "attempts": 0,
        "entries": [],
    }


def _raised(complaint: Document, raised: Any, at: str) -> Document:
    return values(raised) | {"status": "raised", "since": at}


def _contacted(complaint: Document, contacted: Any, at: str) -> Document:
    first = contacted.outcome == "reached" and complaint["status"] == "raised"
    reached = {"status": "contacted", "since": at, "first_contact_at": at} if first else {}
    return {"attempts": complaint["attempts"] + 1} | reached


def _resolved(complaint: Document, resolved: Any, at: str) -> Document:
    return {"status": "resolved", "since": at, "resolution": resolved.resolution, "resolved_at": at}


_CHANGES: dict[type[Event], Callable[[Document, Any, str], Document]] = {
    ComplaintRaised: _raised,
    CustomerContacted: _contacted,
    ComplaintResolved: _resolved,
}

COMPLAINT_TIMELINE = Projection(
    name="complaint_timeline",
    version=2,
    handles=tuple(_CHANGES),
    key="complaint_id",
    evolve=evolve,
    columns={
        "open": ("boolean", lambda complaint: complaint["status"] != "resolved"),
        "raised_at": ("timestamptz", lambda complaint: complaint["raised_at"]),
    },
)

"""The timeline of a complaint: every fact with who and when, and where the complaint stands."""

from eventlog.recorded import Recorded, to_text
from events.customer_care import ComplaintRaised, ComplaintResolved, CustomerContacted
from projections.projection import Document, Projection
from projections.timeline import entry


def evolve(complaint: Document | None, recorded: Recorded) -> Document:
    event, at = recorded.event, to_text(recorded.occurred_at)
    complaint = {**(complaint or _blank(recorded)), "last_at": at}
    match event:
        case ComplaintRaised():
            complaint |= event.model_dump(mode="json", exclude_none=True) | {"status": "raised", "since": at}
        case CustomerContacted(outcome=outcome):
            complaint |= {"attempts": complaint["attempts"] + 1}
            if outcome == "reached" and complaint["status"] == "raised":
                complaint |= {"status": "contacted", "since": at, "first_contact_at": at}
        case ComplaintResolved(resolution=resolution):
            complaint |= {"status": "resolved", "since": at, "resolution": resolution, "resolved_at": at}
    return complaint | {"entries": [*complaint["entries"], entry(recorded)]}


def _blank(recorded: Recorded) -> Document:
    return {
        "complaint_id": recorded.metadata.correlation_id,
        "site": recorded.metadata.site,
        "status": "raised",
        "raised_at": to_text(recorded.occurred_at),
        "attempts": 0,
        "entries": [],
    }


COMPLAINT_TIMELINE = Projection(
    name="complaint_timeline",
    version=1,
    handles=(ComplaintRaised, CustomerContacted, ComplaintResolved),
    key=lambda recorded: getattr(recorded.event, "complaint_id", None),
    evolve=evolve,
    columns={
        "open": ("boolean", lambda complaint: complaint["status"] != "resolved"),
        "raised_at": ("timestamptz", lambda complaint: complaint["raised_at"]),
    },
)

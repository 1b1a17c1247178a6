"""What a customer is told about their own complaint: how far it has come, and what comes next (C-33, P-04).

Times and plain steps only: nobody's name, nothing that anybody wrote, nothing about who answers for what.
"""

from projections.complaint_timeline.projection import waiting_deadlines
from projections.projection import Document

STEPS = (
    "raised",
    "first_contact",
    "planned",
    "told",
    "carried_out",
    "agreement",
    "satisfaction_call",
    "archived",
)
"""That customers see, in the order of a complaint's life."""
PROMISED = ("first_contact", "told", "satisfaction_call")
"""Steps whose deadlines concern the customer."""


def progress(complaint: Document) -> Document:
    done = {"raised": complaint["raised_at"]} | {
        s: complaint["done"][s] for s in STEPS if s in complaint["done"]
    }
    to_come = () if complaint["ended"] else STEPS[max(map(STEPS.index, done)) + 1 :]
    # The latest first, so that the earliest deadline of a step stays.
    due = {each["step"]: each["due_at"] for each in reversed(waiting_deadlines(complaint))}
    return {
        "complaint_id": complaint["complaint_id"],
        "stands": _stands(complaint),
        "steps": [{"step": step, "at": done[step]} for step in STEPS if step in done],
        "next": next(iter(to_come), None),
        "promises": [
            {"step": step, "due_at": due[step]} for step in to_come if step in PROMISED and step in due
        ],
    }


def _stands(complaint: Document) -> str:
    """Why it was closed is between us, unless the customer withdrew it."""
    if complaint["ended"]:
        return "withdrawn" if complaint["status"] == "withdrawn" else "closed"
    return complaint.get("waiting") or ("objecting" if complaint["status"] == "objecting" else "in_hand")

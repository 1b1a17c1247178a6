"""The clocks of a complaint as bars: how much of its time each deadline has used, and how it was kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from projections.complaint_timeline.projection import waiting_deadlines
from projections.projection import Document

Standing: TypeAlias = Literal["met", "done_late", "overdue", "running", "still", "dropped"]


@dataclass(frozen=True, slots=True)
class Clock:
    deadline: Document
    stands: Standing
    """Overdue as long as the step is still not done."""
    seconds: int
    """Between the deadline and when the step was done, or until when it was waited for."""
    due: float
    """Where the deadline is, of the length of the bar."""
    used: float
    """How much of the bar has gone by; what lies behind the deadline is too late."""


def clocks(complaint: Document, at: datetime) -> list[Clock]:
    """The deadlines of a complaint as they stand at a time, the earliest first."""
    in_order = sorted(
        complaint["deadlines"].values(), key=lambda each: (each.get("due_at", ""), each["rule"])
    )
    return [clock(each, complaint, at) for each in in_order if "due_at" in each]


def next_clock(complaint: Document, at: datetime) -> Clock | None:
    """Of what is due next, or is overdue for the longest time."""
    first = next(iter(waiting_deadlines(complaint)), None)
    return None if first is None else clock(first, complaint, at)


def clock(deadline: Document, complaint: Document, at: datetime) -> Clock:
    """The bar reaches from the start to the deadline, and beyond it as far as the step was too late."""
    due = _time(deadline["due_at"])
    starts = min(due, _time(deadline.get("starts_at", complaint["raised_at"])))
    done = deadline.get("done_at") or complaint["done"].get(deadline["step"])
    paused = complaint.get("paused_at")
    stands: Standing
    if deadline["outcome"] == "dropped":
        stands, end = "dropped", starts
    elif done:
        end = _time(done)
        stands = "met" if end <= due else "done_late"
    elif deadline["outcome"] == "pending" and paused and _time(paused) <= due:
        stands, end = "still", _time(paused)
    else:
        end = _time(complaint["since"]) if complaint["ended"] else at
        stands = "overdue" if end > due else "running"
    length = max(due, end) - starts
    if not length:
        return Clock(deadline, stands, 0, 1.0, 1.0)
    used = max(0.0, (end - starts) / length)
    return Clock(deadline, stands, int(abs((end - due).total_seconds())), (due - starts) / length, used)


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(text)

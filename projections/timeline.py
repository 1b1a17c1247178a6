"""A timeline: one entry per fact, in the order of the log, dull and correct."""

from eventlog.recorded import Recorded, to_text
from projections.projection import Document


def entry(recorded: Recorded) -> Document:
    """What happened, who did it, when, and when we heard of it."""
    return {
        "event": recorded.event.type,
        "id": recorded.id,
        "at": to_text(recorded.occurred_at),
        "recorded_at": to_text(recorded.recorded_at),
        "actor": recorded.metadata.actor,
        "role": recorded.metadata.role,
        "causation_id": recorded.metadata.causation_id,
        "data": recorded.event.model_dump(mode="json", exclude_none=True),
    }

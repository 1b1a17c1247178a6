"""A timeline: one entry per fact, in the order of the log, dull and correct.

Its document says how things stand; an entry is made when somebody reads it, from the fact in the ledger.
"""

from projections.facts import Fact, values
from projections.projection import Document

_FOR_THE_GATE = "token"
"""What opens the gate is shown to whoever releases it, and to nobody else."""


def entry(fact: Fact) -> Document:
    """What happened, who did it, when, and when we heard of it."""
    return {
        "event": fact.event.type,
        "id": fact.id,
        "at": fact.occurred_at,
        "recorded_at": fact.recorded_at,
        "actor": fact.actor,
        "role": fact.role,
        "causation_id": fact.causation_id,
        "data": {name: value for name, value in values(fact.data).items() if name != _FOR_THE_GATE},
    }

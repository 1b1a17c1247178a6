"""Who is received next: the one rule for the queue, for the desk and for the screens (K-10)."""

from datetime import datetime
from typing import TypeAlias

Turn: TypeAlias = tuple[int, datetime, datetime]
"""The smaller one is received first."""
IN_SLOT, MEMBER, ARRIVAL = 0, 1, 2


def turn(at: datetime, *, slot_at: datetime | None, member: bool, arrived_at: datetime) -> Turn:
    """Whose appointment has begun, by its time (R-27); then members (R-25); then all, as they came (R-26).

    Who comes before their appointment is one of the others until it begins; who comes too late for it has no
    `slot_at` and stays one of them.
    """
    if slot_at is not None and slot_at <= at:
        return IN_SLOT, slot_at, arrived_at
    return MEMBER if member else ARRIVAL, arrived_at, arrived_at

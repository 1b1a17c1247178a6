"""The bays that the workshop keeps free on a day, told on the day of the booking (R-10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from eventlog.decider import Decider
from events import Event
from events.workshop import BayFreed, BayKeptFree


class _AboutBay(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    book: str
    appointment_id: str
    follows: int


class KeepBayFree(_AboutBay):
    bay: int
    starts_at: datetime
    ends_at: datetime
    parts: tuple[str, ...] = ()


class FreeBay(_AboutBay):
    pass


BayCommand: TypeAlias = KeepBayFree | FreeBay


@dataclass(frozen=True, slots=True)
class BayPlan:
    heard: Mapping[str, int] = field(default_factory=dict)
    """Up to which version of reception's book, for each appointment."""


def decide(command: BayCommand, plan: BayPlan) -> list[Event]:
    """Reception's facts come by several ways and may overtake each other: the later one holds."""
    if command.follows <= plan.heard.get(command.appointment_id, 0):
        return []
    if isinstance(command, KeepBayFree):
        return [BayKeptFree(**command.model_dump())]
    return [BayFreed(**command.model_dump())]


def evolve(plan: BayPlan, event: Event) -> BayPlan:
    match event:
        case BayKeptFree(appointment_id=id, follows=version) | BayFreed(appointment_id=id, follows=version):
            return BayPlan({**plan.heard, id: version})
    return plan


BAY_PLAN = Decider(BayPlan(), decide, evolve)


def bay_plan_stream(book: str) -> str:
    return f"bays-{book}"

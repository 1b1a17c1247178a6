"""A day at the desk: when customers are received, and what stays free for the unbooked (R-18 … R-23)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from events.reception import Hours
from events.shop_rules import ReceptionRules
from services.versions import in_force
from services.working_time import hours_of_day


@dataclass(frozen=True, slots=True)
class Slots:
    """The beginnings of what a day consists of, each in order."""

    hours: tuple[Hours, ...]
    booked: tuple[datetime, ...]
    """Those that can be booked."""
    buffers: tuple[datetime, ...]
    """Kept free, so that a delay ends here (R-19, R-20)."""
    gaps: tuple[datetime, ...]
    """What two receptions save together (R-22)."""


def rules_for(rules: Sequence[ReceptionRules], day: date) -> ReceptionRules:
    """The version by which a day is run: the last that begins on it, or that held before."""
    return in_force(rules, datetime.combine(day, time.max, rules[0].opening.zone))


def site_date(rules: Sequence[ReceptionRules], at: datetime) -> date:
    """Which day it is at the site."""
    return at.astimezone(in_force(rules, at).opening.zone).date()


def slots_of(rules: ReceptionRules, day: date) -> Slots:
    """None on a holiday."""
    booked, buffers, gaps = [], [], []
    slot, gap = timedelta(minutes=rules.slot_minutes), timedelta(minutes=rules.gap_minutes)
    hours = hours_of_day(rules.opening, day)
    for opens, closes in hours:
        at, in_a_row = opens, 0
        while at + slot <= closes:
            if in_a_row == rules.slots_between_buffers:
                buffers.append(at)
                in_a_row = 0
            else:
                booked.append(at)
                in_a_row += 1
                if gap and in_a_row % 2 == 0:
                    gaps.append(at + slot - gap)
            at += slot
    opening = tuple(Hours(opens=opens, closes=closes) for opens, closes in hours)
    return Slots(opening, tuple(booked), tuple(buffers), tuple(gaps))


def expected_starts(
    slots: Sequence[datetime], slot_minutes: int, overruns: Sequence[timedelta]
) -> list[datetime]:
    """When the receptions of one advisor really begin, if each takes longer than planned by its overrun."""
    starts: list[datetime] = []
    free_at = slots[0] if slots else None
    for planned, overrun in zip(slots, overruns, strict=True):
        assert free_at is not None
        starts.append(max(planned, free_at))
        free_at = starts[-1] + timedelta(minutes=slot_minutes) + overrun
    return starts

"""What "within eight working hours" means at a site with its own hours, holidays and time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from events.rulebook import Calendar

_ONE_DAY = timedelta(days=1)
_FAR = 1_000
"""Days without any work after which a calendar is taken to be a mistake."""


class NoWorkingTime(Exception):
    """The calendar has nothing but days off from there on."""


def work_done(calendar: Calendar, start: datetime, work: timedelta) -> datetime:
    """When this much working time has passed since `start`. Raises NoWorkingTime."""
    if work <= timedelta(0):
        return start
    left = work
    for opens, closes in _periods(calendar, start):
        begins = max(opens, start)
        if closes - begins >= left:
            return begins + left
        left -= closes - begins
    raise NoWorkingTime(f"there is no working time within {_FAR} days after {start.isoformat()}")


def work_between(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """The working time from `start` until `end`; none if that lies before."""
    total = timedelta(0)
    for opens, closes in _periods(calendar, start):
        if opens >= end:
            break
        total += min(closes, end) - max(opens, start)
    return total


def end_of_day(calendar: Calendar, at: datetime) -> datetime:
    """The midnight that ends the day which it is at the site."""
    return _instant(calendar.zone, at.astimezone(calendar.zone).date() + _ONE_DAY, time(0))


def _periods(calendar: Calendar, start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Those that have not ended at `start`, in order."""
    day = start.astimezone(calendar.zone).date()
    for _ in range(_FAR):
        yield from ((opens, closes) for opens, closes in hours_of_day(calendar, day) if closes > start)
        day += _ONE_DAY


@lru_cache(maxsize=4_096)
def hours_of_day(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """From opening to closing, in order; none on a holiday."""
    return tuple(
        (
            _instant(calendar.zone, day, period.opens),
            _instant(calendar.zone, day + _ONE_DAY if period.closes == time(0) else day, period.closes),
        )
        for period in calendar.days.get(day, calendar.week[day.weekday()])
    )


def _instant(zone: ZoneInfo, day: date, at: time) -> datetime:
    """The first moment at which the clocks there show it; for a time they jump over, one after it."""
    return datetime.combine(day, at, zone).astimezone(UTC)

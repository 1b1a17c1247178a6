"""When a site receives customers on a day."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from events.rulebook import Period
from events.shop_rules import ReceptionRules
from services.reception.appointment_slots import Slots, expected_starts, rules_for, slots_of
from services.reception.rules import SHIPPED_RULES

[SHIPPED] = SHIPPED_RULES
WEEK = ((Period(opens=time(9), closes=time(12)), Period(opens=time(13), closes=time(17))),) * 7
NINE = SHIPPED.model_copy(update={"opening": SHIPPED.opening.model_copy(update={"week": WEEK})})
"""The shipped rules, for a site that opens at nine and has lunch."""
TUESDAY = date(2026, 3, 3)


def clock(rules: ReceptionRules, times: tuple[datetime, ...]) -> list[str]:
    return [f"{each.astimezone(rules.opening.zone):%H:%M}" for each in times]


def test_after_every_third_slot_a_quarter_of_an_hour_stays_free() -> None:
    """R-18, R-19: 9:00, 9:15, 9:30, then 10:00."""
    day = slots_of(NINE, TUESDAY)
    assert clock(NINE, day.booked)[:7] == ["09:00", "09:15", "09:30", "10:00", "10:15", "10:30", "11:00"]
    assert clock(NINE, day.buffers) == ["09:45", "10:45", "11:45", "13:45", "14:45", "15:45", "16:45"]


def test_two_receptions_save_a_gap_together() -> None:
    """R-22: three minutes of each quarter of an hour make six of every two."""
    assert clock(NINE, slots_of(NINE, TUESDAY).gaps)[:3] == ["09:24", "10:24", "11:24"]


def test_nobody_is_received_at_lunch_or_after_hours() -> None:
    """R-19."""
    day = slots_of(NINE, TUESDAY)
    assert not {"12:00", "12:30", "17:00"} & set(clock(NINE, day.booked + day.buffers))
    assert clock(NINE, day.booked)[-1] == "16:30"


def test_a_holiday_has_no_slots() -> None:
    """R-19, K-24."""
    assert slots_of(NINE, date(2026, 10, 1)) == Slots((), (), (), ())


def test_other_rules_make_another_day() -> None:
    """R-19, X-14: the numbers are the rules', not ours."""
    slow = NINE.model_copy(update={"slot_minutes": 30, "slots_between_buffers": 1, "gap_minutes": 0})
    day = slots_of(slow, TUESDAY)
    assert clock(slow, day.booked)[:3] == ["09:00", "10:00", "11:00"]
    assert clock(slow, day.buffers)[:3] == ["09:30", "10:30", "11:30"]
    assert day.gaps == ()


def test_a_day_is_run_by_the_version_that_holds_on_it() -> None:
    """X-14."""
    later = NINE.model_copy(update={"version": 2, "effective": datetime(2026, 3, 4, tzinfo=UTC)})
    assert rules_for([NINE, later], date(2026, 3, 3)).version == 1
    assert rules_for([NINE, later], date(2026, 3, 4)).version == 2


@pytest.mark.parametrize("hour", [0, 8, 12, 18, 23])
def test_a_version_holds_for_the_whole_day_on_which_it_begins(hour: int) -> None:
    """X-14: also in the afternoon something can be booked by what was published for now."""
    begins = datetime(2026, 3, 4, hour, 59, tzinfo=NINE.opening.zone)
    later = NINE.model_copy(update={"version": 2, "effective": begins})
    assert [rules_for([NINE, later], date(2026, 3, day)).version for day in (3, 4)] == [1, 2]


@pytest.mark.parametrize(
    ("overrun", "expected"),
    [
        (0, ["09:00", "09:15", "09:30", "10:00"]),
        (5, ["09:00", "09:20", "09:35", "10:00"]),
        (15, ["09:00", "09:30", "09:45", "10:00"]),
        (20, ["09:00", "09:35", "09:50", "10:05"]),
    ],
)
def test_an_overrun_ends_at_the_buffer(overrun: int, expected: list[str]) -> None:
    """R-20: five minutes more for the first delay the second and the third, but not the fourth."""
    four = slots_of(NINE, TUESDAY).booked[:4]
    overruns = [timedelta(minutes=overrun), *[timedelta()] * 3]
    assert clock(NINE, tuple(expected_starts(four, NINE.slot_minutes, overruns))) == expected


def test_nobody_booked_is_nobody_delayed() -> None:
    assert expected_starts([], 15, []) == []

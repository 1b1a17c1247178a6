"""What reception does by itself about appointments. Every message may come twice."""

from datetime import date

import pytest

from eventlog.policies import Policies
from eventlog.recorded import encode
from eventlog.store import EventStore
from events.reception import AppointmentConfirmed, AppointmentKept, AppointmentRescheduled
from services.reception.policies import policies
from tests.reception.test_appointment_book import BOOK, about, at, booked, cancelled, facts, make
from tests.reception.test_visit import received
from tests.recording import recorded

FREE = "whenever_appointment_confirmed_free_moved"
KEEP = "whenever_vehicle_received_keep_appointment"
STREAM = f"appointments-{BOOK}"

*_, confirmed = facts(make)
assert isinstance(confirmed, AppointmentConfirmed)
elsewhere = confirmed.model_copy(
    update={
        "book": "sh01.2026-03-04",
        "slot_at": at("10:00", day=4),
        "moved_from": date(2026, 3, 3),
        "moved_from_slot": confirmed.slot_at,
    }
)
THERE = "appointments-sh01.2026-03-04"
came = received.model_copy(update={"appointment_id": "A1", "appointment_book": BOOK})


@pytest.fixture
async def day(reception: EventStore) -> str:
    await reception.append(STREAM, 0, booked, recorded(booked[0], 1).metadata)
    return STREAM


@pytest.fixture
def whenever(reception: EventStore) -> Policies:
    return policies(reception)


async def test_the_day_that_an_appointment_moved_from_lets_go_of_it(
    whenever: Policies, reception: EventStore, day: str
) -> None:
    """R-12."""
    for _ in range(2):
        await whenever.react(FREE, encode(recorded(elsewhere, 9)))
    [*before, freed] = await reception.stream(day)
    assert len(before) == len(booked)
    assert freed.event == AppointmentRescheduled(**about, to=at("10:00", day=4), to_book="sh01.2026-03-04")


async def test_an_appointment_that_moved_from_nowhere_frees_nothing(
    whenever: Policies, reception: EventStore, day: str
) -> None:
    await whenever.react(FREE, encode(recorded(confirmed, 9)))
    assert len(await reception.stream(day)) == len(booked)


@pytest.fixture
async def there(reception: EventStore) -> str:
    """The day that took it over."""
    requested, reserved, _ = (event.model_copy(update={"book": elsewhere.book}) for event in facts(make))
    await reception.append(THERE, 0, [requested, reserved, elsewhere], recorded(booked[0], 3).metadata)
    return THERE


async def test_who_cancelled_meanwhile_is_expected_on_neither_day(
    whenever: Policies, reception: EventStore, day: str, there: str
) -> None:
    """R-12, K-24: on the old day, before it heard that another had taken the appointment over."""
    await reception.append(day, len(booked), [cancelled], recorded(booked[0], 2).metadata)
    for _ in range(2):
        await whenever.react(FREE, encode(recorded(elsewhere, 9)))
    await whenever.react(KEEP, encode(recorded(came, 10)))
    assert len(await reception.stream(day)) == len(booked) + 1
    [*before, ended] = await reception.stream(there)
    assert len(before) == 3
    assert ended.event == cancelled.model_copy(update={"book": elsewhere.book})


async def test_an_appointment_that_two_days_took_over_stays_on_the_one_it_was_let_go_for(
    whenever: Policies, reception: EventStore, day: str, there: str
) -> None:
    """R-04, R-12."""
    gone = AppointmentRescheduled(**about, to=at("10:00", day=5), to_book="sh01.2026-03-05")
    await reception.append(day, len(booked), [gone], recorded(booked[0], 2).metadata)
    for _ in range(2):
        await whenever.react(FREE, encode(recorded(elsewhere, 9)))
    assert len(await reception.stream(day)) == len(booked) + 1
    [*before, given_back] = await reception.stream(there)
    assert len(before) == 3
    assert given_back.event == gone.model_copy(update={"book": elsewhere.book})


async def test_who_is_received_has_kept_the_appointment(
    whenever: Policies, reception: EventStore, day: str
) -> None:
    """R-14."""
    for _ in range(2):
        await whenever.react(KEEP, encode(recorded(came, 9)))
    [*before, kept] = await reception.stream(day)
    assert len(before) == len(booked)
    assert kept.event == AppointmentKept(**about)


async def test_who_comes_without_an_appointment_keeps_none(
    whenever: Policies, reception: EventStore, day: str
) -> None:
    await whenever.react(KEEP, encode(recorded(received, 9)))
    assert len(await reception.stream(day)) == len(booked)

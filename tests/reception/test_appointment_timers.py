"""What falls due at the desk while nobody does anything: each once, and silently when it is made anew."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from eventlog.recorded import Metadata
from eventlog.store import EventStore
from eventlog.timers import Timers
from events.shop_rules import ReceptionRules
from services.reception import appointment_commands as do
from services.reception.appointment_book import appointment_decider, book_of, book_stream
from services.reception.appointment_slots import site_date, slots_of
from services.reception.appointment_timers import appointment_timers
from services.reception.rules import SHIPPED_RULES
from tests.reception.test_appointment_book import make, when


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def soon(rules: ReceptionRules, days: int) -> datetime:
    """A slot of the next day on which the site is open, that many days from now or earlier."""
    step = 1 if days > 0 else -1
    day = site_date([rules], datetime.now(UTC)) + timedelta(days=days)
    while not (slots := slots_of(rules, day).booked):
        day += timedelta(days=step)
    return slots[0]


@pytest.fixture
async def timers(reception: EventStore) -> Timers:
    timers = appointment_timers(reception)
    await timers.provision()
    return timers


async def give(reception: EventStore, command: do.DayCommand) -> str:
    stream = book_stream(command.book)
    metadata = Metadata(
        site="sh01",
        actor="wang.lei",
        role="advisor",
        correlation_id="A1",
        command_id=f"{command!r}",
        occurred_at=command.at,
    )
    await reception.handle(appointment_decider(SHIPPED_RULES), stream, command, metadata, new=True)
    return stream


async def booked(reception: EventStore, slot_at: datetime) -> str:
    """Made two days before."""
    book = book_of("sh01", site_date(SHIPPED_RULES, slot_at))
    made = {"book": book, "slot_at": slot_at, **when(slot_at - timedelta(days=2))}
    return await give(reception, make.model_copy(update=made))


async def pass_time(timers: Timers) -> None:
    """Until nothing is due any more."""
    while True:
        while await timers.follow():
            pass
        if not await timers.ring():
            return


async def types(reception: EventStore, stream: str) -> Counter[str]:
    return Counter(type(recorded.event).__name__ for recorded in await reception.stream(stream))


async def test_who_did_not_come_has_missed_the_appointment(reception: EventStore, timers: Timers) -> None:
    """K-24, R-11: the reminders fell due before."""
    stream = await booked(reception, soon(SHIPPED_RULES[0], -2))
    for _ in range(2):
        await pass_time(timers)
    seen = await types(reception, stream)
    assert (seen["AppointmentReminderDue"], seen["AppointmentMissed"]) == (2, 1)


async def test_nothing_falls_due_before_its_time(reception: EventStore, timers: Timers) -> None:
    stream = await booked(reception, soon(SHIPPED_RULES[0], 4))
    await pass_time(timers)
    seen = await types(reception, stream)
    assert (seen["AppointmentReminderDue"], seen["AppointmentMissed"]) == (0, 0)


async def test_what_was_cancelled_rings_for_nobody(
    reception: EventStore, timers: Timers, now: datetime
) -> None:
    stream = await booked(reception, soon(SHIPPED_RULES[0], -2))
    book = stream.removeprefix("appointments-")
    cancel = do.CancelAppointment(
        book=book, at=now - timedelta(days=5), appointment_id="A1", reason="customer"
    )
    await give(reception, cancel)
    await pass_time(timers)
    seen = await types(reception, stream)
    assert (seen["AppointmentReminderDue"], seen["AppointmentMissed"]) == (0, 0)


async def test_patience_that_ends_is_noted_once(reception: EventStore, timers: Timers, now: datetime) -> None:
    """R-21: after eight minutes, for who still waits."""
    came = now - timedelta(minutes=9)
    book = book_of("sh01", site_date(SHIPPED_RULES, came))
    for id in ("N1", "N2"):
        stream = await give(reception, do.Arrive(book=book, at=came, arrival_id=id))
    just_now = do.Arrive(book=book_of("sh01", site_date(SHIPPED_RULES, now)), at=now, arrival_id="N3")
    await give(reception, just_now)
    await give(reception, do.Leave(book=book, at=now, arrival_id="N2"))
    for _ in range(2):
        await pass_time(timers)
    assert (await types(reception, stream))["CustomerWaitedTooLong"] == 1


async def test_timers_made_anew_tell_nobody_again(reception: EventStore, timers: Timers) -> None:
    stream = await booked(reception, soon(SHIPPED_RULES[0], -2))
    await pass_time(timers)
    before = await types(reception, stream)
    await timers.forget()
    await pass_time(timers)
    assert await types(reception, stream) == before

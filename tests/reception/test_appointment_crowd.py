"""Two hundred people book the same few slots at once: nobody is promised what somebody else has."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import combinations

import pytest

from eventlog.decider import Rejected
from eventlog.group_commit import VersionConflict
from eventlog.recorded import Metadata, Recorded
from eventlog.store import EventStore
from events import Event
from events.reception import AppointmentConfirmed, BayReserved
from services.reception import appointment_commands as do
from services.reception.appointment_book import book_stream
from tests.reception.test_appointment_book import BOOK, another, at, book, opened

SLOTS = [at("09:00"), at("09:15"), at("09:30"), at("10:00")]
CROWD = 200
STREAM = book_stream(BOOK)
DECIDER = book.decider
"""Two advisors and three bays."""


def by(command: do.BookAppointment) -> Metadata:
    id = command.appointment_id
    return Metadata(site="sh01", actor="wang.lei", role="advisor", correlation_id=id, command_id=id)


def crowd(labour_minutes: int) -> Iterable[do.BookAppointment]:
    return (
        another(f"A{n}", slot_at=SLOTS[n % len(SLOTS)], labour_minutes=labour_minutes) for n in range(CROWD)
    )


def promised_twice(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Pairs of appointments that share an advisor's slot, or a bay for a while."""
    confirmed = [each for each in events if isinstance(each, AppointmentConfirmed)]
    reserved = [each for each in events if isinstance(each, BayReserved)]
    advisors: Callable[[AppointmentConfirmed], tuple[datetime, int]] = lambda e: (e.slot_at, e.advisor)  # noqa: E731
    shared = [
        (a.appointment_id, b.appointment_id)
        for a, b in combinations(confirmed, 2)
        if advisors(a) == advisors(b)
    ]
    return shared + [
        (a.appointment_id, b.appointment_id)
        for a, b in combinations(reserved, 2)
        if a.bay == b.bay and a.starts_at < b.ends_at and b.starts_at < a.ends_at
    ]


@pytest.fixture
async def second(reception: EventStore) -> EventStore:
    """Another process of the same service: it takes no turns with the first."""
    return EventStore("reception", reception._dsn)


@pytest.mark.parametrize(
    ("labour_minutes", "room"),
    [(15, 8), (480, 3)],
    ids=["two advisors in each of four slots", "three bays for the whole day"],
)
async def test_no_advisor_and_no_bay_is_promised_twice(
    reception: EventStore, second: EventStore, labour_minutes: int, room: int
) -> None:
    """R-04, R-05: what is free is given away once; everybody else hears why not."""
    async with second.running():
        outcomes = await asyncio.gather(
            *(
                store.handle(DECIDER, STREAM, command, by(command), new=True)
                for store, command in zip(
                    (reception, second) * (CROWD // 2), crowd(labour_minutes), strict=True
                )
            ),
            return_exceptions=True,
        )
    refused = Counter(type(each) for each in outcomes if isinstance(each, BaseException))
    events = [each.event for each in await reception.stream(STREAM)]
    confirmed = [each for each in events if isinstance(each, AppointmentConfirmed)]
    assert promised_twice(events) == []
    assert refused == {Rejected: CROWD - len(confirmed)}
    assert len({each.number for each in confirmed}) == len(confirmed)
    assert len(confirmed) == room
    assert events[0] == opened
    assert sum(event == opened for event in events) == 1


async def test_the_crowd_would_be_promised_things_twice_without_the_check_of_the_version(
    reception: EventStore,
) -> None:
    """The control: the same decisions, each on the day as it was before, appended wherever there is room."""
    as_it_was: Sequence[Recorded] = ()

    async def append_anywhere(command: do.BookAppointment) -> None:
        events = DECIDER.decide(command, DECIDER.fold(each.event for each in as_it_was))
        while True:
            try:
                await reception.append(STREAM, len(await reception.stream(STREAM)), events, by(command))
                return
            except VersionConflict:
                continue

    await asyncio.gather(*(append_anywhere(command) for command in list(crowd(60))[:8]))
    assert promised_twice([each.event for each in await reception.stream(STREAM)]) != []

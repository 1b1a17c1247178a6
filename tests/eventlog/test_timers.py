"""Alarm clocks set by events: each rings, once, also when it was due while nobody listened."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from eventlog import sql
from eventlog import timers as timers_module
from eventlog.recorded import Recorded
from eventlog.store import EventStore, Unavailable
from eventlog.timers import Cancel, Change, Set, Timer, Timers
from events.workshop import RepairAdded, WorkDispatched
from tests.eventlog.conftest import DISPATCH, by, dispatch

PAST = datetime.now(UTC) - timedelta(hours=1)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


def changes(recorded: Recorded) -> Iterator[Change]:
    """A dispatch to the team "late" is due already, to "soon" it will be, and "done" cancels either."""
    assert isinstance(recorded.event, WorkDispatched)
    match recorded.event.team:
        case "late":
            yield Set("check", PAST)
        case "later":
            yield Set("check", PAST + timedelta(minutes=1))
        case "soon":
            yield Set("check", FUTURE)
        case "done":
            yield Cancel("check")


DONE_ONCE = replace(
    DISPATCH,
    decide=lambda team, before: [] if before[-1:] == (team,) else DISPATCH.decide(team, before),
)
"""A decider that knows what has been done."""


@dataclass
class Bell:
    """Dispatches to "done" what rings, and remembers it."""

    store: EventStore
    heard: list[Timer] = field(default_factory=list)
    broken: Exception | None = None
    hangs: str | None = None

    async def __call__(self, timer: Timer) -> None:
        self.heard.append(timer)
        if self.broken:
            raise self.broken
        if self.hangs == timer.stream:
            await asyncio.Event().wait()
        await self.store.handle(DONE_ONCE, timer.stream, "done", timer.metadata())


@pytest.fixture
def bell(store: EventStore) -> Bell:
    return Bell(store)


@pytest.fixture
async def timers(store: EventStore, bell: Bell) -> Timers:
    timers = Timers(store, [WorkDispatched], changes, bell)
    await timers.provision()
    return timers


async def pass_time(timers: Timers) -> None:
    while await timers.follow():
        pass
    await timers.ring()


async def teams(store: EventStore, stream: str = "order-1") -> list[str]:
    return [getattr(recorded.event, "team", "") for recorded in await store.stream(stream)]


async def test_what_is_due_rings_once(timers: Timers, store: EventStore, bell: Bell) -> None:
    await dispatch(store, "order-1", "late")
    for _ in range(3):
        await pass_time(timers)
    assert [(timer.stream, timer.name, timer.due_at) for timer in bell.heard] == [("order-1", "check", PAST)]
    assert await teams(store) == ["late", "done"]


async def test_what_is_not_due_waits(timers: Timers, store: EventStore, bell: Bell) -> None:
    await dispatch(store, "order-1", "soon")
    await pass_time(timers)
    assert not bell.heard


async def test_what_was_cancelled_does_not_ring(timers: Timers, store: EventStore, bell: Bell) -> None:
    await dispatch(store, "order-1", "late")
    await dispatch(store, "order-1", "done")
    await pass_time(timers)
    assert not bell.heard


async def test_a_timer_set_anew_rings_at_its_new_time_only(
    timers: Timers, store: EventStore, bell: Bell
) -> None:
    await dispatch(store, "order-1", "late")
    await dispatch(store, "order-1", "soon")
    await pass_time(timers)
    assert not bell.heard


async def test_a_timer_belongs_to_its_stream(timers: Timers, store: EventStore, bell: Bell) -> None:
    for stream in ("order-1", "order-2", "order-3"):
        await dispatch(store, stream, "late")
    await dispatch(store, "order-2", "done")
    await pass_time(timers)
    assert sorted(timer.stream for timer in bell.heard) == ["order-1", "order-3"]


async def test_timers_made_anew_from_the_log_are_the_same_and_ring_nothing_again(
    timers: Timers, store: EventStore, bell: Bell
) -> None:
    await dispatch(store, "order-1", "late")
    await dispatch(store, "order-2", "soon")
    await pass_time(timers)
    before = await waiting(store)
    await timers.forget()
    assert await waiting(store) == []
    await pass_time(timers)
    assert await waiting(store) == before != []
    assert len(bell.heard) == 1


async def test_two_processes_lead_to_one_event(timers: Timers, store: EventStore, bell: Bell) -> None:
    for n in range(20):
        await dispatch(store, f"order-{n}", "late")
    while await timers.follow():
        pass
    other = Timers(store, [WorkDispatched], changes, bell)
    await asyncio.gather(timers.ring(), other.ring())
    await pass_time(other)
    for n in range(20):
        assert await teams(store, f"order-{n}") == ["late", "done"]


async def test_the_control_of_two_processes_hears_both(timers: Timers, store: EventStore, bell: Bell) -> None:
    """The control: a decider that does not know what has been done records both."""
    await dispatch(store, "order-1", "late")
    await timers.follow()
    for second in range(2):
        timer = Timer("order-1", "check", PAST, PAST + timedelta(seconds=second), "sh01", "visit-1")
        await store.handle(DISPATCH, "order-1", "done", timer.metadata())
    assert await teams(store) == ["late", "done", "done"]


async def test_what_fails_is_tried_again_and_holds_up_nobody(
    timers: Timers, store: EventStore, bell: Bell
) -> None:
    await dispatch(store, "order-1", "late")
    bell.broken = ValueError("no such thing")
    await pass_time(timers)
    assert await timers.failing() == 1
    bell.broken = None
    await dispatch(store, "order-2", "late")
    await pass_time(timers)  # the first one is waited with
    assert await teams(store) == ["late"]
    assert await teams(store, "order-2") == ["late", "done"]
    await with_pool(store, "UPDATE timer SET again_at = now()")
    await pass_time(timers)
    assert await teams(store) == ["late", "done"]
    assert await timers.failing() == 0


async def test_a_store_that_is_away_counts_against_no_timer(
    timers: Timers, store: EventStore, bell: Bell
) -> None:
    await dispatch(store, "order-1", "late")
    bell.broken = Unavailable("away")
    with pytest.raises(Unavailable):
        await pass_time(timers)
    assert await timers.failing() == 0
    bell.broken = None
    await pass_time(timers)
    assert await teams(store) == ["late", "done"]


async def test_a_ring_that_never_ends_holds_up_nobody(
    timers: Timers, store: EventStore, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers_module, "PATIENCE", 0.2)
    await dispatch(store, "order-1", "late")
    await dispatch(store, "order-2", "late")
    bell.hangs = "order-1"
    await pass_time(timers)
    assert await teams(store, "order-2") == ["late", "done"]
    assert await timers.failing() == 1


async def test_other_events_set_nothing(timers: Timers, store: EventStore, bell: Bell) -> None:
    """Given `changes` that fails on whatever it was not made for."""
    added = RepairAdded(
        work_order_id="1", visit_id="V1", line=1, description="brakes", price_fen=1, delay_minutes=0
    )
    await store.append("order-9", 0, [added], by("add"))
    assert await timers.follow()
    assert await waiting(store) == []


async def waiting(store: EventStore) -> list[tuple[object, ...]]:
    async with store.pool.connection() as conn:
        return await sql.rows(conn, "SELECT * FROM timer ORDER BY stream, name")


async def with_pool(store: EventStore, statement: str) -> None:
    async with store.pool.connection() as conn:
        await conn.execute(statement)

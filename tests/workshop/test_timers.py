"""The progress watch on a real server: it rings once, whatever happens."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from eventlog.recorded import Metadata
from eventlog.store import EventStore
from eventlog.timers import Timers
from events import Event
from events.workshop import ProgressAlarmRaised, ProgressCheckDue
from services.workshop import commands as do
from services.workshop.timers import work_order_timers
from tests.deciders import WORK_ORDER
from tests.workshop.test_work_order import authorise, open_it, take_in

STREAM = "work_order-W1"


@pytest.fixture
async def timers(workshop: EventStore) -> Timers:
    timers = work_order_timers(workshop)
    await timers.provision()
    return timers


async def pass_time(timers: Timers) -> None:
    """Until nothing is due any more."""
    while True:
        while await timers.follow():
            pass
        if not await timers.ring():
            return


async def tell(workshop: EventStore, *commands: do.Command) -> None:
    for command in commands:
        metadata = Metadata(
            site="sh01",
            actor="sun",
            role="workshop_supervisor",
            correlation_id="W1",
            command_id=f"{command!r}",
        )
        await workshop.handle(WORK_ORDER, STREAM, command, metadata, new=True)


async def dispatched(workshop: EventStore, ago: int) -> datetime:
    """When work of 100 minutes was given to a team: so many minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=ago)
    dispatch = do.DispatchWork(work_order_id="W1", team="north", mode="to_team", at=at)
    accept = do.AcceptVehicle(
        work_order_id="W1", fault_confirmed=True, test_driven=False, tools_checked=True, at=at
    )
    await tell(workshop, open_it, authorise, take_in, dispatch, accept)
    return at


async def rung(workshop: EventStore) -> Sequence[Event]:
    return [
        recorded.event
        for recorded in await workshop.stream(STREAM)
        if isinstance(recorded.event, ProgressCheckDue | ProgressAlarmRaised)
    ]


async def test_what_was_due_while_the_service_was_down_rings_once(
    workshop: EventStore, timers: Timers
) -> None:
    """W-13, W-14."""
    start = await dispatched(workshop, ago=600)
    for _ in range(2):
        await pass_time(timers)
    assert Counter(type(event).__name__ for event in await rung(workshop)) == {
        "ProgressCheckDue": 1,
        "ProgressAlarmRaised": 1,
    }
    assert [event.model_dump()["due_at"] - start for event in await rung(workshop)] == [
        timedelta(minutes=70),
        timedelta(minutes=80),
    ]


async def test_a_rebuild_is_silent(workshop: EventStore, timers: Timers) -> None:
    """W-13."""
    await dispatched(workshop, ago=600)
    await pass_time(timers)
    before = len(await workshop.stream(STREAM))
    await timers.forget()
    await pass_time(timers)
    assert len(await workshop.stream(STREAM)) == before


async def test_between_the_two_somebody_asks_and_no_alarm_rings(workshop: EventStore, timers: Timers) -> None:
    """W-13."""
    await dispatched(workshop, ago=75)
    await pass_time(timers)
    assert [type(event) for event in await rung(workshop)] == [ProgressCheckDue]


async def test_more_time_puts_the_question_off(workshop: EventStore, timers: Timers) -> None:
    """W-11, W-13."""
    start = await dispatched(workshop, ago=60)
    at = start + timedelta(minutes=5)
    report = do.ReportDelay(work_order_id="W1", minutes=60, cause="progress", explanation="rust", at=at)
    await tell(workshop, report)
    await pass_time(timers)
    assert await rung(workshop) == []


async def test_an_answer_silences_the_alarm_that_is_set(workshop: EventStore, timers: Timers) -> None:
    start = await dispatched(workshop, ago=75)
    await pass_time(timers)
    done_at = start + timedelta(minutes=75)
    await tell(workshop, do.RecordProgress(work_order_id="W1", done_at=done_at, anomaly=False))
    async with workshop.pool.connection() as conn:
        await conn.execute("UPDATE timer SET due_at = now()")
    await pass_time(timers)
    assert [type(event) for event in await rung(workshop)] == [ProgressCheckDue]


async def test_work_that_is_done_is_not_asked_about(workshop: EventStore, timers: Timers) -> None:
    await dispatched(workshop, ago=600)
    await tell(workshop, do.CompleteRepair(work_order_id="W1"))
    await pass_time(timers)
    assert await rung(workshop) == []

"""Policies: every message is handled once it can be, parked if it never can, and holds up nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from faststream import AckPolicy
from nats.aio.client import Client
from nats.js import JetStreamContext

from eventlog import policies as policies_module
from eventlog.bus import STREAM, connect, subject
from eventlog.decider import Rejected
from eventlog.parking import PARKED, parked_stream
from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded, encode
from eventlog.store import EventStore, StaleVersion, Unavailable, UnknownStream
from eventlog.supervise import supervise
from events.policies import MessageDiscarded, MessageParked, MessageRetried
from events.workshop import RepairAdded
from ops.nats import Nats
from ops.processes import usable_port
from tests.eventlog.conftest import DISPATCH, by, eventually, in_background

SUBJECT = subject(RepairAdded.type, "sh01")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def added(line: int, description: str = "brake pads") -> bytes:
    """A repair as the workshop recorded it."""
    event = RepairAdded(
        work_order_id="1", visit_id="1", line=line, description=description, price_fen=1, delay_minutes=1
    )
    return encode(
        Recorded(stream="order-1", version=line, event=event, recorded_at=NOW, metadata=by(f"add-{line}"))
    )


class Desk:
    """Reception, whose only policy hands every added repair to a team of its own; it may be out of order."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.policies = Policies("desk", store)
        self.trouble: Callable[[RepairAdded], Exception | None] = lambda repair: None
        self.came: list[int] = []

        @self.policies.whenever(RepairAdded)
        async def whenever_repair_added_dispatch(repair: RepairAdded, cause: Recorded) -> None:
            self.came.append(repair.line)
            if trouble := self.trouble(repair):
                raise trouble
            metadata = caused_by(cause, "whenever_repair_added_dispatch")
            await store.handle(DISPATCH, "desk", f"line {repair.line}", metadata, new=True)

    async def handled(self) -> list[int]:
        return [int(r.event.team.split()[1]) for r in await self.store.stream("desk")]  # type: ignore[attr-defined]

    async def until_handled(self, *lines: int, within: float = 30) -> None:
        async def all_handled() -> bool:
            return await self.handled() == list(lines)

        await eventually(all_handled, within)

    async def parked(self) -> list[MessageParked]:
        async with self.store.pool.connection() as conn:
            rows = await conn.execute(
                "SELECT originator_id FROM events WHERE topic = %s ORDER BY notification_id",
                (MessageParked.type,),
            )
            streams = [stream for [stream] in await rows.fetchall()]
        return [(await self.store.stream(stream))[0].event for stream in streams]  # type: ignore[misc]

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[None]:
        async def react() -> None:
            await self.policies.run(url)

        async with in_background(supervise("desk", react)):
            yield


@pytest.fixture(autouse=True)
def watch_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies_module, "WATCH_EVERY", 0.2)


@pytest.fixture
def desk(store: EventStore) -> Desk:
    return Desk(store)


Send = Callable[..., Awaitable[None]]


@pytest.fixture
def send(js: JetStreamContext) -> Send:
    async def send(*bodies: bytes) -> None:
        for body in bodies:
            await js.publish(SUBJECT, body, headers={"correlation-id": "visit-1"})

    return send


# Handled


async def test_messages_are_handled_in_order_and_once(desk: Desk, send: Send, nats_server: Nats) -> None:
    await send(*(added(n) for n in range(1, 31)), added(3), added(30))
    async with desk.open(nats_server.url):
        await desk.until_handled(*range(1, 31))

        async def came_again() -> bool:
            return desk.came[-2:] == [3, 30]

        await eventually(came_again)
    assert await desk.handled() == list(range(1, 31))
    assert await desk.parked() == []


async def test_a_message_that_came_again_leads_to_the_same_command(desk: Desk) -> None:
    for _ in range(2):
        await desk.policies.react("whenever_repair_added_dispatch", added(1))
    [recorded] = await desk.store.stream("desk")
    assert recorded.metadata.causation_id == "order-1@1"
    assert recorded.metadata.correlation_id == "visit-1"


async def test_what_cannot_be_done_now_is_done_later_and_never_parked(
    desk: Desk, send: Send, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies_module, "PAUSES", (0.05, 0.05))
    troubles: list[Exception] = [Unavailable("away") for _ in range(6)] + [OSError("broken"), TimeoutError()]
    desk.trouble = lambda repair: troubles.pop() if repair.line == 2 and troubles else None
    await send(added(1), added(2), added(3))
    async with desk.open(nats_server.url):
        await desk.until_handled(1, 2, 3)
    assert desk.came.count(2) == 9
    assert await desk.parked() == []


async def test_an_unexpected_error_is_tried_again_and_then_parked(
    desk: Desk, send: Send, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies_module, "PAUSES", (0.05, 0.05))
    desk.trouble = lambda repair: ZeroDivisionError("oops") if repair.line == 1 else None
    await send(added(1), added(2))
    async with desk.open(nats_server.url):
        await desk.until_handled(2)
    [parked] = await desk.parked()
    assert (parked.reason, parked.attempts) == ("ZeroDivisionError: oops", 3)


# Parked

POISON = {
    "no json": (b"hello", "JSONDecodeError"),
    "no text": (b'"\xff', "not valid UTF-8"),
    "no event": (b"[]", "TypeError"),
    "an unknown type": (added(1).replace(b"workshop.repair_added.v1", b"workshop.repair_sung.v1"), "Unknown"),
    "a later version": (added(1).replace(b"repair_added.v1", b"repair_added.v9"), "UnknownEventType"),
    "another type": (
        added(1).replace(b"repair_added.v1", b"diagnosis_started.v1"),
        "came where workshop.repair_added.v1 was expected",
    ),
    "a missing field": (added(1).replace(b'"line":1,', b""), "ValidationError"),
    "no JSON of 900 kB": (b"x" * 900_000, "JSONDecodeError"),
    "an event of 900 kB that is refused": (added(13, "x" * 900_000), "Rejected"),
    "a refused command": (added(13), "Rejected: unlucky"),
}


@pytest.mark.parametrize("kind", POISON)
async def test_what_can_never_be_handled_is_parked_with_its_reason_and_the_rest_goes_on(
    desk: Desk, send: Send, nats_server: Nats, kind: str
) -> None:
    body, reason = POISON[kind]
    desk.trouble = lambda repair: Rejected("unlucky") if repair.line == 13 else None
    await send(body, added(2))
    async with desk.open(nats_server.url):
        await desk.until_handled(2)
    [parked] = await desk.parked()
    assert reason in parked.reason
    assert (parked.policy, parked.service) == ("whenever_repair_added_dispatch", "desk")
    assert (parked.subject, parked.attempts) == (SUBJECT, 1)
    assert parked.truncated == (len(body) > 200_000)


async def test_a_parked_message_that_comes_again_is_parked_once(
    desk: Desk, send: Send, nats_server: Nats
) -> None:
    await send(b"hello", b"hello", added(1))
    async with desk.open(nats_server.url):
        await desk.until_handled(1)
    assert len(await desk.parked()) == 1


async def park(desk: Desk, body: bytes) -> str:
    """As an earlier release that could not handle it left it."""
    await desk.policies._park("whenever_repair_added_dispatch", SUBJECT, {}, body, "because", 1)
    [parked] = await desk.parked()
    return parked.parked_id


async def test_a_retried_message_is_handled(desk: Desk) -> None:
    parked_id = await park(desk, added(1))
    first = await desk.policies.retry(parked_id, by("retry"))
    assert [r.event for r in first.recorded] == [MessageRetried(parked_id=parked_id, handled=True)]
    assert await desk.handled() == [1]
    assert (await desk.policies.retry(parked_id, by("retry"))).repeated
    assert await desk.handled() == [1]


async def test_a_settled_message_cannot_be_retried_or_discarded(desk: Desk) -> None:
    parked_id = await park(desk, added(1))
    await desk.policies.retry(parked_id, by("retry"))
    with pytest.raises(Rejected, match="already handled"):
        await desk.policies.retry(parked_id, by("again"))
    with pytest.raises(Rejected, match="already handled"):
        await desk.policies.discard(parked_id, "not needed", by("discard"))


async def test_a_decision_on_an_older_version_does_nothing(desk: Desk) -> None:
    parked_id = await park(desk, added(1))
    with pytest.raises(StaleVersion):
        await desk.policies.retry(parked_id, by("retry"), expected_version=2)
    with pytest.raises(StaleVersion):
        await desk.policies.discard(parked_id, "not needed", by("discard"), expected_version=2)
    assert await desk.handled() == []
    first = await desk.policies.retry(parked_id, by("retry"), expected_version=1)
    again = await desk.policies.retry(parked_id, by("retry"), expected_version=1)
    assert (again.repeated, again.position) == (True, first.position)
    assert await desk.handled() == [1]


async def test_a_message_that_fails_again_stays_parked(desk: Desk) -> None:
    parked_id = await park(desk, b"hello")
    handled = await desk.policies.retry(parked_id, by("retry"))
    [recorded] = handled.recorded
    assert isinstance(recorded.event, MessageRetried)
    assert not recorded.event.handled
    assert "JSONDecodeError" in str(recorded.event.reason)
    state = PARKED.fold(r.event for r in await desk.store.stream(parked_stream(parked_id)))
    assert state.settled is None


async def test_a_retry_while_the_store_is_away_settles_nothing(desk: Desk) -> None:
    parked_id = await park(desk, added(1))
    desk.trouble = lambda repair: Unavailable("away")
    with pytest.raises(Unavailable):
        await desk.policies.retry(parked_id, by("retry"))
    assert len(await desk.store.stream(parked_stream(parked_id))) == 1


async def test_a_message_is_discarded_for_a_reason_and_once(desk: Desk) -> None:
    parked_id = await park(desk, b"hello")
    first = await desk.policies.discard(parked_id, "a test message", by("discard"))
    assert [r.event for r in first.recorded] == [
        MessageDiscarded(parked_id=parked_id, reason="a test message")
    ]
    assert (await desk.policies.discard(parked_id, "a test message", by("discard"))).repeated
    assert (await desk.policies.discard(parked_id, "still a test message", by("other"))).recorded == ()
    with pytest.raises(Rejected, match="already discarded"):
        await desk.policies.retry(parked_id, by("retry"))


async def test_a_message_of_another_site_or_of_nobody_cannot_be_decided(desk: Desk) -> None:
    parked_id = await park(desk, b"hello")
    for unknown, site in ((parked_id, "hz01"), ("nothing", "sh01")):
        with pytest.raises(UnknownStream):
            await desk.policies.retry(unknown, by("retry", site=site))
        with pytest.raises(UnknownStream):
            await desk.policies.discard(unknown, "why", by("discard", site=site))


# The carrier


def test_every_subscriber_takes_one_message_at_a_time_and_acknowledges_by_itself(desk: Desk) -> None:
    broker: Any = desk.policies._broker("nats://127.0.0.1:1")
    assert len(broker.subscribers) == len(desk.policies.names) == 1
    for subscriber in broker.subscribers:
        assert type(subscriber).__name__ == "PullStreamSubscriber"  # not its concurrent or batching variants
        assert subscriber.ack_policy is AckPolicy.MANUAL
        assert subscriber.pull_sub.batch_size == 1
        assert not subscriber.pull_sub.batch
        assert not subscriber.stream.declare
    for consumer in desk.policies.consumers():
        assert (consumer.max_deliver, consumer.max_ack_pending) == (-1, 1)


async def test_a_consumer_deleted_while_running_comes_back(
    desk: Desk, send: Send, nats_server: Nats, js: JetStreamContext
) -> None:
    async with desk.open(nats_server.url):
        await send(added(1))
        await desk.until_handled(1)
        await js.delete_consumer(STREAM, "desk-whenever_repair_added_dispatch")
        await send(added(2))
        await desk.until_handled(1, 2)


async def test_a_stream_deleted_while_running_comes_back(
    desk: Desk, send: Send, nats_server: Nats, js: JetStreamContext
) -> None:
    async with desk.open(nats_server.url):
        await send(added(1))
        await desk.until_handled(1)
        await js.delete_stream(STREAM)

        async def handled() -> bool:
            """What is taken while the server clears the old one away is gone: a relay sends it again."""
            await send(added(2))
            return await desk.handled() == [1, 2]

        await eventually(handled)


async def test_a_bus_that_comes_late_is_found_and_blocks_nothing_meanwhile(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Nats(tmp_path_factory.mktemp("nats"), port=usable_port(0))
    server.start()
    server.kill()
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async def has_turns() -> bool:
        return turns > 50

    async with desk.open(server.url), in_background(other_work()):
        await eventually(has_turns)
        with server:
            bus = await connect(server.url, "test")

            async def sent() -> bool:
                return bool(await bus.jetstream().publish(SUBJECT, added(1)))

            await eventually(sent)
            await desk.until_handled(1)
            await bus.close()


def brokers_of(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each broker that it makes from now on."""
    make, brokers = desk.policies._broker, list[Any]()

    def make_and_note(url: str) -> Any:
        brokers.append(make(url))
        return brokers[-1]

    monkeypatch.setattr(desk.policies, "_broker", make_and_note)
    return brokers


async def test_a_connection_the_server_refuses_blocks_nothing_and_is_replaced(
    desk: Desk, send: Send, js: JetStreamContext, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is closed for good makes the subscriber fetch in vain, in a loop that never pauses."""
    brokers = brokers_of(desk, monkeypatch)
    busy, close = asyncio.Event(), asyncio.Event()

    @desk.policies.whenever(RepairAdded)
    async def whenever_repair_added_wait(repair: RepairAdded, cause: Recorded) -> None:
        busy.set()
        await close.wait()

    await send(added(1))
    async with desk.open(nats_server.url):
        await asyncio.wait_for(busy.wait(), 10)
        await desk.until_handled(1)

        async def acknowledged() -> bool:
            info = await js.consumer_info(STREAM, "desk-whenever_repair_added_dispatch")
            return (info.num_ack_pending, info.num_pending) == (0, 0)

        await eventually(acknowledged)
        await brokers[0]._connection.close()  # as for `-ERR 'Authorization Timeout'`
        close.set()
        await send(added(2))
        await desk.until_handled(1, 2)
    assert len(brokers) > 1


async def test_no_connection_is_left_behind_when_the_bus_crashes(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = brokers_of(desk, monkeypatch)
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        async with desk.open(server.url):

            async def started() -> bool:
                return bool(brokers and brokers[0].running)

            await eventually(started)
            connection: Client = brokers[0]._connection
            server.kill()

            async def given_up() -> bool:
                return connection.is_closed

            await eventually(given_up)
            server.start()
            bus = await connect(server.url, "test")

            async def sent() -> bool:
                return bool(await bus.jetstream().publish(SUBJECT, added(1)))

            await eventually(sent)
            await desk.until_handled(1)
            await bus.close()

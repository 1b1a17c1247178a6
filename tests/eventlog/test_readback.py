"""What vanishes from the stream before a policy had it comes to the policy all the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from structlog.testing import capture_logs

from eventlog import readback as readback_module
from eventlog import sql
from eventlog.bus import KEPT, STREAM, connected, incarnation, provision
from eventlog.policies import Policies, caused_by
from eventlog.readback import read_back
from eventlog.recorded import Recorded
from eventlog.relay import publish, relay
from eventlog.store import EventStore
from eventlog.supervise import supervise
from events.workshop import WorkDispatched
from ops.bus_identities import identities
from ops.nats import Nats
from tests.eventlog.conftest import (
    DISPATCH,
    arrivals,
    dispatch,
    eventually,
    in_background,
    on_stream,
)

TEAMS = ["A 组", "B 组", "C 组"]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback_module, "EVERY", 0.1)
    monkeypatch.setattr(readback_module, "PASSED_ASKED_EVERY", 0.1)


class Reception:
    """Notes every team that the workshop sends work to."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.policies = Policies("reception", store)

        @self.policies.whenever(WorkDispatched)
        async def whenever_work_dispatched_note(dispatched: WorkDispatched, cause: Recorded) -> None:
            metadata = caused_by(cause, "whenever_work_dispatched_note")
            await store.handle(DISPATCH, "noted", dispatched.team, metadata, new=True)

    async def noted(self) -> list[str]:
        return [r.event.team for r in await self.store.stream("noted")]  # type: ignore[attr-defined]

    async def has_noted(self, teams: list[str]) -> bool:
        return sorted(await self.noted()) == sorted(teams)


@pytest.fixture
def reception(store: EventStore) -> Reception:
    return Reception(store)


Running = Callable[[EventStore, Client], Awaitable[None]]


@asynccontextmanager
async def running(nats: Nats, workshop: EventStore, *tasks: Running) -> AsyncIterator[None]:
    """As a service runs them."""

    async def run() -> None:
        async with connected(nats.url, "workshop") as bus:
            await asyncio.gather(*(supervise(task.__name__, partial(task, workshop, bus)) for task in tasks))

    async with in_background(run()):
        yield


async def published(nats: Nats, js: JetStreamContext, reception: Reception, workshop: EventStore) -> None:
    """Three orders are on the bus, for a policy that has had none of them yet."""
    await provision(js, reception.policies.consumers())
    async with running(nats, workshop, relay):
        for n, team in enumerate(TEAMS, start=1):
            await dispatch(workshop, f"order-{n}", team)

        async def all_relayed() -> bool:
            return await workshop.relayed() == len(TEAMS)

        await eventually(all_relayed)


async def one_deleted(js: JetStreamContext) -> None:
    await js.delete_msg(STREAM, 2)


async def the_last_deleted(js: JetStreamContext) -> None:
    await js.delete_msg(STREAM, 3)


async def all_purged(js: JetStreamContext) -> None:
    await js.purge_stream(STREAM)


async def all_but_one_thrown_away(js: JetStreamContext) -> None:
    await js.update_stream(replace((await js.stream_info(STREAM)).config, max_msgs=1))


LOSSES = [one_deleted, the_last_deleted, all_purged, all_but_one_thrown_away]


@pytest.mark.parametrize("lose", LOSSES)
async def test_what_vanished_before_the_policy_had_it_is_published_again(
    reception: Reception,
    workshop: EventStore,
    nats_server: Nats,
    js: JetStreamContext,
    lose: Callable[[JetStreamContext], Awaitable[None]],
) -> None:
    await published(nats_server, js, reception, workshop)
    await lose(js)
    async with (
        running(nats_server, workshop, relay, read_back),
        in_background(supervise("reception", partial(reception.policies.run, nats_server.url))),
    ):
        await eventually(partial(reception.has_noted, TEAMS))


@pytest.mark.parametrize("lose", LOSSES)
async def test_what_is_not_read_back_never_comes_to_the_policy(
    reception: Reception,
    workshop: EventStore,
    nats_server: Nats,
    js: JetStreamContext,
    lose: Callable[[JetStreamContext], Awaitable[None]],
) -> None:
    """The control: everything as above, but nobody reads back."""
    await published(nats_server, js, reception, workshop)
    await lose(js)
    async with (
        running(nats_server, workshop, relay),
        in_background(supervise("reception", partial(reception.policies.run, nats_server.url))),
    ):
        await dispatch(workshop, "after", "the last")

        async def has_the_last() -> bool:
            return "the last" in await reception.noted()

        await eventually(has_the_last)
    assert set(await reception.noted()) < {*TEAMS, "the last"}


@pytest.mark.parametrize("silent", [True, False])
async def test_a_flipped_bit_in_the_stream_keeps_nothing_from_the_policy(
    store: EventStore, workshop: EventStore, tmp_path_factory: pytest.TempPathFactory, silent: bool
) -> None:
    """After an orderly stop the server passes over the message, counts unchanged; after a crash it cuts the
    stream off there."""
    reception = Reception(store)
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        async with connected(server.url, "test") as bus:
            js = bus.jetstream()
            await provision(js, ())
            await published(server, js, reception, workshop)
            for _ in range(10):  # until the message stands in a block that is full
                await js.publish("aftersales.sh01.stranger.filler", b"x" * 900_000)
            before = (await js.stream_info(STREAM)).state.messages
        if silent:
            server.stop()
        else:
            server.kill()
        flip_a_bit(server.data, "order-2")
        server.start()
        async with connected(server.url, "test") as bus:
            left = (await bus.jetstream().stream_info(STREAM)).state.messages
            assert left == before if silent else left < before
        async with (
            running(server, workshop, relay, read_back),
            in_background(supervise("reception", partial(reception.policies.run, server.url))),
        ):
            await eventually(partial(reception.has_noted, TEAMS))


def flip_a_bit(data: Path, stream: str) -> None:
    """In the body of the message about this stream, on disk."""
    first, *_ = sorted(data.rglob("*.blk"))
    damaged = bytearray(first.read_bytes())
    damaged[damaged.rindex(stream.encode())] ^= 1
    first.write_bytes(damaged)


async def settled(workshop: EventStore) -> bool:
    """Everything published counts as read back."""
    async with workshop.pool.connection() as conn:
        found = await (await conn.execute("SELECT read_back, relayed FROM store")).fetchone()
    return bool(found and found[0] == found[1] > 0)


async def test_what_every_policy_has_had_may_vanish(
    reception: Reception, workshop: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    """As it does with age: it is not published again."""
    await published(nats_server, js, reception, workshop)
    async with (
        running(nats_server, workshop, relay, read_back),
        in_background(supervise("reception", partial(reception.policies.run, nats_server.url))),
    ):
        await eventually(partial(settled, workshop))
        assert await on_stream(js) == [1, 2, 3]
        await js.purge_stream(STREAM)
        await dispatch(workshop, "order-4", "D 组")
        await eventually(partial(reception.has_noted, [*TEAMS, "D 组"]))
        await eventually(partial(settled, workshop))
    assert await on_stream(js) == [4]


async def test_nothing_counts_as_read_back_before_the_policies_had_it(
    reception: Reception, workshop: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    await published(nats_server, js, reception, workshop)
    waited = asyncio.Event()
    passed = readback_module._passed

    async def noting(*of: object) -> bool:
        done = await passed(*of)  # type: ignore[arg-type]
        if not done:
            waited.set()
        return done

    readback_module._passed = noting  # type: ignore[assignment]
    try:
        async with running(nats_server, workshop, relay, read_back):
            await asyncio.wait_for(waited.wait(), 10)
            assert not await settled(workshop)
            async with in_background(
                supervise("reception", partial(reception.policies.run, nats_server.url))
            ):
                await eventually(partial(settled, workshop))
    finally:
        readback_module._passed = passed


async def test_what_was_published_before_the_relay_noted_it_has_not_vanished(
    workshop: EventStore, nats_server: Nats, bus: Client, js: JetStreamContext
) -> None:
    """Given a relay that is a message ahead of its cursor while somebody reads back."""
    stream = await incarnation(js)
    await workshop.relayed_into(stream, KEPT)
    for n, team in enumerate(TEAMS, start=1):
        await dispatch(workshop, f"order-{n}", team)
    first, second, third = await arrivals(workshop)

    async def read_back_to(position: int) -> bool:
        async with workshop.pool.connection() as conn:
            return await sql.row(conn, "SELECT read_back FROM store") == (position,)

    async with running(nats_server, workshop, read_back):
        await publish(bus, [first, second])
        await workshop.set_relayed(stream, 1)
        await eventually(partial(read_back_to, 1))
        await publish(bus, [third])
        await workshop.set_relayed(stream, 3)
        await eventually(partial(read_back_to, 3))
    assert await on_stream(js) == [1, 2, 3]


async def test_a_service_may_read_back_what_is_its_own(
    store: EventStore, workshop: EventStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As itself on the bus, with no more rights than it has in production."""
    reception = Reception(store)
    with Nats(tmp_path_factory.mktemp("nats"), identities=identities()) as server:
        async with connected(server.url, "owner") as owner, connected(server.url_of("workshop"), "w") as own:
            js = owner.jetstream()
            await provision(js, ())
            await published(server, js, reception, workshop)
            await all_purged(js)
            async with (
                in_background(asyncio.gather(relay(workshop, own), read_back(workshop, own))),
                in_background(supervise("reception", partial(reception.policies.run, server.url))),
            ):
                await eventually(partial(reception.has_noted, TEAMS))
                await eventually(partial(settled, workshop))


async def test_two_processes_read_back_in_turns(
    reception: Reception, workshop: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    await published(nats_server, js, reception, workshop)
    await js.delete_msg(STREAM, 2)
    with capture_logs() as logs:
        async with (
            running(nats_server, workshop, relay, read_back),
            running(nats_server, workshop, read_back),
            in_background(supervise("reception", partial(reception.policies.run, nats_server.url))),
        ):
            await eventually(partial(reception.has_noted, TEAMS))
            await eventually(partial(settled, workshop))
    assert await on_stream(js) == [1, 3, 2]
    assert [entry["messages"] for entry in logs if entry["event"] == "relay.vanished"] == [1]

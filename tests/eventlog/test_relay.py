"""The relay: everything recorded is on the bus, in order, whatever happens to the bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from nats.aio.client import Client
from nats.errors import Error as BusError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy

from eventlog import relay as relay_module
from eventlog.bus import STREAM, Arrival, connect, from_message, incarnation, provision, to_message
from eventlog.relay import BatchRefused, _publish_batch, publish, relay
from eventlog.store import EventStore
from eventlog.supervise import supervise
from ops.nats import Nats
from tests.eventlog.conftest import (
    arrivals,
    dispatch,
    dispatch_many,
    eventually,
    in_background,
    on_stream,
)


@asynccontextmanager
async def relaying(store: EventStore, nats: Nats) -> AsyncIterator[None]:
    """As a service runs it."""

    async def once() -> None:
        bus = await connect(nats.url, "relay")
        try:
            await relay(store, bus)
        finally:
            await bus.close()

    async with in_background(supervise("relay", once)):
        yield


async def held(store: EventStore) -> list[int]:
    return [arrival.event.pos for arrival in await arrivals(store)]


async def all_relayed(store: EventStore) -> bool:
    return await store.relayed() == (await held(store))[-1]


async def test_events_are_published_in_order_with_their_bytes(
    store: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    async with relaying(store, nats_server):
        for n in range(5):
            await dispatch(store, f"order-{n}")
        await eventually(partial(all_relayed, store))
        await dispatch_many(store, 20, "more")
        await eventually(partial(all_relayed, store))
    assert await on_stream(js) == await held(store)
    subscription = await js.pull_subscribe("aftersales.>", stream=STREAM)
    came = [from_message(message) for message in await subscription.fetch(25, timeout=5)]
    assert came == await arrivals(store)
    await subscription.unsubscribe()


async def test_many_events_go_as_one_atomic_batch(
    store: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    await dispatch_many(store, 120)
    async with relaying(store, nats_server):
        await eventually(partial(all_relayed, store))
    assert await on_stream(js) == await held(store)
    batches = {(await js.get_msg(STREAM, seq)).headers["Nats-Batch-Id"] for seq in (1, 60, 120)}  # type: ignore[index]
    assert len(batches) == 1


async def test_a_batch_without_its_end_stores_nothing(
    store: EventStore, bus: Client, js: JetStreamContext
) -> None:
    await dispatch_many(store, 60)
    for n, arrival in enumerate(await arrivals(store), start=1):
        subject, headers, body = to_message(arrival)
        await bus.publish(
            subject, body, headers=headers | {"Nats-Batch-Id": "half", "Nats-Batch-Sequence": str(n)}
        )
    await bus.flush()
    assert await on_stream(js) == []


async def test_a_batch_with_a_message_already_stored_is_refused_whole_and_goes_one_by_one(
    store: EventStore, bus: Client, js: JetStreamContext
) -> None:
    await dispatch_many(store, 70)
    whole = await arrivals(store)
    await publish(bus, whole[30:33])
    with pytest.raises(BatchRefused):
        await _publish_batch(bus, whole)
    assert await on_stream(js) == [31, 32, 33]
    await publish(bus, whole)
    assert sorted(await on_stream(js)) == await held(store)


async def test_what_the_bus_refuses_is_not_taken_for_published(
    store: EventStore,
    nats_server: Nats,
    bus: Client,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "ACKNOWLEDGED_WITHIN", 1.0)
    await dispatch_many(store, 5)
    async with in_background(relay(store, bus)) as running:
        await eventually(partial(all_relayed, store))
        wanted = (await js.stream_info(STREAM)).config
        await js.update_stream(replace(wanted, max_msgs=7, discard=DiscardPolicy.NEW))
        await dispatch_many(store, 10, "more")
        with pytest.raises((BusError, TimeoutError)):
            await asyncio.wait_for(asyncio.shield(running), 10)
    assert await store.relayed() < 15
    await provision(js, ())
    async with relaying(store, nats_server):
        await eventually(partial(all_relayed, store))
    assert sorted(set(await on_stream(js))) == await held(store)


async def test_two_relays_at_once_publish_each_event_once(
    store: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    async with relaying(store, nats_server), relaying(store, nats_server):
        for round in range(6):
            await dispatch_many(store, 60, f"{round}")
        await eventually(partial(all_relayed, store))
    assert sorted(await on_stream(js)) == await held(store)


async def test_a_lost_stream_is_made_anew_and_filled_again(
    store: EventStore, nats_server: Nats, js: JetStreamContext
) -> None:
    """Policies may not have had what the lost stream held."""
    await dispatch_many(store, 70)
    async with relaying(store, nats_server):
        await eventually(partial(all_relayed, store))
        await js.delete_stream(STREAM)

        async def filled() -> bool:
            return await on_stream(js) == await held(store)

        await eventually(filled)
        await dispatch(store, "after")
        await eventually(filled)


async def test_a_new_stream_gets_only_what_it_would_still_keep(
    store: EventStore, js: JetStreamContext
) -> None:
    await dispatch_many(store, 3)
    assert await store.relayed_into(await incarnation(js), timedelta(days=30)) == 0
    await store.set_relayed(await incarnation(js), 2)
    assert await store.relayed_into(await incarnation(js), timedelta(0)) == 2
    assert await store.relayed_into("a new one", timedelta(0)) == 3
    await store.set_relayed("an old one", 1)
    assert await store.relayed() == 3


async def test_the_cursor_of_a_relay_that_lags_behind_another_moves_nothing_back(
    store: EventStore, js: JetStreamContext
) -> None:
    await dispatch_many(store, 3)
    await store.relayed_into("stream", timedelta(days=1))
    await store.set_relayed("stream", 3)
    await store.set_relayed("stream", 1)
    assert await store.relayed() == 3


async def test_the_relay_goes_on_after_a_crash_of_the_bus(
    store: EventStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        async with relaying(store, server):
            await dispatch_many(store, 60, "before")
            await eventually(partial(all_relayed, store))
            server.kill()
            await dispatch_many(store, 60, "during")
            server.start()
            await eventually(partial(all_relayed, store))
            reader = await connect(server.url, "reader")
            assert sorted(set(await on_stream(reader.jetstream()))) == await held(store)
            await reader.close()


async def test_an_absent_stream_is_an_error(
    store: EventStore, bus: Client, js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ACKNOWLEDGED_WITHIN", 1.0)
    await dispatch_many(store, 60)
    await js.delete_stream(STREAM)
    whole: list[Arrival] = await arrivals(store)
    for some in (whole, whole[:3]):
        with pytest.raises((BusError, TimeoutError)):
            await publish(bus, some)

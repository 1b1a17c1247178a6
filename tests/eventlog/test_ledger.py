"""The ledger: every event of every service once, in order, chained; or a sentence that says what is wrong."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import LiteralString, NoReturn

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from eventlog import ingest
from eventlog.bus import STREAM, Arrival, connect, provision, to_message
from eventlog.feed import FeedEvent, FeedPage
from eventlog.ingest import run_ledger
from eventlog.ledger import Feed, Ledger
from eventlog.recorded import canonical, event_hash
from eventlog.relay import publish
from eventlog.store import EventStore
from ops.nats import Nats
from ops.processes import usable_port
from tests.eventlog.conftest import (
    arrivals,
    chain,
    complete,
    dispatch,
    dispatch_many,
    eventually,
    in_background,
    positions,
    stopped,
)


def other_event(arrival: Arrival) -> Arrival:
    """Another event at the same position, whole in itself."""
    body = canonical(json.loads(arrival.event.body) | {"actor": "somebody else"})
    return replace(arrival, event=replace(arrival.event, body=body, hash=event_hash(body)))


def damaged(arrival: Arrival) -> Arrival:
    body = arrival.event.body.replace(b"A", b"B", 1)
    return replace(arrival, event=replace(arrival.event, body=body))


def forged(body: bytes, after: Arrival, pos: int) -> Arrival:
    """What no service can have stored, with headers that fit."""
    event = FeedEvent(pos, after.event.pos, event_hash(body), body)
    return Arrival(after.source, after.epoch, event)


@pytest.fixture
async def other(ledger: Ledger, store: EventStore, workshop: EventStore) -> AsyncIterator[Ledger]:
    """The same ledger in another process."""
    feeds: dict[str, Feed] = {"reception": store.page, "workshop": workshop.page}
    async with Ledger(str(ledger.pool.conninfo), feeds).running() as other:
        yield other


# What arrives


async def test_events_arrive_once_in_order_however_often_they_come(
    ledger: Ledger, store: EventStore, workshop: EventStore
) -> None:
    await asyncio.gather(dispatch_many(store, 40), dispatch_many(workshop, 40))
    both = [a for pair in zip(await arrivals(store), await arrivals(workshop), strict=True) for a in pair]
    assert (await ledger.ingest(both[:50])).appended == 50
    assert (await ledger.ingest(both[:60])).appended == 10
    assert (await ledger.ingest([*both[60:], *both])).appended == 20
    assert await complete(ledger, store, workshop)
    assert (await chain(ledger)).seq == 80


async def test_a_gap_is_reported_and_filled_from_the_feed(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 10)
    whole = await arrivals(store)
    ingested = await ledger.ingest([*whole[:4], *whole[5:]])
    assert (ingested.appended, ingested.gaps) == (4, {"reception"})
    assert await ledger.refill("reception") == 6
    assert await complete(ledger, store)


async def test_without_the_feed_the_chain_verifies_although_an_event_is_missing(
    ledger: Ledger, store: EventStore
) -> None:
    """The control: a chain does not show what never arrived, the comparison of heads does."""
    await dispatch_many(store, 10)
    await ledger.ingest((await arrivals(store))[:9])
    assert (await chain(ledger)).bad is None
    assert not await complete(ledger, store)
    assert await ledger.look("reception") == (9, 10)


async def test_a_rolled_back_position_is_no_gap(ledger: Ledger, store: EventStore) -> None:
    await dispatch(store, "order-1")
    async with store.pool.connection() as conn:
        await conn.execute("SELECT nextval('events_notification_id_seq')")
    await dispatch(store, "order-2")
    ingested = await ledger.ingest(await arrivals(store))
    assert (ingested.appended, ingested.gaps) == (2, set())
    assert await positions(ledger) == [1, 3]


async def test_shuffled_messages_end_in_order(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 60)
    whole = await arrivals(store)
    random.Random(4).shuffle(whole)
    for start in range(0, 60, 7):
        await ledger.ingest(whole[start : start + 7])
    await ledger.refill("reception")
    assert await complete(ledger, store)


async def test_a_damaged_body_is_ignored_and_then_read_from_the_feed(
    ledger: Ledger, store: EventStore
) -> None:
    await dispatch_many(store, 3)
    whole = await arrivals(store)
    ingested = await ledger.ingest([whole[0], damaged(whole[1]), whole[2]])
    assert (ingested.appended, ingested.gaps) == (1, {"reception"})
    await ledger.refill("reception")
    assert await complete(ledger, store)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"",
        b"null",
        b'{"site":"sh01"}',
        b'{"recorded_at":"today","site":"sh01"}',
        b'{"recorded_at":"2026-01-01T00:00:00+00:00","site":"a\0b"}',
    ],
)
async def test_what_no_service_can_have_stored_is_ignored(
    ledger: Ledger, store: EventStore, body: bytes
) -> None:
    await dispatch_many(store, 2)
    [first, second] = await arrivals(store)
    ingested = await ledger.ingest([first, forged(body, first, 2), second])
    assert ingested.appended == 2
    assert await complete(ledger, store)


async def test_a_source_the_ledger_does_not_know_is_ignored(ledger: Ledger, store: EventStore) -> None:
    await dispatch(store, "order-1")
    [arrival] = await arrivals(store)
    assert (await ledger.ingest([replace(arrival, source="accounting"), arrival])).appended == 1
    assert await positions(ledger, "accounting") == []


async def test_a_page_behind_the_last_one_is_read_until_the_end(ledger: Ledger, store: EventStore) -> None:
    for round in range(4):
        await dispatch_many(store, 350, f"{round}")
    assert await ledger.refill("reception") == 1400
    assert await complete(ledger, store)


async def test_two_ledgers_at_once_make_one_chain(
    ledger: Ledger, other: Ledger, store: EventStore, workshop: EventStore
) -> None:
    await asyncio.gather(dispatch_many(store, 200), dispatch_many(workshop, 200))
    both = [await arrivals(store), await arrivals(workshop)]
    await asyncio.gather(
        *(
            each.ingest(some[start : start + 20])
            for start in range(0, 200, 20)
            for some in both
            for each in (ledger, other)
        ),
        *(each.refill(source) for each in (ledger, other) for source in ("reception", "workshop")),
    )
    await ledger.refill("reception")
    await ledger.refill("workshop")
    assert await complete(ledger, store, workshop)
    assert (await chain(ledger)).seq == 400


# What follows is appended in one round trip, to the ledger as it was left


@pytest.fixture
async def left(ledger: Ledger, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[Arrival]:
    """Given that a ledger has taken one of these three events, and locks and looks for nobody any more."""

    async def unexpected(*_: object) -> NoReturn:
        raise AssertionError("it was locked and looked at")

    await dispatch_many(store, 3)
    whole = await arrivals(store)
    await ledger.ingest(whole[:1])
    monkeypatch.setattr(ledger, "_take", unexpected)
    return whole


async def test_what_follows_takes_one_round_trip(
    ledger: Ledger, store: EventStore, left: list[Arrival]
) -> None:
    for arrival in left[1:]:
        assert (await ledger.ingest([arrival])).appended == 1
    assert await complete(ledger, store)
    assert (await chain(ledger)).seq == 3


@pytest.mark.parametrize(
    "changed",
    [
        "UPDATE ledger_source SET stopped = 'by hand'",
        "UPDATE ledger_source SET epoch = 'readmitted'",
        "UPDATE ledger_source SET pos = 2",
        "UPDATE ledger_head SET seq = 2",
        "UPDATE ledger_head SET chain = 'another'",
    ],
)
async def test_a_ledger_that_was_changed_elsewhere_is_looked_at_first(
    ledger: Ledger, left: list[Arrival], changed: LiteralString
) -> None:
    async with ledger.pool.connection() as conn:
        await conn.execute(changed)
    with pytest.raises(AssertionError, match="locked and looked at"):
        await ledger.ingest([left[1]])
    assert await positions(ledger) == [1]


@pytest.mark.parametrize("come", [[0], [2], [1, 1], [2, 1], [1, 0], []], ids=str)
async def test_what_does_not_just_follow_is_compared_with_the_ledger(
    ledger: Ledger, left: list[Arrival], come: list[int]
) -> None:
    with pytest.raises(AssertionError, match="locked and looked at"):
        await ledger.ingest([left[n] for n in come])
    assert await positions(ledger) == [1]


async def test_ledgers_that_take_turns_make_one_chain(
    ledger: Ledger, other: Ledger, store: EventStore, workshop: EventStore
) -> None:
    await asyncio.gather(dispatch_many(store, 10), dispatch_many(workshop, 10))
    for both in zip(await arrivals(store), await arrivals(workshop), strict=True):
        for each, arrival in zip((ledger, other), both, strict=True):
            assert (await each.ingest([arrival])).appended == 1
    assert await complete(ledger, store, workshop)
    assert (await chain(ledger)).seq == 20


# What stops a source


async def test_another_event_at_a_known_position_stops_that_source_alone(
    ledger: Ledger, store: EventStore, workshop: EventStore
) -> None:
    await asyncio.gather(dispatch_many(store, 3), dispatch_many(workshop, 3))
    mine, theirs = await arrivals(store), await arrivals(workshop)
    await ledger.ingest(mine)
    await ledger.ingest([other_event(mine[1]), *theirs])
    assert await stopped(ledger) == "its store was rewritten: position 2 holds another event"
    await dispatch_many(store, 2, "more")
    assert (await ledger.ingest(await arrivals(store, after=3))).appended == 0
    assert await ledger.refill("reception") == 0
    assert await stopped(ledger, "workshop") is None
    assert await positions(ledger, "workshop") == [1, 2, 3]
    assert (await chain(ledger)).bad is None


async def test_two_events_at_a_new_position_in_one_batch_stop_that_source(
    ledger: Ledger, store: EventStore
) -> None:
    """Given a ledger that was away while its source was restored and went on: both histories come at once."""
    await dispatch_many(store, 3)
    first, second, third = await arrivals(store)
    body = second.event.body.replace("A 组".encode(), "B 组".encode())
    rewritten = replace(second, event=replace(second.event, body=body, hash=event_hash(body)))
    await ledger.ingest([first, second, rewritten, third])
    assert "position 2 holds another event" in str(await stopped(ledger))
    assert await positions(ledger) == [1, 2]


async def test_a_copy_of_an_event_hides_no_other_one_at_its_position(
    ledger: Ledger, store: EventStore
) -> None:
    await dispatch_many(store, 2)
    first, second = await arrivals(store)
    await ledger.ingest([first, second])
    body = second.event.body.replace("A 组".encode(), "B 组".encode())
    rewritten = replace(second, event=replace(second.event, body=body, hash=event_hash(body)))
    await ledger.ingest([rewritten, second])
    assert "position 2 holds another event" in str(await stopped(ledger))


async def test_a_store_that_was_replaced_stops_its_source(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 3)
    whole = await arrivals(store)
    await ledger.ingest(whole[:2])
    await ledger.ingest([replace(whole[2], epoch="another")])
    assert await stopped(ledger) == f"its store was replaced: epoch another follows {whole[0].epoch}"
    assert await positions(ledger) == [1, 2]


async def test_a_replaced_store_is_noticed_before_it_records_anything(
    ledger: Ledger, store: EventStore
) -> None:
    await dispatch_many(store, 3)
    await ledger.refill("reception")
    async with store.pool.connection() as conn:
        await conn.execute("UPDATE store SET epoch = 'restored'")
    async with EventStore("reception", str(store.pool.conninfo)).running() as restored:
        feeds: dict[str, Feed] = {"reception": restored.page}
        async with Ledger(str(ledger.pool.conninfo), feeds).running() as again:
            await again.look("reception")
    assert "epoch restored follows" in str(await stopped(ledger))


async def test_a_store_that_lost_its_end_stops_its_source(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 3)
    await ledger.refill("reception")
    async with store.pool.connection() as conn:
        await conn.execute("DELETE FROM events WHERE notification_id = 3")
    await ledger.look("reception")
    assert await stopped(ledger) == "its store ends at position 2, the ledger holds 3"


async def test_what_the_bus_brings_while_the_feed_is_read_stops_nothing(
    ledger: Ledger, store: EventStore
) -> None:
    async def overtaken(after: int, limit: int) -> FeedPage:
        page = await store.page(after, limit)
        await dispatch(store, f"order-{page.head + 1}")
        await ledger.ingest(await arrivals(store))
        return page

    await dispatch(store, "order-1")
    await ledger.refill("reception")
    async with Ledger(str(ledger.pool.conninfo), {"reception": overtaken}).running() as slow:
        await slow.look("reception")
        await slow.refill("reception")
    assert await stopped(ledger) is None
    assert await complete(ledger, store)


async def rewrite_the_last(store: EventStore) -> None:
    """As a restored store does that has taken other commands."""
    [last] = (await arrivals(store))[-1:]
    async with store.pool.connection() as conn:
        await conn.execute(
            "UPDATE events SET state = %s WHERE notification_id = %s",
            (other_event(last).event.body, last.event.pos),
        )


async def test_a_rewritten_end_stops_its_source_although_nothing_came_over_the_bus(
    ledger: Ledger, store: EventStore
) -> None:
    await dispatch_many(store, 3)
    await ledger.refill("reception")
    await rewrite_the_last(store)
    assert await ledger.look("reception") == (3, 3)
    assert await stopped(ledger) == "its store was rewritten: position 3 holds another event"


async def test_nothing_is_taken_that_follows_a_rewritten_end(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 3)
    await ledger.refill("reception")
    await rewrite_the_last(store)
    await dispatch(store, "after")
    assert await ledger.refill("reception") == 0
    assert "position 3 holds another event" in str(await stopped(ledger))
    assert await positions(ledger) == [1, 2, 3]


async def test_another_event_at_a_known_position_is_no_duplicate_for_the_bus(
    ledger: Ledger, store: EventStore, bus: Client, js: JetStreamContext, nats_server: Nats
) -> None:
    """It would be dropped unseen, and what follows it be taken as if nothing had happened."""
    await dispatch_many(store, 3)
    whole = await arrivals(store)
    await ledger.ingest(whole)
    await publish(bus, whole)
    await publish(bus, [other_event(whole[1])])
    assert (await js.stream_info(STREAM)).state.messages == 4


async def test_what_a_lost_store_left_on_the_bus_stops_nothing_once_it_was_readmitted(
    ledger: Ledger, store: EventStore
) -> None:
    await dispatch_many(store, 4)
    whole = await arrivals(store)
    await ledger.ingest(whole[:3])
    async with ledger.pool.connection() as conn:
        await conn.execute("UPDATE ledger_source SET epoch = 'readmitted'")
    assert (await ledger.ingest(whole)).appended == 0
    assert await stopped(ledger) is None
    assert (await ledger.ingest([replace(whole[3], epoch="readmitted")])).appended == 1
    assert (await chain(ledger)).bad is None


async def test_a_stopped_source_stays_stopped(ledger: Ledger, store: EventStore) -> None:
    await dispatch_many(store, 3)
    whole = await arrivals(store)
    await ledger.ingest(whole[:2])
    await ledger.ingest([other_event(whole[0])])
    why = await stopped(ledger)
    await ledger.ingest(whole)
    await ledger.refill("reception")
    assert await stopped(ledger) == why
    assert await positions(ledger) == [1, 2]


# From the bus, with everything that can go wrong there


@pytest.fixture(autouse=True)
def compare_heads_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "HEADS_EVERY", 0.2)


@asynccontextmanager
async def following(ledger: Ledger, nats_url: str) -> AsyncIterator[None]:
    async with in_background(run_ledger(ledger, nats_url)):
        yield


async def test_events_come_over_the_bus(
    ledger: Ledger, store: EventStore, bus: Client, nats_server: Nats
) -> None:
    async with following(ledger, nats_server.url):
        await dispatch_many(store, 80)
        await publish(bus, await arrivals(store))
        await eventually(partial(complete, ledger, store))


async def test_a_message_the_bus_lost_is_read_from_the_feed(
    ledger: Ledger, store: EventStore, bus: Client, js: JetStreamContext, nats_server: Nats
) -> None:
    await dispatch_many(store, 20)
    await publish(bus, await arrivals(store))
    await js.delete_msg(STREAM, 11)
    await js.delete_msg(STREAM, 20)  # the last of the day: nothing comes behind it
    async with following(ledger, nats_server.url):
        await eventually(partial(complete, ledger, store))


async def test_strangers_messages_stop_nothing(
    ledger: Ledger, store: EventStore, bus: Client, js: JetStreamContext, nats_server: Nats
) -> None:
    await dispatch_many(store, 2)
    [first, second] = await arrivals(store)
    subject, headers, _ = to_message(first)
    async with following(ledger, nats_server.url):
        await js.publish(subject, b"hello")
        await js.publish(subject, b"hello", headers={**headers, "Nats-Msg-Id": "1", "pos": "first"})
        await js.publish(subject, b"hello", headers={**headers, "Nats-Msg-Id": "2", "pos": "9" * 30})
        garbage = forged(b"\xff", first, 2)
        await js.publish(subject, b"\xff", headers={**to_message_of(headers, garbage), "Nats-Msg-Id": "3"})
        await publish(bus, [first, second])
        await eventually(partial(complete, ledger, store))
        info = await js.consumer_info(STREAM, "ledger")
        assert info.num_redelivered in (0, None)


def to_message_of(headers: dict[str, str], arrival: Arrival) -> dict[str, str]:
    event = arrival.event
    return {**headers, "pos": str(event.pos), "prev-pos": str(event.prev_pos), "hash": event.hash}


async def test_a_wiped_bus_loses_nothing(
    ledger: Ledger, store: EventStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        async with following(ledger, server.url):
            await dispatch_many(store, 30, "before")
            await eventually(partial(complete, ledger, store))
            server.wipe()
            await dispatch_many(store, 30, "during")
            await eventually(partial(complete, ledger, store))  # from the feed, there is no bus
            server.start()
            bus = await connect(server.url, "test")

            async def consumer_is_back() -> bool:
                return bool(await bus.jetstream().consumer_info(STREAM, "ledger"))

            await eventually(consumer_is_back)
            await dispatch_many(store, 30, "after")
            await publish(bus, await arrivals(store, after=60))
            await eventually(partial(complete, ledger, store))
            await bus.close()


async def test_an_absent_bus_and_an_absent_service_hold_up_nobody_else(
    ledger: Ledger, store: EventStore, workshop: EventStore
) -> None:
    async def away(after: int, limit: int) -> FeedPage:
        raise OSError("the service does not answer")

    await asyncio.gather(dispatch_many(store, 3), dispatch_many(workshop, 3))
    feeds: dict[str, Feed] = {"reception": away, "workshop": workshop.page}
    async with (
        Ledger(str(ledger.pool.conninfo), feeds).running() as partly,
        following(partly, f"nats://127.0.0.1:{usable_port(0)}"),
    ):
        await eventually(partial(complete, ledger, workshop))
    assert await positions(ledger) == []


async def test_a_gap_of_a_service_that_is_away_delays_nobody_else(
    ledger: Ledger, store: EventStore, workshop: EventStore, bus: Client, nats_server: Nats
) -> None:
    async def away(after: int, limit: int) -> FeedPage:
        raise OSError("the service does not answer")

    await provision(bus.jetstream(), ())
    await asyncio.gather(dispatch_many(store, 5), dispatch_many(workshop, 5))
    feeds: dict[str, Feed] = {"reception": away, "workshop": away}
    async with (
        Ledger(str(ledger.pool.conninfo), feeds).running() as partly,
        following(partly, nats_server.url),
    ):
        await publish(bus, [*(await arrivals(store))[1:], *(await arrivals(workshop))])
        await eventually(partial(complete, ledger, workshop), within=5)
    assert await positions(ledger) == []


async def test_a_consumer_deleted_while_the_ledger_waits_comes_back(
    ledger: Ledger, store: EventStore, bus: Client, js: JetStreamContext, nats_server: Nats
) -> None:
    async with following(ledger, nats_server.url):
        await dispatch(store, "order-1")
        await publish(bus, await arrivals(store))
        await eventually(partial(complete, ledger, store))
        await js.delete_consumer(STREAM, "ledger")

        async def there_again() -> bool:
            return bool((await js.consumer_info(STREAM, "ledger")).num_waiting)

        await eventually(there_again)

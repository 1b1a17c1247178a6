"""Reads back what was published, once the policies have had it: what has vanished is published again.

The ledger reads from the services' feeds what the bus lost; policies have nothing but the bus. What was still
there after the last of them had passed it, each of them could read.
"""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection

from eventlog import sql
from eventlog.bus import STREAM, Arrival, ForeignMessage, context, from_message, is_policy, readback_consumer
from eventlog.bus import provision as provision_bus
from eventlog.relay import ACKNOWLEDGED_WITHIN, BATCH, publish
from eventlog.store import EventStore

log = structlog.get_logger()

EVERY = 5.0
PASSED_ASKED_EVERY = 0.5
CHUNK = 200
SHARE = 0.1
"""Of the time of this process that reading may take: there is no hurry."""


async def read_back(store: EventStore, bus: Client) -> None:
    """Go on until cancelled, in one process at a time.

    Everything recorded comes to every policy at least once, unless it vanishes from the stream again and
    again before the policy has had it. What comes late may come after what followed it.
    """
    js = bus.jetstream(timeout=ACKNOWLEDGED_WITHIN)
    async with store.alone("readback") as conn:
        while True:
            await asyncio.sleep(EVERY)
            await _look(conn, store, bus, js)


async def _look(conn: AsyncConnection[Any], store: EventStore, bus: Client, js: JetStreamContext) -> None:
    epoch, after, upto, place, carrier = await sql.row(conn, _STATE, (store.source,))
    stream = await js.stream_info(STREAM)
    if upto <= after or str(stream.created) != carrier:
        return
    last = stream.state.last_seq
    while not await _passed(js, store.source, last):  # noqa: ASYNC110 - it happens in other processes
        await asyncio.sleep(PASSED_ASKED_EVERY)
    published = await sql.rows(conn, _PUBLISHED, (after, upto, f"{context(store.source)}.%"))
    # A server that finds its last block damaged cuts the stream off there: places are given once more.
    there = await _there(js, store.source, epoch, place if place < last else 0, last)
    if missing := {position for [position] in published} - there.keys():
        # Read back once more before it counts: whatever took it may still be at work.
        log.warning("relay.vanished", source=store.source, messages=len(missing), first=min(missing))
        await provision_bus(js, ())
        await _publish_again(store, bus, missing)
    else:
        # The relay may be ahead of what it has noted: that is for the next time, from where it stands.
        ahead = min((place for position, place in there.items() if position > upto), default=last + 1)
        await conn.execute(_READ_BACK, (upto, ahead - 1, store.source, carrier))


async def _passed(js: JetStreamContext, source: str, place: int) -> bool:
    """Whether every policy that reacts to events of this source is done with the stream up to a place."""
    for consumer in await js.consumers_info(STREAM):
        if not is_policy(consumer.config, context(source)):
            continue
        done = consumer.ack_floor if consumer.num_ack_pending else consumer.delivered
        assert done
        if done.stream_seq < place and (consumer.num_pending or consumer.num_ack_pending):
            return False
    return True


async def _there(js: JetStreamContext, source: str, epoch: str, after: int, last: int) -> dict[int, int]:
    """Positions of this store on the stream behind a place, at least up to another, and where each stands."""
    consumer = readback_consumer(source, after + 1)
    assert consumer.name
    await _forget(js, consumer.name)
    await js.add_consumer(STREAM, config=consumer)
    subscription = await js.pull_subscribe_bind(consumer.name, STREAM)
    clock, positions = asyncio.get_running_loop().time, dict[int, int]()
    try:
        while True:
            began = clock()
            try:
                messages = await subscription.fetch(CHUNK, timeout=1)
            except TimeoutError:
                if (await js.consumer_info(STREAM, consumer.name)).num_pending:
                    continue  # a slow server, and not the end
                return positions
            for message in messages:
                with suppress(ForeignMessage):
                    arrival = from_message(message)
                    if (arrival.source, arrival.epoch) == (source, epoch):
                        positions.setdefault(arrival.event.pos, message.metadata.sequence.stream)
            if messages[-1].metadata.sequence.stream >= last:
                return positions
            await asyncio.sleep((clock() - began) * (1 - SHARE) / SHARE)
    finally:
        await subscription.unsubscribe()
        await _forget(js, consumer.name)


async def _forget(js: JetStreamContext, consumer: str) -> None:
    with suppress(NotFoundError):
        await js.delete_consumer(STREAM, consumer)


async def _publish_again(store: EventStore, bus: Client, missing: set[int]) -> None:
    after, end, again = min(missing) - 1, max(missing), f":{uuid.uuid4().hex[:8]}"
    while after < end:
        page = await store.page(after, BATCH)
        vanished = [event for event in page.events if event.pos in missing]
        await publish(bus, [Arrival(page.source, page.epoch, event) for event in vanished], again)
        after = page.events[-1].pos


_STATE = "SELECT epoch, read_back, relayed, read_back_place, carrier FROM store WHERE source = %s"
_PUBLISHED = """
SELECT notification_id FROM events WHERE notification_id > %s AND notification_id <= %s AND topic LIKE %s
"""
_READ_BACK = """
UPDATE store SET read_back = %s, read_back_place = %s WHERE (source, carrier) = (%s, %s)
"""

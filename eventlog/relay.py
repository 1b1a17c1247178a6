"""Publishes what a service recorded: the event table is the outbox.

Its cursor moves only on the bus's acknowledgement.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence

from nats.aio.client import Client
from nats.errors import Error as BusError

from eventlog.bus import KEPT, Arrival, incarnation, provision, send, to_message, to_wire
from eventlog.feed import FeedPage
from eventlog.store import EventStore

BATCH = 1_000
"""Messages the server takes in one atomic batch, at most."""
WORTH_A_BATCH = 50
WINDOW = 100
"""Messages published one by one before their acknowledgements are waited for."""
WRITTEN_AT_ONCE = 100
"""Messages of a batch: the server takes them in while the next ones are written."""
ACKNOWLEDGED_WITHIN = 5.0
NOTE_EVERY = 0.1
"""Seconds between two notes of how far it came, while there is more to publish."""
LOOK_EVERY = 1.0
"""Seconds between two looks at whether the stream is still the same, and the store still as it was told."""


class BatchRefused(Exception):
    """The server stored none of the batch, for instance because it held one of its messages already."""


async def relay(store: EventStore, bus: Client) -> None:
    """Publish everything recorded, in order, until cancelled.

    Every event is published at least once. After any failure it starts again behind the last acknowledged
    position; what is published twice carries the same message id and position, by which readers drop it.
    A stream that was lost and made anew is filled with what the lost one kept: policies may not have had it.
    """
    js = bus.jetstream(timeout=ACKNOWLEDGED_WITHIN)
    await provision(js, ())
    clock = asyncio.get_running_loop().time
    while True:
        stream, looked_at = await incarnation(js), clock()
        noted = published = await store.relayed_into(stream, KEPT)
        note_at = clock() + NOTE_EVERY
        page: FeedPage | None = await store.page(published, BATCH)
        while clock() < looked_at + LOOK_EVERY:
            if page and page.events:
                last, full = page.events[-1].pos, len(page.events) == BATCH
                due = published > noted and clock() >= note_at
                # While the bus writes this page, the store notes the one before and hands out the next.
                _, _, following = await asyncio.gather(
                    publish(bus, [Arrival(page.source, page.epoch, event) for event in page.events]),
                    store.set_relayed(stream, published) if due else _nothing(),
                    store.page(last, BATCH) if full else _nothing(),
                )
                if due:
                    noted, note_at = published, clock() + NOTE_EVERY
                published = last
                page = following or store.recent(published, BATCH)
            else:
                heard = await store.committed.wait(NOTE_EVERY if published > noted else LOOK_EVERY)
                if not heard and published > noted:
                    await store.set_relayed(stream, published)
                    noted = published
                page = store.recent(published, BATCH)
                if page is None and (not heard or store.last > published):
                    page = await store.page(published, BATCH)  # what others appended
        if published > noted:
            await store.set_relayed(stream, published)


async def _nothing() -> None:
    pass


async def publish(bus: Client, arrivals: Sequence[Arrival], again: str = "") -> None:
    """Return when the bus has acknowledged all of them; `again` as in `to_message`."""
    if len(arrivals) >= WORTH_A_BATCH:
        try:
            await _publish_batch(bus, arrivals, again)
            return
        except (BatchRefused, BusError, TimeoutError):
            pass  # stored whole or not at all: one by one, the server drops what it already has
    js = bus.jetstream()
    for first in range(0, len(arrivals), WINDOW):
        acknowledgements = []
        for arrival in arrivals[first : first + WINDOW]:
            subject, headers, body = to_message(arrival, again)
            acknowledgements.append(await js.publish_async(subject, body, headers=headers))
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
            await asyncio.gather(*acknowledgements)


async def _publish_batch(bus: Client, arrivals: Sequence[Arrival], again: str = "") -> None:
    batch = uuid.uuid4().hex
    lines: list[bytes] = []
    for n, arrival in enumerate(arrivals[:-1], start=1):
        subject, headers, body = to_message(arrival, again)
        headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(n)}
        lines.append(to_wire(subject, headers, body))
        if n % WRITTEN_AT_ONCE == 0 or n == len(arrivals) - 1:
            await send(bus, b"".join(lines))
            lines.clear()
    subject, headers, body = to_message(arrivals[-1], again)
    headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(len(arrivals)), "Nats-Batch-Commit": "1"}
    answer = await bus.request(subject, body, timeout=ACKNOWLEDGED_WITHIN, headers=headers)
    if "error" in (acknowledgement := json.loads(answer.data)):
        raise BatchRefused(acknowledgement["error"].get("description"))

"""Publishes what a service recorded: the event table is the outbox.

Its cursor moves only on the bus's acknowledgement.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence

from nats.aio.client import Client
from nats.errors import Error as BusError

from eventlog.bus import KEPT, Arrival, incarnation, provision, to_message
from eventlog.store import EventStore

BATCH = 1_000
"""Messages the server takes in one atomic batch, at most."""
WORTH_A_BATCH = 50
WINDOW = 100
"""Messages published one by one before their acknowledgements are waited for."""
ACKNOWLEDGED_WITHIN = 5.0


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
    while True:
        stream = await incarnation(js)
        page = await store.page(await store.relayed_into(stream, KEPT), BATCH)
        if not page.events:
            await store.committed.wait(at_most=1.0)
            continue
        await publish(bus, [Arrival(page.source, page.epoch, event) for event in page.events])
        await store.set_relayed(stream, page.events[-1].pos)


async def publish(bus: Client, arrivals: Sequence[Arrival]) -> None:
    """Return when the bus has acknowledged all of them."""
    if len(arrivals) >= WORTH_A_BATCH:
        try:
            await _publish_batch(bus, arrivals)
            return
        except (BatchRefused, BusError, TimeoutError):
            pass  # stored whole or not at all: one by one, the server drops what it already has
    js = bus.jetstream()
    for first in range(0, len(arrivals), WINDOW):
        acknowledgements = []
        for arrival in arrivals[first : first + WINDOW]:
            subject, headers, body = to_message(arrival)
            acknowledgements.append(await js.publish_async(subject, body, headers=headers))
        async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
            await asyncio.gather(*acknowledgements)


async def _publish_batch(bus: Client, arrivals: Sequence[Arrival]) -> None:
    batch = uuid.uuid4().hex
    for n, arrival in enumerate(arrivals, start=1):
        subject, headers, body = to_message(arrival)
        headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(n)}
        if n < len(arrivals):
            await bus.publish(subject, body, headers=headers)
        else:
            answer = await bus.request(
                subject,
                body,
                timeout=ACKNOWLEDGED_WITHIN,
                headers=headers | {"Nats-Batch-Commit": "1"},
            )
            if "error" in (acknowledgement := json.loads(answer.data)):
                raise BatchRefused(acknowledgement["error"].get("description"))

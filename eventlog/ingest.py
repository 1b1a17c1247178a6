"""Brings events into the ledger: from the bus as they come, from the services' feeds where the bus failed."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import structlog
from nats.js.errors import NotFoundError

from eventlog.bus import (
    LEDGER_CONSUMER,
    STREAM,
    Arrival,
    ForeignMessage,
    connect,
    from_message,
    ledger_consumer,
)
from eventlog.bus import provision as provision_bus
from eventlog.ledger import Ledger
from eventlog.signal import Signal
from eventlog.supervise import supervise

log = structlog.get_logger()

BATCH = 500
HEADS_EVERY = 2.0


async def run_ledger(ledger: Ledger, nats_url: str) -> None:
    """Ingest until cancelled. The bus is for speed: heads are compared with the services all the time."""
    gaps = {source: Signal() for source in ledger.sources}
    await asyncio.gather(
        supervise("ledger.bus", partial(_from_bus, ledger, nats_url, gaps)),
        *(supervise(f"ledger.feed.{s}", partial(_from_feed, ledger, s, gap)) for s, gap in gaps.items()),
    )


async def _from_bus(ledger: Ledger, nats_url: str, gaps: Mapping[str, Signal]) -> None:
    bus = await connect(nats_url, "ledger")
    try:
        js = bus.jetstream()
        await provision_bus(js, [ledger_consumer()])
        subscription = await js.pull_subscribe_bind(LEDGER_CONSUMER, STREAM)
        while True:
            try:
                messages = await subscription.fetch(BATCH, timeout=2)
            except TimeoutError:  # the client's own kind is one of these, but not all it raises are its own
                # Silence is also what a deleted stream or consumer sounds like.
                await js.consumer_info(STREAM, LEDGER_CONSUMER)
                continue
            arrivals: list[Arrival] = []
            for message in messages:
                try:
                    arrivals.append(from_message(message))
                except ForeignMessage as why:
                    log.warning("ledger.foreign_message", subject=message.subject, why=str(why))
            ingested = await ledger.ingest(arrivals)
            for source in ingested.gaps:
                gaps[source].set()
            await messages[-1].ack()
    except NotFoundError:
        log.warning("ledger.consumer_lost", stream=STREAM)
    finally:
        with suppress(Exception):
            await asyncio.wait_for(bus.close(), 2)


async def _from_feed(ledger: Ledger, source: str, gap: Signal) -> None:
    """Refill gaps, and what did not come within one round: a lost tail shows in no gap."""
    waiting_since: int | None = None
    while True:
        if await gap.wait(HEADS_EVERY):
            await ledger.refill(source)
            continue
        position, head = await ledger.look(source)
        if head == position:
            waiting_since = None
        elif waiting_since == position or head < position:
            await ledger.refill(source)
            waiting_since = None
        else:
            waiting_since = position

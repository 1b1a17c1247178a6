"""Brings events into the ledger: from the bus as they come, from the services' feeds where the bus failed."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Self

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from eventlog.bus import (
    LEDGER_CONSUMER,
    STREAM,
    Arrival,
    ForeignMessage,
    connected,
    from_message,
    ledger_consumer,
)
from eventlog.bus import provision as provision_bus
from eventlog.ledger import Ledger
from eventlog.signal import Signal
from eventlog.supervise import supervise

log = structlog.get_logger()

BATCH = 1_000
AT_MOST_ASKED = 4_000
"""Messages of one request."""
ASKED_FOR = 2.0
"""Seconds until a request ends, also without messages."""
TIME_IS_UP = "408"
HEADS_EVERY = 2.0


async def run_ledger(ledger: Ledger, nats_url: str) -> None:
    """Ingest until cancelled. The bus is for speed: heads are compared with the services all the time."""
    gaps = {source: Signal() for source in ledger.sources}
    await asyncio.gather(
        supervise("ledger.bus", partial(_from_bus, ledger, nats_url, gaps)),
        *(supervise(f"ledger.feed.{s}", partial(_from_feed, ledger, s, gap)) for s, gap in gaps.items()),
    )


async def _from_bus(ledger: Ledger, nats_url: str, gaps: Mapping[str, Signal]) -> None:
    async with connected(nats_url, "ledger") as bus:
        js = bus.jetstream()
        await provision_bus(js, [ledger_consumer()])
        pull = await Pull.begin(bus)
        while True:
            messages = await pull.messages(BATCH)
            if not messages:
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


class Refused(Exception):
    """The server gives no messages: there is no stream or no consumer any more, or it shuts down."""


class Pull:
    """The ledger's consumer, read without a pause: while some messages are written, the next ones arrive.

    The client's own `fetch` waits for a full batch, or asks twice for a message that comes alone.
    """

    def __init__(self, bus: Client) -> None:
        self._bus = bus
        self._inbox = bus.new_inbox()
        self._arrived: deque[Msg] = deque()
        self._signal = Signal()
        self._due = 0
        self._asked_at = 0.0
        self._refused = ""

    @classmethod
    async def begin(cls, bus: Client) -> Self:
        pull = cls(bus)
        await bus.subscribe(pull._inbox, cb=pull._take)
        return pull

    async def messages(self, at_most: int) -> list[Msg]:
        """The next ones, in order; none if none came within `ASKED_FOR` seconds. Raises Refused."""
        if not self._arrived:
            await self._ask()
            await self._signal.wait(ASKED_FOR)
        if self._refused:
            raise Refused(self._refused)
        await self._ask()
        return [self._arrived.popleft() for _ in range(min(at_most, len(self._arrived)))]

    async def _take(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            if self._due == AT_MOST_ASKED and message.headers["Status"] != TIME_IS_UP:
                self._refused = " ".join(message.headers.values())
            self._due = 0  # this request has ended
        else:
            self._due -= 1
            self._arrived.append(message)
        self._signal.set()

    async def _ask(self) -> None:
        """Keep one request open. One that was lost with its connection counts as ended after its time."""
        now = asyncio.get_running_loop().time()
        if self._due > 0 and now < self._asked_at + ASKED_FOR:
            return
        self._due, self._asked_at = AT_MOST_ASKED, now
        wanted = {"batch": AT_MOST_ASKED, "expires": int(ASKED_FOR * 1e9)}
        await self._bus.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{LEDGER_CONSUMER}", json.dumps(wanted).encode(), self._inbox
        )


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

"""The bus: one JetStream stream that carries what the stores hold.

It may lose, repeat and delay; it is never the truth.
"""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError, ServerError

from eventlog.feed import FeedEvent
from events import Event

log = structlog.get_logger()

STREAM = "AFTERSALES"
LEDGER_CONSUMER = "ledger"
KEPT = timedelta(days=30)
CONNECTED_WITHIN = 3.0
CLEARED_WITHIN = 5.0
DENIED_FOR = 60.0
"""Seconds for which a refusal by the bus counts; what is refused is tried again much sooner."""

_denied: dict[str, float] = {}

_STREAM = StreamConfig(
    name=STREAM,
    description="Everything the services recorded, on its way to policies and ledger",
    subjects=["aftersales.>"],
    retention=RetentionPolicy.LIMITS,
    storage=StorageType.FILE,
    max_age=KEPT.total_seconds(),
    max_msgs=-1,
    max_bytes=-1,
    max_msg_size=-1,
    max_msgs_per_subject=-1,
    discard=DiscardPolicy.OLD,
    duplicate_window=120,
    allow_direct=True,
    allow_atomic=True,
)


class ForeignMessage(ValueError):
    """A message on our subjects that no relay of ours can have published."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came over the bus or out of a feed."""

    source: str
    epoch: str
    event: FeedEvent


async def connect(url: str, name: str) -> Client:
    """A connection that never gives up once it stood. Raises TimeoutError when the bus is absent now."""
    bus = Client()
    try:
        # What makes it reconnect for ever would also make it wait for ever for the first connection.
        async with asyncio.timeout(CONNECTED_WITHIN):
            await bus.connect(
                url,
                name=name,
                error_cb=noting_errors(name),
                inbox_prefix=inbox(url),
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=2,
            )
    except BaseException:
        await bus.close()
        raise
    return bus


def noting_errors(name: str) -> Callable[[Exception], Coroutine[Any, Any, None]]:
    """Logs what goes wrong on a connection: a denied publish is a time-out there, its reason arrives here."""

    async def note(error: Exception) -> None:
        log.warning("bus", connection=name, error=f"{type(error).__name__}: {error}")
        if re.search("(permissions|authorization) violation", str(error), re.IGNORECASE):
            _denied[name] = time.monotonic()

    return note


def denied(source: str) -> bool:
    """Whether the bus has just refused `source` in this process: its password or permissions are wrong."""
    since = time.monotonic() - DENIED_FOR
    return any(at > since for name, at in _denied.items() if name.startswith(source))


def inbox(url: str) -> str:
    """Where answers to a user come, so that no other user can listen in."""
    return f"_INBOX_{urlsplit(url).username}"


def subject(type: str, site: str = "*") -> str:
    """``workshop.repair_added.v1`` -> ``aftersales.<site>.workshop.repair_added``."""
    context, name, _version = type.split(".")
    return f"aftersales.{site}.{context}.{name}"


def to_message(arrival: Arrival) -> tuple[str, dict[str, str], bytes]:
    """Subject, headers and body of an event on the bus."""
    stored = orjson.loads(arrival.event.body)
    headers = {
        # With the hash: or the bus would drop what a restored store says at a position it used before.
        "Nats-Msg-Id": f"{arrival.epoch}:{arrival.event.pos}:{arrival.event.hash[:16]}",
        "event-type": stored["type"],
        "stream": stored["stream"],
        "version": str(stored["version"]),
        "source": arrival.source,
        "epoch": arrival.epoch,
        "pos": str(arrival.event.pos),
        "prev-pos": str(arrival.event.prev_pos),
        "hash": arrival.event.hash,
        "occurred-at": stored["occurred_at"],
        "recorded-at": stored["recorded_at"],
        "actor": stored["actor"],
        "correlation-id": stored["correlation_id"],
    }
    optional = {"causation-id": stored["causation_id"], "traceparent": stored["traceparent"]}
    headers |= {name: value for name, value in optional.items() if value}
    return subject(stored["type"], stored["site"]), headers, arrival.event.body


def from_message(message: Msg) -> Arrival:
    """Raises ForeignMessage."""
    headers = message.headers or {}
    try:
        pos, prev_pos = int(headers["pos"]), int(headers["prev-pos"])
        if not 0 <= prev_pos < pos < 2**63:
            raise ValueError(f"no positions: {prev_pos}, {pos}")
        event = FeedEvent(pos, prev_pos, headers["hash"], message.data)
        return Arrival(headers["source"], headers["epoch"], event)
    except (KeyError, ValueError) as why:
        raise ForeignMessage(str(why)) from why


async def incarnation(js: JetStreamContext) -> str:
    """Tells the stream from one of the same name that was made after it was lost. Raises NotFoundError."""
    return str((await js.stream_info(STREAM)).created)


async def provision(js: JetStreamContext, consumers: Sequence[ConsumerConfig]) -> list[str]:
    """Create the stream and its durable consumers, or bring them to the wanted configuration.

    Returns a line for each thing changed. A durable's configuration in code means nothing once it exists,
    so this is the only place that sets any. A server that still clears away a stream somebody deleted refuses
    one of the same name: it is asked again for `CLEARED_WITHIN` seconds before its error is raised.
    """
    changes: list[str] = []
    started = time.monotonic()
    while True:
        try:
            changes += await _provision_stream(js)
            changes += await _provision_consumers(js, consumers)
            return changes
        except (ServerError, NotFoundError):
            if time.monotonic() - started > CLEARED_WITHIN:
                raise
            await asyncio.sleep(0.05)


async def _provision_stream(js: JetStreamContext) -> list[str]:
    try:
        existing = (await js.stream_info(STREAM)).config
    except NotFoundError:
        await js.add_stream(_STREAM)
        return [f"stream {STREAM} created"]
    wanted = {name: value for name, value in _STREAM.as_dict().items() if value is not None}
    if all(existing.as_dict().get(name) == value for name, value in wanted.items()):
        return []
    await js.update_stream(replace(existing, **{name: getattr(_STREAM, name) for name in wanted}))
    return [f"stream {STREAM} updated"]


async def _provision_consumers(js: JetStreamContext, consumers: Sequence[ConsumerConfig]) -> list[str]:
    changes = []
    for consumer in consumers:
        assert consumer.durable_name
        try:
            found = (await js.consumer_info(STREAM, consumer.durable_name)).config.as_dict()
            if all(found.get(name) == value for name, value in consumer.as_dict().items()):
                continue
            changes.append(f"consumer {consumer.durable_name} updated")
        except NotFoundError:
            changes.append(f"consumer {consumer.durable_name} created")
        await js.add_consumer(STREAM, config=consumer)
    return changes


def ledger_consumer() -> ConsumerConfig:
    """Everything, in order, acknowledged batch by batch."""
    return ConsumerConfig(
        name=LEDGER_CONSUMER,  # with a name, the server's permissions can tell what is filtered
        durable_name=LEDGER_CONSUMER,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.ALL,
        ack_wait=30,
        max_deliver=-1,
        max_ack_pending=20_000,
        filter_subject="aftersales.>",
    )


def policy_consumer(durable: str, event: type[Event]) -> ConsumerConfig:
    """One message at a time, redelivered until it is handled or parked."""
    return ConsumerConfig(
        name=durable,
        durable_name=durable,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=15,
        max_deliver=-1,
        max_ack_pending=1,
        filter_subject=subject(event.type),
    )

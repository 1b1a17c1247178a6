"""The bus: one JetStream stream that carries what the stores hold.

It may lose, repeat and delay; it is never the truth.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionReconnectingError
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
CLOSED_WITHIN = 2.0
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
    """A connection that never gives up once it stood, as the user of ``nats://<user>@<host>?seed=<file>``.

    Raises TimeoutError when the bus is absent now or refuses the user, OSError for an unusable seed file.
    """
    seed = seed_file(url)
    bus = Client()
    try:
        # What makes it reconnect for ever would also make it wait for ever for the first connection.
        async with asyncio.timeout(CONNECTED_WITHIN):
            await bus.connect(
                server(url),
                name=name,
                error_cb=noting_errors(name),
                inbox_prefix=inbox(url),
                nkeys_seed=seed,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=2,
            )
    except BaseException:
        await bus.close()
        raise
    return bus


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Client]:
    """As `connect`, and closed afterwards; a server that does not answer does not hold that up."""
    bus = await connect(url, name)
    try:
        yield bus
    finally:
        with suppress(Exception):
            async with asyncio.timeout(CLOSED_WITHIN):
                await bus.close()


def noting_errors(name: str) -> Callable[[Exception], Coroutine[Any, Any, None]]:
    """Logs what goes wrong on a connection: a denied publish is a time-out there, its reason arrives here."""

    async def note(error: Exception) -> None:
        log.warning("bus", connection=name, error=f"{type(error).__name__}: {error}")
        if re.search("(permissions|authorization) violation", str(error), re.IGNORECASE):
            _denied[name] = time.monotonic()

    return note


def denied(source: str) -> bool:
    """Whether the bus has just refused `source` in this process: its key or permissions are wrong."""
    since = time.monotonic() - DENIED_FOR
    return any(at > since for name, at in _denied.items() if name.startswith(source))


def server(url: str) -> str:
    """Where the bus is, without who we are there."""
    return f"nats://{urlsplit(url).netloc.rpartition('@')[2]}"


def inbox(url: str) -> str:
    """Where answers to a user come, so that no other user can listen in."""
    return f"_INBOX_{urlsplit(url).username}"


def seed_file(url: str) -> str | None:
    """The file with the seed of the nkey by which the user of an address signs in: the server sees signatures
    only. It is read at every connection, so a replaced one counts from the next.

    Raises OSError for a file that is not there, PermissionError for one that others may read.
    """
    [file] = parse_qs(urlsplit(url).query).get("seed", [""])
    if file and Path(file).stat().st_mode & 0o077:
        raise PermissionError(f"{file} must be readable by its owner alone (chmod 600)")
    return file or None


def subject(type: str, site: str = "*") -> str:
    """``workshop.repair_added.v1`` -> ``aftersales.<site>.workshop.repair_added``."""
    context, name, _version = type.split(".")
    return f"aftersales.{site}.{context}.{name}"


def to_message(arrival: Arrival, again: str = "") -> tuple[str, dict[str, str], bytes]:
    """Subject, headers and body of an event on the bus.

    With `again` it is no duplicate of itself for the bus, only for those who read it.
    """
    stored = orjson.loads(arrival.event.body)
    headers = {
        # With the hash: or the bus would drop what a restored store says at a position it used before.
        "Nats-Msg-Id": f"{arrival.epoch}:{arrival.event.pos}:{arrival.event.hash[:16]}{again}",
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


def to_wire(subject: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A message as the protocol has it: the client would take several times as long to write it."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") + lines.count("\r") != 2 * len(headers):
        return to_wire(subject, {name: " ".join(value.split()) for name, value in headers.items()}, body)
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), len(head), len(head) + len(body), head, body)


async def send(bus: Client, messages: bytes) -> None:
    """Write messages, as the protocol has them, to the connection. Raises BusError while there is none."""
    if not bus.is_connected:
        raise ConnectionReconnectingError
    # The client's public way takes one message at a time, and its headers only as a mapping.
    await bus._send_command(messages)
    await bus._flush_pending(force_flush=True)
    # The client swallows a cancellation while it waits.
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


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


def is_policy(consumer: ConsumerConfig, context: str) -> bool:
    """Whether it belongs to a policy that reacts to events of this context."""
    wanted = str(consumer.filter_subject).startswith(f"aftersales.*.{context}.")
    return wanted and "-whenever_" in str(consumer.durable_name)


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


def context(source: str) -> str:
    """``reception@sh01`` -> ``reception``: the language that a source's events belong to."""
    return source.partition("@")[0]


def readback_consumer(source: str, first: int = 1) -> ConsumerConfig:
    """What a source has published, from a place in the stream on, without the bodies; leaves no trace."""
    name = f"{source}-readback"
    return ConsumerConfig(
        name=name,
        durable_name=name,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=first,
        ack_policy=AckPolicy.NONE,
        headers_only=True,
        mem_storage=True,
        inactive_threshold=60,
        filter_subject=f"aftersales.*.{context(source)}.>",
    )

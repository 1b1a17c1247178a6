"""Policies: "whenever this happens elsewhere, give that command here".

Messages are handled one at a time, in order, each acknowledged only when its command is done. A message may
come again: the command it leads to carries the same id. What cannot be done now is tried again after growing
pauses; what can never be done is parked with its reason, and the messages behind it go on.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from faststream import AckPolicy
from faststream.nats import ConsumerConfig, JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.security import NatsNKey
from psycopg import InterfaceError, OperationalError

from eventlog.bus import STREAM, inbox, noting_errors, policy_consumer, provision, seed_file, server
from eventlog.decider import Rejected
from eventlog.parking import PARKED, Discard, NoteRetry, Park, parked_stream
from eventlog.recorded import Metadata, Recorded, decode
from eventlog.store import EventStore, Handled, KeyReused, StaleVersion, Unavailable, UnknownStream
from events import Event
from events.policies import MessageParked

log = structlog.get_logger()

E = TypeVar("E", bound=Event)
Reaction = Callable[[E, Recorded], Awaitable[object]]

PAUSES = (1, 2, 5, 15, 30)
"""Seconds before a failed message comes again."""
NOT_NOW = (Unavailable, OperationalError, InterfaceError, OSError, TimeoutError)
"""Waited out for as long as it takes."""
NEVER = (Rejected, UnknownStream, KeyReused, ValueError, LookupError, TypeError)
"""Another attempt would end the same way."""
KEPT = 200_000
"""Bytes of a parked message that are kept."""
WATCH_EVERY = 2.0


class Policies:
    """The policies of one service."""

    def __init__(self, service: str, store: EventStore) -> None:
        self._service = service
        self._store = store
        self._reactions: dict[str, tuple[type[Event], Reaction[Any]]] = {}

    def whenever(self, event: type[E]) -> Callable[[Reaction[E]], Reaction[E]]:
        """Register a reaction; its function's name names its durable consumer and must never change."""

        def register(reaction: Reaction[E]) -> Reaction[E]:
            self._reactions[reaction.__name__] = (event, reaction)
            return reaction

        return register

    @property
    def names(self) -> list[str]:
        return list(self._reactions)

    async def run(self, nats_url: str) -> None:
        """React until cancelled or until the bus lost our consumers; supervised, it then begins anew."""
        broker = self._broker(nats_url)
        connection = await broker.connect()  # waits for a bus that is absent
        try:
            js = connection.jetstream()
            await provision(js, self.consumers())
            await broker.start()
            for subscriber in broker.subscribers:
                _let_others_run(subscriber)
            ours = asyncio.current_task()
            while ours is not None and not ours.cancelling():  # an answer may hide it: `supervise.end`
                # A subscriber whose stream or consumer was deleted stays silent for ever.
                for name in self._reactions:
                    await js.consumer_info(STREAM, self._durable(name))
                await asyncio.sleep(WATCH_EVERY)
        finally:
            with suppress(Exception):
                await asyncio.wait_for(broker.stop(), 5)
            # What is just reconnecting would go on for ever, `stop` does not end it.
            await connection.close()

    async def react(self, name: str, body: bytes) -> None:
        """Hand a message to its policy; raises what went wrong."""
        event, reaction = self._reactions[name]
        recorded = decode(body)
        if not isinstance(recorded.event, event):
            raise ValueError(f"{recorded.event.type} came where {event.type} was expected")
        await reaction(recorded.event, recorded)

    async def retry(self, parked_id: str, metadata: Metadata, expected_version: int | None = None) -> Handled:
        """Hand a parked message to its policy once more and record how it went.

        Raises Rejected for a settled one, StaleVersion before anything is done, UnknownStream.
        """
        stream = parked_stream(parked_id)
        history = await self._store.stream(stream)
        parked = PARKED.fold(recorded.event for recorded in history)
        if parked.message is None or history[0].metadata.site != metadata.site:
            raise UnknownStream(stream)
        reason = None
        repeated = any(recorded.metadata.command_id == metadata.command_id for recorded in history)
        if not repeated and expected_version not in (None, len(history)):
            raise StaleVersion(len(history))
        if not repeated and not parked.settled:
            try:
                await self.react(parked.message.policy, base64.b64decode(parked.message.body))
            except NOT_NOW:
                raise
            except Exception as why:
                reason = _sentence(why)
        return await self._store.handle(
            PARKED,
            stream,
            NoteRetry(parked_id, reason is None, reason),
            metadata,
            expected_version=expected_version,
        )

    async def discard(
        self, parked_id: str, reason: str, metadata: Metadata, expected_version: int | None = None
    ) -> Handled:
        """Settle a parked message without handling it. Raises Rejected, StaleVersion, UnknownStream."""
        return await self._store.handle(
            PARKED,
            parked_stream(parked_id),
            Discard(parked_id, reason),
            metadata,
            expected_version=expected_version,
        )

    def _broker(self, nats_url: str) -> NatsBroker:
        seed = seed_file(nats_url)
        broker = NatsBroker(
            server(nats_url),
            security=NatsNKey.from_file(seed) if seed else None,
            name=f"{self._service}-policies",
            connect_timeout=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            error_cb=noting_errors(f"{self._store.source}-policies"),
            inbox_prefix=inbox(nats_url),
            logger=None,
            apply_types=False,  # half of what a message takes; the events know their types themselves
        )
        for name, (event, _) in self._reactions.items():
            consumer = policy_consumer(self._durable(name), event)
            subscriber = broker.subscriber(
                consumer.filter_subject or "",
                stream=JStream(STREAM, declare=False),
                durable=consumer.durable_name,
                inbox_prefix=f"{inbox(nats_url)}.".encode(),
                config=consumer,
                pull_sub=PullSub(batch_size=1, timeout=1.0),  # more than one at a time would lose the order
                ack_policy=AckPolicy.MANUAL,
                decoder=_whole,
            )
            subscriber(self._receiver(name))
        return broker

    def _receiver(self, name: str) -> Callable[[NatsMessage], Awaitable[None]]:
        async def receive(message: NatsMessage) -> None:
            raw = message.raw_message
            attempts = raw.metadata.num_delivered
            pause = PAUSES[min(attempts, len(PAUSES)) - 1]
            try:
                try:
                    await self.react(name, raw.data)
                except NOT_NOW:
                    raise
                except Exception as why:
                    if not isinstance(why, NEVER) and attempts <= len(PAUSES):
                        raise
                    await self._park(
                        name, raw.subject, dict(raw.headers or {}), raw.data, _sentence(why), attempts
                    )
            except Exception as why:
                log.warning("policy.later", policy=name, attempts=attempts, pause=pause, why=_sentence(why))
                await message.nack(delay=pause)
            else:
                await message.ack()

        return receive

    async def _park(
        self, name: str, subject: str, headers: dict[str, str], body: bytes, reason: str, attempts: int
    ) -> None:
        identity = f"{name}|{hashlib.sha256(body).hexdigest()}"
        parked_id = hashlib.sha256(identity.encode()).hexdigest()[:20]
        message = MessageParked(
            parked_id=parked_id,
            service=self._service,
            policy=name,
            subject=subject,
            headers={name: str(value) for name, value in headers.items()},
            body=base64.b64encode(body[:KEPT]).decode(),
            truncated=len(body) > KEPT,
            reason=reason,
            attempts=attempts,
        )
        log.error("policy.parked", policy=name, parked=parked_id, why=reason)
        metadata = Metadata(
            site=subject.split(".")[1],
            actor=name,
            role="policy",
            correlation_id=headers.get("correlation-id", parked_id),
            command_id=f"park:{parked_id}",
        )
        await self._store.handle(PARKED, parked_stream(parked_id), Park(message), metadata, new=True)

    def consumers(self) -> list[ConsumerConfig]:
        return [policy_consumer(self._durable(name), event) for name, (event, _) in self._reactions.items()]

    def _durable(self, name: str) -> str:
        return f"{self._service}-{name}"


def caused_by(cause: Recorded, policy: str) -> Metadata:
    """Metadata for the command that a policy gives because of an event: the same whenever it comes."""
    return Metadata(
        site=cause.metadata.site,
        actor=policy,
        role="policy",
        correlation_id=cause.metadata.correlation_id,
        causation_id=cause.id,
        command_id=f"{policy}:{cause.id}",
        occurred_at=None,
        traceparent=cause.metadata.traceparent,
    )


def _let_others_run(subscriber: Any) -> None:
    """Over a closed connection its loop fetches in vain without a pause, and would freeze the process."""
    fetch = subscriber.subscription.fetch

    async def after_others(**how: Any) -> Any:
        await asyncio.sleep(0)
        return await fetch(**how)

    subscriber.subscription.fetch = after_others


async def _whole(message: NatsMessage) -> NatsMessage:
    """A body that cannot be decoded must reach the receiver, or it would be redelivered without end."""
    return message


def _sentence(why: Exception) -> str:
    return f"{type(why).__name__}: {why}"[:1_000]

"""A Bayledger in small: all parts of the log in one process, which can be killed at a chosen point and from
which a protection can be taken away."""

import asyncio
import ctypes
import os
import signal
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from faststream.nats import NatsMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StorageType

from eventlog import bus as bus_module
from eventlog import ingest as ingest_module
from eventlog import policies as policies_module
from eventlog import relay as relay_module
from eventlog import sql
from eventlog.bus import Arrival, connect, incarnation
from eventlog.decider import Decider
from eventlog.ingest import run_ledger
from eventlog.ledger import Ingested, Ledger
from eventlog.policies import Policies
from eventlog.recorded import Metadata, Recorded
from eventlog.relay import relay
from eventlog.store import EventStore
from eventlog.supervise import supervise
from events.workshop import RepairAdded, WorkDispatched
from ops.processes import PR_SET_PDEATHSIG

ORDER, DESK = "order-1", "desk"
POLICY = "whenever_repair_added_dispatch"
SAME_STREAM = "the stream"

MESSAGE_IDS = "message ids, by which the bus drops what it has"
SAME_COMMAND = "policies whose command is the same when a message comes again"
FILLED_AGAIN = "a new stream that is filled again"
SAME_KEY = "the same Idempotency-Key when people send again"
COMPARISON = "the ledger's comparison with the source"

ADD: Decider[tuple[int, ...], int] = Decider(
    initial=(),
    decide=lambda line, _: [
        RepairAdded(
            work_order_id="1", visit_id="1", line=line, description="pads", price_fen=1, delay_minutes=1
        )
    ],
    evolve=lambda lines, event: lines,
)
GIVE: Decider[tuple[str, ...], str] = Decider(
    initial=(),
    decide=lambda team, _: [WorkDispatched(work_order_id="1", team=team)],
    evolve=lambda teams, event: teams,
)


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of the servers."""

    workshop: str
    reception: str
    ledger: str
    nats: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process says to a command: where it recorded it."""

    stream: str
    version: int
    position: int | None


def by(command_id: str) -> Metadata:
    return Metadata(
        site="sh01", actor="li", role="technician", correlation_id="visit-1", command_id=command_id
    )


def desk(store: EventStore) -> Policies:
    """Reception, whose only policy gives every added repair to a team of its own."""
    policies = Policies("desk", store)

    @policies.whenever(RepairAdded)
    async def whenever_repair_added_dispatch(repair: RepairAdded, cause: Recorded) -> None:
        metadata = policies_module.caused_by(cause, POLICY)
        await store.handle(GIVE, DESK, f"line {repair.line}", metadata, new=True)

    return policies


def serve(places: Places, people: Connection, dies: str | None, without: tuple[str, ...]) -> None:
    """What the process does: answers each command that people send, relays, reacts, keeps the ledger."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _hurry()
    if dies:
        POINTS[dies]()
    for name in without:
        PROTECTIONS[name]()
    asyncio.run(_serve(places, people))


def _hurry() -> None:
    """What is waited for in production is not what these tests are about."""
    policies_module.PAUSES = (0.05,) * 5  # type: ignore[assignment]
    policies_module.WATCH_EVERY = 0.2
    ingest_module.HEADS_EVERY = 0.2
    for module, consumer in ((policies_module, "policy_consumer"), (ingest_module, "ledger_consumer")):
        _change(module, consumer, lambda make: lambda *which: replace(make(*which), ack_wait=1))


def _change(owner: Any, name: str, how: Callable[[Any], Any]) -> None:
    """Replace a function by what `how` makes of it."""
    setattr(owner, name, how(getattr(owner, name)))


async def _serve(places: Places, people: Connection) -> None:
    workshop, reception = EventStore("workshop", places.workshop), EventStore("reception", places.reception)
    ledger = Ledger(places.ledger, {"workshop": workshop.page, "reception": reception.page})
    async with workshop.running(), reception.running(), ledger.running():
        await asyncio.gather(
            supervise("workshop", partial(_relay, workshop, places.nats)),
            supervise("reception", partial(_relay, reception, places.nats)),
            supervise("desk", partial(desk(reception).run, places.nats)),
            run_ledger(ledger, places.nats),
            _answer(people, workshop),
        )


async def _relay(store: EventStore, url: str) -> None:
    bus = await connect(url, store.source)
    try:
        await relay(store, bus)
    finally:
        await bus.close()


async def _answer(people: Connection, store: EventStore) -> None:
    while True:
        line, key = await asyncio.to_thread(people.recv)
        handled = await store.handle(ADD, ORDER, line, by(key), new=True)
        people.send(Answer(ORDER, handled.version, handled.position))


# Where the process dies


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around(
    owner: Any, name: str, *, before: bool, when: Callable[..., bool] = lambda *_: True, times: int = 5
) -> None:
    """Die before or after a call: the `times`-th one of those that count."""
    left = times

    def fatal(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def or_die(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= (counts := when(*given))
            if before and counts and not left:
                die()
            result = await call(*given, **named)
            if not before and counts and not left:
                die()
            return result

        return or_die

    _change(owner, name, fatal)


def _to_the_ledger(message: Msg) -> bool:
    return message.metadata.consumer == bus_module.LEDGER_CONSUMER


def _of_the_workshop(_: Client, arrivals: Sequence[Arrival], *__: str) -> bool:
    return arrivals[0].source == "workshop"


POINTS: dict[str, Callable[[], None]] = {
    "between commit and answer": lambda: _around(
        EventStore, "handle", before=False, when=lambda _, decider, *__: decider is ADD
    ),
    "between commit and publish": lambda: _around(
        relay_module, "publish", before=True, when=_of_the_workshop
    ),
    "between publish and cursor": lambda: _around(
        relay_module, "publish", before=False, when=_of_the_workshop
    ),
    "between apply and acknowledgement in the ledger": lambda: _around(
        Msg, "ack", before=True, when=_to_the_ledger
    ),
    "between message and command in a policy": lambda: _around(Policies, "react", before=True),
    "between command and acknowledgement in a policy": lambda: _around(
        Msg, "ack", before=True, when=lambda message: not _to_the_ledger(message)
    ),
}


# What protects: each is taken away by changing a function


def _without_cursor_after_acknowledgement() -> None:
    stores: dict[str, EventStore] = {}

    def noting(begin: Callable[..., Awaitable[int]]) -> Any:
        async def note(store: EventStore, carrier: str, kept: timedelta) -> int:
            stores[store.source] = store
            return await begin(store, carrier, kept)

        return note

    def too_early(publish: Callable[..., Awaitable[None]]) -> Any:
        async def move_first(bus: Client, arrivals: Sequence[Arrival], *again: str) -> None:
            if store := stores.get(arrivals[0].source):
                await store.set_relayed(await incarnation(bus.jetstream()), arrivals[-1].event.pos)
            await publish(bus, arrivals, *again)

        return move_first

    _change(EventStore, "relayed_into", noting)
    _change(relay_module, "publish", too_early)


def _without_message_ids() -> None:
    def unknown(to_message: Callable[..., tuple[str, dict[str, str], bytes]]) -> Any:
        def another_id(*what: Any) -> tuple[str, dict[str, str], bytes]:
            subject, headers, body = to_message(*what)
            return subject, {**headers, "Nats-Msg-Id": str(uuid.uuid4())}, body

        return another_id

    _change(relay_module, "to_message", unknown)


def _without_refilled_stream() -> None:
    def always(look: Callable[..., Awaitable[str]]) -> Any:
        async def the_same(js: JetStreamContext) -> str:
            await look(js)
            return SAME_STREAM

        return the_same

    _change(relay_module, "incarnation", always)


def _without_stream_on_disk() -> None:
    _change(bus_module, "_STREAM", lambda stream: replace(stream, storage=StorageType.MEMORY))


def _without_comparison_with_the_source() -> None:
    """The ledger takes what comes for what follows, and never reads a feed."""

    def trusting(ingest: Callable[..., Awaitable[Ingested]]) -> Any:
        async def as_it_comes(ledger: Ledger, arrivals: Sequence[Arrival]) -> Ingested:
            async with ledger.pool.connection() as conn:
                last = dict(await sql.rows(conn, "SELECT source, pos FROM ledger_source"))
            following = []
            for arrival in arrivals:
                before = last.get(arrival.source, 0)
                pos = last[arrival.source] = max(before + 1, arrival.event.pos)
                following.append(replace(arrival, event=replace(arrival.event, prev_pos=before, pos=pos)))
            return await ingest(ledger, following)

        return as_it_comes

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    _change(Ledger, "ingest", trusting)
    _change(ingest_module, "_from_feed", lambda _: never)


def _without_idempotent_policies() -> None:
    def always_new(caused_by: Callable[..., Metadata]) -> Any:
        return lambda *cause: replace(caused_by(*cause), command_id=str(uuid.uuid4()))

    _change(policies_module, "caused_by", always_new)


def _without_acknowledgement_after_the_command() -> None:
    """As a subscriber does that leaves it to its library."""

    def acknowledging(receiver: Callable[..., Callable[..., Awaitable[None]]]) -> Any:
        def first(policies: Policies, name: str) -> Any:
            receive = receiver(policies, name)

            async def acknowledge(message: NatsMessage) -> None:
                await message.raw_message.ack_sync()
                await receive(message)

            return acknowledge

        return first

    _change(Policies, "_receiver", acknowledging)


def _without_parking() -> None:
    async def refuse(*_: Any) -> None:
        raise ValueError("what cannot be handled is never put aside")

    _change(Policies, "_park", lambda _: refuse)


PROTECTIONS: dict[str, Callable[[], None]] = {
    "a cursor that moves after the acknowledgement": _without_cursor_after_acknowledgement,
    MESSAGE_IDS: _without_message_ids,
    FILLED_AGAIN: _without_refilled_stream,
    "a stream on disk": _without_stream_on_disk,
    COMPARISON: _without_comparison_with_the_source,
    SAME_COMMAND: _without_idempotent_policies,
    "acknowledging a message after its command": _without_acknowledgement_after_the_command,
    "parking": _without_parking,
    SAME_KEY: lambda: None,  # theirs, not the process's
}

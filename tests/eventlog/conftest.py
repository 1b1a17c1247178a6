"""A store, a bus and a ledger on real servers, and the smallest story that fills them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection

from eventlog.bus import STREAM, Arrival, connect, provision
from eventlog.checkpoints import Verified, extend, read_links
from eventlog.decider import Decider
from eventlog.ledger import Ledger
from eventlog.recorded import Metadata
from eventlog.store import EventStore, Handled
from eventlog.supervise import end
from events.workshop import WorkDispatched
from ops.nats import Nats
from ops.postgres import Postgres

Database = Callable[[str], Awaitable[str]]

EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public"

DISPATCH: Decider[tuple[str, ...], str] = Decider(
    initial=(),
    decide=lambda team, before: [] if team == "nobody" else [WorkDispatched(work_order_id="1", team=team)],
    evolve=lambda before, event: (*before, getattr(event, "team", "")),
)
"""A work order that may be given to a team again and again."""


def by(command_id: str, *, site: str = "sh01", fingerprint: str = "body") -> Metadata:
    return Metadata(
        site=site,
        actor="li",
        role="workshop_supervisor",
        correlation_id="visit-1",
        command_id=command_id,
        fingerprint=fingerprint,
    )


async def dispatch(store: EventStore, stream: str, team: str = "A 组", command: str = "") -> Handled:
    return await store.handle(DISPATCH, stream, team, by(command or f"{stream}/{team}"), new=True)


async def dispatch_many(store: EventStore, count: int, prefix: str = "order") -> None:
    await asyncio.gather(*(dispatch(store, f"{prefix}-{n}") for n in range(count)))


async def arrivals(store: EventStore, after: int = 0, limit: int = 10_000) -> list[Arrival]:
    page = await store.page(after, limit)
    return [Arrival(page.source, page.epoch, event) for event in page.events]


async def eventually(holds: Callable[[], Awaitable[Any]], within: float = 30) -> Any:
    """What the question answers as soon as it is something true; an error counts as not yet."""
    until, last = time.monotonic() + within, ""
    while time.monotonic() < until:
        try:
            if answer := await holds():
                return answer
            last = f"{answer!r}"
        except Exception as why:
            last = f"{type(why).__name__}: {why}"
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {within} s; last seen: {last}")


@asynccontextmanager
async def in_background(work: Awaitable[Any]) -> AsyncIterator["asyncio.Future[Any]"]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await end(task)
        await asyncio.gather(task, return_exceptions=True)  # what it raised is nobody's concern any more


async def chain(ledger: Ledger) -> Verified:
    verified = Verified()
    async with ledger.pool.connection() as conn:
        async for row in read_links(conn):
            extend(verified, row)
    return verified


async def positions(ledger: Ledger, source: str = "reception") -> list[int]:
    async with ledger.pool.connection() as conn:
        rows = await conn.execute("SELECT pos FROM ledger WHERE source = %s ORDER BY seq", (source,))
        return [pos for [pos] in await rows.fetchall()]


async def stopped(ledger: Ledger, source: str = "reception") -> str | None:
    async with ledger.pool.connection() as conn:
        rows = await conn.execute("SELECT stopped FROM ledger_source WHERE source = %s", (source,))
        found = await rows.fetchone()
    return found[0] if found else None


async def complete(ledger: Ledger, *stores: EventStore) -> bool:
    """Everything these stores hold is in the ledger once, in order, and the chain holds."""
    for store in stores:
        held = [arrival.event.pos for arrival in await arrivals(store)]
        if await positions(ledger, store.source) != held:
            return False
    return (await chain(ledger)).bad is None


@pytest.fixture
def empty_database(postgres_server: Postgres) -> Database:
    """The address of a database of that name without anything in it; to make one anew takes far longer."""

    async def empty(name: str) -> str:
        dsn = postgres_server.dsn(f"log_{name}")
        postgres_server.create_databases([f"log_{name}"])
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await conn.execute(EMPTY)
        return dsn

    return empty


@pytest.fixture
async def store(empty_database: Database) -> AsyncIterator[EventStore]:
    reception = EventStore("reception", await empty_database("reception"))
    await reception.provision()
    async with reception.running():
        yield reception


@pytest.fixture
async def workshop(empty_database: Database) -> AsyncIterator[EventStore]:
    workshop = EventStore("workshop", await empty_database("workshop"))
    await workshop.provision()
    async with workshop.running():
        yield workshop


@pytest.fixture
async def ledger(empty_database: Database, store: EventStore, workshop: EventStore) -> AsyncIterator[Ledger]:
    """Of both stores, with their feeds."""
    ledger = Ledger(await empty_database("ledger"), {"reception": store.page, "workshop": workshop.page})
    await ledger.provision()
    async with ledger.running():
        yield ledger


@pytest.fixture
async def bus(nats_server: Nats) -> AsyncIterator[Client]:
    """A connection to the bus with a new, empty stream."""
    client = await connect(nats_server.url, "test")
    js = client.jetstream()
    with suppress(NotFoundError):
        await js.delete_stream(STREAM)
    await provision(js, ())
    yield client
    await client.close()


@pytest.fixture
def js(bus: Client) -> JetStreamContext:
    return bus.jetstream()


async def on_stream(js: JetStreamContext) -> list[int]:
    """Positions on the stream, in its order."""
    state = (await js.stream_info(STREAM)).state
    found = []
    for seq in range(state.first_seq, state.last_seq + 1) if state.messages else ():
        with suppress(NotFoundError):
            headers = (await js.get_msg(STREAM, seq)).headers or {}
            found.append(int(headers.get("pos", -1)))
    return found


def recorded_at(body: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(body)["recorded_at"])

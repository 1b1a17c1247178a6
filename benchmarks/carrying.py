"""From the store to the bus, and from there into the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from nats.aio.client import Client
from psycopg import AsyncConnection

from benchmarks.measure import Row, Timed, Wanted, interleaved
from eventlog.bus import Arrival, connect, provision, to_message
from eventlog.feed import FeedEvent
from eventlog.ledger import Ledger
from eventlog.recorded import Metadata, Recorded, encode, event_hash
from eventlog.relay import BATCH, publish
from events.workshop import RepairStarted
from ops.nats import Nats
from ops.postgres import Postgres

RUN = count(1)
WINDOW = 256
INGEST = 500


def arrivals(many: int, source: str) -> list[Arrival]:
    """Events of one store, as its relay reads them."""
    run, found = next(RUN), []
    for n in range(1, many + 1):
        order = f"w{n % 500}"
        recorded = Recorded(
            stream=f"work_order-{order}",
            version=n,
            event=RepairStarted(work_order_id=order, kind="simple"),
            recorded_at=datetime.now(UTC),
            metadata=Metadata(
                site="sh01", actor="bench", role="technician", correlation_id=order, command_id=f"{run}-{n}"
            ),
        )
        body = encode(recorded)
        found.append(Arrival(source, f"epoch-{run}", FeedEvent(n, n - 1, event_hash(body), body)))
    return found


async def rows(wanted: Wanted, postgres: Postgres, nats: Nats, many: int, rounds: int) -> AsyncIterator[Row]:
    if wanted("relay_vs_windowed"):
        yield await _relayed(nats, many, rounds)
    if wanted("ledger_vs_copy", "ledger_vs_single"):
        async for row in _ingested(postgres, many, rounds):
            yield row


async def _relayed(nats: Nats, many: int, rounds: int) -> Row:
    bus = await connect(nats.url, "bench")
    await provision(bus.jetstream(), [])
    found = await interleaved(rounds, ours=_relay(bus, many), windowed=_windowed(bus, many))
    await bus.close()
    return Row("relay_vs_windowed", "relay, sync always", "/s", found["ours"], found["windowed"], 10.0)


async def _ingested(postgres: Postgres, many: int, rounds: int) -> AsyncIterator[Row]:
    postgres.create_databases(["bench_ledger"])
    dsn = postgres.dsn("bench_ledger")
    found = await interleaved(
        rounds,
        ours=_ingest(dsn, many, INGEST),
        single=_ingest(dsn, max(200, many // 50), 1),
        copy=_copy(dsn, many),
    )
    yield Row("ledger_vs_copy", "ledger ingest", "/s", found["ours"], found["copy"], 0.3)
    yield Row("ledger_vs_single", "ledger ingest", "/s", found["ours"], found["single"], 20.0)


def _rate(many: int, began: float) -> float:
    return many / (time.perf_counter() - began)


def _relay(bus: Client, many: int) -> Timed:
    async def round() -> float:
        events = arrivals(many, "bench")
        began = time.perf_counter()
        for start in range(0, many, BATCH):
            await publish(bus, events[start : start + BATCH])
        return _rate(many, began)

    return round


def _windowed(bus: Client, many: int) -> Timed:
    async def round() -> float:
        events = arrivals(many, "bench")
        js = bus.jetstream(timeout=30)
        began = time.perf_counter()
        for start in range(0, many, WINDOW):
            window = []
            for arrival in events[start : start + WINDOW]:
                subject, headers, body = to_message(arrival)
                window.append(await js.publish_async(subject, body, headers=headers))
            await asyncio.gather(*window)
        return _rate(many, began)

    return round


def _ingest(dsn: str, many: int, batch: int) -> Timed:
    async def round() -> float:
        source = f"bench-{next(RUN)}"

        async def no_feed(after: int, limit: int) -> Any:
            raise AssertionError("nothing is missing")

        ledger = Ledger(dsn, {source: no_feed})
        await ledger.provision()
        events = arrivals(many, source)
        async with ledger.running():
            began = time.perf_counter()
            for start in range(0, many, batch):
                await ledger.ingest(events[start : start + batch])
            return _rate(many, began)

    return round


def _copy(dsn: str, many: int) -> Timed:
    async def round() -> float:
        name = f"copied_{next(RUN)}"
        events: Sequence[Arrival] = arrivals(many, "copy")
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute(f"CREATE TABLE {name} (LIKE ledger INCLUDING INDEXES)".encode())
            began = time.perf_counter()
            async with conn.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN".encode()) as copy:
                for seq, arrival in enumerate(events, start=1):
                    e = arrival.event
                    at = "2026-01-01T00:00:00+00:00"
                    await copy.write_row(
                        (seq, name, arrival.epoch, e.pos, e.hash, e.hash, "sh01", at, e.body.decode())
                    )
            rate = _rate(many, began)
            await conn.execute(f"DROP TABLE {name}".encode())
        return rate

    return round

"""A rebuild of the board, against the plain way: a server cursor, JSON, a fold, COPY; and hashing alone."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from psycopg import AsyncConnection

from benchmarks.baselines import library_environment
from benchmarks.carrying import arrivals
from benchmarks.measure import Row, Timed, interleaved
from benchmarks.runner import fill, rebuilt_per_second
from eventlog.checkpoints import Verified, extend, read_links
from eventlog.ledger import Ledger
from ops.postgres import Postgres
from projections.rebuild import rebuild
from projections.views import provision
from projections.work_order_board.projection import WORK_ORDER_BOARD


async def rows(postgres: Postgres, many: int, rounds: int) -> AsyncIterator[Row]:
    postgres.create_databases(["bench_rebuild"])
    dsn = postgres.dsn("bench_rebuild")
    await _fill(dsn, many)
    postgres.create_databases(["bench_runner"])
    library, fewer = library_environment(postgres.dsn("bench_runner")), many // 10
    await asyncio.to_thread(fill, library, fewer)
    found = await interleaved(
        rounds, ours=_rebuild(dsn, many), plain=_plain(dsn, many), runner=_runner(library, fewer)
    )
    yield Row("rebuild_vs_plain", f"rebuild of {many} events", "/s", found["ours"], found["plain"], 3.0)
    yield Row("rebuild_vs_runner", f"rebuild of {many} events", "/s", found["ours"], found["runner"], 150.0)
    found = await interleaved(rounds, ours=_verify(dsn, many), hashing=_hash(dsn, many))
    yield Row("verify_vs_hash", "verify the chain", "/s", found["ours"], found["hashing"], 0.3)


async def _fill(dsn: str, many: int) -> None:
    async def no_feed(after: int, limit: int) -> Any:
        raise AssertionError("nothing is missing")

    ledger = Ledger(dsn, {"bench": no_feed})
    await ledger.provision()
    events = arrivals(many, "bench")
    async with ledger.running():
        for start in range(0, many, 5_000):
            await ledger.ingest(events[start : start + 5_000])
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        await provision(conn)


def _rebuild(dsn: str, many: int) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            began = time.perf_counter()
            await rebuild(conn, WORK_ORDER_BOARD, lambda position, head: None)
            return many / (time.perf_counter() - began)

    return round


def _runner(library: Mapping[str, str], many: int) -> Timed:
    async def round() -> float:
        return await asyncio.to_thread(rebuilt_per_second, library, many)

    return round


def _plain(dsn: str, many: int) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute("DROP TABLE IF EXISTS plain")
            await conn.execute("CREATE TABLE plain (key text PRIMARY KEY, document json)")
            began = time.perf_counter()
            cards: dict[str, dict[str, Any]] = {}
            async with conn.transaction(), conn.cursor("plain") as cursor:
                cursor.itersize = 5_000
                await cursor.execute("SELECT body FROM ledger ORDER BY seq")
                async for [body] in cursor:
                    event = json.loads(body)
                    card = cards.setdefault(event["data"]["work_order_id"], {"events": 0})
                    card |= {"events": card["events"] + 1, "last": event["type"], "at": event["occurred_at"]}
            async with conn.cursor() as out, out.copy("COPY plain FROM STDIN") as copy:
                for key, card in cards.items():
                    await copy.write_row((key, json.dumps(card)))
            return many / (time.perf_counter() - began)

    return round


def _verify(dsn: str, many: int) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            began = time.perf_counter()
            verified = Verified()
            async for row in read_links(conn):
                extend(verified, row)
            assert verified.bad is None
            assert verified.seq == many
            return many / (time.perf_counter() - began)

    return round


def _hash(dsn: str, many: int) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            bodies = await (await conn.execute("SELECT body FROM ledger ORDER BY seq")).fetchall()
        began = time.perf_counter()
        for [body] in bodies:
            hashlib.sha256(body.encode()).hexdigest()
        return many / (time.perf_counter() - began)

    return round

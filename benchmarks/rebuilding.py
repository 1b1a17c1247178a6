"""A rebuild of the board, against the plain way: a server cursor, JSON, a fold, COPY; and hashing alone."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from itertools import islice, repeat
from typing import Any

from psycopg import AsyncConnection

from benchmarks.baselines import library_environment
from benchmarks.history import WHOLE, fill_ledger, story
from benchmarks.measure import Row, Timed, Wanted, interleaved
from benchmarks.runner import fill, rebuilt_per_second
from eventlog.checkpoints import Verified, extend, read_links
from ops.postgres import Postgres
from projections.rebuild import rebuild
from projections.work_order_board.projection import WORK_ORDER_BOARD


async def rows(wanted: Wanted, postgres: Postgres, many: int, rounds: int) -> AsyncIterator[Row]:
    rebuilds = wanted("rebuild_vs_plain", "rebuild_vs_runner", "rebuild2_vs_plain")
    verifies = wanted("verify_vs_hash")
    if not (rebuilds or verifies):
        return
    postgres.create_databases(["bench_rebuild"])
    dsn = postgres.dsn("bench_rebuild")
    await fill_ledger(dsn, islice(repeat(story(WHOLE, "sh01")), many // len(WHOLE)))
    if rebuilds:
        async for row in _rebuilds(postgres, dsn, many, rounds):
            yield row
    if verifies:
        found = await interleaved(rounds, ours=_verify(dsn, many), hashing=_hash(dsn))
        yield Row("verify_vs_hash", "verify the chain", "/s", found["ours"], found["hashing"], 0.3)


async def _rebuilds(postgres: Postgres, dsn: str, many: int, rounds: int) -> AsyncIterator[Row]:
    postgres.create_databases(["bench_runner"])
    library, fewer = library_environment(postgres.dsn("bench_runner")), max(2_000, many // 200)
    await asyncio.to_thread(fill, library, fewer)
    found = await interleaved(
        rounds,
        one=rebuilding(dsn, many),
        two=rebuilding(dsn, many, processes=2),
        plain=_plain(dsn, many),
        runner=_runner(library, fewer),
    )
    what = f"rebuild of {many:,} events"
    yield Row("rebuild_vs_plain", what, "/s", found["one"], found["plain"], 3.0)
    yield Row("rebuild2_vs_plain", f"{what}, two processes", "/s", found["two"], found["plain"], 5.0)
    yield Row("rebuild_vs_runner", what, "/s", found["one"], found["runner"], 150.0)


def rebuilding(dsn: str, many: int, processes: int = 1) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            began = time.perf_counter()
            await rebuild(conn, WORK_ORDER_BOARD, lambda position, head: None, processes=processes)
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
            async for links in read_links(conn):
                extend(verified, links)
            assert verified.bad is None
            assert verified.seq == many
            return many / (time.perf_counter() - began)

    return round


def _hash(dsn: str) -> Timed:
    async def round() -> float:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            query = "SELECT body FROM ledger ORDER BY seq LIMIT 100000"
            bodies = await (await conn.execute(query)).fetchall()
        began = time.perf_counter()
        for [body] in bodies:
            hashlib.sha256(body.encode()).hexdigest()
        return len(bodies) / (time.perf_counter() - began)

    return round

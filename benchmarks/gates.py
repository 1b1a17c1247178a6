"""What must hold whatever the figures are."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from benchmarks.appending import command
from benchmarks.measure import Gate
from eventlog.store import EventStore
from ops.postgres import Postgres
from projections.rebuild import rebuild
from projections.views import Build, advance, live_build, new_build
from projections.work_order_board.projection import WORK_ORDER_BOARD

WRITERS = 3


async def gates(postgres: Postgres, commands: int) -> AsyncIterator[Gate]:
    postgres.create_databases(["bench_gate"])
    missed = await _missed(postgres.dsn("bench_gate"), commands)
    yield Gate(
        "follower_misses", f"a follower beside {WRITERS} writing processes misses", str(missed), missed == 0
    )
    async with await AsyncConnection.connect(postgres.dsn("bench_rebuild"), autocommit=True) as conn:
        sums = await _checksums(conn)
    yield Gate(
        "same_checksum", "live in small steps, rebuilt in big ones", " ".join(sorted(sums)), len(sums) == 1
    )


async def _missed(dsn: str, commands: int) -> int:
    """Events that a reader of everything behind its position never met."""
    stores = [EventStore("bench", dsn) for _ in range(WRITERS)]
    await stores[0].provision()
    seen: set[int] = set()
    writing = True

    async def follow() -> None:
        position = 0
        while True:
            was_writing = writing
            page = await stores[0].page(position, 100)
            seen.update(event.pos for event in page.events)
            if page.events:
                position = page.events[-1].pos
            elif not was_writing:
                return

    async def write(store: EventStore) -> None:
        for _ in range(commands // 10):
            await asyncio.gather(*(command(store) for _ in range(10)))

    async with stores[0].running(), stores[1].running(), stores[2].running():
        following = asyncio.create_task(follow())
        await asyncio.gather(*map(write, stores))
        writing = False
        await following
        async with stores[0].pool.connection() as conn:
            held = await (await conn.execute("SELECT notification_id FROM events")).fetchall()
    assert len(held) == WRITERS * (commands // 10) * 10
    return len({position for [position] in held} - seen)


async def _checksums(conn: AsyncConnection[Any]) -> set[str]:
    """Of all versions of all cards: as the live loop made them, and as a rebuild did."""
    followed = await new_build(conn, WORK_ORDER_BOARD, "old")
    while (await advance(conn, followed, 500)).read:
        pass
    sums = {await _checksum(conn, followed)}
    await rebuild(conn, WORK_ORDER_BOARD, lambda position, head: None)
    if live := await live_build(conn, WORK_ORDER_BOARD):
        sums.add(await _checksum(conn, live[0]))
    return sums


async def _checksum(conn: AsyncConnection[Any], build: Build) -> str:
    query = SQL(
        "SELECT md5(string_agg(concat_ws('|', key, site, from_pos, to_pos, event, document), ','"
        " ORDER BY key, from_pos)) FROM {}"
    ).format(Identifier(build.table))
    [sum] = await (await conn.execute(query)).fetchone() or [""]
    return str(sum)

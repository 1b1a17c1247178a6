"""What must hold whatever the figures are."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import count, islice, repeat
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from benchmarks.appending import metadata
from benchmarks.apps import until
from benchmarks.history import WHOLE, fill_ledger, story
from benchmarks.measure import Gate, Wanted
from eventlog.bus import STREAM, connect, provision
from eventlog.decider import Decider
from eventlog.ingest import run_ledger
from eventlog.ledger import Ledger
from eventlog.relay import relay
from eventlog.store import EventStore
from events.workshop import RepairStarted
from ops.nats import Nats
from ops.postgres import Postgres
from projections.rebuild import MANY, rebuild
from projections.steps import advance
from projections.views import Build, live_build, new_build
from projections.work_order_board.projection import WORK_ORDER_BOARD

WRITERS = 3
STREAMS = 20
AT_ONCE = 10
NUMBER = count(1)
WORK: Decider[None, str] = Decider(
    initial=None, decide=lambda id, state: [RepairStarted(work_order_id=id)], evolve=lambda state, event: None
)
"""Records something every time."""


async def gates(wanted: Wanted, postgres: Postgres, nats: Nats, commands: int) -> AsyncIterator[Gate]:
    if wanted("follower_misses", "per_stream_order"):
        postgres.create_databases(["bench_gate", "bench_gate_ledger"])
        seen = await _crowd(postgres.dsn("bench_gate"), postgres.dsn("bench_gate_ledger"), nats, commands)
        what = f"a follower beside {WRITERS} stores that write misses"
        yield Gate("follower_misses", what, str(seen.missed), seen.missed == 0)
        follower, ledger = out_of_order(seen.followed), out_of_order(seen.ledger)
        what = f"out of the order of its stream, of {len(seen.ledger)} events"
        found = f"{follower} to the follower, {ledger} in the ledger"
        yield Gate("per_stream_order", what, found, follower + ledger == 0)
    if wanted("same_checksum"):
        postgres.create_databases(["bench_paths"])
        sums = await _checksums(postgres.dsn("bench_paths"))
        what = f"the board made by {', '.join(sums)}"
        yield Gate("same_checksum", what, " ".join(sorted(set(sums.values()))), len(set(sums.values())) == 1)


@dataclass(slots=True)
class _Seen:
    missed: int = 0
    followed: list[str] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)


async def _crowd(dsn: str, ledger_dsn: str, nats: Nats, commands: int) -> _Seen:
    """What a follower, and the ledger behind the relay, see of several writers to the same streams."""
    stores = [EventStore("gate", dsn) for _ in range(WRITERS)]
    await stores[0].provision()
    ledger = Ledger(ledger_dsn, {"gate": stores[0].page})
    await ledger.provision()
    bus = await connect(nats.url, "gate")
    await provision(bus.jetstream(), [])
    await bus.jetstream().purge_stream(STREAM)
    seen, positions, writing = _Seen(), set[int](), True

    async def follow() -> None:
        position = 0
        while True:
            was_writing = writing
            page = await stores[0].page(position, 100)
            seen.followed.extend(event.body.decode() for event in page.events)
            positions.update(event.pos for event in page.events)
            if page.events:
                position = page.events[-1].pos
            elif not was_writing:
                return

    async def command(store: EventStore) -> None:
        id = f"w{next(NUMBER) % STREAMS}"
        await store.handle(WORK, f"work_order-{id}", id, metadata(), new=True)

    async def write(store: EventStore) -> None:
        for _ in range(commands // AT_ONCE):
            await asyncio.gather(*(command(store) for _ in range(AT_ONCE)))

    async def arrived() -> bool:
        async with ledger.pool.connection() as conn:
            rows = await (await conn.execute("SELECT body FROM ledger ORDER BY seq")).fetchall()
        seen.ledger = [body for [body] in rows]
        return len(rows) >= len(seen.followed)

    async with stores[0].running(), stores[1].running(), stores[2].running(), ledger.running():
        carrying = [
            asyncio.create_task(relay(stores[0], bus)),
            asyncio.create_task(run_ledger(ledger, nats.url)),
        ]
        following = asyncio.create_task(follow())
        await asyncio.gather(*map(write, stores))
        writing = False
        await following
        await until(arrived)
        async with stores[0].pool.connection() as conn:
            held = await (await conn.execute("SELECT notification_id FROM events")).fetchall()
        for each in carrying:
            each.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
    await bus.close()
    assert len(held) == WRITERS * (commands // AT_ONCE) * AT_ONCE
    seen.missed = len({position for [position] in held} - positions)
    return seen


def out_of_order(bodies: Iterable[str]) -> int:
    versions, wrong = Counter[str](), 0
    for body in bodies:
        stored = json.loads(body)
        wrong += stored["version"] != versions[stored["stream"]] + 1
        versions[stored["stream"]] = stored["version"]
    return wrong


async def _checksums(dsn: str) -> dict[str, str]:
    """Of all versions of all cards, by the way they were made."""
    await fill_ledger(dsn, islice(repeat(story(WHOLE, "sh01")), MANY // len(WHOLE)))
    sums = {}
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        for name, step in (("the live loop in small steps", 300), ("in big ones", 5_000)):
            build = await new_build(conn, WORK_ORDER_BOARD, "old")
            while (await advance(conn, build, step)).read:
                pass
            sums[name] = await _checksum(conn, build)
        for processes in (1, 2):
            name = f"a rebuild in {processes}"
            await rebuild(conn, WORK_ORDER_BOARD, lambda position, head: None, processes=processes)
            live = await live_build(conn, WORK_ORDER_BOARD)
            assert live
            sums[name] = await _checksum(conn, live[0])
    return sums


async def _checksum(conn: AsyncConnection[Any], build: Build) -> str:
    query = SQL(
        "SELECT md5(string_agg(concat_ws('|', key, site, from_pos, to_pos, event, document), ','"
        " ORDER BY key, from_pos)) FROM {}"
    ).format(Identifier(build.table))
    [sum] = await (await conn.execute(query)).fetchone() or [""]
    return str(sum)

"""How soon a screen shows what was done, and how soon a thousand do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, StorageType
from psycopg import AsyncConnection

from benchmarks.apps import NUMBER, Apps
from benchmarks.load import Load, answer, exchange, http, in_own_process
from benchmarks.measure import Gate, Row, Timed, Wanted, interleaved
from eventlog.bus import connect
from ops.nats import Nats
from ops.postgres import Postgres
from ops.processes import LOOPBACK

VISIBLE = {"visible_p50_vs_raw": (0.5, 3.0), "visible_p99_vs_raw": (0.99, 4.0)}
KEYS = (*VISIBLE, "sse1000_vs_raw", "lone_event_chain")
PACE = 200
DESKS = 32
"""Connections over which commands are given."""
SCREENS = 1_000
AT_MOST = 10.0
"""Milliseconds that a lone event may take through the whole chain."""


@dataclass(frozen=True, slots=True)
class Servers:
    apps: Apps
    postgres: Postgres
    nats: Nats
    reception: int
    projections: int
    plain: int


@dataclass(slots=True)
class Chain:
    """From a command to a view: gives one; when each was answered, when each was seen."""

    give: Callable[[], Awaitable[str]]
    answered: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def see(self, id: str) -> None:
        async with self.arrived:
            self.seen.setdefault(id, time.perf_counter())
            self.arrived.notify_all()

    async def until_seen(self, ids: list[str]) -> list[float]:
        """How long each of them took from its answer."""
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: self.seen.keys() >= set(ids))
        return [max(0.0, self.seen[id] - self.answered[id]) for id in ids]


async def rows(wanted: Wanted, on: Servers, seconds: float, rounds: int) -> AsyncIterator[Row | Gate]:
    if wanted(*VISIBLE, "lone_event_chain"):
        async with _screen(on) as ours, _bare(on) as raw:
            if wanted(*VISIBLE):
                async for row in _visible(ours, raw, seconds, rounds):
                    yield row
            if wanted("lone_event_chain"):
                yield await _lone(ours, int(200 * seconds))
    if wanted("sse1000_vs_raw"):
        yield await _fan_out(on, int(10 * seconds), rounds)


async def _visible(ours: Chain, raw: Chain, seconds: float, rounds: int) -> AsyncIterator[Row]:
    taken: dict[str, list[float]] = {"ours": [], "raw": []}
    for chain in (ours, raw):
        await _paced(chain, seconds / 2)
    for _ in range(rounds):
        taken["ours"] += await _paced(ours, seconds)
        taken["raw"] += await _paced(raw, seconds)
    mine, bare = (Load(PACE, sorted(each)) for each in taken.values())
    for key, (percentile, most) in VISIBLE.items():
        what = f"command visible on a screen, p{percentile * 100:g}, {PACE}/s"
        values = mine.milliseconds(percentile), bare.milliseconds(percentile)
        yield Row(key, what, "ms", *values, most, at_most=True)


async def _paced(chain: Chain, seconds: float) -> list[float]:
    began, given = time.perf_counter(), []
    for n in range(int(seconds * PACE)):
        await asyncio.sleep(max(0.0, began + n / PACE - time.perf_counter()))
        given.append(asyncio.ensure_future(chain.give()))
    return await chain.until_seen(await asyncio.gather(*given))


async def _lone(chain: Chain, many: int) -> Gate:
    """The next one is given when the one before is seen and everything has come to rest."""
    taken = []
    for _ in range(many):
        taken += await chain.until_seen([await chain.give()])
        await asyncio.sleep(0.01)
    found = Load(0, sorted(taken))
    p50, p99 = found.milliseconds(0.5), found.milliseconds(0.99)
    what = f"a lone event, from the answer to a screen, p99 at most {AT_MOST:g} ms"
    return Gate("lone_event_chain", what, f"{p99:.1f} ms (p50 {p50:.1f} ms)", p99 < AT_MOST)


@asynccontextmanager
async def _screen(on: Servers) -> AsyncIterator[Chain]:
    """Ours: a command to reception, and a screen that watches the board."""
    visits = on.apps.visits("sh03")
    reader, writer = await asyncio.open_connection(LOOPBACK, on.projections, limit=2**20)
    writer.write(_watch(on, "sh03"))
    await reader.readuntil(b"connected")
    connected = [await asyncio.open_connection(LOOPBACK, on.reception) for _ in range(DESKS)]
    desks = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for each in connected:
        desks.put_nowait(each)

    async def give() -> str:
        desk = await desks.get()
        status, _, body = await exchange(*desk, next(visits))
        answered = time.perf_counter()
        desks.put_nowait(desk)
        if status != 201:
            raise AssertionError(body.decode())
        id = str(json.loads(body)["id"])
        chain.answered[id] = answered
        return id

    async def watch() -> None:
        async for line in reader:
            if line.startswith(b"data:"):
                await chain.see(json.loads(line[5:])["work_order_id"])

    chain = Chain(give)
    watching = asyncio.create_task(watch())
    try:
        yield chain
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for closing in (writer, *(desk for _, desk in connected)):
            closing.close()


@asynccontextmanager
async def _bare(on: Servers) -> AsyncIterator[Chain]:
    """Insert, publish, acknowledge, push, upsert, with nothing around them."""
    on.postgres.create_databases(["bench_chain"])
    dsn = on.postgres.dsn("bench_chain")
    store = await AsyncConnection.connect(dsn, autocommit=True)
    view = await AsyncConnection.connect(dsn, autocommit=True)
    await store.execute("CREATE TABLE fact (id text PRIMARY KEY, body text)")
    await store.execute("CREATE TABLE card (id text PRIMARY KEY, body text)")
    bus = await connect(on.nats.url, "chain")
    js = bus.jetstream()
    await js.add_stream(name="CHAIN", subjects=["chain"], storage=StorageType.FILE)

    async def arrived(message: Msg) -> None:
        id = message.data[:32].strip().decode()
        upsert = "INSERT INTO card VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        await view.execute(upsert, (id, message.data.decode()))
        await chain.see(id)

    await js.subscribe("chain", cb=arrived, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    async def carry() -> None:
        while True:
            await js.publish("chain", await waiting.get())

    async def give() -> str:
        id = str(next(NUMBER))
        body = id.ljust(32) + "x" * 400
        await store.execute("INSERT INTO fact VALUES (%s, %s)", (id, body))
        chain.answered[id] = time.perf_counter()
        waiting.put_nowait(body.encode())
        return id

    chain = Chain(give)
    carrying = asyncio.create_task(carry())
    try:
        yield chain
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        await js.delete_stream("CHAIN")
        for each in (bus, store, view):
            await each.close()


async def _fan_out(on: Servers, changes: int, rounds: int) -> Row:
    """One change after another to a thousand screens of one board; the bare queues carry the same bytes."""
    visits, frame = on.apps.visits("sh04"), await _frame(on)

    def p99(screen: tuple[int, bytes], change: Callable[[], tuple[int, list[bytes]]]) -> Timed:
        async def round() -> float:
            seconds = await in_own_process("benchmarks.screens", SCREENS, *screen, *change())
            return Load(0, sorted(seconds)).milliseconds(0.99)

        return round

    found = await interleaved(
        rounds,
        ours=p99((on.projections, _watch(on, "sh04")), lambda: (on.reception, list(islice(visits, changes)))),
        raw=p99(
            (on.plain, http("GET", "/screen")), lambda: (on.plain, [http("POST", "/change", frame)] * changes)
        ),
    )
    what = f"a change on {SCREENS:,} screens, p99"
    return Row("sse1000_vs_raw", what, "ms", found["ours"], found["raw"], 2.0, at_most=True)


def _watch(on: Servers, site: str) -> bytes:
    return http("GET", f"/v1/sites/{site}/board/stream", Authorization=on.apps.bearer(site))


async def _frame(on: Servers) -> bytes:
    """What a screen gets of a change."""
    reader, writer = await asyncio.open_connection(LOOPBACK, on.projections, limit=2**20)
    writer.write(_watch(on, "sh04"))
    await reader.readuntil(b"connected")
    await answer(on.reception, next(on.apps.visits("sh04")), 201)
    frame = b""
    async for line in reader:
        if line.startswith((b"event:", b"data:", b"id:")):
            frame += line
        elif frame:
            break
    writer.close()
    return frame + b"\n"

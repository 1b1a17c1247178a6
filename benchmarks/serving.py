"""Our apps over HTTP, each in its own process as in production, against the plain ways."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle, islice, repeat
from pathlib import Path
from typing import Any

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, StorageType
from psycopg import AsyncConnection

from access.issuer import Issuer
from access.roles import Role
from benchmarks import baselines
from benchmarks.load import Load, answer, http, load
from benchmarks.measure import Row, Timed, interleaved
from eventlog.bus import connect
from eventlog.settings import Settings
from ops.nats import Nats
from ops.postgres import Postgres
from ops.processes import LOOPBACK, spawn, stop, usable_port
from ops.provision import provision

NUMBER = count(1)
CUSTOMERS = 1_000
CARDS = 200
ADVISORS = 16
SERVICES = ("reception", "workshop", "customer_care")


@dataclass(frozen=True, slots=True)
class Apps:
    settings: Settings
    environment: dict[str, str]
    ports: dict[str, int]
    data: Path

    def bearer(self, site: str, actor: str = "bench") -> str:
        return f"Bearer {Issuer(self.settings.secrets).token(actor, Role.ADVISOR, [site], 3600)}"

    def visits(self, site: str) -> Iterator[bytes]:
        """Vehicles received at a site, each for another of a thousand customers."""
        bearer = self.bearer(site)
        for n in NUMBER:
            yield http(
                "POST", "/reception/v1/visits", _visit(n), Authorization=bearer, Idempotency_Key=f"key-{n}"
            )

    @asynccontextmanager
    async def serving(self, name: str, *command: str) -> AsyncIterator[int]:
        """A process, and the port at which it answers."""
        port = self.ports[name]
        with (self.data / f"{name}.log").open("ab") as log:
            process = spawn(
                [sys.executable, "-m", *command, "--port", str(port)],
                log=log,
                env={**os.environ, **self.environment},
            )
        try:
            await _until(lambda: _listens(port))
            yield port
        finally:
            await asyncio.to_thread(stop, process, signal.SIGTERM, 20)

    def ours(self, name: str) -> AbstractAsyncContextManager[int]:
        return self.serving(name, "ops", "serve", name)

    def plain(self) -> AbstractAsyncContextManager[int]:
        return self.serving(
            "plain", "uvicorn", "--factory", "benchmarks.baselines:create_app", "--no-access-log"
        )


async def rows(postgres: Postgres, nats: Nats, data: Path, seconds: float, rounds: int) -> AsyncIterator[Row]:
    apps = await _installed(postgres, nats, data)
    async with apps.plain() as plain, apps.ours("reception") as reception:
        async for row in _commands(apps, reception, plain, seconds, rounds):
            yield row
        for visit in islice(apps.visits("sh01"), CARDS):
            await answer(reception, visit, 201)
        async with apps.ours("projections") as projections:
            await _until(lambda: _level(apps.settings))
            async for row in _visible(apps, postgres, nats, reception, projections, seconds * rounds):
                yield row
            async for row in _boards(apps, projections, plain, seconds, rounds):
                yield row


async def _installed(postgres: Postgres, nats: Nats, data: Path) -> Apps:
    secrets = data / "secrets"
    secrets.mkdir(parents=True)
    ports = {name: usable_port(0) for name in ("reception", "projections", "plain")}
    away = f"http://{LOOPBACK}:{usable_port(0)}"
    Issuer(secrets)
    found: dict[str, str] = {
        **{f"{name}_db": postgres.dsn(f"bench_{name}") for name in (*SERVICES, "ledger", "keys")},
        **{f"{name}_url": away for name in SERVICES},
        "reception_url": f"http://{LOOPBACK}:{ports['reception']}/reception",
        "nats_url": nats.url,
        "secrets": str(secrets),
        "checkpoints": str(data / "checkpoints"),
        "jwks": str(secrets / "jwks.json"),
    }
    settings = Settings.model_validate(found)
    await provision(settings)
    postgres.create_databases(["bench_http_library"])
    environment = {f"BAYLEDGER_{name.upper()}": value for name, value in found.items()}
    environment |= {
        baselines.LIBRARY: postgres.dsn("bench_http_library"),
        baselines.LEDGER: settings.ledger_db,
    }
    return Apps(settings, environment, ports, data)


async def _commands(
    apps: Apps, reception: int, plain: int, seconds: float, rounds: int
) -> AsyncIterator[Row]:
    visits = apps.visits("sh02")
    known = asyncio.Semaphore(16)

    async def receive() -> None:
        async with known:
            await answer(reception, next(visits), 201)

    await asyncio.gather(*(receive() for _ in range(CUSTOMERS)))  # from now on they have their keys

    def rate(port: int, requests: Iterator[bytes]) -> Timed:
        async def round() -> float:
            return (await load(port, requests, 64, seconds, 201)).rate

        return round

    body = _visit(1)
    found = await interleaved(
        rounds,
        ours=rate(reception, visits),
        bare=rate(plain, repeat(http("POST", "/bare", body))),
        library=rate(plain, repeat(http("POST", "/library", body))),
    )
    yield Row("http64_vs_bare", "HTTP command, 64 clients", "/s", found["ours"], found["bare"], 0.45)
    yield Row("http64_vs_library", "HTTP command, 64 clients", "/s", found["ours"], found["library"], 8.0)
    yield _tail("command_p99_vs_p50", "command", await load(reception, visits, 16, seconds * rounds, 201))


async def _boards(
    apps: Apps, projections: int, plain: int, seconds: float, rounds: int
) -> AsyncIterator[Row]:
    advisors = [apps.bearer("sh01", f"advisor-{n}") for n in range(ADVISORS)]

    def board(path: str = "/v1/sites/sh01/board", match: str = "", advisor: str = advisors[0]) -> bytes:
        return http("GET", path, Authorization=advisor, If_None_Match=match or '"none"')

    def boards(path: str = "/v1/sites/sh01/board", match: str = "") -> Iterator[bytes]:
        """Each of the advisors in turn: who looked is counted, one row for each of them."""
        return cycle([board(path, match, advisor) for advisor in advisors])

    head, body = await answer(projections, board(), 200)
    read = json.loads(body)
    assert len(read["cards"]) == CARDS
    assert len(json.loads((await answer(plain, board("/board/pydantic"), 200))[1])) == CARDS
    tag = head.lower().partition(b"etag: ")[2].partition(b"\r")[0].decode()

    def rate(port: int, requests: Iterator[bytes], status: int = 200) -> Timed:
        async def round() -> float:
            return (await load(port, requests, ADVISORS, seconds, status)).rate

        return round

    found = await interleaved(
        rounds,
        full=rate(projections, boards()),
        same=rate(projections, boards(match=tag), 304),
        pydantic=rate(plain, boards("/board/pydantic")),
        sql=rate(plain, boards("/board/sql")),
    )
    what = f"board of {CARDS} cards"
    yield Row("board_vs_pydantic", what, "/s", found["full"], found["pydantic"], 2.0)
    yield Row("board_304_vs_sql", f"{what}, unchanged", "/s", found["same"], found["sql"], 4.0)
    yield _tail("board_p99_vs_p50", what, await load(projections, boards(), ADVISORS, seconds * rounds, 200))

    def latency(request: bytes) -> Timed:
        async def round() -> float:
            seen = await load(projections, repeat(request), 1, seconds, 200)
            return seen.milliseconds(0.5)

        return round

    past = board(f"/v1/sites/sh01/board?as_of={read['position'] - 1}")
    found = await interleaved(rounds, past=latency(past), live=latency(board()))
    yield Row("asof_vs_live", f"{what}, as of before", "ms", found["past"], found["live"], 3.0, at_most=True)


def _tail(key: str, what: str, seen: Load) -> Row:
    what = f"{what}, p99 to p50, 16 clients"
    return Row(key, what, "ms", seen.milliseconds(0.99), seen.milliseconds(0.5), 3.0, at_most=True)


async def _visible(
    apps: Apps, postgres: Postgres, nats: Nats, reception: int, projections: int, seconds: float
) -> AsyncIterator[Row]:
    """From the answer to a command until a screen has the card; and a bare chain of the same links."""
    ours = await _paced(seconds, _screen(apps, reception, projections))
    raw = await _paced(seconds, _chain(postgres, nats))
    for key, percentile, most in (("visible_p50_vs_raw", 0.5, 3.0), ("visible_p99_vs_raw", 0.99, 4.0)):
        what = f"command visible on a screen, p{percentile * 100:g}, {PACE}/s"
        yield Row(
            key, what, "ms", ours.milliseconds(percentile), raw.milliseconds(percentile), most, at_most=True
        )


PACE = 200
Sight = tuple[Callable[[], Coroutine[Any, Any, None]], dict[str, float], dict[str, float]]
"""Gives one command; when each was answered, when each was seen."""


async def _paced(seconds: float, chain: AbstractAsyncContextManager[Sight]) -> Load:
    async with chain as (give, answered, seen):
        began, given = time.perf_counter(), []
        for n in range(int(seconds * PACE)):
            await asyncio.sleep(max(0.0, began + n / PACE - time.perf_counter()))
            given.append(asyncio.create_task(give()))
        await asyncio.gather(*given)

        async def all_seen() -> bool:
            return answered.keys() <= seen.keys()

        await _until(all_seen)
    return Load(PACE, sorted(max(0.0, seen[id] - at) for id, at in answered.items()))


@asynccontextmanager
async def _screen(apps: Apps, reception: int, projections: int) -> AsyncIterator[Sight]:
    answered: dict[str, float] = {}
    seen: dict[str, float] = {}
    visits = apps.visits("sh03")
    request = http("GET", "/v1/sites/sh03/board/stream", Authorization=apps.bearer("sh03"))
    reader, writer = await asyncio.open_connection(LOOPBACK, projections, limit=2**20)
    writer.write(request)
    await reader.readuntil(b"connected")

    async def watch() -> None:
        async for line in reader:
            if line.startswith(b"data:"):
                seen.setdefault(json.loads(line[5:])["work_order_id"], time.perf_counter())

    async def give() -> None:
        _, body = await answer(reception, next(visits), 201)
        answered[json.loads(body)["id"]] = time.perf_counter()

    watching = asyncio.create_task(watch())
    try:
        yield give, answered, seen
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        writer.close()


@asynccontextmanager
async def _chain(postgres: Postgres, nats: Nats) -> AsyncIterator[Sight]:
    """Insert, publish, acknowledge, push, upsert, with nothing around them."""
    answered: dict[str, float] = {}
    seen: dict[str, float] = {}
    postgres.create_databases(["bench_chain"])
    dsn = postgres.dsn("bench_chain")
    store = await AsyncConnection.connect(dsn, autocommit=True)
    view = await AsyncConnection.connect(dsn, autocommit=True)
    await store.execute("CREATE TABLE fact (id text PRIMARY KEY, body text)")
    await store.execute("CREATE TABLE card (id text PRIMARY KEY, body text)")
    bus = await connect(nats.url, "chain")
    js = bus.jetstream()
    await js.add_stream(name="CHAIN", subjects=["chain"], storage=StorageType.FILE)

    async def arrived(message: Msg) -> None:
        id = message.data[:32].strip().decode()
        upsert = "INSERT INTO card VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        await view.execute(upsert, (id, message.data.decode()))
        seen[id] = time.perf_counter()

    await js.subscribe("chain", cb=arrived, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    async def carry() -> None:
        while True:
            await js.publish("chain", await waiting.get())

    async def give() -> None:
        id = str(next(NUMBER))
        body = id.ljust(32) + "x" * 400
        await store.execute("INSERT INTO fact VALUES (%s, %s)", (id, body))
        answered[id] = time.perf_counter()
        waiting.put_nowait(body.encode())

    carrying = asyncio.create_task(carry())
    try:
        yield give, answered, seen
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        await js.delete_stream("CHAIN")
        for each in (bus, store, view):
            await each.close()


def _visit(n: int) -> bytes:
    customer = n % CUSTOMERS
    return json.dumps(
        {
            "vin": "LSVAA4182E2184847",
            "plate": f"沪A{customer:05}",
            "customer_name": f"customer {customer}",
            "phone": f"138{customer:08}",
            "mileage_km": 40_000,
            "symptoms": ["noise from the front left"],
        }
    ).encode()


async def _level(settings: Settings) -> bool:
    """Whether the board shows all that reception has recorded."""
    async with await AsyncConnection.connect(settings.reception_db) as conn:
        [head] = await (await conn.execute("SELECT max(notification_id) FROM events")).fetchone() or [0]
    async with await AsyncConnection.connect(settings.ledger_db) as conn:
        query = """
        SELECT s.pos >= %s AND (SELECT count(*) > 0 AND bool_and(position = h.seq) FROM projection)
        FROM ledger_source s, ledger_head h WHERE s.source = 'reception'
        """
        found = await (await conn.execute(query, (head,))).fetchone()
    return bool(found and found[0])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)

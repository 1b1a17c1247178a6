"""Commands into the event store, against pyeventsourcing's own `Application.save` and bare INSERTs."""

import asyncio
import math
import re
import statistics
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg import AsyncConnection

from benchmarks import baselines
from benchmarks.measure import Row, Timed, Wanted, interleaved
from eventlog.decider import Decider
from eventlog.recorded import Metadata
from eventlog.store import EventStore
from events.workshop import WorkOrderOpened
from ops.postgres import Postgres, binaries

OPEN: Decider[bool, str] = Decider(
    initial=False,
    decide=lambda id, opened: [] if opened else [WorkOrderOpened(work_order_id=id, symptoms=("noise",))],
    evolve=lambda opened, event: True,
)
NUMBER = count(1)


class WorkOrder(Aggregate):
    """The same fact in the library's own style."""

    @event("Opened")
    def __init__(self, symptom: str) -> None:
        self.symptom = symptom


async def rows(wanted: Wanted, postgres: Postgres, seconds: float, rounds: int) -> AsyncIterator[Row]:
    if not wanted(
        "append16_vs_library", "append64_vs_library", "append64_vs_r", "append1_latency_vs_pgbench"
    ):
        return
    postgres.create_databases(["bench_store", "bench_library", "bench_plain"])
    await _plain_table(postgres.dsn("bench_plain"))
    async with _store(postgres.dsn("bench_store")) as store:
        library = baselines.library(postgres.dsn("bench_library"))
        for clients, least in ((16, 12.0), (64, 20.0)):
            if not wanted(f"append{clients}_vs_library", f"append{clients}_vs_r"):
                continue
            found = await interleaved(
                rounds,
                ours=_ours(store, clients, seconds),
                library=_saves(library, clients, seconds),
                plain=_pgbench(postgres, clients, seconds),
            )
            what = f"commands, {clients} waiting"
            yield Row(f"append{clients}_vs_library", what, "/s", found["ours"], found["library"], least)
            if clients == 64:
                yield Row("append64_vs_r", what, "/s", found["ours"], found["plain"], 1.0)
        if wanted("append1_latency_vs_pgbench"):
            found = await interleaved(
                rounds, ours=_lone(store, seconds), plain=_pgbench(postgres, 1, seconds, latency=True)
            )
            yield Row(
                "append1_latency_vs_pgbench",
                "a lone command",
                "ms",
                found["ours"],
                found["plain"],
                3.0,
                at_most=True,
            )
        library.close()


@asynccontextmanager
async def _store(dsn: str) -> AsyncIterator[EventStore]:
    store = EventStore("bench", dsn)
    await store.provision()
    async with store.running():
        yield store


def metadata() -> Metadata:
    return Metadata(
        site="sh01", actor="bench", role="technician", correlation_id="b", command_id=f"c{next(NUMBER)}"
    )


async def command(store: EventStore) -> None:
    id = f"w{next(NUMBER)}"
    await store.handle(OPEN, f"work_order-{id}", id, metadata(), new=True)


def _ours(store: EventStore, clients: int, seconds: float) -> Timed:
    async def round() -> float:
        done, until = 0, time.perf_counter() + seconds

        async def client() -> None:
            nonlocal done
            while time.perf_counter() < until:
                await command(store)
                done += 1

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        return done / (time.perf_counter() - began)

    return round


def _lone(store: EventStore, seconds: float) -> Timed:
    async def round() -> float:
        taken, until = [], time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            await command(store)
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1000

    return round


def _saves(library: Application[UUID], clients: int, seconds: float) -> Timed:
    def client(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            library.save(WorkOrder("noise"))
            done += 1
        return done

    async def round() -> float:
        with ThreadPoolExecutor(clients) as threads:
            began = time.perf_counter()
            loop = asyncio.get_running_loop()
            work = [loop.run_in_executor(threads, client, began + seconds) for _ in range(clients)]
            return sum(await asyncio.gather(*work)) / (time.perf_counter() - began)

    return round


async def _plain_table(dsn: str) -> None:
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        columns = "id bigserial PRIMARY KEY, stream text, version bigint, topic text, state bytea"
        await conn.execute(f"CREATE TABLE plain ({columns})".encode())


def _pgbench(postgres: Postgres, clients: int, seconds: float, latency: bool = False) -> Timed:
    values = f"'work_order-x', 1, 'opened', '{'x' * 420}'"
    insert = f"INSERT INTO plain (stream, version, topic, state) VALUES ({values});"
    load = ["-c", str(clients), "-j", "2" if clients > 1 else "1", "-T", str(max(2, math.ceil(seconds)))]

    async def round() -> float:
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(insert)
            script.flush()
            command = [str(binaries() / "pgbench"), "-n", "-M", "prepared", "-f", script.name, *load]
            process = await asyncio.create_subprocess_exec(
                *command, postgres.dsn("bench_plain"), stdout=PIPE, stderr=PIPE
            )
            said, _ = await process.communicate()
        wanted = r"latency average = ([\d.]+)" if latency else r"tps = ([\d.]+)"
        found = re.search(wanted, said.decode())
        assert found, said.decode()
        return float(found[1])

    return round

"""People work on a whole Bayledger while everything that can fail does, at random and again and again.

`python -m tests.soak --seconds N --seed S` prints one line. Exit code 1 if anything was lost, doubled or out
of order, if the chain does not hold, a view differs from its rebuild, a message is parked that is no poison
of ours, an app grows, or all is not well again within two minutes. The seed decides which faults come in
which order; when exactly they hit is left to the machine.
"""

import argparse
import asyncio
import base64
import json
import random
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any, ClassVar

from nats.errors import Error as BusError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection

from eventlog import sql
from eventlog.bus import STREAM, connect
from projections.status import status
from services.reception.visit import visit_stream
from services.workshop.work_order import work_order_stream
from tests.faults.cluster import APPS, SITES, Cluster, eventually, findings

PEOPLE = 6
PAUSE = 0.5
"""Seconds a person rests between two vehicles: a refilled stream is read again from its beginning."""
LONG = 600
"""Seconds from which on a soak has one outage of the bus of 150 s, in which no event loop may stall."""
RECOVERED_WITHIN = 120
GROWTH = 1.5
"""By which the memory of an app may be higher in the last quarter of a soak than in the first."""

Fault = Callable[["Soak"], Awaitable[None]]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Soak:
    def __init__(self, cluster: Cluster, seconds: float, seed: int) -> None:
        self.cluster = cluster
        self.began, self.until = time.monotonic(), time.monotonic() + seconds
        self.chance = random.Random(seed)
        self.kills = 0
        self.faults = 0
        self.visits = 0
        self.recoveries: list[float] = []
        self.trouble: list[str] = []
        self.poison: set[bytes] = set()
        self.held: list[tuple[float, dict[str, int]]] = []
        """The memory of the apps, in MiB, and when."""
        self._outages = [150.0] if seconds >= LONG else []

    @property
    def going_on(self) -> bool:
        return time.monotonic() < self.until

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(PEOPLE):
                tasks.create_task(self._person(n))
            tasks.create_task(self._trouble())

    async def _person(self, n: int) -> None:
        while self.going_on:
            await self.cluster.visit(SITES[n % len(SITES)], f"person {n}, visit {self.visits}")
            self.visits += 1
            await asyncio.sleep(PAUSE)

    async def _trouble(self) -> None:
        """Up to three faults, one into the recovery from the other; then all must be well again."""
        bag: list[Fault] = []
        while self.going_on:
            ended = 0.0
            for _ in range(self.chance.randint(1, 3)):
                if not bag:  # every kind comes before any comes again
                    bag = self.chance.sample(self.KINDS, len(self.KINDS))
                fault = bag.pop()
                say(str(fault.__doc__))
                try:
                    await fault(self)
                except AssertionError as why:
                    self.trouble.append(f"{fault.__doc__}: {why}")
                self.faults += 1
                ended = time.monotonic()
                await asyncio.sleep(self.chance.uniform(0, 1))
            try:
                await self._works_again()
            except AssertionError as why:
                self.trouble.append(f"no recovery: {why}")
                self.until = 0
                return
            self.recoveries.append(time.monotonic() - ended)
            memory = {app: self.cluster.memory(app) for app in APPS}
            self.held.append((time.monotonic(), memory))
            say(f"recovered {self.recoveries[-1]:.1f} s after the last fault ended; {memory} MiB")
            await asyncio.sleep(self.chance.uniform(0, 2))

    async def _works_again(self) -> None:
        """A new visit is taken, a policy opens its work order, and the ledger has both."""
        ledger = self.cluster.settings.ledger_db
        since = await eventually(partial(self._head, ledger), within=RECOVERED_WITHIN)
        id = await self.cluster.receive(SITES[0], f"after fault {self.faults}")
        both = (
            "SELECT count(DISTINCT source) FROM ledger WHERE seq >= %s AND body::json ->> 'stream' = ANY(%s)"
        )

        async def known() -> bool:
            async with await AsyncConnection.connect(ledger) as conn:
                [sources] = await sql.row(conn, both, (since, [visit_stream(id), work_order_stream(id)]))
            return bool(sources == 2)

        await eventually(known, within=RECOVERED_WITHIN)

    async def _head(self, ledger: str) -> int:
        async with await AsyncConnection.connect(ledger) as conn:
            [head] = await sql.row(conn, "SELECT seq FROM ledger_head")
        return int(head)

    def growth(self) -> float:
        """How many times the highest memory of an app in the first quarter its highest in the last one is."""
        quarter = (self.until - self.began) / 4
        first = [memory for at, memory in self.held if at < self.began + quarter]
        last = [memory for at, memory in self.held if at >= self.until - quarter]
        if not first or not last:
            return 1.0
        return max(max(m[app] for m in last) / max(m[app] for m in first) for app in APPS)

    # Faults

    async def _app_killed(self) -> None:
        """kill -9 of an app"""
        app = self.chance.choice(APPS)
        self.cluster.kill(app)
        self.kills += 1
        await asyncio.sleep(self.chance.uniform(0, 1))
        self.cluster.start(app)

    async def _bus_killed(self) -> None:
        """kill -9 of NATS"""
        self.cluster.nats.kill()
        self.kills += 1
        await asyncio.sleep(self.chance.uniform(0, 2))
        self.cluster.nats.start()

    async def _database_killed(self) -> None:
        """kill -9 of PostgreSQL"""
        self.cluster.postgres.kill()
        self.kills += 1
        await asyncio.sleep(self.chance.uniform(0, 2))
        self.cluster.postgres.start()

    async def _bus_wiped(self) -> None:
        """kill -9 of NATS, and all it stored is gone"""
        self.cluster.nats.wipe()
        self.kills += 1
        self.cluster.nats.start()

    async def _bus_away(self) -> None:
        """NATS stopped for a while"""
        seconds = self.chance.uniform(3, 8)
        if self._outages:
            seconds = self._outages.pop()
            await self.cluster.ready(*APPS)
        self.cluster.nats.stop()
        try:
            with self.cluster.never_stalling() if seconds >= 150 else nullcontext():
                await asyncio.sleep(seconds)
        finally:
            self.cluster.nats.start()

    async def _bus_frozen(self) -> None:
        """NATS frozen (SIGSTOP)"""
        await self._freeze(self.cluster.nats.process.send_signal, self.chance.uniform(3, 8))

    async def _database_frozen(self) -> None:
        """PostgreSQL frozen (SIGSTOP)"""
        await self._freeze(self.cluster.signal_database, self.chance.uniform(1, 4))

    async def _app_frozen(self) -> None:
        """an app frozen (SIGSTOP)"""
        process = self.cluster.process(self.chance.choice(APPS))
        await self._freeze(process.send_signal, self.chance.uniform(1, 4))

    async def _freeze(self, send: Callable[[signal.Signals], None], seconds: float) -> None:
        send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            send(signal.SIGCONT)

    async def _stream_deleted(self) -> None:
        """the stream deleted live"""
        async with self._on_bus() as js:
            await js.delete_stream(STREAM)

    async def _consumer_deleted(self) -> None:
        """a consumer deleted live"""
        async with self._on_bus() as js:
            if consumers := await self._consumers(js):
                gone = self.chance.choice(sorted(str(consumer.durable_name) for consumer in consumers))
                with suppress(NotFoundError):
                    await js.delete_consumer(STREAM, gone)

    async def _stream_rewritten(self) -> None:
        """the stream's configuration rewritten by a stranger, so that it refuses what comes"""
        stranger: dict[str, Any] = self.chance.choice(
            [{"subjects": ["aftersales.hz01.>"]}, {"max_msg_size": 100}, {"allow_atomic": False}]
        )
        async with self._on_bus() as js:
            found = (await js.stream_info(STREAM)).config
            await js.update_stream(replace(found, **stranger))

    async def _poisoned(self) -> None:
        """messages no service can have sent, to every policy and the ledger"""
        async with self._on_bus() as js:
            for consumer in await self._consumers(js):
                subject = str(consumer.filter_subject)
                if subject.endswith(">"):
                    continue
                for body in (b"no json", b'{"type":"of.nothing.v9","data":{}}', b"\xff"):
                    body += f" {self.faults}".encode()
                    self.poison.add(body)
                    with suppress(BusError, TimeoutError):  # refused by a stream a stranger rewrote
                        await js.publish(subject.replace("*", SITES[0]), body, headers={"pos": "first"})

    async def _shuffled_copies(self) -> None:
        """recent messages once more under other ids, in any order"""
        async with self._on_bus() as js:
            last = (await js.stream_info(STREAM)).state.last_seq
            places = list(range(max(1, last - 60), last + 1))
            self.chance.shuffle(places)
            for place in places:
                with suppress(BusError, TimeoutError):
                    copied = await js.get_msg(STREAM, place)
                    headers = {**(copied.headers or {}), "Nats-Msg-Id": str(uuid.uuid4())}
                    for name in [name for name in headers if name.startswith("Nats-Batch")]:
                        del headers[name]
                    await js.publish(str(copied.subject), copied.data or b"", headers=headers, timeout=1)

    async def _dropped(self) -> None:
        """recent messages that only the ledger reads vanish from the stream"""
        async with self._on_bus() as js:
            policies = {
                str(consumer.filter_subject).split(".", 2)[-1] for consumer in await self._consumers(js)
            }
            last = (await js.stream_info(STREAM)).state.last_seq
            for place in range(max(1, last - 30), last + 1):
                with suppress(NotFoundError):
                    subject = str((await js.get_msg(STREAM, place)).subject)
                    if subject.split(".", 2)[-1] not in policies:
                        await js.delete_msg(STREAM, place)

    @asynccontextmanager
    async def _on_bus(self) -> AsyncIterator[JetStreamContext]:
        """A stranger's connection, as soon as there is a stream."""
        bus = await eventually(lambda: connect(self.cluster.nats.url, "stranger"))
        try:
            js = bus.jetstream()
            await eventually(lambda: js.stream_info(STREAM))
            with suppress(BusError, TimeoutError):  # it may vanish at any time
                yield js
        finally:
            await bus.close()

    async def _consumers(self, js: JetStreamContext) -> list[ConsumerConfig]:
        return [info.config for info in await js.consumers_info(STREAM)]

    KINDS: ClassVar[list[Fault]] = [
        *(_app_killed, _bus_killed, _database_killed, _bus_wiped, _bus_away, _bus_frozen),
        *(_app_frozen, _database_frozen),
        *(_stream_deleted, _consumer_deleted, _stream_rewritten, _poisoned, _shuffled_copies, _dropped),
    ]

    # What must hold

    async def unsettled(self) -> list[str]:
        """What still waits although nothing fails any more, and what is parked besides our poison."""

        async def told() -> bool:
            return await self.cluster.closed() >= self.visits

        async def level() -> bool:
            async with await AsyncConnection.connect(
                self.cluster.settings.ledger_db, autocommit=True
            ) as conn:
                now = await status(conn)
            each = [*now["sources"], *now["views"]]
            assert not any(one["behind"] or one.get("stopped") for one in each), each
            return True

        try:
            await eventually(told, within=RECOVERED_WITHIN)
            await eventually(level, within=RECOVERED_WITHIN)
        except AssertionError as why:
            return [str(why)]
        query = "SELECT body FROM ledger WHERE body::json ->> 'type' LIKE '%%message_parked%%'"
        async with await AsyncConnection.connect(self.cluster.settings.ledger_db) as conn:
            parked = [json.loads(body)["data"] for [body] in await sql.rows(conn, query)]
        return [
            f"{each['policy']} parked a message: {each['reason']}"
            for each in parked
            if base64.b64decode(each["body"]) not in self.poison
        ]


async def soak(seconds: float, seed: int, folder: Path) -> bool:
    """Whether everything held; says so in one line."""
    with Cluster(folder, patience=300) as cluster:
        await cluster.provision()
        for app in APPS:
            cluster.start(app)
        await cluster.ready(*APPS)
        soak = Soak(cluster, seconds, seed)
        await soak.run()
        say("nothing fails any more; comparing")
        trouble = [*soak.trouble, *await soak.unsettled()]
        rows = await cluster.rows()
        found = findings(rows, await cluster.held(), cluster.answers)
        trouble += await cluster.contradictions()
        await cluster.client.aclose()
    if (growth := soak.growth()) > GROWTH:
        trouble.append(f"an app holds {growth:.2f} times the memory it held at first")
    for each in [*found.all[:50], *trouble]:
        say(each)
    slowest = quantiles([*soak.recoveries, *soak.recoveries] or [0, 0], n=100, method="inclusive")[98]
    print(
        f"kills={soak.kills} faults={soak.faults} events={len(rows)} lost={len(found.lost)}"
        f" doubled={len(found.doubled)} disordered={len(found.disordered)}"
        f" recovered_p99={slowest:.1f}s memory={growth:.2f}"
    )
    return not (found.all or trouble)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bayledger-soak-") as folder:
        good = asyncio.run(soak(given.seconds, given.seed, Path(folder)))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()

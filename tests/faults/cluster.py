"""A Bayledger of several processes, each of which can be killed alone, and people who go on working."""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
from psycopg import AsyncConnection

from access.issuer import Issuer
from access.roles import Role
from eventlog import sql
from eventlog.settings import Settings
from ops.nats import Nats
from ops.postgres import Postgres
from ops.processes import LOOPBACK, spawn, stop, usable_port
from ops.provision import provision
from ops.verify import verify_database
from ops.walkthrough import LABOUR_FEN, Walkthrough
from projections.catalogue import PROJECTIONS
from projections.rebuild import rebuild
from projections.status import status
from tests.system import at_rest

APPS = ("reception", "workshop", "customer-care", "projections")
SITES = ("sh01", "hz01")
REPAIR: dict[str, Any] = {"description": "前刹车片", "price_fen": 88_000, "delay_minutes": 40}
AT_ONCE = 12
"""People who work at the same time."""
HOUR = 3600
STALL = 0.5
"""Seconds for which no event loop may stand still."""


async def eventually(holds: Callable[[], Awaitable[Any]], within: float = 60) -> Any:
    """What the question answers as soon as it is something true; an error counts as not yet."""
    until, last = time.monotonic() + within, ""
    while time.monotonic() < until:
        try:
            if answer := await holds():
                return answer
            last = repr(answer)
        except Exception as why:
            last = f"{type(why).__name__}: {why}"
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {within} s; last seen: {last}")


@dataclass(frozen=True, slots=True)
class Row:
    """An event in the ledger."""

    source: str
    pos: int
    stream: str
    version: int
    type: str


async def rows_of(ledger: str) -> list[Row]:
    query = "SELECT source, pos, body FROM ledger ORDER BY seq"
    async with await AsyncConnection.connect(ledger) as conn:
        stored = [(source, pos, json.loads(body)) for source, pos, body in await sql.rows(conn, query)]
    return [Row(source, pos, e["stream"], e["version"], e["type"]) for source, pos, e in stored]


@dataclass(slots=True)
class Findings:
    """What is wrong with a ledger: nothing, if all three are empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.disordered]


def findings(
    rows: Sequence[Row], held: Iterable[tuple[str, int]], answers: Iterable[dict[str, Any]]
) -> Findings:
    """Compares a ledger with the positions its services hold and with what people were answered."""
    found = Findings()
    places = Counter((row.source, row.pos) for row in rows)
    found.doubled += [f"{place} is there {n} times" for place, n in places.items() if n > 1]
    found.lost += [f"{place} is missing" for place in sorted(set(held) - set(places))]
    last_pos: dict[str, int] = {}
    last_version: dict[str, int] = {}
    for row in rows:
        if row.pos <= last_pos.get(row.source, 0):
            found.disordered.append(f"{row.source}:{row.pos} stands behind {last_pos[row.source]}")
        last_pos[row.source] = row.pos
        if row.version != last_version.get(row.stream, 0) + 1:
            found.disordered.append(f"{row.stream}@{row.version} follows {last_version.get(row.stream, 0)}")
        last_version[row.stream] = row.version
    at = {f"{row.source}:{row.pos}": row for row in rows}
    types = {(row.stream, row.version): row.type for row in rows}
    for answer in answers:
        if answer["position"] is None:  # there was nothing left to record
            continue
        acknowledged = at.get(answer["position"])
        if acknowledged is None:
            found.lost.append(f"{answer['position']} was acknowledged and is missing")
            continue
        for event in answer["events"]:
            if types.get((acknowledged.stream, event["version"])) != event["type"]:
                found.lost.append(
                    f"{acknowledged.stream}@{event['version']} is not the {event['type']} acknowledged"
                )
    return found


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


class Cluster:
    """PostgreSQL, NATS and the four apps, each in a process of its own."""

    def __init__(self, folder: Path, *, patience: float = 90, sync: bool = False) -> None:
        self.folder = folder
        self.patience = patience
        """Seconds for which people send a command again before they give it up."""
        self.postgres = Postgres(folder / "postgres", sync=sync)
        self.nats = Nats(folder / "nats")
        self._ports = {name: usable_port(0) for name in APPS}
        self._apps: dict[str, subprocess.Popen[bytes]] = {}
        self._open = ExitStack()
        self._tokens: dict[tuple[str, str], str] = {}
        self.client = httpx2.AsyncClient(timeout=10)
        self.answers: list[dict[str, Any]] = []
        """To every command that was acknowledged."""

    def __enter__(self) -> Self:
        self._open.enter_context(self.postgres)
        self._open.enter_context(self.nats)
        secrets = self.folder / "secrets"
        secrets.mkdir()
        Issuer(secrets)
        self.settings = Settings(  # type: ignore[call-arg]
            nats_url=self.nats.url,
            reception_db=self.postgres.dsn("reception"),
            workshop_db=self.postgres.dsn("workshop"),
            customer_care_db=self.postgres.dsn("customer_care"),
            ledger_db=self.postgres.dsn("ledger"),
            keys_db=self.postgres.dsn("keys"),
            secrets=secrets,
            checkpoints=self.folder / "checkpoints",
            jwks=str(secrets / "jwks.json"),
            reception_url=f"{self.url('reception')}/reception",
            workshop_url=f"{self.url('workshop')}/workshop",
            customer_care_url=f"{self.url('customer-care')}/customer-care",
        )
        return self

    def __exit__(self, *_: object) -> None:
        for name in APPS:
            self.kill(name)
        self._open.close()

    def url(self, app: str) -> str:
        return _url(self._ports[app])

    @property
    def environment(self) -> dict[str, str]:
        return {
            f"BAYLEDGER_{name.upper()}": str(value)
            for name, value in self.settings.model_dump(exclude_none=True).items()
        }

    def start(self, app: str, **environment: str) -> None:
        self._apps[app] = self._spawn(app, self._ports[app], environment)

    @asynccontextmanager
    async def twin(self, app: str) -> AsyncIterator[None]:
        """A second process of the same app: another relay, another set of policies, another ledger."""
        port = usable_port(0)
        twin = self._spawn(app, port, {})
        try:
            await eventually(lambda: self.client.get(self.health(app).replace(self.url(app), _url(port))))
            yield
        finally:
            stop(twin, signal.SIGKILL, within=10)

    def _spawn(self, app: str, port: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{app}.log").open("ab") as log:
            return spawn(
                [sys.executable, "-m", "ops", "serve", app, "--port", str(port)],
                log=log,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **self.environment, **environment},
                cwd=Path(__file__).parents[2],
                when_parent_dies=signal.SIGKILL,
            )

    def kill(self, app: str) -> None:
        if app in self._apps:
            stop(self._apps[app], signal.SIGKILL, within=10)

    def process(self, app: str) -> "subprocess.Popen[bytes]":
        return self._apps[app]

    def signal_database(self, what: signal.Signals) -> None:
        """To all processes of PostgreSQL: the first one is stopped first, and goes on last, so that it starts
        no more of them, and none of them ends and hides another while they are listed."""
        main = self.postgres.process.pid
        children = Path(f"/proc/{main}/task/{main}/children")
        if what is signal.SIGSTOP:
            os.kill(main, what)
        for child in children.read_text().split():
            os.kill(int(child), what)
        if what is not signal.SIGSTOP:
            os.kill(main, what)

    @contextmanager
    def never_stalling(self) -> Iterator[None]:
        """Every app is asked 20 times a second, from threads of their own, and always answers within `STALL`;
        time in which the machine had no processor for it does not count."""
        slowest = dict.fromkeys(APPS, 0.0)
        over = threading.Event()

        def ask(app: str) -> None:
            with httpx2.Client(timeout=30) as client:
                while not over.wait(0.05):
                    began = time.monotonic() - self._queued(app)
                    try:
                        good = client.get(self.health(app)).status_code == 200
                    except httpx2.HTTPError:
                        good = False
                    took = time.monotonic() - self._queued(app) - began if good else math.inf
                    slowest[app] = max(slowest[app], took)

        threads = [threading.Thread(target=ask, args=(app,)) for app in APPS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert {app: took for app, took in slowest.items() if not 0 < took < STALL} == {}

    def _queued(self, app: str) -> float:
        """Seconds for which an app, and the thread that asks it, waited for a processor."""
        waited = [f"/proc/{self._apps[app].pid}/schedstat", "/proc/thread-self/schedstat"]
        return sum(int(Path(each).read_text().split()[1]) for each in waited) / 1e9

    def memory(self, app: str) -> int:
        """MiB that the app holds."""
        state = Path(f"/proc/{self._apps[app].pid}/status").read_text()
        return int(state.partition("VmRSS:")[2].split()[0]) // 1024

    def health(self, app: str) -> str:
        return f"{self.url(app)}{'' if app == 'projections' else f'/{app}'}/healthz"

    async def ready(self, *apps: str) -> None:
        """The apps answer over HTTP."""

        async def all_answer() -> bool:
            answers = [await self.client.get(self.health(app)) for app in apps if self._lives(app)]
            return all(answer.status_code == 200 for answer in answers)

        await eventually(all_answer)
        for app in apps:
            assert self._lives(app), f"{app} ended: {self.log(app)[-1000:]}"

    def _lives(self, app: str) -> bool:
        return self._apps[app].poll() is None

    def log(self, app: str) -> str:
        return (self.folder / f"{app}.log").read_text()

    async def provision(self) -> None:
        await provision(self.settings)

    # People

    async def work(self, visits: int, prefix: str) -> None:
        """That many vehicles come, are repaired and leave, whatever happens meanwhile."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(n: int) -> None:
            async with turns:
                await self.visit(SITES[n % 2], f"{prefix}-{n}")

        async with asyncio.TaskGroup() as people:
            for n in range(visits):
                people.create_task(one(n))

    async def receive(self, site: str, key: str, symptoms: Sequence[str] = ("刹车异响",)) -> str:
        body = {
            "vin": "LSVAA49J132047371",
            "plate": "沪A12345",
            "customer_name": "王伟",
            "phone": f"138{abs(hash(key)) % 10**8:08}",
            "mileage_km": 40_000,
            "symptoms": list(symptoms),
        }
        answer = await self.command(Role.ADVISOR, site, "reception", "/v1/visits", body)
        return str(answer["id"])

    async def visit(self, site: str, key: str) -> None:
        """A vehicle comes, is repaired and leaves."""
        id = await self.receive(site, key)
        walk = self.walk(site, id)
        question = await self.add_repair(site, id)
        await self.answer_repair(site, id, "approve", question)
        await walk.work(Role.TECHNICIAN, "complete")
        await walk.checked()
        await walk.settled(LABOUR_FEN + REPAIR["price_fen"])
        await walk.visit(Role.ADVISOR, "deliver")

    def walk(self, site: str, id: str) -> Walkthrough:
        async def give(role: Role, path: str, body: dict[str, Any]) -> dict[str, Any]:
            app, _, rest = path[1:].partition("/")
            return await self.command(role, site, app, f"/{rest}", body)

        return Walkthrough(give, id)

    async def add_repair(self, site: str, id: str) -> str:
        """Behind the one line of the quote; the hash of what the customer is asked."""
        walk = self.walk(site, id)
        await walk.inspected()
        await walk.authorised()
        await walk.handed_over()
        await walk.work(Role.WORKSHOP_SUPERVISOR, "dispatch", {"team": "A 组"})
        added = await walk.work(Role.TECHNICIAN, "repairs", REPAIR)
        return str(added["hash"])

    async def answer_repair(self, site: str, id: str, how: str, question: str) -> None:
        said = {"channel": "phone", "hash": question, "delay_minutes": REPAIR["delay_minutes"]}
        if how == "decline":
            said |= {"reason": "too_expensive", "told_to": "supervisor"}
        await self.walk(site, id).visit(Role.ADVISOR, f"repairs/2/{how}", said)

    async def command(
        self, role: Role, site: str, app: str, path: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        """Send it under the same key until it is done: again when nobody answers, and again while the other
        service has not heard yet of what it needs (404, 409)."""
        headers = {"Authorization": f"Bearer {self.token(role, site)}", "Idempotency-Key": str(uuid.uuid4())}

        async def done() -> dict[str, Any] | None:
            answer = await self.client.post(f"{self.url(app)}/{app}{path}", json=body, headers=headers)
            if answer.status_code >= 500 or answer.status_code in (404, 409):
                raise LookupError(f"{path}: {answer.status_code} {answer.text}")
            assert answer.status_code < 300, answer.text
            acknowledged: dict[str, Any] = answer.json()
            return acknowledged

        acknowledged: dict[str, Any] = await eventually(done, within=self.patience)
        self.answers.append(acknowledged)
        return acknowledged

    def token(self, role: Role, site: str) -> str:
        """Good where a clock is an hour off, too."""
        if (role, site) not in self._tokens:
            self._tokens[role, site] = self.issue(role, site, since=-2 * HOUR, until=2 * HOUR)
        return self._tokens[role, site]

    def issue(self, role: Role, site: str, *, since: float, until: float) -> str:
        """A token that is good between two times, in seconds from now."""
        issuer = Issuer(self.settings.secrets, clock=lambda: time.time() + since)
        return issuer.token(f"{role}-{site}", role, [site], until - since)

    async def acknowledged(self, count: int) -> None:
        """Return when that many more commands are acknowledged than now."""
        goal = len(self.answers) + count

        async def enough() -> bool:
            return len(self.answers) >= goal

        await eventually(enough)

    # What must hold

    async def closed(self) -> int:
        """Work orders whose whole story is told: the last step is a policy's."""
        return sum(row.type == "workshop.work_order_closed.v1" for row in await self.rows())

    async def rows(self) -> list[Row]:
        return await rows_of(self.settings.ledger_db)

    async def held(self) -> list[tuple[str, int]]:
        """Positions that the services' stores hold."""
        found = []
        for source in ("reception", "workshop", "customer_care"):
            async with await AsyncConnection.connect(getattr(self.settings, f"{source}_db")) as conn:
                stored = await sql.rows(conn, "SELECT notification_id FROM events ORDER BY notification_id")
            found += [(source, pos) for [pos] in stored]
        return found

    async def recovered(self, visits: int) -> None:
        """By itself: all stories told, nothing lost, nothing doubled, in order, chain and views right."""

        async def told() -> bool:
            return await self.closed() >= visits

        await eventually(told, within=90)

        async def caught_up() -> bool:
            async with await AsyncConnection.connect(self.settings.ledger_db, autocommit=True) as conn:
                now = await status(conn)
            assert at_rest(now), now
            assert now["parked"] == 0
            return True

        await eventually(caught_up)
        assert findings(await self.rows(), await self.held(), self.answers).all == []
        assert await self.contradictions() == []

    async def contradictions(self) -> list[str]:
        """What is wrong with the chain, and views that a rebuild would make differently."""
        found = []
        result = await verify_database(self.settings, lambda done, total: None)
        if not result.good:
            found.append(result.sentence())
        async with await AsyncConnection.connect(self.settings.ledger_db, autocommit=True) as conn:
            for projection in PROJECTIONS:
                rebuilt = await rebuild(conn, projection, lambda position, head: None, dry_run=True)
                if rebuilt.differing:
                    found.append(f"the view {projection.name} differs in {rebuilt.differing} documents")
        return found

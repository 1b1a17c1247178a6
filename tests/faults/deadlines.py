"""Deadlines pass while everything is killed: `python -m tests.faults.deadlines --runs N --seed S`.

In each run a complaint is entered late, so that several of its deadlines have passed already and one is about
to, and the app, the bus or the database is killed. In the end every step that was due is one event and one
message, and neither rebuilding the views nor folding the timers anew sends another. Prints one line; exit
code 1 if anything is missing or there twice.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self

from psycopg import AsyncConnection

from access.roles import Role
from eventlog import sql
from ops.processes import LOOPBACK
from projections.catalogue import PROJECTIONS
from projections.rebuild import rebuild
from tests.faults.cluster import APPS, Cluster, eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CARE = "customer-care"
AGES = (timedelta(minutes=30), timedelta(hours=2), timedelta(hours=30), timedelta(hours=60))
"""How long ago the complaint was made; a deadline is due just now, and those before it have passed."""
SOON = timedelta(seconds=2)
DUE = (30, 120, 1_440, 2_880)
"""Minutes to the deadlines of an ordinary complaint (C-20, C-22)."""
RUNGS = (0, 60, 240, 1_440)
"""Minutes from a deadline to each escalation."""


class Receiver:
    """A web server that takes notifications and remembers their ids."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._lock = Lock()

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                with receiver._lock:
                    receiver.ids.append(self.headers["webhook-id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(slots=True)
class Told:
    """What the log says about deadlines."""

    breaches: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(complaint, rule)"""
    escalations: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(complaint, rule, level)"""
    ids: set[str] = field(default_factory=set)
    """Of the escalations."""
    sent: Counter[str] = field(default_factory=Counter)
    """Ids of the escalations that are noted as sent."""


def due_by_now(age: timedelta) -> tuple[int, int]:
    """How many deadlines and how many rungs have passed for an ordinary complaint of that age."""
    minutes = age / timedelta(minutes=1)
    passed = [due for due in DUE if due <= minutes]
    return len(passed), sum(due + rung <= minutes for due in passed for rung in RUNGS)


def wrong(expected: dict[str, tuple[int, int]], told: Told, received: Sequence[str]) -> list[str]:
    """What is missing or there twice: nothing, if the list is empty."""
    found = []
    for complaint, (deadlines, rungs) in expected.items():
        breached = sum(n for (id, _), n in told.breaches.items() if id == complaint)
        escalated = sum(n for (id, *_), n in told.escalations.items() if id == complaint)
        if (breached, escalated) != (deadlines, rungs):
            found.append(
                f"{complaint}: {breached} of {deadlines} breaches, {escalated} of {rungs} escalations"
            )
    for what, counted in (("breach", told.breaches), ("escalation", told.escalations), ("note", told.sent)):
        found += [f"the {what} {key} is there {n} times" for key, n in counted.items() if n > 1]
    found += [f"{id} was never sent" for id in sorted(told.ids - set(received))]
    found += [f"{id} was sent and is not noted" for id in sorted(set(received) - told.sent.keys())]
    return found


class Runs:
    def __init__(self, cluster: Cluster, receiver: Receiver, seed: int) -> None:
        self.cluster = cluster
        self.receiver = receiver
        self.chance = random.Random(seed)
        self.kills = 0
        self.expected: dict[str, tuple[int, int]] = {}

    async def start(self) -> None:
        self.channels = self.cluster.folder / "notifications.toml"
        self.channels.write_text(
            f'[[channel]]\nkind = "webhook"\nname = "hook"\nsince = 2020-01-01T00:00:00Z\n'
            f'url = "{self.receiver.url}"\nsecret = "{SECRET}"\n'
        )
        await self.cluster.provision()
        for app in APPS:
            self._start(app)
        await self.cluster.ready(*APPS)

    def _start(self, app: str) -> None:
        self.cluster.start(app, BAYLEDGER_NOTIFICATIONS=str(self.channels))

    async def run(self) -> None:
        """A complaint, and a kill at some moment while its deadlines are due."""
        age = self.chance.choice(AGES)
        raised = asyncio.create_task(self._complain(age))
        await asyncio.sleep(self.chance.uniform(0, 2.5))  # the fault comes at any moment
        await self.chance.choice((self._kill_care, self._kill_bus, self._kill_database))()
        complaint = await raised
        self.expected[complaint] = due_by_now(age + timedelta(minutes=1))

        async def settled() -> bool:
            told = await self.told()
            return not [
                each
                for each in wrong({complaint: self.expected[complaint]}, told, self.receiver.ids)
                if complaint in each
            ]

        await eventually(settled, within=90)

    async def _complain(self, age: timedelta) -> str:
        body = {
            "channel": "phone",
            "subject": "repair_service",
            "severity": "ordinary",
            "customer_name": "王伟",
            "phone": f"139{self.chance.randint(0, 10**8 - 1):08}",
            "narrative": "刹车还在响",
            "occurred_at": (datetime.now(UTC) - age + SOON).isoformat(),
        }
        answer = await self.cluster.command(Role.CARE_AGENT, "sh01", CARE, "/v1/complaints", body)
        return str(answer["id"])

    async def _kill_care(self) -> None:
        self.kills += 1
        self.cluster.kill(CARE)
        self._start(CARE)

    async def _kill_bus(self) -> None:
        self.kills += 1
        self.cluster.nats.kill()
        self.cluster.nats.start()

    async def _kill_database(self) -> None:
        self.kills += 1
        self.cluster.postgres.kill()
        self.cluster.postgres.start()

    async def told(self) -> Told:
        told = Told()
        async with await AsyncConnection.connect(self.cluster.settings.customer_care_db) as conn:
            rows = await sql.rows(conn, "SELECT state FROM events ORDER BY notification_id")
        for [state] in rows:
            stored = json.loads(bytes(state))
            data = stored["data"]
            match stored["type"].split(".")[1]:
                case "deadline_breached":
                    told.breaches[data["complaint_id"], data["rule"]] += 1
                case "escalated":
                    told.escalations[data["complaint_id"], data["rule"], data["level"]] += 1
                    told.ids.add(f"{stored['stream']}@{stored['version']}")
                case "notification_sent":
                    told.sent[data["escalation"]] += 1
        return told

    async def rebuilt(self) -> list[str]:
        """What is sent by rebuilding the views and by folding the timers anew: nothing."""
        before, events = len(self.receiver.ids), await self.told()
        async with await AsyncConnection.connect(self.cluster.settings.ledger_db, autocommit=True) as conn:
            for projection in PROJECTIONS:
                await rebuild(conn, projection, lambda position, head: None)
        self.cluster.kill(CARE)
        async with await AsyncConnection.connect(
            self.cluster.settings.customer_care_db, autocommit=True
        ) as conn:
            await conn.execute("DELETE FROM timer")
            await conn.execute("UPDATE timer_position SET position = 0")
        self._start(CARE)
        await self.cluster.ready(CARE)

        async def folded() -> bool:
            """All timers are there again, and none of them is due."""
            async with await AsyncConnection.connect(self.cluster.settings.customer_care_db) as conn:
                [position, head, due] = await sql.row(
                    conn,
                    "SELECT position, (SELECT max(notification_id) FROM events),"
                    " (SELECT count(*) FROM timer WHERE due_at <= now()) FROM timer_position",
                )
            return position == head and not due

        await eventually(folded)
        again = len(self.receiver.ids) - before
        return (["a rebuild sent messages"] if again else []) + (
            ["a rebuild recorded something"] if await self.told() != events else []
        )


async def runs(count: int, seed: int, folder: Path) -> bool:
    """Whether everything held; says so in one line."""
    with Receiver() as receiver, Cluster(folder) as cluster:
        all_runs = Runs(cluster, receiver, seed)
        await all_runs.start()
        for n in range(count):
            await all_runs.run()
            print(f"{time.strftime('%H:%M:%S')} run {n + 1} of {count}", file=sys.stderr, flush=True)
        told = await all_runs.told()
        found = wrong(all_runs.expected, told, receiver.ids) + await all_runs.rebuilt()
        await cluster.client.aclose()
    for each in found[:50]:
        print(each, file=sys.stderr)
    repeated = len(receiver.ids) - len(set(receiver.ids))
    print(
        f"runs={count} kills={all_runs.kills} breaches={told.breaches.total()}"
        f" escalations={told.escalations.total()} notified={len(set(receiver.ids))}"
        f" repeated_under_the_same_id={repeated} wrong={len(found)}"
    )
    return not found


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.faults.deadlines", description=__doc__)
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bayledger-deadlines-") as folder:
        good = asyncio.run(runs(given.runs, given.seed, Path(folder)))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()

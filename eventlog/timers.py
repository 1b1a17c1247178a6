"""Alarm clocks: set and cancelled by a service's own events, rung by its database's clock.

The table of timers is a fold of the service's log, like any view: made anew from the beginning it holds the
same timers, and what has rung already is cancelled by the events it led to. So nothing rings in a rebuild,
and what was due while the service was down rings once it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import structlog
from psycopg import AsyncConnection, InterfaceError, OperationalError

from eventlog import sql
from eventlog.recorded import Metadata, Recorded, decode
from eventlog.store import EventStore, Unavailable
from events import Event

log = structlog.get_logger()

BATCH = 1_000
AT_ONCE = 5
"""Timers that ring beside each other, so that one which waits for somebody holds up few others."""
PATIENCE = 15.0
"""Seconds after which a ring that has not ended counts as failed."""
TICK = 0.5
"""Seconds between two looks at the clock."""
PAUSES = (5, 30, 300)
"""Seconds before a timer that failed is tried again."""

TABLES = """
CREATE TABLE IF NOT EXISTS timer (
    stream         text NOT NULL,
    name           text NOT NULL,
    due_at         timestamptz NOT NULL,
    site           text NOT NULL,
    correlation_id text NOT NULL,
    attempts       int NOT NULL DEFAULT 0,
    again_at       timestamptz,
    PRIMARY KEY (stream, name)
);
CREATE INDEX IF NOT EXISTS timer_next ON timer ((coalesce(again_at, due_at)));
CREATE TABLE IF NOT EXISTS timer_position (one bool PRIMARY KEY DEFAULT true CHECK (one), position bigint);
INSERT INTO timer_position VALUES (true, 0) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Set:
    """Ring at a time; a timer of that name in that stream rings then instead."""

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Cancel:
    """Do not ring any more."""

    name: str


Change: TypeAlias = Set | Cancel


@dataclass(frozen=True, slots=True)
class Timer:
    """One that rings."""

    stream: str
    name: str
    due_at: datetime
    rings_at: datetime
    """By the clock of the database; later than `due_at` after the service was down."""
    site: str
    correlation_id: str

    def metadata(self, role: str = "policy") -> Metadata:
        """Of the command it leads to. Rung again, it is another one: the decider knows what has been done."""
        return Metadata(
            site=self.site,
            actor="timer",
            role=role,
            correlation_id=self.correlation_id,
            command_id=f"timer:{self.stream}:{self.name}:{self.rings_at.timestamp()}",
            occurred_at=None,
        )


class Timers:
    """The timers of one service.

    `changes` says what an event of one of `types` does to the timers of its stream; `ring` gives the command.
    A timer rings at least once: `ring` must be harmless to repeat, which a command is whose decider knows
    what has been done. Of several processes one runs the timers at a time.
    """

    def __init__(
        self,
        store: EventStore,
        types: Collection[type[Event]],
        changes: Callable[[Recorded], Iterable[Change]],
        ring: Callable[[Timer], Awaitable[object]],
    ) -> None:
        self._store = store
        self._types = frozenset(event.type for event in types)
        self._changes = changes
        self._ring = ring

    async def run(self) -> None:
        """Follow the log and ring until cancelled; supervised, it goes on where it was."""
        await self.provision()
        async with self._store.alone("timers"):
            while True:
                while await self.follow():
                    pass
                await self.ring()
                await asyncio.sleep(TICK)

    async def provision(self) -> None:
        """Create what is missing; harmless to repeat."""
        async with self._store.pool.connection() as conn, conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(7403)")
            await conn.execute(TABLES)

    async def forget(self) -> None:
        """Begin anew from the first event."""
        async with self._store.pool.connection() as conn, conn.transaction():
            await conn.execute("UPDATE timer_position SET position = 0")
            await conn.execute("DELETE FROM timer")

    async def follow(self) -> bool:
        """Take over the next events; whether there were any."""
        async with self._store.pool.connection() as conn, conn.transaction():
            [position] = await sql.row(conn, "SELECT position FROM timer_position FOR UPDATE")
            rows = await sql.rows(conn, _NEXT, (list(self._types), position, BATCH))
            for _, body in rows:
                if body is not None:
                    await _apply(conn, decode(body), self._changes)
            if rows:
                await conn.execute("UPDATE timer_position SET position = %s", (rows[-1][0],))
        return bool(rows)

    async def ring(self) -> int:
        """Ring whatever is due; returns how many rang."""
        async with self._store.pool.connection() as conn:
            due = [Timer(*found) for found in await sql.rows(conn, _DUE)]
        for first in range(0, len(due), AT_ONCE):
            rings = map(self._ring_one, due[first : first + AT_ONCE])
            for failure in await asyncio.gather(*rings, return_exceptions=True):
                if failure:
                    raise failure
        return len(due)

    async def _ring_one(self, timer: Timer) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ring(timer)
        except (Unavailable, OperationalError, InterfaceError):
            raise  # nothing is wrong with this timer: the store is away
        except Exception as why:
            log.warning("timer.failed", stream=timer.stream, timer=timer.name, why=f"{why}")
            await self._execute(_LATER, timer, list(PAUSES))
        else:
            await self._execute(_DONE, timer)

    async def failing(self) -> int:
        """How many timers have rung in vain."""
        async with self._store.pool.connection() as conn:
            [count] = await sql.row(conn, "SELECT count(*) FROM timer WHERE attempts > 0")
        return int(count)

    async def _execute(self, statement: Any, timer: Timer, *first: Any) -> None:
        async with self._store.pool.connection() as conn:
            await conn.execute(statement, (*first, timer.stream, timer.name, timer.due_at))


async def _apply(
    conn: AsyncConnection[Any], recorded: Recorded, changes: Callable[[Recorded], Iterable[Change]]
) -> None:
    for change in changes(recorded):
        match change:
            case Set(name, due_at):
                of = recorded.metadata
                values = (recorded.stream, name, due_at, of.site, of.correlation_id)
                await conn.execute(_SET, values)
            case Cancel(name):
                await conn.execute(
                    "DELETE FROM timer WHERE (stream, name) = (%s, %s)", (recorded.stream, name)
                )


_NEXT = """
SELECT notification_id, CASE WHEN topic = ANY(%s) THEN state END FROM events
WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""
_SET = """
INSERT INTO timer (stream, name, due_at, site, correlation_id) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (stream, name) DO UPDATE SET due_at = excluded.due_at, attempts = 0, again_at = NULL
"""
_DUE = """
SELECT stream, name, due_at, now(), site, correlation_id FROM timer
WHERE coalesce(again_at, due_at) <= now() ORDER BY attempts > 0, coalesce(again_at, due_at) LIMIT 100
"""
_LATER = """
UPDATE timer SET attempts = attempts + 1,
    again_at = now() + make_interval(secs => (%s::int[])[least(attempts + 1, 3)])
WHERE (stream, name, due_at) = (%s, %s, %s)
"""
_DONE = "DELETE FROM timer WHERE (stream, name, due_at) = (%s, %s, %s)"

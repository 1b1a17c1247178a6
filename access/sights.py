"""Who looked at a view of people's data: a row per person, role, site, view and day (UTC)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from access.tokens import Principal

EVERY = 2.0
"""Seconds between two writings of how often it was."""

Look: TypeAlias = tuple[str, str, str, str, date]
"""Person, role, site, view, day."""


def today() -> date:
    return datetime.now(UTC).date()


class Sights:
    """Counts the looks.

    That somebody looked is on disk before they are shown anything, by each process at the first look of the
    day. How often, and when last, follows within `EVERY` seconds and is written out when the process stops;
    one that is killed loses the counts of those seconds, never that somebody looked.
    """

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], today: Callable[[], date] = today
    ) -> None:
        self._pool = pool
        self._today = today
        self._on_disk: set[Look] = set()
        self._uncounted: Counter[Look] = Counter()

    async def provision(self) -> None:
        """Creates what is missing; repeated and concurrent calls are harmless."""
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(7403)")
            await conn.execute(_TABLE)

    async def note(self, who: Principal, view: str, site: str) -> None:
        """Call it before showing anything. Raises psycopg.OperationalError when this cannot be recorded."""
        look = (who.actor, who.role.value, site, view, self._today())
        if look in self._on_disk:
            self._uncounted[look] += 1
        else:
            await self._write(Counter([look]))
            self._on_disk.add(look)

    async def run(self) -> None:
        """Write the counts out until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.write()

    async def write(self) -> None:
        """All that was counted until now is on disk when this returns; call it when the process stops."""
        counted, self._uncounted = self._uncounted, Counter()
        try:
            if counted:
                await self._write(counted)
        except BaseException:
            self._uncounted += counted  # for the next time
            raise
        now = self._today()
        self._on_disk = {look for look in self._on_disk if look[-1] == now}

    async def _write(self, counted: Counter[Look]) -> None:
        looks = sorted(counted)  # in one order, so that two processes never wait for each other
        columns = [list(values) for values in zip(*looks, strict=True)]
        async with self._pool.connection() as conn:
            await conn.execute(_COUNT, (*columns, [counted[look] for look in looks]))


_TABLE = """
CREATE SCHEMA IF NOT EXISTS keys;
CREATE TABLE IF NOT EXISTS keys.sight (
    actor text,
    role text,
    site text,
    view text,
    day date,
    times bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, role, site, view, day)
)
"""
_COUNT = """
INSERT INTO keys.sight (actor, role, site, view, day, times)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::date[], %s::bigint[])
ON CONFLICT (actor, role, site, view, day)
DO UPDATE SET times = sight.times + excluded.times, last_at = now()
"""

"""Which vehicles wait to be given to a team, and in what order: by priority, then by arrival (W-03, W-05).

A small view of the workshop's own log. It is followed when somebody asks, so it is never behind.
"""

from typing import Any

import orjson
from psycopg import AsyncConnection

from eventlog import sql
from eventlog.recorded import from_json
from eventlog.store import EventStore
from events.workshop import PrioritySet, VehicleTakenIn, WorkDispatched, WorkOrderClosed

RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}

TABLES = """
CREATE TABLE IF NOT EXISTS waiting_vehicle (
    stream   text PRIMARY KEY,
    site     text NOT NULL,
    rank     int NOT NULL,
    taken_in bigint
);
CREATE TABLE IF NOT EXISTS waiting_position (one bool PRIMARY KEY DEFAULT true CHECK (one), position bigint);
INSERT INTO waiting_position VALUES (true, 0) ON CONFLICT DO NOTHING
"""


class WaitingArea:
    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._provisioned = False

    async def another_before(self, stream: str) -> bool:
        """Whether another vehicle of the site stands before the one of this order. Raises OperationalError
        while the database is away."""
        async with self._store.pool.connection() as conn, conn.transaction():
            if not self._provisioned:
                await conn.execute("SELECT pg_advisory_xact_lock(7404)")
                await conn.execute(TABLES)
            await _follow(conn)
            [before] = await sql.row(conn, _BEFORE, (stream,))
        self._provisioned = True
        return bool(before)


async def _follow(conn: AsyncConnection[Any]) -> None:
    [position] = await sql.row(conn, "SELECT position FROM waiting_position FOR UPDATE")
    types = [each.type for each in (PrioritySet, VehicleTakenIn, WorkDispatched, WorkOrderClosed)]
    for place, body in await sql.rows(conn, _NEXT, (position, types)):
        position = place
        recorded = from_json(orjson.loads(body))
        row = (recorded.stream, recorded.metadata.site)
        match recorded.event:
            case PrioritySet(priority=priority):
                await conn.execute(_RANK, (*row, RANKS[priority]))
            case VehicleTakenIn():
                await conn.execute(_TAKEN_IN, (*row, RANKS["normal"], place))
            case _:
                await conn.execute("DELETE FROM waiting_vehicle WHERE stream = %s", row[:1])
    await conn.execute("UPDATE waiting_position SET position = %s", (position,))


_NEXT = """
SELECT notification_id, state FROM events WHERE notification_id > %s AND topic = ANY(%s)
ORDER BY notification_id
"""
_RANK = """
INSERT INTO waiting_vehicle (stream, site, rank) VALUES (%s, %s, %s)
ON CONFLICT (stream) DO UPDATE SET rank = excluded.rank
"""
_TAKEN_IN = """
INSERT INTO waiting_vehicle (stream, site, rank, taken_in) VALUES (%s, %s, %s, %s)
ON CONFLICT (stream) DO UPDATE SET taken_in = excluded.taken_in
"""
_BEFORE = """
SELECT EXISTS (
    SELECT FROM waiting_vehicle own JOIN waiting_vehicle other ON own.site = other.site
    WHERE own.stream = %s AND own.taken_in IS NOT NULL AND other.taken_in IS NOT NULL
        AND (other.rank, other.taken_in) < (own.rank, own.taken_in)
)
"""

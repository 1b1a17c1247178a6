"""How the system stands: what is behind, what is parked, where the chain is."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from eventlog import sql
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.views import live_build

MOMENT = 5
"""Seconds that an event may be on its way."""
SILENT = 30
"""Seconds after which a source whose head could not be compared counts as not answering."""


async def status(conn: AsyncConnection[Any]) -> dict[str, Any]:
    """Positions and seconds each source and view is behind, parked messages, chain head, last checkpoint.

    `healthy` is false when a source is stopped or silent, a source or view has been behind for more than
    `MOMENT` seconds, or a message is parked.
    """
    [head, chain] = await sql.row(conn, "SELECT seq, chain FROM ledger_head")
    sources = await _dicts(conn, _SOURCES)
    views = await _dicts(conn, _VIEWS)
    last = await sql.rows(conn, "SELECT document FROM checkpoint ORDER BY seq DESC LIMIT 1")
    parked = await _parked(conn)
    for view in views:
        view["behind"] = max(0, head - view["position"])
    for each in (*sources, *views):
        each["late"] = each["behind"] > 0 and each["seconds"] > MOMENT
    behind = any(each["late"] for each in (*sources, *views))
    stopped = any(source["stopped"] or source["compared_seconds_ago"] > SILENT for source in sources)
    return {
        "healthy": not (behind or stopped or parked),
        "ledger": {"head": head, "chain": chain},
        "checkpoint": last[0][0] if last else None,
        "sources": sources,
        "views": views,
        "parked": parked,
    }


_SOURCES = """
SELECT s.source, s.epoch, s.pos AS position, greatest(s.head, s.pos) AS head,
       greatest(s.head - s.pos, 0) AS behind,
       CASE WHEN s.head > s.pos
            THEN coalesce(extract(epoch FROM clock_timestamp() - s.level_at), 0)::int
            ELSE 0 END AS seconds,
       coalesce(extract(epoch FROM clock_timestamp() - s.head_at), 0)::int AS compared_seconds_ago,
       s.stopped
FROM ledger_source s ORDER BY s.source
"""
_VIEWS = """
SELECT p.name, p.version, p.build, p.position, p.skipped,
       coalesce(extract(epoch FROM clock_timestamp() - l.recorded_at), 0)::int AS seconds
FROM projection p LEFT JOIN ledger l ON l.seq = p.position + 1
WHERE p.status = 'live' ORDER BY p.name
"""


async def _parked(conn: AsyncConnection[Any]) -> int:
    live = await live_build(conn, PARKED_MESSAGES)
    if live is None:
        return 0
    count = SQL("SELECT count(*) FROM {} WHERE to_pos = 9223372036854775807 AND waiting")
    [parked] = await sql.row(conn, count.format(Identifier(live[0].table)))
    return int(parked)


async def _dicts(conn: AsyncConnection[Any], query: str) -> list[dict[str, Any]]:
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(query.encode())
    return await cursor.fetchall()

"""A rebuild: the same loop from the beginning into the next version of a view, beside the live one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from eventlog import follow, sql
from projections.projection import Document, Projection
from projections.views import FOREVER, Build, advance, drop_build, index_build, live_build, new_build

BATCH = 5_000
SHOWN = 100

Progress = Callable[[int, int], None]
"""(position, head)"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that came out otherwise than the live one, and the event that made it so."""

    key: str
    event: str | None
    fields: dict[str, tuple[Any, Any]]
    """Field -> (live, rebuilt)."""


@dataclass(slots=True)
class Rebuilt:
    position: int
    documents: int
    differences: list[Difference] = field(default_factory=list)
    differing: int = 0
    switched: bool = False


async def rebuild(
    conn: AsyncConnection[Any], projection: Projection, progress: Progress, dry_run: bool = False
) -> Rebuilt:
    """Build the next version, compare it with the live one at the same position, switch in one transaction.

    Reads never fail meanwhile. The version before is kept until the next rebuild; a dry run keeps nothing.
    Two rebuilds of one view take turns.
    """
    turn = ("SELECT pg_advisory_lock(hashtext(%s))", "SELECT pg_advisory_unlock(hashtext(%s))")
    await conn.execute(turn[0], (projection.name,))
    try:
        return await _rebuild(conn, projection, progress, dry_run)
    finally:
        if not conn.broken:
            await conn.execute(turn[1], (projection.name,))


async def _rebuild(
    conn: AsyncConnection[Any], projection: Projection, progress: Progress, dry_run: bool
) -> Rebuilt:
    await _forget(conn, projection, "building")
    build = await new_build(conn, projection, "building")
    head = await follow.head(conn)
    while (step := await advance(conn, build, BATCH)).read:
        head = max(head, step.position)
        progress(step.position, head)
    await index_build(conn, build)
    async with conn.transaction():
        # The lock holds the live view where it is while the last events are caught up with.
        await conn.execute("SELECT FROM projection WHERE name = %s FOR UPDATE", (projection.name,))
        live = await live_build(conn, projection)
        while (await advance(conn, build, BATCH)).read:
            pass
        rebuilt = Rebuilt(await _position(conn, build), await _count(conn, build))
        if live:
            await _compare(conn, live[0], build, rebuilt)
        if not dry_run:
            await conn.execute(
                "UPDATE projection SET status = 'old' WHERE name = %s AND status = 'live'", (projection.name,)
            )
            await conn.execute(
                "UPDATE projection SET status = 'live' WHERE (name, build) = (%s, %s)",
                (projection.name, build.number),
            )
            rebuilt.switched = True
    if dry_run:
        await drop_build(conn, build)
    else:
        await _forget(conn, projection, "old", keep=live[0].number if live else 0)
    return rebuilt


async def _compare(conn: AsyncConnection[Any], live: Build, build: Build, rebuilt: Rebuilt) -> None:
    query = SQL(
        "SELECT coalesce(l.key, n.key), coalesce(n.event, l.event), l.document, n.document"
        " FROM (SELECT * FROM {} WHERE from_pos <= %(at)s AND to_pos > %(at)s) l"
        " FULL JOIN (SELECT * FROM {} WHERE from_pos <= %(at)s AND to_pos > %(at)s) n USING (key)"
        " WHERE l.document::text IS DISTINCT FROM n.document::text ORDER BY 1"
    ).format(Identifier(live.table), Identifier(build.table))
    at = await _position(conn, live)
    for key, event, before, after in await sql.rows(conn, query, {"at": at}):
        rebuilt.differing += 1
        if len(rebuilt.differences) < SHOWN:
            rebuilt.differences.append(Difference(key, event, _fields(before, after)))


def _fields(before: Document | None, after: Document | None) -> dict[str, tuple[Any, Any]]:
    a, b = before or {}, after or {}
    return {name: (a.get(name), b.get(name)) for name in sorted({*a, *b}) if a.get(name) != b.get(name)}


async def _position(conn: AsyncConnection[Any], build: Build) -> int:
    [position] = await sql.row(
        conn,
        "SELECT position FROM projection WHERE (name, build) = (%s, %s)",
        (build.projection.name, build.number),
    )
    return int(position)


async def _count(conn: AsyncConnection[Any], build: Build) -> int:
    query = SQL("SELECT count(*) FROM {} WHERE to_pos = {}").format(Identifier(build.table), FOREVER)
    [count] = await sql.row(conn, query)
    return int(count)


async def _forget(conn: AsyncConnection[Any], projection: Projection, status: str, keep: int = 0) -> None:
    """Drop builds that an interrupted rebuild left, or that a newer one replaced."""
    left = await sql.rows(
        conn,
        "SELECT build FROM projection WHERE name = %s AND status = %s AND build <> %s",
        (projection.name, status, keep),
    )
    for [number] in left:
        await drop_build(conn, Build(projection, number))

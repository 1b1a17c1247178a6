"""A rebuild: the same fold from the beginning into the next version of a view, beside the live one."""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import compress, islice
from multiprocessing.connection import Connection
from typing import Any, TypeAlias
from zlib import crc32

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from eventlog import follow, sql
from projections.catalogue import PROJECTIONS
from projections.facts import Fact, Ignored
from projections.projection import Document, Projection
from projections.views import (
    FOREVER,
    Build,
    Row,
    drop_build,
    fold,
    index_build,
    keys_of,
    live_build,
    new_build,
    put,
    take,
)

CHUNK = 1_000
KEPT = 50_000
"""Documents in the memory of a process; those that began first are stored, and taken back to change."""
MANY = 100_000
"""Events from which on a second process pays."""
SHOWN = 100

Chunk: TypeAlias = tuple[Sequence[int], Sequence[bytes]]
"""Positions, and what is stored there."""
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


class RebuildFailed(Exception):
    """The second process ended early; the message says why. Nothing is left of the rebuild."""


async def rebuild(
    conn: AsyncConnection[Any],
    projection: Projection,
    progress: Progress,
    dry_run: bool = False,
    processes: int = 1,
) -> Rebuilt:
    """Build the next version, compare it with the live one at the same position, switch in one transaction.

    Reads never fail meanwhile. The version before is kept until the next rebuild; a dry run, or a rebuild
    that does not come to its end, keeps nothing. Two rebuilds of one view take turns. With `processes` 2 a
    long log is shared with a second process, each document belonging to one of them.
    """
    turn = ("SELECT pg_advisory_lock(hashtext(%s))", "SELECT pg_advisory_unlock(hashtext(%s))")
    await conn.execute(turn[0], (projection.name,))
    try:
        await _forget(conn, projection, "building")
        build = await new_build(conn, projection, "building")
        try:
            return await _rebuild(conn, build, progress, dry_run, processes)
        except BaseException:
            if not conn.broken:
                await _forget(conn, projection, "building")
            raise
    finally:
        if not conn.broken:
            await conn.execute(turn[1], (projection.name,))


async def _rebuild(
    conn: AsyncConnection[Any], build: Build, progress: Progress, dry_run: bool, processes: int
) -> Rebuilt:
    projection = build.projection
    live = await live_build(conn, projection)
    head = await _position(conn, live[0]) if live else await follow.head(conn)
    if processes > 1 and head >= MANY and projection in PROJECTIONS:
        await _fill_in_two(conn, build, head, progress)
    else:
        await fill(conn, build, head, lambda position: progress(position, head))
    await index_build(conn, build)
    async with conn.transaction():
        # The lock holds the live view where it is: both are compared at one position.
        await conn.execute("SELECT FROM projection WHERE name = %s FOR UPDATE", (projection.name,))
        live = await live_build(conn, projection)
        rebuilt = Rebuilt(0, 0)
        if live:
            await fill(conn, build, await _position(conn, live[0]))
            await _compare(conn, live[0], build, rebuilt)
        await fill(conn, build, await follow.head(conn))
        rebuilt.position, rebuilt.documents = await _position(conn, build), await _count(conn, build)
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


async def fill(
    conn: AsyncConnection[Any],
    build: Build,
    until: int,
    tell: Callable[[int], None] = lambda position: None,
) -> None:
    """Fold the ledger from the build's position up to another one."""
    after = await _position(conn, build)
    unreadable = await _fold_share(conn, build, after, until, 0, 1, tell)
    await _filled(conn, build, until, unreadable)


async def _filled(conn: AsyncConnection[Any], build: Build, until: int, unreadable: int) -> None:
    await conn.execute(
        "UPDATE projection SET position = greatest(position, %s), skipped = skipped + %s"
        " WHERE (name, build) = (%s, %s)",
        (until, unreadable, build.projection.name, build.number),
    )


async def _fold_share(
    conn: AsyncConnection[Any],
    build: Build,
    after: int,
    until: int,
    share: int,
    shares: int,
    tell: Callable[[int], None],
) -> int:
    """Fold the events of one's share of the documents; how many of them are unreadable."""
    documents: dict[str, Row] = {}
    unreadable, stored = 0, after > 0
    async with aclosing(_read_ahead(conn, after, until)) as chunks:
        async for chunk in chunks:
            facts = _share(build.projection, chunk, share, shares)
            if stored:
                absent = keys_of(build.projection, facts) - documents.keys()
                documents |= await take(conn, build, absent)
            unreadable += fold(build.projection, documents, facts)
            if len(documents) > KEPT:
                oldest = list(islice(documents, KEPT // 2))
                await put(conn, build, map(documents.pop, oldest))
                stored = True
            tell(chunk[0][-1])
    await put(conn, build, documents.values())
    return unreadable


def _share(
    projection: Projection, chunk: Chunk, share: int, shares: int
) -> Sequence[tuple[int, Fact | Ignored | None]]:
    positions, bodies = chunk
    if shares > 1:
        keys = projection.reader.keys(bodies)
        own = [crc32((key or "").encode()) % shares == share for key in keys]
        positions, bodies = list(compress(positions, own)), list(compress(bodies, own))
    return list(zip(positions, projection.reader.read_all(bodies), strict=True))


async def _read_ahead(conn: AsyncConnection[Any], after: int, until: int) -> AsyncGenerator[Chunk, None]:
    """The ledger in chunks: the next one is on its way while one is worked on."""
    coming: asyncio.Task[Chunk] | None = None
    try:
        while after < until or coming:
            chunk = await coming if coming else None
            coming = None
            if after < until:
                coming = asyncio.create_task(_chunk(conn, after, min(after + CHUNK, until)))
                after += CHUNK
                await asyncio.sleep(0)  # the question leaves before the answer is needed
            if chunk and chunk[0]:
                yield chunk
    finally:
        if coming:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


async def _chunk(conn: AsyncConnection[Any], after: int, until: int) -> Chunk:
    """In one value, which is several times faster than row by row."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_LINES, (after, until))
        [(first, last, count, text)] = await cursor.fetchall()
    if not count:
        return [], []
    lines = text.split(b"\n")
    if last - first + 1 == count == len(lines):
        return range(first, last + 1), lines
    rows = await sql.rows(conn, _ROWS, (after, until))  # a damaged ledger
    return [position for position, _ in rows], [body.encode() for _, body in rows]


_LINES = """
SELECT min(seq), max(seq), count(*), convert_to(string_agg(body, chr(10) ORDER BY seq), 'UTF8')
FROM ledger WHERE seq > %s AND seq <= %s
"""
_ROWS = "SELECT seq, body FROM ledger WHERE seq > %s AND seq <= %s ORDER BY seq"


# In two processes


@dataclass(slots=True)
class _Other:
    """The second process, as far as it has been heard."""

    said: Connection
    reached: int = 0
    unreadable: int | None = None
    """Once it has come to its end."""

    def hear(self) -> None:
        """The next thing it says; waits for it."""
        match self.said.recv():
            case int(position):
                self.reached = position
            case {"unreadable": unreadable}:
                self.unreadable = unreadable
            case why:
                raise RebuildFailed(f"its second process failed: {why}")


async def _fill_in_two(conn: AsyncConnection[Any], build: Build, until: int, progress: Progress) -> None:
    here, there = multiprocessing.Pipe(duplex=False)
    other = _Other(here)
    dsn = make_conninfo(conn.info.dsn, password=conn.info.password)
    process = multiprocessing.get_context("spawn").Process(
        target=_other_half, args=(dsn, build.projection.name, build.number, until, there), daemon=True
    )

    def tell(position: int) -> None:
        while other.unreadable is None and here.poll():
            other.hear()
        progress(min(position, other.reached), until)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is handled here, for both
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    try:
        unreadable = await _fold_share(conn, build, 0, until, 0, 2, tell)
        while other.unreadable is None:
            await asyncio.to_thread(other.hear)
            progress(other.reached, until)
    except EOFError:
        process.join()
        raise RebuildFailed(f"its second process ended with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        here.close()
    await _filled(conn, build, until, unreadable + other.unreadable)


def _other_half(dsn: str, name: str, number: int, until: int, there: Connection) -> None:
    gc.disable()  # a document leads nowhere but to its parts
    build = Build(next(each for each in PROJECTIONS if each.name == name), number)

    async def work() -> int:
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            return await _fold_share(conn, build, 0, until, 1, 2, there.send)

    try:
        there.send({"unreadable": asyncio.run(work())})
    except BrokenPipeError:
        return  # nobody is waiting any more
    except Exception as why:
        there.send(str(why))


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

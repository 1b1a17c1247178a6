"""One writer per store: all commands that wait are committed by one statement.

Every writer of an event table takes the same advisory lock until its commit, so positions are handed out in
commit order: a reader that has seen position n will never meet a new event below it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.errors import DiskFull, UniqueViolation

from eventlog.recorded import STAMP_HERE, UNSTAMPED, Recorded, encode

BATCH = 500
"""Commands in one transaction, at most."""

Stamp = Callable[[datetime], Sequence[Recorded]]
"""Gives the events of one command their recording time, the database clock's."""


class VersionConflict(Exception):
    """Someone else appended to the stream meanwhile. Nothing of this command was stored."""


class OutcomeUnknown(Exception):
    """The connection broke before the answer came: the command may or may not be stored."""


@dataclass(slots=True)
class Append:
    stream: str
    version: int
    """The stream's version that the command was decided on."""
    stamp: Stamp
    done: asyncio.Future[tuple[Sequence[Recorded], int]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GroupCommit:
    """Commits what waits, in the order it came; at most one command of a stream in a batch.

    A version conflict fails only its own command.
    """

    def __init__(
        self, dsn: str, *, lock: int, committed: Callable[[Sequence[tuple[int, bytes]]], None]
    ) -> None:
        self._dsn = dsn
        self._lock = lock
        self._committed = committed
        self._waiting: asyncio.Queue[Append] = asyncio.Queue()
        self._conn: AsyncConnection[Any] | None = None

    async def append(self, stream: str, version: int, stamp: Stamp) -> tuple[Sequence[Recorded], int]:
        """What was recorded and the position of its last event.

        Raises VersionConflict, OutcomeUnknown, or DiskFull, when nothing of it was stored.
        """
        append = Append(stream, version, stamp)
        self._waiting.put_nowait(append)
        return await append.done

    async def run(self) -> None:
        """Commit until cancelled."""
        try:
            deferred: list[Append] = []
            while True:
                batch, deferred = await self._next_batch(deferred)
                await self._commit_batch(batch)
        finally:
            await self._disconnect()

    async def _next_batch(self, deferred: list[Append]) -> tuple[list[Append], list[Append]]:
        waiting = deferred or [await self._waiting.get()]
        with suppress(asyncio.QueueEmpty):
            while len(waiting) < BATCH:
                waiting.append(self._waiting.get_nowait())
        batch: dict[str, Append] = {}
        later = [append for append in waiting if batch.setdefault(append.stream, append) is not append]
        return list(batch.values()), later

    async def _commit_batch(self, batch: list[Append]) -> None:
        batch = [append for append in batch if not append.done.done()]  # its caller gave up
        try:
            if batch:
                await self._commit(batch)
        except DiskFull as why:
            _fail(batch, why)
        except (OperationalError, InterfaceError, OSError) as why:
            await self._disconnect()
            _fail(batch, OutcomeUnknown(str(why)))
        except Exception as why:
            # A conflict or a defect of one command must stop neither the writer nor the others.
            if len(batch) == 1:
                _fail(batch, VersionConflict() if isinstance(why, UniqueViolation) else why)
            else:
                for append in batch:
                    await self._commit_batch([append])

    async def _commit(self, batch: list[Append]) -> None:
        conn = await self._connect()
        rows = [
            (r.stream, r.version, append.version, r.event.type, encode(r).decode())
            for append in batch
            for r in append.stamp(UNSTAMPED)
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        inserted = await (await conn.execute(_APPEND, [self._lock, *columns])).fetchall()
        positions = {stream: position for stream, _, position, _, _ in inserted}
        for append in batch:
            if append.done.done():
                continue
            if append.stream in positions:
                append.done.set_result((append.stamp(inserted[0][3]), positions[append.stream]))
            else:
                append.done.set_exception(VersionConflict())
        if inserted:
            bodies = {(stream, version): body for stream, version, _, _, body in rows}
            self._committed(
                [
                    (position, bodies[stream, version].replace(STAMP_HERE, stamp).encode())
                    for stream, version, position, _, stamp in inserted
                ]
            )

    async def _connect(self) -> AsyncConnection[Any]:
        if self._conn is None:
            self._conn = await AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=2)
            # Planned once, and by the key: a plan made while the table was empty would else read all of it.
            await self._conn.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        return self._conn

    async def _disconnect(self) -> None:
        if self._conn is not None:
            conn, self._conn = self._conn, None
            with suppress(OperationalError, InterfaceError, OSError):
                await conn.close()


_APPEND = """
WITH locked AS MATERIALIZED (
    SELECT clock_timestamp() AS now FROM pg_advisory_xact_lock(%s)
), stamp AS MATERIALIZED (
    SELECT now, to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS text FROM locked
)
INSERT INTO events (originator_id, originator_version, topic, state)
SELECT new.stream, new.version, new.type, convert_to(replace(new.body, E'\\x01', stamp.text), 'UTF8')
FROM stamp, unnest(%b::text[], %s::bigint[], %s::bigint[], %b::text[], %b::text[])
    AS new (stream, version, decided_on, type, body)
WHERE new.decided_on = coalesce((
    SELECT originator_version FROM events
    WHERE (originator_id, originator_version) = (new.stream, new.decided_on)), 0)
RETURNING originator_id, originator_version, notification_id,
    (SELECT now FROM stamp), (SELECT text FROM stamp)
"""
"""Clock and positions are taken with the lock held. That nothing newer than the version decided on is stored
is checked by the key of the table, for the statement sees the table as it was before it got the lock; that
the version itself is, by the condition."""


def _fail(batch: Sequence[Append], why: Exception) -> None:
    for append in batch:
        if not append.done.done():
            append.done.set_exception(why)

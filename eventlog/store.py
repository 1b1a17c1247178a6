"""Where a service records its events: one PostgreSQL table per service.

The only module that knows pyeventsourcing.
"""

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import AsyncConnection, Cursor, InterfaceError, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DiskFull
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from eventlog import sql
from eventlog.decider import Decider
from eventlog.feed import FeedEvent, FeedPage
from eventlog.group_commit import GroupCommit, OutcomeUnknown, VersionConflict
from eventlog.recorded import Metadata, Recorded, decode, event_hash
from eventlog.shared import Shared
from eventlog.signal import Signal
from eventlog.supervise import end
from eventlog.tail import Tail
from events import Event

S = TypeVar("S")
C = TypeVar("C")

TABLE = "events"
RECENT = 4_000
"""Streams whose history is remembered from their last append."""
CONNECTED_WITHIN = 2.0
"""Seconds that a command waits for its turn to read."""
TURN_TRIED_EVERY = 1.0
ATTEMPTS = 50
"""Of which all but one are lost to other processes that are busy with the same stream."""


class UnknownStream(Exception):
    """There is no such thing, or it belongs to another site: the caller may not learn which."""


class StaleVersion(Exception):
    """The thing has changed since the caller looked at it. Nothing was recorded."""

    def __init__(self, current: int) -> None:
        super().__init__(f"it is now at version {current}")
        self.current = current


class KeyReused(Exception):
    """The command id was used before with another body. Nothing was recorded."""


class Unavailable(Exception):
    """The store cannot be reached now; whether a command was recorded shows when it is repeated."""


class Full(Unavailable):
    """The store's disk is full. Nothing was recorded, and nothing will be until there is room."""


@dataclass(frozen=True, slots=True)
class Handled:
    """The answer to a command: what it recorded, now or the first time it came."""

    version: int
    """Of the stream, after the command."""
    position: int | None
    """Of its last event in the store; None if it recorded nothing now."""
    recorded: Sequence[Recorded]
    repeated: bool = False


class EventStore:
    """One service's events.

    Appended events are on disk when `handle` returns, in commit order of their positions. A command id is
    handled once: the same command again gets the first answer. Events of one stream belong to one site.
    """

    def __init__(self, source: str, dsn: str) -> None:
        self.source = source
        self.committed = Signal()
        self._dsn = dsn
        self._recorder = AdvisoryLockRecorder(datastore(dsn))
        self._select = self._recorder.select_events_statement + SQL(" ORDER BY originator_version")
        self._writer = GroupCommit(
            dsn,
            lock=self._recorder.lock,
            committed=self._note,
        )
        self.pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            dsn, min_size=1, max_size=8, timeout=CONNECTED_WITHIN, open=False, kwargs={"autocommit": True}
        )
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recent: OrderedDict[str, Sequence[Recorded]] = OrderedDict()
        self._shared = Shared(self.stream, CONNECTED_WITHIN)
        self._tail: Tail[bytes] = Tail()
        self._epoch: str | None = None

    async def provision(self) -> None:
        """Create what is missing; harmless to repeat."""
        await asyncio.to_thread(self._recorder.create_table)
        async with await AsyncConnection.connect(self._dsn, autocommit=True) as conn:
            await conn.execute(
                "CREATE TABLE IF NOT EXISTS store (source text PRIMARY KEY, epoch text NOT NULL, "
                "relayed bigint NOT NULL DEFAULT 0)"
            )
            await conn.execute("ALTER TABLE store ADD COLUMN IF NOT EXISTS carrier text")
            await conn.execute(
                "ALTER TABLE store ADD COLUMN IF NOT EXISTS read_back bigint,"
                " ADD COLUMN IF NOT EXISTS read_back_place bigint NOT NULL DEFAULT 0"
            )
            await conn.execute("UPDATE store SET read_back = relayed WHERE read_back IS NULL")
            await conn.execute(
                "INSERT INTO store (source, epoch, read_back) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
                (self.source, str(uuid.uuid4())),
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["EventStore"]:
        """Open for commands. Works, answering Unavailable, while PostgreSQL is away."""
        await self.pool.open(wait=False)
        writer = asyncio.create_task(self._writer.run(), name=f"{self.source}-writer")
        try:
            yield self
        finally:
            await end(writer)
            await self.pool.close()
            await asyncio.to_thread(self._recorder.datastore.close)

    async def handle(
        self,
        decider: Decider[S, C],
        stream: str,
        command: C,
        metadata: Metadata,
        *,
        new: bool = False,
        expected_version: int | None = None,
    ) -> Handled:
        """Load, decide, append; decide again if someone else appended meanwhile.

        `new` says that the command may begin the stream. Raises what the decider raises, UnknownStream,
        StaleVersion, KeyReused, Unavailable, Full.
        """
        # Commands of one stream take turns here: all but the first would only be decided in vain.
        async with self._turns.setdefault(stream, asyncio.Lock()):
            return await self._handle(decider, stream, command, metadata, new, expected_version)

    async def _handle(
        self,
        decider: Decider[S, C],
        stream: str,
        command: C,
        metadata: Metadata,
        new: bool,
        expected_version: int | None,
    ) -> Handled:
        # What was appended here last is a good guess at what is stored; nothing is, of what is new. An append
        # is checked against the truth anyway, any other outcome is believed only of what was just read.
        guess = self._recent.get(stream, () if new else None)
        for _ in range(ATTEMPTS):
            certain = guess is None
            history = await self.stream(stream) if guess is None else guess
            guess = None
            try:
                events = _decide(decider, stream, command, metadata, history, new, expected_version)
            except Exception:
                if certain:
                    raise
                continue
            if events:
                try:
                    recorded, position = await self.append(stream, len(history), events, metadata)
                except (VersionConflict, OutcomeUnknown):
                    continue  # what is stored now decides: ours, then it is done; another's, decide again
                self._remember(stream, [*history, *recorded])
                return Handled(recorded[-1].version, position, recorded)
            if certain:
                return await self._answer_again(metadata, history)
        raise Unavailable(f"{self.source} could not record the command after {ATTEMPTS} attempts")

    async def _answer_again(self, metadata: Metadata, history: Sequence[Recorded]) -> Handled:
        """The first answer to a command that came again; nothing for one that nothing was left to do for."""
        if before := _of_command(metadata, history):
            return Handled(before[-1].version, await self._position(before[-1]), before, repeated=True)
        return Handled(len(history), None, ())

    def _remember(self, stream: str, history: Sequence[Recorded]) -> None:
        self._recent[stream] = history
        self._recent.move_to_end(stream)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    async def append(
        self, stream: str, version: int, events: Sequence[Event], metadata: Metadata | Sequence[Metadata]
    ) -> tuple[Sequence[Recorded], int]:
        """Record events after a version of a stream. Raises VersionConflict, OutcomeUnknown, Full."""
        each = [metadata] * len(events) if isinstance(metadata, Metadata) else metadata

        def stamp(now: datetime) -> Sequence[Recorded]:
            return [
                Recorded(stream=stream, version=version + n, event=event, recorded_at=now, metadata=m)
                for n, (event, m) in enumerate(zip(events, each, strict=True), start=1)
            ]

        try:
            return await self._writer.append(stream, version, stamp)
        except DiskFull as why:
            raise Full(f"the disk of the event store of {self.source} is full") from why

    async def stream(self, name: str) -> list[Recorded]:
        async with self._connection() as conn:
            stored = await sql.rows(conn, self._select, (name,))
        return [decode(state) for _stream, _version, _type, state, _position in stored]

    async def shared_stream(self, name: str) -> Sequence[Recorded]:
        """The same for a stream that many commands read at the same time: one reading for all who wait."""
        try:
            return await self._shared(name)
        except TimeoutError as why:
            raise Unavailable(f"the event store of {self.source} does not answer") from why

    async def streams_begun(
        self, by: type[Event], site: str, since: datetime, until: datetime, limit: int
    ) -> list[str]:
        """Streams of a site whose first event, of this type, was recorded in a period, the oldest first.

        Reads the whole table: for people who ask now and then, not for what happens with every command.
        """
        async with self._connection() as conn:
            found = await sql.rows(conn, _BEGUN, (by.type, site, since, until, limit))
        return [stream for [stream] in found]

    async def page(self, after: int, limit: int) -> FeedPage:
        """The store's events behind a position, in commit order: what the relay publishes and the feed shows.

        `head` is the last position there is; no event will ever appear below it.
        """
        async with self._connection() as conn:
            stored = await sql.rows(conn, _PAGE, {"after": after, "limit": limit})
            epoch = await self.epoch(conn)
        head, before = stored[0][:2]
        events = []
        for _, _, position, body in stored if stored[0][3] else ():
            events.append(FeedEvent(pos=position, prev_pos=before, hash=event_hash(body), body=body))
            before = position
        return FeedPage(source=self.source, epoch=epoch, head=head, events=events)

    @property
    def last(self) -> int:
        """The last position that this process appended."""
        return self._tail.last

    def recent(self, after: int, limit: int) -> FeedPage | None:
        """The same page from memory, if this process appended all that is behind the position just now."""
        rows = self._tail.since(after)[:limit]
        if not rows or self._epoch is None:
            return None
        events = [FeedEvent(pos=at, prev_pos=at - 1, hash=event_hash(body), body=body) for at, body in rows]
        return FeedPage(source=self.source, epoch=self._epoch, head=self.last, events=events)

    def _note(self, committed: Sequence[tuple[int, bytes]]) -> None:
        self._tail.extend(committed)
        self.committed.set()

    async def epoch(self, conn: AsyncConnection[Any]) -> str:
        if self._epoch is None:
            [epoch] = await sql.row(conn, "SELECT epoch FROM store WHERE source = %s", (self.source,))
            self._epoch = str(epoch)
        return self._epoch

    async def relayed(self) -> int:
        """Up to where the relay has published."""
        async with self._connection() as conn:
            [position] = await sql.row(conn, "SELECT relayed FROM store WHERE source = %s", (self.source,))
        return int(position)

    async def relayed_into(self, carrier: str, kept: timedelta) -> int:
        """Up to where the relay has published into this stream of the bus.

        Into a new stream it has published nothing: there it begins with the events that are no older than
        what the stream keeps.
        """
        async with self._connection() as conn:
            await conn.execute(_NEW_CARRIER, {"carrier": carrier, "kept": kept, "source": self.source})
        return await self.relayed()

    async def set_relayed(self, carrier: str, position: int) -> None:
        """Not waiting for the disk: what a crash takes back is only published once more."""
        async with self._connection() as conn:
            await conn.execute(_RELAYED, (position, self.source, carrier))

    @asynccontextmanager
    async def alone(self, task: str) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for a task that no two processes may do at once; waits for its turn."""
        async with await AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=2) as conn:
            turn = ("SELECT pg_try_advisory_lock(hashtext(%s))", (f"{task} of {self.source}",))
            while not (await sql.row(conn, *turn))[0]:  # noqa: ASYNC110 - another process has it
                await asyncio.sleep(TURN_TRIED_EVERY)
            yield conn

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        try:
            async with self.pool.connection() as conn:
                yield conn
        except DiskFull as why:
            raise Full(f"the disk of the event store of {self.source} is full") from why
        except (PoolTimeout, OperationalError, InterfaceError) as why:
            raise Unavailable(f"the event store of {self.source} cannot be reached") from why

    async def _position(self, recorded: Recorded) -> int:
        async with self._connection() as conn:
            [position] = await sql.row(conn, _POSITION, (recorded.stream, recorded.version))
        return int(position)


def _decide(
    decider: Decider[S, C],
    stream: str,
    command: C,
    metadata: Metadata,
    history: Sequence[Recorded],
    new: bool,
    expected_version: int | None,
) -> Sequence[Event]:
    """The events the command leads to; none for one that is done already."""
    if history[0].metadata.site != metadata.site if history else not new:
        raise UnknownStream(stream)
    if before := _of_command(metadata, history):
        if before[0].metadata.fingerprint != metadata.fingerprint:
            raise KeyReused(metadata.command_id)
        return ()
    if expected_version not in (None, len(history)):
        raise StaleVersion(len(history))
    return decider.decide(command, decider.fold(recorded.event for recorded in history))


def _of_command(metadata: Metadata, history: Sequence[Recorded]) -> Sequence[Recorded]:
    return [recorded for recorded in history if recorded.metadata.command_id == metadata.command_id]


_PAGE = """
SELECT head, before, page.* FROM (
    SELECT (SELECT coalesce(max(notification_id), 0) FROM events) AS head,
           (SELECT coalesce(max(notification_id), 0) FROM events WHERE notification_id <= %(after)s) AS before
) AS place LEFT JOIN LATERAL (
    SELECT notification_id, state FROM events WHERE notification_id > %(after)s
    ORDER BY notification_id LIMIT %(limit)s
) AS page ON true
ORDER BY notification_id
"""
_NEW_CARRIER = """
UPDATE store SET carrier = %(carrier)s, read_back_place = 0, (relayed, read_back) = (
    SELECT coalesce(max(position), 0), coalesce(max(position), 0) FROM (
        SELECT notification_id AS position FROM events
        WHERE (convert_from(state, 'UTF8')::json ->> 'recorded_at')::timestamptz
            < clock_timestamp() - %(kept)s
        ORDER BY notification_id DESC LIMIT 1) AS too_old)
WHERE source = %(source)s AND carrier IS DISTINCT FROM %(carrier)s
"""
_BEGUN = """
SELECT originator_id FROM events
WHERE topic = %s AND originator_version = 1 AND convert_from(state, 'UTF8')::json ->> 'site' = %s
    AND (convert_from(state, 'UTF8')::json ->> 'recorded_at')::timestamptz BETWEEN %s AND %s
ORDER BY notification_id LIMIT %s
"""
_RELAYED = """
WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE store SET relayed = greatest(relayed, %s) FROM soon WHERE (source, carrier) = (%s, %s)
"""
_POSITION = "SELECT notification_id FROM events WHERE (originator_id, originator_version) = (%s, %s)"


def datastore(dsn: str) -> PostgresDatastore:
    """pyeventsourcing's handle on a database, with string stream names. Its database functions stay off:
    they drop the lock that keeps positions in commit order."""
    at = conninfo_to_dict(dsn)
    return _Datastore(
        dbname=str(at["dbname"]),
        host=str(at.get("host", "")),
        port=str(at.get("port", 5432)),
        user=str(at.get("user", "")),
        password=str(at.get("password", "")),
        originator_id_type="text",
        enable_db_functions=False,
    )


class _Datastore(PostgresDatastore):
    def register_type_adapters(self) -> None:
        """Not needed for plain arrays, and it would need the database already when a store is constructed."""


class AdvisoryLockRecorder(PostgresApplicationRecorder):
    """pyeventsourcing's recorder without the table lock.

    An advisory lock gives the same order, needs no more than INSERT and SELECT, and does not wait for ANALYZE
    or index builds. No NOTIFY inside the transaction either: it would serialise all commits of the database.
    """

    def __init__(self, store: PostgresDatastore) -> None:
        if store.enable_db_functions:
            raise ValueError(
                "POSTGRES_ENABLE_DB_FUNCTIONS drops the commit order: followers would lose events"
            )
        super().__init__(store, events_table_name=TABLE)
        self.lock = int.from_bytes(hashlib.sha256(f"{store.schema}.{TABLE}".encode()).digest()[:7])
        table = SQL("{}.{}").format(Identifier(store.schema), Identifier(TABLE))
        self.insert_events_statement = (
            SQL("INSERT INTO ")
            + table
            + SQL(
                " (originator_id, originator_version, topic, state)"
                " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[])"
                " RETURNING notification_id"
            )
        )

    def _lock_table(self, curs: Cursor[DictRow]) -> None:
        curs.execute("SELECT pg_advisory_xact_lock(%s)", (self.lock,))

    def _notify_channel(self, curs: Cursor[DictRow]) -> None:
        pass

    def _insert_stored_events(
        self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        self._lock_table(curs)
        rows = [(e.originator_id, e.originator_version, e.topic, e.state) for e in stored_events]
        curs.execute(self.insert_events_statement, [list(column) for column in zip(*rows, strict=True)])

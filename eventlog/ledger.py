"""The ledger: the events of all services in one gap-free order, each row chained to the one before it.

An event that a service holds appears here exactly once, in the order of its service, or `stopped` names what
is wrong with that service's log. What the bus loses is read from the service's own feed.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString

import orjson
import structlog
from psycopg import AsyncClientCursor, AsyncConnection
from psycopg_pool import AsyncConnectionPool

from eventlog import sql
from eventlog.bus import Arrival
from eventlog.feed import FeedEvent, FeedPage
from eventlog.recorded import event_hash
from eventlog.signal import Signal
from eventlog.supervise import end, supervise

log = structlog.get_logger()

Feed = Callable[[int, int], Awaitable[FeedPage]]
"""Reads a service's own log: (after, limit) -> page."""

GENESIS = hashlib.sha256(b"bayledger").hexdigest()
CHANNEL = "ledger"
PAGE = 500
WORTH_A_COPY = 50
ANNOUNCED_EVERY = 60.0
"""Seconds after which it is told again how far the ledger has grown, at the latest."""

Row = tuple[int, str, str, int, str, str, str, str, str]
"""seq, source, epoch, pos, hash, chain, site, recorded_at, body"""

_NOTE = """
WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO ledger_source AS known (source, epoch, pos, head, head_at, level_at)
SELECT %(source)s, %(epoch)s, 0, %(head)s, clock_timestamp(), clock_timestamp() FROM soon
ON CONFLICT (source) DO UPDATE SET head = excluded.head, head_at = excluded.head_at,
    level_at = CASE WHEN excluded.head <= known.pos THEN excluded.level_at ELSE known.level_at END
RETURNING epoch, pos, stopped
"""
"""Not waiting for the disk, and letting go of the source at once: events are waiting to be appended."""

_BEGIN = """
BEGIN;
SELECT seq, chain FROM ledger_head FOR UPDATE;
SELECT source, epoch, pos, stopped FROM ledger_source
"""
_ROW: LiteralString = "ledger (seq, source, epoch, pos, hash, chain, site, recorded_at, body)"
_VALUES: LiteralString = """
(r->>0)::bigint, r->>1, r->>2, (r->>3)::bigint, r->>4, r->>5, r->>6, (r->>7)::timestamptz, r->>8
"""
"""Of rows that come as one text: as arrays, the client would take ten times as long to quote them."""
_INSERT: LiteralString = f"INSERT INTO {_ROW} SELECT {_VALUES} FROM json_array_elements(%s) AS r"
_ADVANCE: LiteralString = f"""
WITH head AS MATERIALIZED (
    SELECT seq, chain FROM ledger_head FOR UPDATE
), source AS (
    UPDATE ledger_source AS known SET pos = %(pos)s FROM head
    WHERE (head.seq, head.chain) = (%(known_seq)s, %(known_chain)s) AND known.stopped IS NULL
        AND (known.source, known.epoch, known.pos) = (%(source)s, %(epoch)s, %(known_pos)s)
    RETURNING known.source
), moved AS (
    UPDATE ledger_head SET seq = %(seq)s, chain = %(chain)s FROM source RETURNING one
)
INSERT INTO {_ROW} SELECT {_VALUES} FROM moved, json_array_elements(%(rows)s) AS r
"""
"""Append what follows the last event of one source, if ledger and source are where they are known to be; else
nothing."""
_SOURCES = """
INSERT INTO ledger_source (source, epoch, pos, stopped)
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[])
ON CONFLICT (source) DO UPDATE SET pos = excluded.pos,
    stopped = coalesce(ledger_source.stopped, excluded.stopped)
"""
_NOTIFY = """
WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
SELECT pg_notify(%s, %s) FROM soon
"""
"""After the commit, or it would serialise the database's commits; it does not wait for the disk: nothing is
lost with it."""

TABLES = """
CREATE TABLE IF NOT EXISTS ledger (
    seq         bigint PRIMARY KEY,
    source      text NOT NULL,
    epoch       text NOT NULL,
    pos         bigint NOT NULL,
    hash        text NOT NULL,
    chain       text NOT NULL,
    site        text NOT NULL,
    recorded_at timestamptz NOT NULL,
    body        text NOT NULL,
    UNIQUE (source, epoch, pos)
);
CREATE INDEX IF NOT EXISTS ledger_recorded_at ON ledger (recorded_at);
CREATE TABLE IF NOT EXISTS ledger_head (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq   bigint NOT NULL,
    chain text NOT NULL
);
CREATE TABLE IF NOT EXISTS ledger_source (
    source  text PRIMARY KEY,
    epoch   text NOT NULL,
    pos     bigint NOT NULL,
    head    bigint NOT NULL DEFAULT 0,
    head_at timestamptz,
    level_at timestamptz,
    stopped text
);
CREATE TABLE IF NOT EXISTS checkpoint (seq bigint PRIMARY KEY, document json NOT NULL)
"""


def link(chain: str, seq: int, source: str, epoch: str, pos: int, hash: str) -> str:
    """The hash that ties a row to the one before it."""
    return hashlib.sha256(f"{chain}|{seq}|{source}|{epoch}|{pos}|{hash}".encode()).hexdigest()


@dataclass(slots=True)
class SourceState:
    source: str
    epoch: str
    pos: int
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """How the ledger stood after it was last changed here."""

    seq: int
    chain: str
    sources: dict[str, SourceState]


Whole = tuple[Arrival, tuple[str, str, str]]
"""An event with its site, recording time and text."""


@dataclass(frozen=True, slots=True)
class Ingested:
    appended: int
    gaps: set[str]
    """Sources of which something in between is missing: to be refilled from their feed."""


class Ledger:
    def __init__(
        self,
        dsn: str,
        feeds: Mapping[str, Feed],
        grown: Callable[[list[tuple[int, str]]], None] | None = None,
    ) -> None:
        """`grown` is told positions and events that were appended here; listen on CHANNEL for all."""
        self._dsn = dsn
        self._feeds = feeds
        self._grown = grown
        self._known: Known | None = None
        self._head = 0
        self._appended = Signal()
        self.pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=6,
            timeout=2,
            open=False,
            kwargs={"autocommit": True},
            configure=_configure,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Ledger"]:
        """Open for reading and ingesting, also while PostgreSQL is away."""
        await self.pool.open(wait=False)
        announcing = asyncio.create_task(supervise("ledger.announcements", self._announce))
        try:
            yield self
        finally:
            await end(announcing)
            await self.pool.close()

    @property
    def sources(self) -> Sequence[str]:
        return list(self._feeds)

    async def provision(self) -> None:
        """Create what is missing; harmless to repeat."""
        async with await AsyncConnection.connect(self._dsn) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(7401)")
            await conn.execute(TABLES)
            await conn.execute(
                "INSERT INTO ledger_head VALUES (true, 0, %s) ON CONFLICT DO NOTHING", (GENESIS,)
            )

    async def ingest(self, arrivals: Sequence[Arrival]) -> Ingested:
        """Append what is new, in one transaction.

        A position already here is dropped after comparing its hash: another hash is a fork and stops its
        source. What does not follow its source's last position is left out and reported as a gap.
        """
        whole, gaps = self._whole(arrivals), set[str]()
        async with self.pool.connection() as conn:
            rows = await self._advance(conn, whole) or await self._take(conn, whole, gaps)
        if rows:
            # Readers here first: woken by PostgreSQL, they would read there what comes from memory.
            if self._grown:
                self._grown([(seq, body) for seq, *_, body in rows])
            self._head = rows[-1][0]
            self._appended.set()
        return Ingested(len(rows), gaps)

    async def _advance(self, conn: AsyncConnection[Any], whole: Sequence[Whole]) -> list[Row]:
        """Append in one round trip what comes nearly always: a few events that follow the last one of their
        source, to the ledger as this process left it. What is anything else is not touched: no rows."""
        known = self._known
        if known is None or not 0 < len(whole) < WORTH_A_COPY:
            return []
        state = known.sources.get(whole[0][0].source)
        if state is None:
            return []
        rows, seq, chain, position = list[Row](), known.seq, known.chain, state.pos
        for arrival, envelope in whole:
            follows = (arrival.source, arrival.epoch, arrival.event.prev_pos)
            if follows != (state.source, state.epoch, position) or arrival.event.pos <= position:
                return []
            rows.append(_row(seq, chain, arrival, envelope))
            seq, _, _, position, _, chain, *_ = rows[-1]
        self._known = None
        cursor = await conn.execute(
            _ADVANCE,
            {
                "source": state.source,
                "epoch": state.epoch,
                "known_pos": state.pos,
                "pos": position,
                "known_seq": known.seq,
                "known_chain": known.chain,
                "seq": seq,
                "chain": chain,
                "rows": orjson.dumps(rows).decode(),
            },
        )
        if not cursor.rowcount:
            return []
        self._known = Known(seq, chain, known.sources | {state.source: replace(state, pos=position)})
        return rows

    async def _take(
        self, conn: AsyncConnection[Any], whole: Sequence[Whole], gaps: set[str]
    ) -> Sequence[Row]:
        """Append whatever has come, the ledger locked and looked at first."""
        # Without their own round trips, BEGIN and COMMIT.
        seq, chain, states = await _begin(conn)
        before = {state.source: replace(state) for state in states.values()}
        # Before anything else: what follows an event that was rewritten must not be taken.
        await _stop_forked(conn, states, [arrival for arrival, _ in whole])
        taken: dict[tuple[str, int], str] = {}
        rows: list[Row] = []
        for arrival, envelope in whole:
            source, event = arrival.source, arrival.event
            state = states.setdefault(source, SourceState(source, arrival.epoch, 0))
            if state.stopped:
                continue
            if arrival.epoch != state.epoch:
                if not await _former(conn, arrival):
                    state.stopped = _replaced(state.epoch, arrival.epoch)
            elif event.pos <= state.pos:
                if taken.get((source, event.pos), event.hash) != event.hash:
                    state.stopped = _rewritten(event.pos)
            elif event.prev_pos != state.pos:
                gaps.add(source)
            else:
                taken[source, event.pos] = event.hash
                rows.append(_row(seq, chain, arrival, envelope))
                seq, _, _, state.pos, _, chain, *_ = rows[-1]
        if len(rows) >= WORTH_A_COPY:
            await _copy(conn, rows)
        changed = [state for state in states.values() if state != before.get(state.source)]
        await _commit(conn, seq, chain, changed, rows)
        self._known = Known(seq, chain, states)
        for state in changed:
            if state.stopped and not (state.source in before and before[state.source].stopped):
                log.error("ledger.stopped", source=state.source, why=state.stopped)
        return rows

    async def _announce(self) -> None:
        """Tell other processes how far the ledger has grown; once for all that came meanwhile."""
        while True:
            await self._appended.wait(ANNOUNCED_EVERY)
            async with self.pool.connection() as conn:
                await conn.execute(_NOTIFY, (CHANNEL, str(self._head)))

    async def refill(self, source: str) -> int:
        """Read from the service's own feed what the ledger does not have; the number of events appended."""
        appended = 0
        while True:
            # From the ledger's last event on: if that is another one there, the store was rewritten.
            known = await self._position(source)
            page = await self._feeds[source](max(known - 1, 0), PAGE)
            await self._compare(source, page, known)
            ingested = await self.ingest([Arrival(source, page.epoch, event) for event in page.events])
            if not ingested.appended:
                return appended
            appended += ingested.appended

    async def look(self, source: str) -> tuple[int, int]:
        """The ledger's position of a source, and the head of that source's log now.

        A last event that is another one there is a fork, even if nothing new ever follows it.
        """
        known = await self._position(source)
        page = await self._feeds[source](max(known - 1, 0), 1)
        position = await self._compare(source, page, known)
        await self.ingest([Arrival(source, page.epoch, event) for event in page.events if event.pos == known])
        return position, page.head

    async def _position(self, source: str) -> int:
        async with self.pool.connection() as conn:
            found = await sql.rows(conn, "SELECT pos FROM ledger_source WHERE source = %s", (source,))
        return int(found[0][0]) if found else 0

    async def _compare(self, source: str, page: FeedPage, known: int) -> int:
        """Note how far a service's log reaches; the ledger's position of it.

        A log that holds less than the ledger had when it was `known`, before the page was read, has lost
        events, one of another epoch was replaced: both stop. Since then the bus may have brought more.
        """
        async with self.pool.connection() as conn:
            [epoch, pos, stopped] = await sql.row(
                conn, _NOTE, {"source": source, "epoch": page.epoch, "head": page.head}
            )
            why = None
            if page.epoch != epoch:
                why = _replaced(epoch, page.epoch)
            elif page.head < known:
                why = f"its store ends at position {page.head}, the ledger holds {known}"
            if why and not stopped:
                log.error("ledger.stopped", source=source, why=why)
                await conn.execute(
                    "UPDATE ledger_source SET stopped = %s WHERE source = %s AND stopped IS NULL",
                    (why, source),
                )
        return int(pos)

    def _whole(self, arrivals: Sequence[Arrival]) -> list[Whole]:
        """With their envelopes, without what no service of ours stored."""
        whole = []
        for arrival in arrivals:
            try:
                whole.append((arrival, self._envelope(arrival)))
            except ValueError as why:
                log.warning("ledger.ignored", source=arrival.source, pos=arrival.event.pos, why=str(why))
        return whole

    def _envelope(self, arrival: Arrival) -> tuple[str, str, str]:
        """Site, recording time and text of an event. Raises ValueError for what no service of ours stored."""
        if arrival.source not in self._feeds:
            raise ValueError("no source of this ledger")
        if event_hash(arrival.event.body) != arrival.event.hash:
            raise ValueError("damaged on its way")
        body = arrival.event.body.decode()
        site, recorded_at = _text(body, "site"), _text(body, "recorded_at")
        if datetime.fromisoformat(recorded_at).tzinfo is None or "\0" in body:
            raise ValueError("no event")
        return site, recorded_at, body


async def _configure(conn: AsyncConnection[Any]) -> None:
    # By a key, always: a plan made while the table was empty would else read all of it for ever.
    await conn.execute("SET enable_seqscan = off")


def _rewritten(position: int) -> str:
    return f"its store was rewritten: position {position} holds another event"


def _replaced(epoch: str, by: str) -> str:
    return f"its store was replaced: epoch {by} follows {epoch}"


def _row(seq: int, chain: str, arrival: Arrival, envelope: tuple[str, str, str]) -> Row:
    """What follows a position of the ledger."""
    source, epoch, event = arrival.source, arrival.epoch, arrival.event
    chain = link(chain, seq + 1, source, epoch, event.pos, event.hash)
    return seq + 1, source, epoch, event.pos, event.hash, chain, *envelope


async def _begin(conn: AsyncConnection[Any]) -> tuple[int, str, dict[str, SourceState]]:
    """A transaction with the head locked: its place and chain, and the sources as they are then."""
    cursor = await conn.execute(_BEGIN)
    cursor.nextset()
    [(seq, chain)] = await cursor.fetchall()
    cursor.nextset()
    return seq, chain, {row[0]: SourceState(*row) for row in await cursor.fetchall()}


async def _copy(conn: AsyncConnection[Any], rows: Sequence[Row]) -> None:
    async with conn.cursor() as cursor, cursor.copy(f"COPY {_ROW} FROM STDIN") as copy:
        for row in rows:
            await copy.write_row(row)


async def _commit(
    conn: AsyncConnection[Any],
    seq: int,
    chain: str,
    changed: Sequence[SourceState],
    rows: Sequence[Row],
) -> None:
    """All the rest in one round trip."""
    statements, parameters = list[str](), list[Any]()
    if 0 < len(rows) < WORTH_A_COPY:
        statements.append(_INSERT)
        parameters.append(orjson.dumps(rows).decode())
    if changed:
        statements.append(_SOURCES)
        parameters += map(list, zip(*((s.source, s.epoch, s.pos, s.stopped) for s in changed), strict=True))
    if rows:
        statements.append("UPDATE ledger_head SET seq = %s, chain = %s")
        parameters += [seq, chain]
    statements.append("COMMIT")
    await AsyncClientCursor(conn).execute(";".join(statements), parameters)


def _text(body: str, name: str) -> str:
    """A text of the envelope: its keys are sorted, these stand behind the event's own data."""
    start = body.rindex(f'"{name}":"') + len(name) + 4
    return body[start : body.index('"', start)]


async def _former(conn: AsyncConnection[Any], arrival: Arrival) -> bool:
    """Whether it is left over on the bus from a store that was lost and has been readmitted since."""
    query = "SELECT FROM ledger WHERE source = %s AND epoch = %s LIMIT 1"
    return bool((await conn.execute(query, (arrival.source, arrival.epoch))).rowcount)


async def _stop_forked(
    conn: AsyncConnection[Any], states: Mapping[str, SourceState], arrivals: Sequence[Arrival]
) -> None:
    """Stop each source of which a position comes again with another event than the one the ledger holds."""
    repeated: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for arrival in arrivals:
        state = states.get(arrival.source)
        if state and not state.stopped and arrival.epoch == state.epoch and arrival.event.pos <= state.pos:
            repeated[state.source][arrival.event.pos].add(arrival.event.hash)
    for source, hashes in repeated.items():
        stored = await conn.execute(
            "SELECT pos, hash FROM ledger WHERE source = %s AND epoch = %s AND pos = ANY(%s) ORDER BY pos",
            (source, states[source].epoch, list(hashes)),
        )
        forked = next((pos for pos, hash in await stored.fetchall() if {hash} != hashes[pos]), None)
        if forked is not None:
            states[source].stopped = _rewritten(forked)


async def feed_page(
    conn: AsyncConnection[Any], after: int, limit: int, sites: Sequence[str] | None
) -> FeedPage:
    """The ledger's own feed, in the form of the services' feeds, positions being the ledger's.

    `sites` None means all, otherwise events of other sites are passed over. `epoch` names this ledger: it is
    the chain hash of its first row.
    """
    wanted = None if sites is None else list(sites)
    stored = await sql.rows(
        conn,
        "SELECT seq, hash, body FROM ledger WHERE seq > %s"
        " AND (%s::text[] IS NULL OR site = ANY(%s)) ORDER BY seq LIMIT %s",
        (after, wanted, wanted, limit),
    )
    [head] = await sql.row(conn, "SELECT seq FROM ledger_head")
    first = await sql.rows(conn, "SELECT chain FROM ledger WHERE seq = 1")
    events, before = [], after
    for seq, hash, body in stored:
        events.append(FeedEvent(seq, before, hash, body.encode()))
        before = seq
    return FeedPage("ledger", first[0][0] if first else GENESIS, head, events)

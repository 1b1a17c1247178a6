"""The stored views and the one loop that fills them: live, rebuilt, and for any past moment.

A view keeps each version of a document with the range of ledger positions in which it held. The current board
and the board as of yesterday are the same query with another position.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier

from eventlog import follow, sql
from eventlog.recorded import Recorded, from_json
from projections.projection import Document, Projection, known_types, to_json

FOREVER = 2**63 - 1
"""The end of a range that has not ended."""

READER = "bayledger_reader"
"""The role every read takes on; row-level security shows it the sites of its transaction only."""

TABLES = """
CREATE TABLE IF NOT EXISTS projection (
    name     text NOT NULL,
    build    int NOT NULL,
    version  int NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    skipped  bigint NOT NULL DEFAULT 0,
    status   text NOT NULL CHECK (status IN ('live', 'building', 'old')),
    PRIMARY KEY (name, build)
);
CREATE UNIQUE INDEX IF NOT EXISTS projection_live ON projection (name) WHERE status = 'live';
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bayledger_reader') THEN
        CREATE ROLE bayledger_reader NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
REVOKE ALL ON ledger, ledger_head, ledger_source, checkpoint FROM bayledger_reader;
GRANT SELECT ON projection TO bayledger_reader;
GRANT SELECT (seq, recorded_at) ON ledger TO bayledger_reader
"""


@dataclass(frozen=True, slots=True)
class Build:
    """One version of a view in the database."""

    projection: Projection
    number: int

    @property
    def table(self) -> str:
        return f"{self.projection.name}_{self.number}"


@dataclass(slots=True)
class _Row:
    key: str
    site: str
    from_pos: int
    event: str
    document: Document
    to_pos: int = FOREVER


@dataclass(slots=True)
class Advanced:
    """What one step of the loop did."""

    read: int = 0
    position: int = 0
    changed: list[str] = field(default_factory=list)


async def provision(conn: AsyncConnection[Any]) -> None:
    """Create what the views share; harmless to repeat."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(7402)")
        await conn.execute(TABLES)


async def live_build(conn: AsyncConnection[Any], projection: Projection) -> tuple[Build, int] | None:
    """The build that readers see, with the version it was made by."""
    found = await sql.rows(
        conn, "SELECT build, version FROM projection WHERE name = %s AND status = 'live'", (projection.name,)
    )
    return (Build(projection, found[0][0]), found[0][1]) if found else None


async def new_build(conn: AsyncConnection[Any], projection: Projection, status: str) -> Build:
    """Tables for the next version of the view, beside the ones there are; without the indexes of readers
    until it is live."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(7402)")
        [last] = await sql.row(
            conn, "SELECT coalesce(max(build), 0) FROM projection WHERE name = %s", (projection.name,)
        )
        build = Build(projection, last + 1)
        await conn.execute(_create_table(build))
        if status == "live":
            await index_build(conn, build)
        await conn.execute(
            "INSERT INTO projection (name, build, version, status) VALUES (%s, %s, %s, %s)",
            (projection.name, build.number, projection.version, status),
        )
    return build


async def index_build(conn: AsyncConnection[Any], build: Build) -> None:
    """What only readers need: a rebuild is filled first."""
    table = Identifier(build.table)
    statement = SQL(
        "ALTER TABLE {0} ADD PRIMARY KEY (key, from_pos);"
        "CREATE INDEX ON {0} (from_pos); CREATE INDEX ON {0} (site, from_pos, to_pos);"
    ).format(table)
    for name in build.projection.columns:
        statement += SQL("CREATE INDEX ON {} (site, {}) WHERE to_pos = 9223372036854775807;").format(
            table, Identifier(name)
        )
    await conn.execute(statement)


async def drop_build(conn: AsyncConnection[Any], build: Build) -> None:
    async with conn.transaction():
        await conn.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(build.table)))
        await conn.execute(
            "DELETE FROM projection WHERE (name, build) = (%s, %s)", (build.projection.name, build.number)
        )


async def advance(conn: AsyncConnection[Any], build: Build, limit: int) -> Advanced:
    """Fold the next rows of the ledger into a build: rows and position in one transaction.

    Two processes that advance the same build take turns. Events that this release cannot read, of unknown
    types or with unknown contents, are skipped and counted.
    """
    async with conn.transaction():
        found = await sql.rows(
            conn,
            "SELECT position, skipped FROM projection WHERE (name, build) = (%s, %s) FOR UPDATE",
            (build.projection.name, build.number),
        )
        if not found:
            return Advanced()
        [(position, skipped)] = found
        rows = await follow.read(conn, position, limit)
        if not rows:
            return Advanced(position=position)
        facts, unreadable = _facts(build.projection, rows)
        before = await _current(conn, build, {key for _, key, _ in facts})
        versions = _fold(build.projection, facts, before)
        await _store(conn, build, versions, before)
        await conn.execute(
            "UPDATE projection SET position = %s, skipped = %s WHERE (name, build) = (%s, %s)",
            (rows[-1][0], skipped + unreadable, build.projection.name, build.number),
        )
    return Advanced(len(rows), rows[-1][0], [row.key for row in versions])


def _facts(projection: Projection, rows: Sequence[follow.Row]) -> tuple[list[tuple[int, str, Recorded]], int]:
    """What concerns the view, and how many events of the log this release cannot read."""
    facts, unreadable, known = [], 0, known_types()
    for position, body in rows:
        stored = orjson.loads(body)
        if stored["type"] in projection.types:
            try:
                recorded = from_json(stored)
            except (ValueError, KeyError):
                unreadable += 1  # a recorded fact is never refused: the view goes on without it
                continue
            if (key := projection.key(recorded)) is not None:
                facts.append((position, key, recorded))
        elif stored["type"] not in known:
            unreadable += 1
    return facts, unreadable


def _fold(
    projection: Projection, facts: Iterable[tuple[int, str, Recorded]], before: dict[str, _Row]
) -> list[_Row]:
    """Every version the documents went through, in order; the first one of a key ends the stored one."""
    current = dict(before)
    versions: list[_Row] = []
    for position, key, recorded in facts:
        row = current.get(key)
        document = projection.evolve(row.document if row else None, recorded)
        if row:
            row.to_pos = position
        if document is None:
            current.pop(key, None)
            continue
        site = row.site if row else recorded.metadata.site
        current[key] = _Row(key, site, position, recorded.id, document)
        versions.append(current[key])
    return versions


async def _current(conn: AsyncConnection[Any], build: Build, keys: set[str]) -> dict[str, _Row]:
    if not keys:
        return {}
    query = SQL(
        "SELECT key, site, from_pos, event, document::text FROM {} WHERE to_pos = %s AND key = ANY(%s)"
    )
    found = await sql.rows(conn, query.format(Identifier(build.table)), (FOREVER, list(keys)))
    return {
        key: _Row(key, site, from_pos, event, orjson.loads(document))
        for key, site, from_pos, event, document in found
    }


async def _store(
    conn: AsyncConnection[Any], build: Build, versions: Sequence[_Row], before: dict[str, _Row]
) -> None:
    table, columns = Identifier(build.table), build.projection.columns
    if ended := [row for row in before.values() if row.to_pos != FOREVER]:
        await conn.execute(
            SQL(
                "UPDATE {} AS t SET to_pos = e.to_pos"
                " FROM unnest(%s::text[], %s::bigint[]) AS e (key, to_pos)"
                " WHERE t.key = e.key AND t.to_pos = %s"
            ).format(table),
            ([row.key for row in ended], [row.to_pos for row in ended], FOREVER),
        )
    if not versions:
        return
    names = ["key", "site", "from_pos", "to_pos", "event", "document", *columns]
    statement = SQL("COPY {} ({}) FROM STDIN").format(table, SQL(", ").join(map(Identifier, names)))
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in versions:
            values = [value(row.document) for _, value in columns.values()]
            await copy.write_row(
                [row.key, row.site, row.from_pos, row.to_pos, row.event, to_json(row.document), *values]
            )


def _create_table(build: Build) -> Composed:
    """Readers see rows of the sites of their transaction, whatever the query says; the owner writes all."""
    table = Identifier(build.table)
    columns = Composed([])
    for name, (type, _) in build.projection.columns.items():
        columns += SQL(", {} {}").format(Identifier(name), SQL(type))
    create = SQL(
        "CREATE TABLE {0} (key text NOT NULL, site text NOT NULL, from_pos bigint NOT NULL,"
        " to_pos bigint NOT NULL, event text NOT NULL, document json NOT NULL{1});"
        "CREATE UNIQUE INDEX ON {0} (key) WHERE to_pos = 9223372036854775807;"
    )
    secure = SQL(
        "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY owner ON {0} TO CURRENT_USER USING (true) WITH CHECK (true);"
        "CREATE POLICY sites ON {0} FOR SELECT TO bayledger_reader USING ("
        " current_setting('bayledger.sites', true) = '*'"
        " OR site = ANY (string_to_array(current_setting('bayledger.sites', true), ',')));"
        "GRANT SELECT ON {0} TO bayledger_reader"
    )
    return create.format(table, columns) + secure.format(table)

"""The stored views and the one loop that fills them: live, rebuilt, and for any past moment.

A view keeps one row per document: how it stands, and the positions of the events it was made of. How it stood
at an earlier position is the same fold, over those of its events that had been heard by then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier

from eventlog import sql
from projections.facts import Fact, Ignored
from projections.projection import Document, Projection, to_json

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
GRANT SELECT ON projection TO bayledger_reader
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
class Row:
    """A document with what made it."""

    key: str
    site: str
    first_pos: int
    """Where it began."""
    from_pos: int
    """Since when it has been as it is."""
    to_pos: int
    """Where it ended."""
    event: str
    document: Document
    heard: list[int]
    """The positions of its events; in a step of the live loop, of the new ones."""


async def provision(conn: AsyncConnection[Any]) -> None:
    """Create what the views share; harmless to repeat."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(7402)")
        await conn.execute(TABLES)


async def live_build(conn: AsyncConnection[Any], projection: Projection) -> tuple[Build, int] | None:
    """The build that readers see, with the version it was made by."""
    live = (await live_builds(conn)).get(projection.name)
    return (Build(projection, live[0]), live[1]) if live else None


async def live_builds(conn: AsyncConnection[Any]) -> dict[str, tuple[int, int]]:
    """By the name of the view: the number of the build that readers see, and the version it was made by."""
    live = await sql.rows(conn, "SELECT name, build, version FROM projection WHERE status = 'live'")
    return {name: (number, version) for name, number, version in live}


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
        "CREATE INDEX ON {0} (from_pos); CREATE INDEX ON {0} (site, from_pos, first_pos);"
    ).format(table)
    for name in build.projection.columns:
        statement += SQL("CREATE INDEX ON {} (site, {});").format(table, Identifier(name))
    await conn.execute(statement)


async def drop_build(conn: AsyncConnection[Any], build: Build) -> None:
    async with conn.transaction():
        await conn.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(build.table)))
        await conn.execute(
            "DELETE FROM projection WHERE (name, build) = (%s, %s)", (build.projection.name, build.number)
        )


Facts = Iterable[tuple[int, Fact | Ignored | None]]
"""Positions, and what the view's reader made of the events there."""


def fold(projection: Projection, documents: dict[str, Row], facts: Facts) -> int:
    """Apply events to the documents they belong to; how many events are unreadable.

    `documents` must hold what is stored of them.
    """
    unreadable = 0
    evolve, name = projection.evolve, projection.key
    for position, fact in facts:
        if not isinstance(fact, Fact):
            unreadable += fact is None  # a recorded fact is never refused: the view goes on without it
            continue
        if (key := getattr(fact.data, name)) is None:
            continue
        if (row := documents.get(key)) is None:
            if (document := evolve(None, fact)) is not None:
                documents[key] = Row(
                    key, fact.site, position, position, FOREVER, fact.id, document, [position]
                )
            continue
        row.heard.append(position)
        if (document := evolve(row.document if row.to_pos == FOREVER else None, fact)) is None:
            row.to_pos = min(row.to_pos, position)
        else:
            row.from_pos, row.to_pos, row.event, row.document = position, FOREVER, fact.id, document
    return unreadable


def keys_of(projection: Projection, facts: Facts) -> set[str]:
    return {
        key
        for _, fact in facts
        if isinstance(fact, Fact) and (key := getattr(fact.data, projection.key)) is not None
    }


async def take(conn: AsyncConnection[Any], build: Build, keys: Iterable[str]) -> dict[str, Row]:
    """Stored documents, out of the table: to be put back with what has changed in the same transaction."""
    query = SQL(
        "DELETE FROM {} WHERE key = ANY(%s)"
        " RETURNING key, site, first_pos, from_pos, to_pos, event, document::text, heard"
    ).format(Identifier(build.table))
    return to_rows(await sql.rows(conn, query, (list(keys),)))


def to_rows(found: Iterable[Sequence[Any]]) -> dict[str, Row]:
    """By key."""
    return {
        key: Row(key, site, first, since, until, event, orjson.loads(document), heard)
        for key, site, first, since, until, event, document, heard in found
    }


async def put(conn: AsyncConnection[Any], build: Build, rows: Iterable[Row]) -> None:
    columns = build.projection.columns
    names = ["key", "site", "first_pos", "from_pos", "to_pos", "event", "document", "heard", *columns]
    statement = SQL("COPY {} ({}) FROM STDIN").format(
        Identifier(build.table), SQL(", ").join(map(Identifier, names))
    )
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            stands = (row.key, row.site, row.first_pos, row.from_pos, row.to_pos, row.event)
            heard = f"{{{','.join(map(str, row.heard))}}}"
            values = [value(row.document) for _, value in columns.values()]
            await copy.write_row([*stands, to_json(row.document), heard, *values])


async def heard(
    conn: AsyncConnection[Any], build: Build, key: str, until: int, limit: int
) -> list[tuple[int, Fact | Ignored | None]]:
    """The last events up to a position that a document was made of, in their order, if the transaction's role
    may see it; they are read as the owner of the ledger."""
    query = SQL(
        "SELECT at FROM {}, unnest(heard) AS at WHERE key = %s AND at <= %s ORDER BY at DESC LIMIT %s"
    ).format(Identifier(build.table))
    positions = [at for [at] in await sql.rows(conn, query, (key, until, limit))]
    return await _read_as_owner(conn, build, positions)


async def heard_since(
    conn: AsyncConnection[Any], build: Build, key: str, after: int, limit: int
) -> list[tuple[int, Fact | Ignored | None]]:
    """The first events behind a position that a document was made of, by the same rules."""
    query = SQL(
        "SELECT at FROM {}, unnest(heard) AS at WHERE key = %s AND at > %s ORDER BY at LIMIT %s"
    ).format(Identifier(build.table))
    positions = [at for [at] in await sql.rows(conn, query, (key, after, limit))]
    return await _read_as_owner(conn, build, positions)


async def _read_as_owner(
    conn: AsyncConnection[Any], build: Build, positions: Sequence[int]
) -> list[tuple[int, Fact | Ignored | None]]:
    [role] = await sql.row(conn, "SELECT current_setting('role')")
    await conn.execute("SET LOCAL ROLE NONE")
    query = "SELECT seq, body FROM ledger WHERE seq = ANY(%s) ORDER BY seq"
    bodies = await sql.rows(conn, query, (list(positions),))
    await conn.execute("SELECT set_config('role', %s, true)", (role,))
    read = build.projection.reader.read
    return [(at, read(body)) for at, body in bodies]


async def earlier(
    conn: AsyncConnection[Any],
    build: Build,
    position: int,
    *,
    site: str | None = None,
    key: str | None = None,
) -> str:
    """Documents that have changed since a position, as they stood then: the same fold over what was heard
    by then. As JSON, for `versions`.

    Only of rows that the transaction's role may see; their events are read as the owner of the ledger.
    """
    query = SQL(
        "SELECT key, heard FROM {} WHERE from_pos > %(at)s AND first_pos <= %(at)s"
        " AND (%(site)s::text IS NULL OR site = %(site)s) AND (%(key)s::text IS NULL OR key = %(key)s)"
    ).format(Identifier(build.table))
    changed = dict(await sql.rows(conn, query, {"at": position, "site": site, "key": key}))
    documents = await folded(conn, build, position, changed)
    columns = build.projection.columns
    versions = [
        {
            "key": row.key,
            "site": row.site,
            "from_pos": row.from_pos,
            "to_pos": row.to_pos,
            "event": row.event,
            "document": row.document,
            **{name: value(row.document) for name, (_, value) in columns.items()},
        }
        for row in documents.values()
    ]
    return orjson.dumps(versions).decode()


async def folded(
    conn: AsyncConnection[Any], build: Build, position: int, heard: Mapping[str, Sequence[int]]
) -> dict[str, Row]:
    """Documents as they stood at a position, by their keys, of what they have heard."""
    documents: dict[str, Row] = {}
    if wanted := sorted({each for positions in heard.values() for each in positions if each <= position}):
        fold(build.projection, documents, await _read_as_owner(conn, build, wanted))
    return documents


def versions(build: Build) -> Composed:
    """What to read FROM as of an earlier position: the table, together with what `earlier` found, which is
    the one parameter here."""
    columns = build.projection.columns
    names = ["key", "site", "from_pos", "to_pos", "event", "document", *columns]
    types = ["text", "text", "bigint", "bigint", "text", "json", *(type for type, _ in columns.values())]
    return SQL(
        "(SELECT {0} FROM {1} UNION ALL SELECT {0} FROM json_to_recordset(%s) AS x ({2})) AS v"
    ).format(
        SQL(", ").join(map(Identifier, names)),
        Identifier(build.table),
        SQL(", ").join(
            SQL("{} {}").format(Identifier(name), SQL(type)) for name, type in zip(names, types, strict=True)
        ),
    )


def _create_table(build: Build) -> Composed:
    """Readers see rows of the sites of their transaction, whatever the query says; the owner writes all."""
    table = Identifier(build.table)
    columns = Composed([])
    for name, (type, _) in build.projection.columns.items():
        columns += SQL(", {} {}").format(Identifier(name), SQL(type))
    create = SQL(
        "CREATE TABLE {0} (key text PRIMARY KEY, site text NOT NULL, first_pos bigint NOT NULL,"
        " from_pos bigint NOT NULL, to_pos bigint NOT NULL, event text NOT NULL, document json NOT NULL,"
        " heard bigint[] STORAGE EXTERNAL NOT NULL{1});"
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

"""The step of the live loop: the next events of the ledger, folded into one view or into several together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any, LiteralString, TypeAlias

import orjson
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.errors import UniqueViolation
from psycopg.sql import SQL, Composed, Identifier, Literal

from eventlog import follow, sql
from projections.facts import Fact
from projections.projection import to_json
from projections.views import Build, Facts, Row, fold, keys_of, to_rows

REMEMBERED = 1_000
"""Documents of a view, at most: those that changed last."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """What one step of the loop did: nothing, or moved a build from one position to another."""

    read: int = 0
    after: int = 0
    position: int = 0
    rows: Collection[Row] = ()
    """As they stand now, with their new events only."""


@dataclass(slots=True)
class _Memory:
    table: str
    position: int
    rows: dict[str, Row] = field(default_factory=dict)
    """Those that changed last come last."""


class Remembered:
    """Documents as this process left them: of a view that nobody else has moved since."""

    def __init__(self) -> None:
        self._views: dict[str, _Memory] = {}

    def at(self, build: Build, position: int) -> Mapping[str, Row]:
        """Some of the documents, by key, of a build that is at this position."""
        memory = self._views.get(build.projection.name)
        held = memory and (memory.table, memory.position) == (build.table, position)
        return memory.rows if memory and held else {}

    def keep(self, build: Build, step: Advanced) -> None:
        """What the build was moved by."""
        memory = self._views.get(build.projection.name)
        if memory is None or (memory.table, memory.position) != (build.table, step.after):
            memory = self._views[build.projection.name] = _Memory(build.table, step.after)
        memory.position = step.position
        for row in step.rows:
            memory.rows.pop(row.key, None)
            memory.rows[row.key] = row
        while len(memory.rows) > REMEMBERED:
            del memory.rows[next(iter(memory.rows))]


@dataclass(frozen=True, slots=True)
class Step:
    """Rows of the ledger for a build that is just before them, at a position."""

    build: Build
    after: int
    rows: Sequence[follow.Row]

    @property
    def to(self) -> int:
        return self.rows[-1][0]


@dataclass(slots=True)
class _Folding:
    """A step that is being taken."""

    step: Step
    facts: Facts
    keys: set[str]
    """Of the documents that it concerns."""
    known: Mapping[str, Row]
    documents: dict[str, Row] = field(default_factory=dict)
    unreadable: int = 0

    def fold(self, stored: Mapping[str, Row]) -> None:
        """With what is remembered and stored of the documents."""
        recalled = {key: replace(self.known[key], heard=[]) for key in self.keys & self.known.keys()}
        self.documents = {**recalled, **stored}
        self.unreadable = fold(self.step.build.projection, self.documents, self.facts)

    @property
    def unknown(self) -> set[str]:
        """What may be stored or not."""
        return self.keys - self.known.keys()

    @property
    def only_begins(self) -> bool:
        """Whether all that is unknown begins with what has come."""
        projection = self.step.build.projection
        first: dict[str, Fact] = {}
        for _, fact in self.facts:
            if isinstance(fact, Fact):
                first.setdefault(getattr(fact.data, projection.key), fact)
        return all(projection.begins(first[key]) for key in self.unknown)

    def parted(self) -> tuple[list[Row], list[Row]]:
        """The documents that began in this step, and those that went on."""
        began = [row for row in self.documents.values() if row.heard[0] == row.first_pos]
        return began, [row for row in self.documents.values() if row.heard[0] != row.first_pos]


async def advance(
    conn: AsyncConnection[Any], build: Build, limit: int, remembered: Remembered | None = None
) -> Advanced:
    """Fold the next rows of the ledger into a build, as `advance_together` does."""
    found = await sql.rows(
        conn, _NEXT, {"name": build.projection.name, "build": build.number, "limit": limit}
    )
    if not found:
        return Advanced()
    step = Step(build, found[0][0], [(seq, body) for _, seq, body in found])
    [advanced] = await advance_together(conn, [step], remembered or Remembered())
    return advanced


async def advance_together(
    conn: AsyncConnection[Any], steps: Sequence[Step], remembered: Remembered
) -> list[Advanced]:
    """Take steps of several builds: rows and positions of all are written by one statement. Of their
    documents, what is not remembered is read by another, if anything but its beginning happens to it.

    Of two processes that advance the same build at once, whoever is first wins; the other does nothing.
    Events that this release cannot read, of unknown types or with unknown contents, are skipped and counted.
    The disk is not waited for: what a crash takes back is read from the ledger again.
    """
    foldings = []
    for step in steps:
        projection = step.build.projection
        facts = [(at, projection.reader.read(body)) for at, body in step.rows]
        known = remembered.at(step.build, step.after)
        foldings.append(_Folding(step, facts, keys_of(projection, facts), known))
    moved = await _without_reading(conn, foldings)
    if moved is None:
        stored = await _stored(conn, {each.step.build.table: each.unknown for each in foldings})
        for each in foldings:
            each.fold(stored[each.step.build.table])
        moved = await _move(conn, foldings)
    done = []
    for each in foldings:
        step, advanced = each.step, Advanced()
        if step.build.projection.name in moved:
            advanced = Advanced(len(step.rows), step.after, step.to, each.documents.values())
            remembered.keep(step.build, advanced)
        done.append(advanced)
    return done


async def _without_reading(conn: AsyncConnection[Any], foldings: Sequence[_Folding]) -> set[str] | None:
    """The views that moved; None, and nothing is done, if something happens to what may be stored."""
    if not all(each.only_begins for each in foldings):
        return None
    for each in foldings:
        each.fold({})
    try:
        return await _move(conn, foldings)
    except UniqueViolation:
        return None  # it had begun before


Columns: TypeAlias = tuple[tuple[LiteralString, LiteralString], ...]
"""Of a table, with their types."""
_OF_ALL: Columns = (
    *(("key", "text"), ("site", "text"), ("event", "text"), ("document", "json")),
    *(("first_pos", "bigint"), ("from_pos", "bigint"), ("to_pos", "bigint"), ("heard", "bigint[]")),
)
_NEXT = """
SELECT position, seq, body FROM projection, LATERAL (
    SELECT seq, body FROM ledger WHERE seq > position ORDER BY seq LIMIT %(limit)s
) AS next WHERE (name, build) = (%(name)s, %(build)s) ORDER BY seq
"""
_MOVE: LiteralString = """
WITH soon AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), moved AS (
    UPDATE projection AS p SET position = step."to", skipped = skipped + step.unreadable
    FROM soon, json_to_recordset($1) AS step (name text, build int, after bigint, "to" bigint, unreadable int)
    WHERE (p.name, p.build, p.position) = (step.name, step.build, step.after) RETURNING p.name
)"""
_BEGAN: LiteralString = ""
_WENT_ON: LiteralString = " ON CONFLICT (key) DO UPDATE SET {changed}"


async def _move(conn: AsyncConnection[Any], foldings: Sequence[_Folding]) -> set[str]:
    """Move builds that are still where they were, and write the documents of these. Names their views."""
    written: list[_Written] = []
    documents: list[str] = []
    # In one order, so that two never wait in a circle, and the statement is one that was made before.
    ordered = sorted(foldings, key=lambda each: each.step.build.table)
    for each in ordered:
        build = each.step.build
        for how, rows in zip((_BEGAN, _WENT_ON), each.parted(), strict=True):
            if rows:
                written.append((build.projection.name, build.table, _columns(build), how))
                documents.append(_as_json(build, rows))
    moves = [
        {
            "name": each.step.build.projection.name,
            "build": each.step.build.number,
            "after": each.step.after,
            "to": each.step.to,
            "unreadable": each.unreadable,
        }
        for each in ordered
    ]
    statement = _moving(tuple(written))
    cursor = await AsyncRawCursor(conn).execute(statement, [orjson.dumps(moves).decode(), *documents])
    return {name for [name] in await cursor.fetchall()}


_Written: TypeAlias = tuple[LiteralString, str, Columns, LiteralString]


@cache
def _moving(written: tuple[_Written, ...]) -> bytes:
    statement = Composed([SQL(_MOVE)])
    for number, (name, table, columns, how) in zip(count(2), written, strict=False):
        names = [Identifier(column) for column, _ in columns]
        statement += SQL(
            ", {cte} AS (INSERT INTO {table} AS had ({names})"
            " SELECT {given} FROM moved, json_to_recordset({documents}) AS x ({types})"
            " WHERE moved.name = {name}" + how + ")"
        ).format(
            cte=Identifier(f"view_{number}"),
            table=Identifier(table),
            names=SQL(", ").join(names),
            given=SQL(", ").join(Identifier("x", column) for column, _ in columns),
            documents=SQL(f"${number}"),
            types=SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(type)) for c, type in columns),
            name=Literal(name),
            changed=SQL(", ").join(
                SQL(
                    "heard = had.heard || excluded.heard" if column == "heard" else "{0} = excluded.{0}"
                ).format(Identifier(column))
                for column, _ in columns
            ),
        )
    return (statement + SQL(" SELECT name FROM moved")).as_bytes()


def _columns(build: Build) -> Columns:
    return (*_OF_ALL, *((name, type) for name, (type, _) in build.projection.columns.items()))


def _as_json(build: Build, rows: Sequence[Row]) -> str:
    return orjson.dumps(
        [
            {
                **{name: getattr(row, name) for name in Row.__slots__},
                "document": orjson.Fragment(to_json(row.document)),
                **{name: value(row.document) for name, (_, value) in build.projection.columns.items()},
            }
            for row in rows
        ]
    ).decode()


async def _stored(
    conn: AsyncConnection[Any], wanted: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Row]]:
    """The documents that have these keys, by table, without the events they are made of: those are only added
    to."""
    asked = {table: list(wanted[table]) for table in sorted(wanted) if wanted[table]}
    found = await sql.rows(conn, _select(tuple(asked)), list(asked.values())) if asked else []
    return {table: to_rows(row for of, *row in found if of == table) for table in wanted}


@cache
def _select(tables: tuple[str, ...]) -> bytes:
    each = [
        SQL(
            "SELECT {}, key, site, first_pos, from_pos, to_pos, event, document::text, '{{}}'::bigint[]"
            " FROM {} WHERE key = ANY(%s)"
        ).format(Literal(table), Identifier(table))
        for table in tables
    ]
    return SQL(" UNION ALL ").join(each).as_bytes()

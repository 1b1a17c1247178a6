"""The boards that somebody looks at, in memory: read from the database once for all who look."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import orjson
from psycopg import AsyncConnection, OperationalError
from psycopg.errors import UndefinedTable
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg_pool import AsyncConnectionPool

from access.keyring import KEYS_REMEMBERED, Keyring, Tampered
from access.problems import Problem
from eventlog import sql
from projections.projection import Document, to_json
from projections.steps import Advanced
from projections.unsealing import hidden, unsealed
from projections.views import FOREVER, Build, Row, live_build
from projections.work_order_board.cards import (
    A_DAY,
    Board,
    Face,
    ShownCard,
    is_shown,
    midnight,
)
from projections.work_order_board.projection import WORK_ORDER_BOARD

TRY_AGAIN = 1.0
"""Seconds until plates that could not be unsealed are tried again."""
PAGE = 500
"""Cards read at once for a screen that comes back after a while."""
MOST_PAST = 5_000
"""Cards of past moments in memory."""

Stood: TypeAlias = tuple[str, int, bool]
"""A card as it once stood: key, position of its last change, and whether it is seen with people's data."""

Card: TypeAlias = tuple[ShownCard, ShownCard]
"""As it is seen without and with the right to see people's data."""


Moved: TypeAlias = tuple[Build, Advanced]
"""A build, and what the live loop has done to it."""


class Watcher(Protocol):
    def changed(self, after: int, position: int, cards: Sequence[Card]) -> None:
        """These cards of the site, and no others, changed behind one position and up to the other."""

    def missed(self, position: int) -> None:
        """What changed up to this position could not be read as everybody may see it."""


@dataclass(slots=True)
class _Kept:
    position: int
    day: datetime
    until: float
    """When its plates may no longer be shown: their keys were read `KEYS_REMEMBERED` seconds before."""
    cards: dict[str, Card]
    faces: tuple[Face, Face]
    """Without and with the right to see people's data."""
    unreadable: Exception | None
    """Why plates could not be unsealed."""


@dataclass(frozen=True, slots=True)
class _Row:
    site: str
    key: str
    position: int
    document: Document


class Boards:
    """Boards as they stand, and what changes on them.

    - Nothing is older than the database was at the time of the call: each call is answered by a look at the
      database that began after it, one for all who wait. This holds beside other processes, too.
    - A board is one build at one position: what has changed comes with its position by one statement, hence
      from one snapshot; and when another build has become the live one, nothing is kept.
    - Rows come in by the reader role only, in a transaction whose sites are those kept here: row-level
      security decides, and a row belongs to the site that the database names. What the live loop of this
      process has just written comes from it, to the sites that it was written for.
    - How a card stood at a past moment does not change; who may see it, and its plate, do. Whoever asks for
      the past asks the database which cards those are, and finds here those that were made just before.
    - A board is read anew, with keys that are read anew, when it is `KEYS_REMEMBERED` seconds old, and when a
      day begins at the site. So an erasure shows within that time, and no plate is kept any longer.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        keyring: Keyring,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._now = now
        self._clock = clock
        self._build: Build | None = None
        self._position: int | None = None
        """Up to which the changes of all sites kept or watched were read; None while there are none."""
        self._kept: dict[str, _Kept] = {}
        self._wanted: set[str] = set()
        self._past: dict[Stood, ShownCard] = {}
        self._past_of: Build | None = None
        self._past_until = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Future[None] | None = None
        self._keys_away: tuple[Exception, float] | None = None
        """Why the keys database did not answer, and until when nobody else tries."""
        self.watchers: dict[str, Watcher] = {}
        """By site: told after each look, in the order of the ledger."""

    def holds(self, site: str) -> bool:
        """Whether cards of this site are in memory."""
        return site in self._kept and bool(self._kept[site].cards)

    def known(self, build: Build, site: str) -> Mapping[str, Card]:
        """Cards of this build that are in memory, by key."""
        kept = self._kept.get(site)
        if kept is None or build != self._build or kept.unreadable or self._clock() >= kept.until:
            return {}
        return kept.cards

    def past(self, build: Build, site: str) -> dict[Stood, ShownCard]:
        """Cards as they stood, to be added to by whoever makes another one: of keys read after this call, or
        of the board of the site in memory."""
        now = self._clock()
        if build != self._past_of or now >= self._past_until or len(self._past) > MOST_PAST:
            self._past, self._past_of, self._past_until = {}, build, now + KEYS_REMEMBERED
        if kept := self._kept.get(site):
            self._past_until = min(self._past_until, kept.until)
        return self._past

    @property
    def idle(self) -> bool:
        return not (self._kept or self._past or self.watchers)

    async def read(self, site: str, *, seeing_people: bool) -> Board:
        """The open work orders of a site and those delivered on the day, longest waiting first."""
        while True:
            self._wanted.add(site)
            await self.look()
            kept, at = self._kept.get(site), self._now()
            if kept and kept.day == midnight(at):
                break
        if seeing_people and kept.unreadable:
            raise kept.unreadable
        return Board(site, kept.position, at, kept.faces[seeing_people])

    async def look(self) -> None:
        """Returns after a look at the database that began after this call."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._turn())
        await asyncio.shield(self._next)

    async def _turn(self) -> None:
        async with self._one_at_a_time:
            self._next = None  # whoever calls from now on needs another one
            await self._look()

    async def _look(self) -> None:
        wanted, self._wanted = self._wanted, set()
        day = midnight(self._now())
        before = self._forget(day)
        async with self._pool.connection() as conn:
            await self._follow(conn)
            for site in wanted - self._kept.keys():
                await self._load(conn, site, day, before[site].cards if site in before else {})

    def _forget(self, day: datetime) -> dict[str, _Kept]:
        """What may no longer be shown; the boards of the day as they were before."""
        now = self._clock()
        before = {site: kept for site, kept in self._kept.items() if kept.day == day}
        self._kept = {site: kept for site, kept in before.items() if now < kept.until}
        if now >= self._past_until:
            self._past = {}
        if not (self._kept or self.watchers):
            self._position = None
        return before

    async def follow(self, steps: Sequence[Moved]) -> None:
        """Take over what the live loop of this process has just written, if it leads on from what is here and
        nothing is missing in between; else look."""
        async with self._one_at_a_time:
            self._forget(midnight(self._now()))
            taken = await self._take(steps)
        if not taken:
            await self.look()

    async def _take(self, steps: Sequence[Moved]) -> bool:
        """Whether they lead on from here; steps that were seen already may be among them."""
        position = self._position
        if not steps or position is None or any(kept.position > position for kept in self._kept.values()):
            return False
        latest: dict[str, _Row] = {}
        for build, step in steps:
            if build == self._build and step.position <= position:
                continue
            if build != self._build or step.after != position:
                return False
            position = step.position
            latest |= {row.key: _written(row) for row in step.rows if row.to_pos == FOREVER}
        await self._changed(position, sorted(latest.values(), key=lambda row: row.position))
        return True

    async def changed_since(self, site: str, after: int, *, seeing_people: bool) -> tuple[int, list[Card]]:
        """Cards of a site that changed behind a position, and the position up to which these are all.

        Raises psycopg.OperationalError for those who see people, while the keys database is away.
        """
        which = SQL("t.site = {} AND t.from_pos > {}").format(site, after)
        async with self._pool.connection() as conn:
            _, position, rows = await _rows(conn, self._build, [site], which, PAGE)
        cards, unreadable = await self._cards(rows)
        if seeing_people and isinstance(unreadable, OperationalError):
            raise unreadable
        return rows[-1].position if len(rows) == PAGE else position, list(cards.values())

    async def _follow(self, conn: AsyncConnection[Any]) -> None:
        """What has changed at the sites kept or watched."""
        sites = sorted({*self._kept, *self.watchers})
        if not sites:
            return
        after = self._position
        if after is not None and await self._stands(conn, after):
            for each in self.watchers.values():
                each.changed(after, after, [])
            return
        which = (
            SQL("t.site = ANY({}) AND t.from_pos > {}").format(sites, after)
            if after is not None
            else SQL("FALSE")
        )
        await self._changed(*await self._read(conn, sites, which))

    async def _changed(self, position: int, rows: Sequence[_Row]) -> None:
        """Tell what has changed up to a position."""
        after, sites = self._position, {*self._kept, *self.watchers}
        changed = {site: await self._cards([row for row in rows if row.site == site]) for site in sites}
        # From here on nothing fails: all of it is taken over, or none.
        self._position = position
        for site, (cards, unreadable) in changed.items():
            if kept := self._kept.get(site):
                kept.position = position
                if cards:
                    kept.cards = {
                        key: card
                        for key, card in (kept.cards | cards).items()
                        if is_shown(card[False].document, kept.day)
                    }
                    kept.faces = _faces(kept.cards.values())
                if unreadable:
                    kept.unreadable, kept.until = unreadable, self._clock() + TRY_AGAIN
            if watcher := self.watchers.get(site):
                if unreadable:
                    watcher.missed(position)
                else:
                    watcher.changed(position if after is None else after, position, list(cards.values()))

    async def _stands(self, conn: AsyncConnection[Any], position: int) -> bool:
        """Whether the live build is the one kept here, and where it was."""
        return self._build is not None and await sql.rows(conn, _LIVE) == [(self._build.number, position)]

    async def _load(
        self, conn: AsyncConnection[Any], site: str, day: datetime, before: dict[str, Card]
    ) -> None:
        until = self._clock() + KEYS_REMEMBERED
        which = SQL("t.site = {} AND ").format(site) + ON_BOARD.format(day=day, next_day=day + A_DAY)
        position, rows = await self._read(conn, [site], which)
        cards, unreadable = await self._cards(rows)
        for key, card in cards.items():
            if key in before and _same(before[key], card):
                cards[key] = before[key]  # with what was made of it
        if unreadable:
            until = self._clock() + TRY_AGAIN
        self._kept[site] = _Kept(position, day, until, cards, _faces(cards.values()), unreadable)
        if self._position is None:
            self._position = position

    async def _read(
        self, conn: AsyncConnection[Any], sites: Sequence[str], which: Composed | SQL
    ) -> tuple[int, list[_Row]]:
        build, position, rows = await _rows(conn, self._build, sites, which)
        if build != self._build:
            self._build, self._kept = build, {}
        return position, rows

    async def _cards(self, rows: Sequence[_Row]) -> tuple[dict[str, Card], Exception | None]:
        """By key; with the plates hidden from everybody when they cannot be unsealed, and why."""
        documents = [row.document for row in rows]
        unreadable: Exception | None = None
        masked = [hidden(document) for document in documents]
        clear = masked
        if documents and self._keys_away and self._clock() < self._keys_away[1]:
            unreadable = self._keys_away[0]
        else:
            try:
                clear = await unsealed(self._keyring, documents, afresh=True)
            except (Problem, Tampered) as why:
                unreadable = why
            except OperationalError as why:
                unreadable, self._keys_away = why, (why, self._clock() + TRY_AGAIN)
        return {
            row.key: (ShownCard(less, row.position), ShownCard(more, row.position))
            for row, less, more in zip(rows, masked, clear, strict=True)
        }, unreadable


def _written(row: Row) -> _Row:
    """As it is read."""
    return _Row(row.site, row.key, row.from_pos, orjson.loads(to_json(row.document)))


async def _rows(
    conn: AsyncConnection[Any],
    build: Build | None,
    sites: Sequence[str],
    which: Composed | SQL,
    limit: int | None = None,
) -> tuple[Build, int, list[_Row]]:
    """The live build, probably the one given; its position; its rows that hold then, oldest first."""
    while True:
        if build is None:
            live = await live_build(conn, WORK_ORDER_BOARD)
            if live is None:
                raise being_built()
            build = live[0]
        statement = _LOOK.format(
            sites=Literal(",".join(sites)), table=Identifier(build.table), which=which, limit=limit
        )
        try:
            async with conn.cursor() as cursor:
                await cursor.execute(statement, prepare=False)
                cursor.nextset()
                found = await cursor.fetchall()
        except UndefinedTable:
            found = []
        if found and found[0][0] == build.number:
            rows = [
                _Row(site, key, changed, orjson.loads(text))
                for _, _, site, key, changed, text in found
                if key
            ]
            return build, found[0][1], rows
        build = None


ON_BOARD = SQL("((open AND coalesce(expected_at < {next_day}, true)) OR delivered_at >= {day})")
"""What is open, but for those who are expected on a later day, and what was delivered on the day."""
_LIVE = "SELECT build, position FROM projection WHERE name = 'work_order_board' AND status = 'live'"
_LOOK = SQL(
    "SELECT set_config('role', 'bayledger_reader', true), set_config('bayledger.sites', {sites}, true);"
    "SELECT p.build, p.position, t.site, t.key, t.from_pos, t.document::text"
    " FROM projection p LEFT JOIN {table} t ON t.to_pos = 9223372036854775807 AND {which}"
    " WHERE p.name = 'work_order_board' AND p.status = 'live' ORDER BY t.from_pos LIMIT {limit}"
)
"""Two statements in one message, which makes them one transaction."""


def being_built() -> Problem:
    return Problem(503, "This view is being built; please ask again.", headers={"Retry-After": "2"})


def _faces(cards: Iterable[Card]) -> tuple[Face, Face]:
    ordered = sorted(cards, key=lambda card: card[False].place)
    return Face([card[False] for card in ordered]), Face([card[True] for card in ordered])


def _same(one: Card, other: Card) -> bool:
    return all((a.position, a.document) == (b.position, b.document) for a, b in zip(one, other, strict=True))

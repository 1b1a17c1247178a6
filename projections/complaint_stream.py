"""Complaints as they move: what happens to one of them, or which ones of a site stand otherwise than before.

A position is the id of what is sent: who comes back with the last one seen misses nothing and gets nothing
twice. Nothing that is sealed is ever sent, so that all who may watch are sent the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from access.problems import Problem, missing
from access.tokens import Principal
from eventlog import sql
from eventlog.signal import Signal
from projections.board_stream import HEARTBEAT, LIFETIME, LOOK_EVERY, full
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.facts import Fact
from projections.live import LiveViews
from projections.projection import Document, to_json
from projections.reading import Views
from projections.timeline import entry
from projections.unsealing import hidden
from projections.views import Build, heard_since, live_build

MOST = 1_000
"""Connections at once."""
PAGE = 200
"""Changes sent at once to a screen that comes back after a while."""


@dataclass(eq=False, slots=True)
class Screen:
    who: Principal
    complaint: str | None
    """The only one it shows; None when it lists those of the sites of whoever looks at it."""
    concerned: asyncio.Event = field(default_factory=asyncio.Event)

    def shows(self, complaint: str, site: str) -> bool:
        return self.complaint == complaint if self.complaint else self.who.at(site)


class ComplaintStream:
    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], live: LiveViews, views: Views
    ) -> None:
        self._pool = pool
        self._views = views
        self._signal = Signal()
        live.listen(COMPLAINT_TIMELINE, lambda build, step: self._signal.set())
        self._screens: set[Screen] = set()
        self._position: int | None = None
        """Up to which the screens know of what concerns them; None while there are none."""
        self._ended = False

    async def run(self) -> None:
        """Wake the screens that a change concerns until cancelled: looked up once for all who watch."""
        while True:
            if self._screens:
                await self._wake_those_concerned()
            else:
                self._position = None
            await self._signal.wait(LOOK_EVERY)

    async def _wake_those_concerned(self) -> None:
        async with self._pool.connection() as conn:
            live = await live_build(conn, COMPLAINT_TIMELINE)
            if live is None:
                return
            query = SQL("SELECT key, site, from_pos FROM {} WHERE from_pos > %s").format(
                Identifier(live[0].table)
            )
            after, at = self._position, await _position(conn, live[0])
            changed = [] if after is None or after >= at else await sql.rows(conn, query, (after,))
        self._position = max([at, *(position for *_, position in changed)])
        for screen in self._screens:
            if after is None or any(screen.shows(key, site) for key, site, _ in changed):
                screen.concerned.set()

    async def end(self) -> None:
        """Let every open connection finish now."""
        self._ended = True
        for screen in self._screens:
            screen.concerned.set()

    async def open(self, who: Principal, complaint: str | None, after: int | None) -> AsyncIterator[bytes]:
        """What happens behind a position, or from now on, as server-sent events: `entry` for each fact of one
        complaint, else `complaint` for each that stands otherwise.

        Raises the problem of what does not exist for a complaint of another site, a 503 while too many watch.
        """
        if len(self._screens) >= MOST:
            raise full()
        async with self._views.reading(who, COMPLAINT_TIMELINE) as (conn, build, position, _):
            known = SQL("SELECT FROM {} WHERE key = %s").format(Identifier(build.table))
            if complaint and not await sql.rows(conn, known, (complaint,)):
                raise missing()
        return self._frames(Screen(who, complaint), position if after is None else after)

    async def _frames(self, screen: Screen, after: int) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        until = clock() + LIFETIME
        self._screens.add(screen)
        try:
            yield b": connected\nretry: 1000\n\n"
            while not self._ended and clock() < until:
                screen.concerned.clear()
                try:
                    changes = await self._since(screen, after)
                except (OperationalError, Problem):
                    return  # the browser comes again in a second, from where it was
                if changes:
                    after = changes[-1][0]
                    yield b"".join(_frame(screen, position, said) for position, said in changes)
                if len(changes) == PAGE:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        await screen.concerned.wait()
                if not screen.concerned.is_set():
                    yield b": still here\n\n"
        finally:
            self._screens.discard(screen)

    async def _since(self, screen: Screen, after: int) -> list[tuple[int, Document | None]]:
        async with self._views.reading(screen.who, COMPLAINT_TIMELINE) as (conn, build, *_):
            if screen.complaint:
                facts = await heard_since(conn, build, screen.complaint, after, PAGE)
                return [(at, entry(fact) if isinstance(fact, Fact) else None) for at, fact in facts]
            query = SQL(
                "SELECT from_pos, document FROM {} WHERE from_pos > %s ORDER BY from_pos LIMIT %s"
            ).format(Identifier(build.table))
            return await sql.rows(conn, query, (after, PAGE))


async def _position(conn: AsyncConnection[Any], build: Build) -> int:
    query = "SELECT position FROM projection WHERE (name, build) = (%s, %s)"
    [position] = await sql.row(conn, query, (build.projection.name, build.number))
    return int(position)


def _frame(screen: Screen, position: int, said: Document | None) -> bytes:
    if said is None:
        return b""  # this release cannot read it
    if screen.complaint:
        name, shown = "entry", said | {"data": hidden(said["data"])}
    else:
        name, shown = "complaint", hidden(said)
    return f"event: {name}\nid: {position}\ndata: {to_json(shown)}\n\n".encode()

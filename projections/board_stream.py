"""The live board: what changes on it, to everyone who watches, in the order of the ledger.

A position is the id of a change: who comes back with the last one seen misses nothing and gets nothing twice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi.sse import ServerSentEvent
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from access.keyring import KEYS_REMEMBERED
from access.problems import Problem
from access.roles import Action, Role
from access.tokens import Principal
from eventlog import sql
from projections.live import LiveViews
from projections.projection import to_json
from projections.reading import Views, computed
from projections.views import live_build
from projections.work_order_board.projection import WORK_ORDER_BOARD

KEPT = 5_000
"""Changes kept in memory, at most; whoever is further behind is served from the view."""
MOST = 2_000
"""Connections at once."""
LIFETIME = 900.0
"""Seconds until a connection is ended, to be opened again where it was: tokens expire, roles change."""
HEARTBEAT = 15.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class Change:
    position: int
    site: str
    seen: str
    """The card for roles that see plates."""
    hidden: str
    """The card for roles that do not."""
    read_at: float


class BoardStream:
    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], live: LiveViews, views: Views
    ) -> None:
        self._pool = pool
        self._advanced = live.advanced[WORK_ORDER_BOARD.name]
        self._views = views
        self._changes: deque[Change] = deque()
        self._complete_after = 0
        """Every change behind this position is in memory."""
        self._position = 0
        self._changed = asyncio.Condition()
        self._watching = 0
        self._ended = False

    async def run(self) -> None:
        """Gather changes until cancelled: read once for all who watch."""
        while (start := await self._position_of_view()) is None:
            await self._wait_for_view()
        if self._position == 0:
            self._position = self._complete_after = start
        while True:
            changes = await self._read(self._position, None)
            self._keep(changes)
            if changes:
                async with self._changed:
                    self._changed.notify_all()
            else:
                await self._wait_for_view()

    def _keep(self, changes: list[Change]) -> None:
        """Plates stand in clear in memory no longer than their keys do: an erasure is not outlived here."""
        self._changes.extend(changes)
        if changes:
            self._position = changes[-1].position
        oldest = asyncio.get_running_loop().time() - KEYS_REMEMBERED
        while self._changes and (len(self._changes) > KEPT or self._changes[0].read_at < oldest):
            self._complete_after = self._changes.popleft().position

    async def _position_of_view(self) -> int | None:
        query = "SELECT position FROM projection WHERE name = %s AND status = 'live'"
        async with self._pool.connection() as conn:
            found = await sql.rows(conn, query, (WORK_ORDER_BOARD.name,))
        return int(found[0][0]) if found else None

    async def _wait_for_view(self) -> None:
        async with self._advanced:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the notification.
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._advanced.wait()

    async def end(self) -> None:
        """Let every open connection finish now."""
        self._ended = True
        async with self._changed:
            self._changed.notify_all()

    def must_have_room(self) -> None:
        """Raises a 503 problem while too many are watching."""
        if self._watching >= MOST:
            raise Problem(
                503, "Too many screens are connected; please try again.", headers={"Retry-After": "10"}
            )

    async def watch(self, who: Principal, site: str, after: int | None) -> AsyncIterator[ServerSentEvent]:
        """Changes of a site's board behind a position, or from now on."""
        self._watching += 1
        try:
            async for event in self._events(who, site, self._position if after is None else after):
                yield event
        finally:
            self._watching -= 1

    async def _events(self, who: Principal, site: str, after: int) -> AsyncIterator[ServerSentEvent]:
        seen = who.may(Action.PERSONAL_DATA_SEE)
        clock = asyncio.get_running_loop().time
        until = clock() + LIFETIME
        yield ServerSentEvent(comment="connected", retry=1_000)
        while not self._ended and clock() < until:
            if after < self._complete_after:
                looked_up_to = self._complete_after
                changes = await self._read(after, site)
            else:
                looked_up_to = self._position
                changes = [c for c in self._changes if c.position > after and c.site == site]
            for change in changes:
                after = change.position
                yield ServerSentEvent(
                    event="card", id=str(after), raw_data=change.seen if seen else change.hidden
                )
            if changes:
                continue
            after = max(after, looked_up_to)
            async with self._changed:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await self._changed.wait()
                except TimeoutError:
                    yield ServerSentEvent(comment="still here")

    async def _read(self, after: int, site: str | None) -> list[Change]:
        async with self._pool.connection() as conn:
            live = await live_build(conn, WORK_ORDER_BOARD)
            if live is None:
                return []
            query = SQL(
                "SELECT from_pos, site, document FROM {} WHERE from_pos > %s AND to_pos = 9223372036854775807"
                " AND (%s::text IS NULL OR site = %s) ORDER BY from_pos LIMIT %s"
            ).format(Identifier(live[0].table))
            found = await sql.rows(conn, query, (after, site, site, PAGE))
        if not found:
            return []
        now, read_at = datetime.now(UTC), asyncio.get_running_loop().time()
        cards = [computed(document, now) for _, _, document in found]
        seen, hidden = await self._views.unsealed(_STAFF, cards), await self._views.unsealed(_AUDITOR, cards)
        return [
            Change(position, at, to_json(clear), to_json(masked), read_at)
            for (position, at, _), clear, masked in zip(found, seen, hidden, strict=True)
        ]


_STAFF = Principal("board", Role.ADVISOR, frozenset("*"), 0)
_AUDITOR = Principal("board", Role.REGION_AUDITOR, frozenset("*"), 0)

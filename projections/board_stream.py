"""The live board: what changes on it, to everyone who watches, in the order of the ledger.

A position is the id of a change: who comes back with the last one seen misses nothing and gets nothing twice.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from time import monotonic
from typing import TypeAlias

from psycopg import OperationalError

from access.keyring import KEYS_REMEMBERED
from access.problems import Problem
from eventlog.signal import Signal
from projections.boards import Boards, Card, Moved
from projections.live import LiveViews
from projections.projection import Document, to_json
from projections.steps import Advanced
from projections.views import Build
from projections.work_order_board.projection import WORK_ORDER_BOARD

KEPT = 1_000
"""Changes of a site kept in memory, at most; whoever is further behind is served from the view."""
MOST = 2_000
"""Connections at once."""
LIFETIME = 900.0
"""Seconds until a connection is ended, to be opened again where it was: tokens expire, roles change."""
HEARTBEAT = 15.0
LOOK_EVERY = 1.0

_LINE_END = re.compile("\r\n?|\n")


def full() -> Problem:
    return Problem(503, "Too many screens are connected; please try again.", headers={"Retry-After": "10"})


Form: TypeAlias = Callable[[Document, int], str]
"""What is sent of a card and its position. The same one for all to whom the same is sent."""


def as_json(card: Document, _: int) -> str:
    return to_json(card)


@dataclass(frozen=True, slots=True)
class Change:
    card: Card
    at: datetime
    read_at: float
    _frames: dict[tuple[bool, Form], bytes] = field(default_factory=dict)

    @property
    def position(self) -> int:
        return self.card[False].position

    def frame(self, seeing_people: bool, form: Form) -> bytes:
        """Made once for all screens that show the same."""
        key = seeing_people, form
        if key not in self._frames:
            data = _LINE_END.sub("\ndata: ", self.card[seeing_people].at(self.at).made(form))
            self._frames[key] = f"event: card\nid: {self.position}\ndata: {data}\n\n".encode()
        return self._frames[key]


class Feed:
    """The latest changes of one site, for the screens that show it."""

    def __init__(self) -> None:
        self.screens = 0
        self.position: int | None = None
        self.complete_after = 0
        """Every change behind this position, up to the other one, is in memory."""
        self._changes: deque[Change] = deque()
        self._waiting: list[asyncio.Future[None]] = []

    def changed(self, after: int, position: int, cards: Sequence[Card]) -> None:
        if self.position is None:
            self.complete_after = after
        now, read_at = datetime.now(UTC), monotonic()
        self._changes.extend(Change(card, now, read_at) for card in cards)
        self.position = position
        self.forget_old()
        if cards:
            self.wake()

    def missed(self, position: int) -> None:
        """Whoever is behind is served from the view."""
        self._changes.clear()
        self.position = self.complete_after = position
        self.wake()

    def since(self, after: int) -> list[Change]:
        """The changes in memory behind a position."""
        self.forget_old()
        latest_first = takewhile(lambda change: change.position > after, reversed(self._changes))
        return list(latest_first)[::-1]

    def forget_old(self) -> None:
        """Plates stand in clear in memory no longer than their keys do: an erasure is not outlived here."""
        oldest = monotonic() - KEYS_REMEMBERED
        while self._changes and (len(self._changes) > KEPT or self._changes[0].read_at < oldest):
            self.complete_after = self._changes.popleft().position

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def woken(self) -> None:
        self._waiting.append(waiter := asyncio.get_running_loop().create_future())
        await waiter


class BoardStream:
    def __init__(self, live: LiveViews, boards: Boards) -> None:
        self._boards = boards
        self._feeds: dict[str, Feed] = {}
        self._signal = Signal()
        self._steps: deque[Moved] = deque(maxlen=KEPT)
        live.listen(WORK_ORDER_BOARD, self._stepped)
        self._watching = 0
        self._ended = False

    async def run(self) -> None:
        """Bring what changes to the screens until cancelled: made once for all who watch."""
        clock = asyncio.get_running_loop().time
        heartbeat = clock() + HEARTBEAT
        while True:
            steps = list(self._steps)
            self._steps.clear()
            if not self._boards.idle:
                await self._boards.follow(steps)
            if clock() >= heartbeat:
                heartbeat = clock() + HEARTBEAT
                for feed in self._feeds.values():
                    feed.wake()
            await self._signal.wait(LOOK_EVERY)

    def _stepped(self, build: Build, step: Advanced) -> None:
        self._steps.append((build, step))
        self._signal.set()

    async def end(self) -> None:
        """Let every open connection finish now."""
        self._ended = True
        for feed in self._feeds.values():
            feed.wake()

    def must_have_room(self) -> None:
        """Raises a 503 problem while too many are watching."""
        if self._watching >= MOST:
            raise full()

    async def watch(
        self, site: str, after: int | None, *, seeing_people: bool, form: Form = as_json
    ) -> AsyncIterator[bytes]:
        """Changes of a site's board behind a position, or from now on, as server-sent events.

        Somebody who reads slowly makes nobody wait and keeps nothing in memory: what they are sent next is
        looked up when they are ready for it.
        """
        feed = self._feeds.setdefault(site, Feed())
        self._boards.watchers[site] = feed
        feed.screens += 1
        self._watching += 1
        try:
            while feed.position is None:
                await self._boards.look()
            async for frames in self._frames(
                feed, site, feed.position if after is None else after, seeing_people, form
            ):
                yield frames
        finally:
            self._watching -= 1
            feed.screens -= 1
            if not feed.screens:
                del self._feeds[site], self._boards.watchers[site]

    async def _frames(
        self, feed: Feed, site: str, after: int, seeing_people: bool, form: Form
    ) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        until = clock() + LIFETIME
        yield b": connected\nretry: 1000\n\n"
        while not self._ended and clock() < until:
            if after < feed.complete_after:
                try:
                    after, cards = await self._boards.changed_since(site, after, seeing_people=seeing_people)
                except OperationalError:
                    return  # the browser comes again in a second, from where it was
                changes = [Change(card, datetime.now(UTC), monotonic()) for card in cards]
            elif changes := feed.since(after):
                after = changes[-1].position
            else:
                await feed.woken()
                if self._ended or after < feed.complete_after or feed.since(after):
                    continue
                yield b": still here\n\n"
            if changes:
                yield b"".join(change.frame(seeing_people, form) for change in changes)

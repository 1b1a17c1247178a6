"""Keeps the live views up to date, and tells whoever watches one what changed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from access.batches import Batches
from eventlog.follow import Wake
from eventlog.supervise import supervise
from projections.projection import Projection
from projections.rebuild import rebuild
from projections.steps import Advanced, Remembered, Step, advance, advance_together
from projections.views import Build, live_build, live_builds, new_build, provision

log = structlog.get_logger()

BATCH = 500
LOOK_EVERY = 1.0

Listener: TypeAlias = Callable[[Build, Advanced], None]


class LiveViews:
    """Follows the ledger into every view. A view made by an older version of its code is rebuilt first."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        projections: Sequence[Projection],
        wake: Wake,
    ) -> None:
        self._pool = pool
        self._wake = wake
        self.projections = {projection.name: projection for projection in projections}
        self.advanced = {projection.name: asyncio.Condition() for projection in projections}
        """Notified whenever this process has moved a view."""
        self._listening: dict[str, list[Listener]] = {projection.name: [] for projection in projections}
        self._remembered = Remembered()
        self._together = Batches(self._advance, len(projections))
        self._live: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        await asyncio.gather(
            supervise("view.builds", self._look),
            *(
                supervise(f"view.{name}", partial(self._follow, projection))
                for name, projection in self.projections.items()
            ),
        )

    def listen(self, projection: Projection, listener: Listener) -> None:
        """Call the listener from now on whenever this process has moved the view, with what it did."""
        self._listening[projection.name].append(listener)

    async def _follow(self, projection: Projection) -> None:
        async with self._pool.connection() as conn:
            await provision(conn)
            live = await live_build(conn, projection)
            if live is None:
                await new_build(conn, projection, "live")
            elif live[1] != projection.version:
                log.info("view.rebuild", view=projection.name, was=live[1], is_now=projection.version)
                await rebuild(conn, projection, lambda position, head: None)
            self._live = await live_builds(conn)
        position = -1
        while True:
            grown = self._wake.next
            number, version = self._live.get(projection.name, (0, 0))
            if version != projection.version:
                raise LookupError(f"the live {projection.name} was made by another version")
            build = Build(projection, number)
            if known := self._wake.since(position)[:BATCH]:
                step = await self._step(Step(build, position, known))
            else:
                async with self._pool.connection() as conn:
                    step = await advance(conn, build, BATCH, self._remembered)
            position = step.position if step.read else -1
            if step.read:
                async with self.advanced[projection.name]:
                    self.advanced[projection.name].notify_all()
                for listener in self._listening[projection.name]:
                    listener(build, step)
            if step.read < BATCH:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await grown.wait()

    async def _step(self, step: Step) -> Advanced:
        """Views that have heard of the same events take their steps together."""
        advanced = await self._together.ask(step)
        if isinstance(advanced, Exception):
            raise advanced
        return advanced

    async def _advance(self, steps: Sequence[Step]) -> Sequence[Advanced | Exception]:
        """In one transaction; where that fails each by itself, for a view holds up no other."""
        try:
            async with self._pool.connection() as conn:
                return await advance_together(conn, steps, self._remembered)
        except Exception as why:
            if len(steps) == 1:
                return [why]
            alone = await asyncio.gather(*(self._advance([step]) for step in steps))
            return [each for [each] in alone]

    async def _look(self) -> None:
        """A rebuild elsewhere may have switched."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            async with self._pool.connection() as conn:
                self._live = await live_builds(conn)

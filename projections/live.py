"""Keeps the live views up to date, and tells whoever watches one what changed."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from eventlog.follow import Wake
from eventlog.supervise import supervise
from projections.projection import Projection
from projections.rebuild import rebuild
from projections.views import advance, live_build, new_build, provision

log = structlog.get_logger()

BATCH = 500
LOOK_EVERY = 1.0


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

    async def run(self) -> None:
        """Follow until cancelled."""
        await asyncio.gather(
            *(
                supervise(f"view.{name}", partial(self._follow, projection))
                for name, projection in self.projections.items()
            )
        )

    async def _follow(self, projection: Projection) -> None:
        async with self._pool.connection() as conn:
            await provision(conn)
            live = await live_build(conn, projection)
            if live is None:
                await new_build(conn, projection, "live")
            elif live[1] != projection.version:
                log.info("view.rebuild", view=projection.name, was=live[1], is_now=projection.version)
                await rebuild(conn, projection, lambda position, head: None)
        while True:
            async with self._pool.connection() as conn:
                # Looked up each time: a rebuild elsewhere may have switched.
                live = await live_build(conn, projection)
                if live is None or live[1] != projection.version:
                    raise LookupError(f"the live {projection.name} was made by another version")
                step = await advance(conn, live[0], BATCH)
            if step.read:
                async with self.advanced[projection.name]:
                    self.advanced[projection.name].notify_all()
            else:
                await self._wake.wait(LOOK_EVERY)

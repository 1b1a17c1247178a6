"""Views that follow the ledger beside each other, and take their steps together."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from psycopg import AsyncConnection

from eventlog import sql
from eventlog.follow import Wake
from eventlog.ledger import Ledger
from projections.catalogue import PROJECTIONS
from projections.facts import Fact
from projections.live import LiveViews
from projections.projection import Document, Projection
from projections.rebuild import rebuild
from projections.work_order_board.projection import WORK_ORDER_BOARD
from tests.eventlog.conftest import eventually, in_background
from tests.projections.log import everything, given_log, view
from tests.projections.story import DAY, dispatched, opened, received

Conn = AsyncConnection[Any]


def broken(card: Document | None, fact: Fact) -> Document:
    raise RuntimeError("a defect of one view")


BROKEN = replace(WORK_ORDER_BOARD, name="broken", evolve=broken)


@pytest.fixture
def wake() -> Wake:
    return Wake("not listened to")


@pytest.fixture
async def telling(ledger: Ledger, wake: Wake) -> AsyncIterator[Ledger]:
    """A ledger that tells the views of its process what was appended."""
    feeds = {source: ledger._feeds[source] for source in ledger.sources}
    async with Ledger(str(ledger.pool.conninfo), feeds, wake.grown).running() as telling:
        yield telling


async def all_at(conn: Conn, position: int, *views: Projection) -> bool:
    at = dict(await sql.rows(conn, "SELECT name, position FROM projection"))
    return all(at.get(view.name) == position for view in views)


async def test_views_that_step_together_equal_their_rebuilds(telling: Ledger, conn: Conn, wake: Wake) -> None:
    async with in_background(LiveViews(telling.pool, PROJECTIONS, wake).run()):
        for position, fact in enumerate(DAY, start=1):
            await given_log(telling, fact)
            await eventually(partial(all_at, conn, position, *PROJECTIONS))
    for projection in PROJECTIONS:
        live = await everything(conn, await view(conn, projection))
        await rebuild(conn, projection, lambda position, head: None)
        assert await everything(conn, await view(conn, projection)) == live != []


async def test_a_view_that_fails_holds_up_no_other(telling: Ledger, conn: Conn, wake: Wake) -> None:
    views = (WORK_ORDER_BOARD, BROKEN)
    live = LiveViews(telling.pool, views, wake)
    async with in_background(live.run()):
        await eventually(partial(all_at, conn, 0, *views))
        for position, fact in enumerate((received, opened, dispatched), start=1):
            await given_log(telling, fact)
            await eventually(partial(all_at, conn, position, WORK_ORDER_BOARD))
    assert await all_at(conn, 0, BROKEN)

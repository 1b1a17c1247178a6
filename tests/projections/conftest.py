from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from psycopg import AsyncConnection

from eventlog.feed import FeedPage
from eventlog.ledger import Ledger
from projections import views


@pytest.fixture
async def ledger(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Ledger]:
    async def nothing_is_missing(after: int, limit: int) -> FeedPage:
        raise AssertionError("no test here leaves a gap")

    sources = ("reception", "workshop", "customer_care")
    ledger = Ledger(await fresh_database("ledger"), dict.fromkeys(sources, nothing_is_missing))
    await ledger.provision()
    async with ledger.running():
        yield ledger


@pytest.fixture
async def conn(ledger: Ledger) -> AsyncIterator[AsyncConnection[Any]]:
    async with ledger.pool.connection() as conn:
        await views.provision(conn)
        yield conn

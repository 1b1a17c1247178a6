from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eventlog.store import EventStore


@pytest.fixture
async def reception(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("reception", await fresh_database("reception"))
    await store.provision()
    async with store.running():
        yield store

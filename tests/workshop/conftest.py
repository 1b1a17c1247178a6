from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eventlog.store import EventStore


@pytest.fixture
async def workshop(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("workshop", await fresh_database("workshop"))
    await store.provision()
    async with store.running():
        yield store

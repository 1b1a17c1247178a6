from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eventlog.store import EventStore
from services.reception.attachments import provision as provision_attachments


@pytest.fixture
async def reception(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("reception", address := await fresh_database("reception"))
    await store.provision()
    await provision_attachments(address)
    async with store.running():
        yield store

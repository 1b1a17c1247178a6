from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from eventlog.store import EventStore
from services.reception.attachments import provision as provision_attachments
from services.reception.mileage import provision as provision_mileage


@pytest.fixture
async def reception(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("reception", address := await fresh_database("reception"))
    await store.provision()
    await provision_attachments(address)
    await provision_mileage(address)
    async with store.running():
        yield store

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.journeys.test_board_stream import watching
from tests.system import Running


@pytest.fixture(scope="session", autouse=True)
async def quiet_stream(running: Running) -> AsyncIterator["asyncio.Task[list[str]]"]:
    """The first lines of the stream of a site where nothing happens: collected beside the other tests."""

    async def collect() -> list[str]:
        async with watching(running, "quiet") as lines:
            return [await anext(lines), await anext(lines)]

    task = asyncio.create_task(collect())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

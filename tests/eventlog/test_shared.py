"""One reading for all who wait, and never one from before somebody asked."""

import asyncio

import pytest

from eventlog.shared import Shared


class Shelf:
    """Counts how often it is looked at; a look ends when it is let go."""

    def __init__(self) -> None:
        self.looks = 0
        self.begun = asyncio.Semaphore(0)
        self.going = asyncio.Event()

    async def look(self, name: str) -> str:
        self.looks += 1
        seen = f"{name} {self.looks}"
        self.begun.release()
        await self.going.wait()
        return seen


async def test_all_who_wait_get_the_next_reading() -> None:
    shelf = Shelf()
    shared = Shared(shelf.look, 60)
    first = asyncio.create_task(shared("rules"))
    await shelf.begun.acquire()
    later = [asyncio.create_task(shared("rules")) for _ in range(10)]
    other = asyncio.create_task(shared("prices"))
    await shelf.begun.acquire()
    shelf.going.set()
    assert await first == "rules 1"
    assert set(await asyncio.gather(*later)) == {"rules 3"}
    assert await other == "prices 2"


async def test_a_reading_that_fails_fails_those_who_waited_for_it_alone() -> None:
    fails = True

    async def read(name: str) -> str:
        if fails:
            raise LookupError(name)
        return name

    shared = Shared(read, 60)
    found = await asyncio.gather(*(shared("rules") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [LookupError] * 3
    fails = False
    assert await shared("rules") == "rules"


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    shelf = Shelf()
    shared = Shared(shelf.look, 60)
    gives_up, stays = asyncio.create_task(shared("rules")), asyncio.create_task(shared("rules"))
    await shelf.begun.acquire()
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    shelf.going.set()
    assert await stays == "rules 1"


async def test_who_waits_for_a_reading_that_hangs_is_told_so() -> None:
    """Also those who came together, and share the very reading that hangs."""
    shelf = Shelf()
    shared = Shared(shelf.look, 0.01)
    together = await asyncio.gather(*(shared("rules") for _ in range(3)), return_exceptions=True)
    later = await asyncio.gather(*(shared("rules") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in (*together, *later)] == [TimeoutError] * 6
    assert shelf.looks == 1, "the next one has not begun"
    shelf.going.set()
    assert await shared("rules") == "rules 2"

"""That somebody looked is on disk before they see anything; how often, soon after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta

import pytest
from psycopg.errors import UndefinedTable
from psycopg_pool import AsyncConnectionPool

from access.pools import open_pool
from access.roles import Role
from access.sights import Sights
from access.tokens import Principal

AGENT = Principal("zhao.min", Role.CARE_AGENT, frozenset({"sh01"}), 0)


class Day:
    is_now = date(2026, 3, 2)

    def __call__(self) -> date:
        return self.is_now


@pytest.fixture
async def pool(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[AsyncConnectionPool]:
    async with open_pool(await fresh_database("sights"), 4) as pool:
        yield pool


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.fixture
async def sights(pool: AsyncConnectionPool, day: Day) -> Sights:
    sights = Sights(pool, day)
    await asyncio.gather(*(sights.provision() for _ in range(3)))
    return sights


async def on_disk(pool: AsyncConnectionPool) -> dict[tuple[str, str, str, str, date], int]:
    async with pool.connection() as conn:
        found = await conn.execute("SELECT actor, role, site, view, day, times FROM keys.sight")
        return {tuple(look): times for *look, times in await found.fetchall()}


async def test_the_first_look_of_a_day_is_on_disk_at_once(
    sights: Sights, pool: AsyncConnectionPool, day: Day
) -> None:
    await sights.note(AGENT, "board", "sh01")
    await sights.note(AGENT, "board", "sh02")
    day.is_now += timedelta(days=1)
    await sights.note(AGENT, "board", "sh01")
    assert await on_disk(pool) == {
        ("zhao.min", "care_agent", "sh01", "board", date(2026, 3, 2)): 1,
        ("zhao.min", "care_agent", "sh02", "board", date(2026, 3, 2)): 1,
        ("zhao.min", "care_agent", "sh01", "board", date(2026, 3, 3)): 1,
    }


async def test_how_often_follows_when_it_is_written_out(sights: Sights, pool: AsyncConnectionPool) -> None:
    other_process = Sights(pool, Day())
    for each in (sights, sights, sights, other_process, other_process):
        await each.note(AGENT, "board", "sh01")
    assert list((await on_disk(pool)).values()) == [2], "one for each process; the counts are in memory"
    await asyncio.gather(sights.write(), other_process.write())
    assert list((await on_disk(pool)).values()) == [5]
    await sights.write()
    assert list((await on_disk(pool)).values()) == [5]


async def test_a_count_that_could_not_be_written_is_written_later(
    sights: Sights, pool: AsyncConnectionPool, day: Day
) -> None:
    for _ in range(3):
        await sights.note(AGENT, "board", "sh01")
    async with pool.connection() as conn:
        await conn.execute("ALTER TABLE keys.sight RENAME TO away")
        with pytest.raises(UndefinedTable):
            await sights.write()
        with pytest.raises(UndefinedTable):
            await sights.note(AGENT, "board", "sh02")  # and so nothing is shown
        await sights.note(AGENT, "board", "sh01")
        await conn.execute("ALTER TABLE keys.away RENAME TO sight")
    day.is_now += timedelta(days=1)
    await sights.write()
    assert list((await on_disk(pool)).values()) == [4]

"""Nobody copies the customers by revealing one after the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring
from access.pools import open_pool
from access.problems import Problem
from access.reveal_limit import VERSIONS, RevealLimit, reveal_limit
from access.roles import Role
from access.tokens import Principal
from tests.api.conftest import Somebody
from tests.journeys.story import Visit
from tests.system import Running

AGENT = Principal("zhao.min", Role.CARE_AGENT, frozenset({"sh01"}), 0)
LIMIT = reveal_limit(datetime.now(UTC))


@pytest.fixture
async def database(fresh_database: Callable[[str], Awaitable[str]]) -> str:
    return await fresh_database("reveals")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with open_pool(database, 4) as pool:
        yield pool


@pytest.fixture
async def keyring(pool: AsyncConnectionPool) -> Keyring:
    keyring = Keyring(pool, bytes(range(32)))
    await keyring.provision()
    return keyring


async def reveal(keyring: Keyring, who: Principal = AGENT) -> Problem | None:
    try:
        await keyring.record_reveal(who, "c-1", ["phone"], "call back", "visit 7")
    except Problem as refused:
        return refused
    return None


async def test_the_limit_holds_across_processes_and_roles(keyring: Keyring, database: str) -> None:
    async with open_pool(database, 4) as elsewhere:
        other = Keyring(elsewhere, bytes(range(32)))
        promoted = Principal(AGENT.actor, Role.CARE_MANAGER, AGENT.sites, 0)
        asked = [reveal(*each) for _ in range(LIMIT.number) for each in ((keyring, AGENT), (other, promoted))]
        refused = [each for each in await asyncio.gather(*asked) if each]
    assert len(refused) == LIMIT.number
    assert {each.status for each in refused} == {429}
    assert len(await keyring.reveals("c-1")) == LIMIT.number


async def test_others_are_not_held_up(keyring: Keyring) -> None:
    await asyncio.gather(*(reveal(keyring) for _ in range(LIMIT.number)))
    assert await reveal(keyring)
    colleague = Principal("qian.yu", AGENT.role, AGENT.sites, 0)
    assert await reveal(keyring, colleague) is None


async def test_it_goes_on_when_the_first_of_them_is_old_enough(
    keyring: Keyring, pool: AsyncConnectionPool
) -> None:
    async def earlier(ago: timedelta, times: int) -> None:
        async with pool.connection() as connection:
            await connection.execute(
                "INSERT INTO keys.reveal (at, actor, role, subject, fields, reason, about)"
                " SELECT now() - %s, %s, 'care_agent', 'c-1', '{phone}', 'call back', 'visit 7'"
                " FROM generate_series(1, %s)",
                (ago, AGENT.actor, times),
            )

    await earlier(LIMIT.window + timedelta(seconds=1), LIMIT.number)
    assert await reveal(keyring) is None  # those are too long ago to count
    await earlier(LIMIT.window - timedelta(seconds=90), 1)
    await earlier(timedelta(minutes=1), LIMIT.number - 2)
    refused = await reveal(keyring)
    assert refused
    assert 60 < int(refused.headers["Retry-After"]) <= 90
    assert refused.detail.endswith("please go on in 2 minutes.")


async def test_a_refused_look_up_shows_nothing_and_says_why(running: Running, order: Visit) -> None:
    agent = Somebody(running, "care_agent", "sh01")
    path = f"/v1/work-orders/{order.id}/reveal"
    for _ in range(LIMIT.number):
        shown = await agent.send(path, {"reason": "call back"})
        assert shown.status_code == 200, shown.text
    refused = await agent.send(path, {"reason": "call back"}, headers={"Accept-Language": "zh-CN"})
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 0 < int(refused.headers["Retry-After"]) <= LIMIT.window.total_seconds()
    assert refused.json()["detail"].startswith("您在 60 分钟内已查看个人信息 60 次")
    assert order.phone not in refused.text
    another = await Somebody(running, "care_agent", "sh01").send(path, {"reason": "call back"})
    assert another.json()["phone"] == order.phone


def test_every_version_of_the_rule_has_its_number_owner_and_time() -> None:
    assert [each.version for each in VERSIONS] == list(range(1, len(VERSIONS) + 1))
    assert all(each.owner and each.effective.tzinfo for each in VERSIONS)


def test_a_version_holds_from_its_time_on() -> None:
    first, later = (
        RevealLimit(version, "somebody", datetime(year, 1, 1, tzinfo=UTC), 1, 1)
        for version, year in ((1, 2020), (2, 2026))
    )
    for at, expected in (
        (datetime(2019, 1, 1, tzinfo=UTC), first),
        (later.effective - timedelta(seconds=1), first),
        (later.effective, later),
    ):
        assert reveal_limit(at, (first, later)) is expected

"""Whatever is killed, wiped, frozen or absent: nothing lost, nothing doubled, in order, by itself."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from tests.faults.cluster import APPS, AT_ONCE, SITES, Cluster, Row, findings
from tests.faults.conftest import VISITS

pytestmark = pytest.mark.faults


async def receive_for(cluster: Cluster, seconds: float) -> int:
    """Vehicles come one after the other for so long, and each is answered soon."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        async with asyncio.timeout(5):
            await cluster.receive(SITES[0], f"meanwhile {count}")
        count += 1
        await asyncio.sleep(0.1)
    return count


async def test_the_bus_is_killed(working: Cluster) -> None:
    """Injected: kill -9 of NATS while people work; restarted. Expected: commands are answered meanwhile."""
    working.nats.kill()
    for n in range(AT_ONCE // 2):  # what needs no policy first, unlike the next step of most who are at work
        await working.receive(SITES[0], f"while the bus is dead {n}")
    working.nats.start()


async def test_the_database_is_killed(working: Cluster) -> None:
    """Injected: kill -9 of PostgreSQL while people work; restarted. Expected: who sends again gets one
    answer."""
    working.postgres.kill()
    working.postgres.start()


@pytest.mark.parametrize("app", APPS)
async def test_an_app_is_killed(working: Cluster, app: str) -> None:
    """Injected: kill -9 of each app (relay, policies, ledger and views with it) while people work.
    Expected: it goes on where it was."""
    working.kill(app)
    working.start(app)


async def test_the_bus_loses_everything_it_stored(working: Cluster) -> None:
    """Injected: kill -9 of NATS, its store removed, while people work. Expected: the stream is filled
    again."""
    working.nats.wipe()
    working.nats.start()


async def test_two_of_every_app_run_at_once(cluster: Cluster) -> None:
    """Injected: a second process of each app, so two relays, ledgers and sets of policies. Expected: every
    event once, every policy's command once."""
    before = await cluster.closed()
    async with AsyncExitStack() as twins:
        for app in APPS:
            await twins.enter_async_context(cluster.twin(app))
        await cluster.work(VISITS, "twins")
        await cluster.recovered(before + VISITS)


async def test_the_bus_freezes(cluster: Cluster) -> None:
    """Injected: NATS gets SIGSTOP for 20 s. Expected: commands are answered, no event loop stalls for 0.5
    s, what follows from the commands happens afterwards."""
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "frozen"))
    await cluster.acknowledged(VISITS)
    cluster.nats.process.send_signal(signal.SIGSTOP)
    try:
        with cluster.never_stalling():
            assert await receive_for(cluster, 20) > 40
        for app in ("reception", "workshop", "customer-care"):
            async with asyncio.timeout(5):
                assert (await cluster.client.get(f"{cluster.url(app)}/{app}/readyz")).status_code == 200
    finally:
        cluster.nats.process.send_signal(signal.SIGCONT)
    await people
    await cluster.recovered(before + VISITS)


async def test_the_bus_is_away_for_half_a_minute(cluster: Cluster) -> None:
    """Injected: NATS stopped for 30 s. Expected: as when it freezes, and the ledger reads the feeds
    meanwhile."""
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "away"))
    await cluster.acknowledged(VISITS)
    cluster.nats.stop()
    with cluster.never_stalling():
        assert await receive_for(cluster, 30) > 60
    cluster.nats.start()
    await people
    await cluster.recovered(before + VISITS)


async def test_the_database_freezes(cluster: Cluster) -> None:
    """Injected: every process of PostgreSQL gets SIGSTOP for 20 s while people work. Expected: no event loop
    stalls for 0.5 s, who sends again gets one answer."""
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "database frozen"))
    await cluster.acknowledged(VISITS)
    cluster.signal_database(signal.SIGSTOP)
    try:
        with cluster.never_stalling():
            await asyncio.wait({people}, timeout=20)
        assert not people.done()
    finally:
        cluster.signal_database(signal.SIGCONT)
    await people
    await cluster.recovered(before + VISITS)


async def test_the_bus_is_absent_at_start(cluster: Cluster) -> None:
    """Injected: all apps start while there is no NATS. Expected: they answer; it is found when it comes."""
    before = await cluster.closed()
    for app in APPS:
        cluster.kill(app)
    cluster.nats.kill()
    for app in APPS:
        cluster.start(app)
    await cluster.ready(*APPS)
    people = asyncio.create_task(cluster.work(VISITS, "absent"))
    await cluster.acknowledged(AT_ONCE)
    cluster.nats.start()
    await people
    await cluster.recovered(before + VISITS)


# The control: the check above finds each kind of damage


STORY = [
    Row("reception", 1, "visit-1", 1, "received"),
    Row("workshop", 1, "work-order-1", 1, "opened"),
    Row("workshop", 3, "work-order-1", 2, "dispatched"),
]
HELD = [("reception", 1), ("workshop", 1), ("workshop", 3)]
ANSWER = {"position": "workshop:3", "events": [{"type": "dispatched", "version": 2}]}


def test_a_right_ledger_has_no_findings() -> None:
    assert findings(STORY, HELD, [ANSWER]).all == []


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (STORY[:2], "lost"),
        (STORY[1:], "lost"),
        ([*STORY, STORY[0]], "doubled"),
        (STORY[:1] + STORY[:0:-1], "disordered"),
        ([*STORY[:2], replace(STORY[2], version=3)], "disordered"),
    ],
    ids=["at the end", "at the beginning", "repeated", "out of order", "a version is missing"],
)
def test_a_wrong_ledger_has_findings(rows: list[Row], kind: str) -> None:
    assert getattr(findings(rows, HELD, [ANSWER]), kind)


def test_an_acknowledged_command_that_no_store_holds_is_a_finding() -> None:
    assert findings(STORY[:2], HELD[:2], [ANSWER]).all == ["workshop:3 was acknowledged and is missing"]
    assert findings([*STORY[:2], replace(STORY[2], type="other")], HELD, [ANSWER]).lost

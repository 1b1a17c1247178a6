"""The clock of one process is an hour off: what is recorded, and in which order, is the database's matter."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from access.roles import Role
from eventlog import sql
from tests.faults.cluster import HOUR, SITES, Cluster

pytestmark = pytest.mark.faults

VISITS = 8
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture(scope="module", params=[HOUR, -HOUR], ids=["an hour fast", "an hour slow"])
async def off(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """Reception's process is off by so many seconds, and in the end it is not any more."""
    if not LIBRARIES:
        pytest.skip("without libfaketime (apt-get install libfaketime) no clock is off")
    await restart(cluster, "reception", request.param)
    yield request.param
    cluster.kill("reception")
    cluster.start("reception")
    await cluster.ready("reception")


async def restart(cluster: Cluster, app: str, seconds: int) -> None:
    cluster.kill(app)
    cluster.start(
        app, LD_PRELOAD=str(LIBRARIES[0]), FAKETIME=f"{seconds:+d}s", FAKETIME_DONT_FAKE_MONOTONIC="1"
    )
    await cluster.ready(app)


async def recorded_in(cluster: Cluster) -> list[datetime]:
    """When reception's events were recorded, by their positions."""
    query = "SELECT convert_from(state, 'UTF8') FROM events ORDER BY notification_id"
    async with await AsyncConnection.connect(cluster.settings.reception_db) as conn:
        return [
            datetime.fromisoformat(json.loads(body)["recorded_at"]) for [body] in await sql.rows(conn, query)
        ]


async def test_a_clock_is_an_hour_off(cluster: Cluster, off: int) -> None:
    """Injected: the process of reception lives an hour ahead, or an hour behind. Expected: positions and
    recording times are the database's and grow together; a token that by this clock is not good, good for
    half an hour around now, is refused with 401 and records nothing; what others send is done."""
    before, held = await cluster.closed(), await recorded_in(cluster)
    fresh = cluster.issue(Role.ADVISOR, SITES[0], since=-HOUR / 4, until=HOUR / 4)
    answer = await cluster.client.post(
        f"{cluster.url('reception')}/reception/v1/visits/{'0' * 20}/repairs/1/approve",
        json={"channel": "phone"},
        headers={"Authorization": f"Bearer {fresh}", "Idempotency-Key": str(uuid.uuid4())},
    )
    assert answer.status_code == 401, answer.text
    assert ("expired" if off > 0 else "not valid yet") in answer.json()["detail"]
    assert await recorded_in(cluster) == held
    began = datetime.now(UTC) - timedelta(minutes=1)
    await cluster.work(VISITS, f"off {off}")
    await cluster.recovered(before + VISITS)
    times = await recorded_in(cluster)
    assert all(one <= next for one, next in pairwise(times))
    assert began < times[len(held)]
    assert times[-1] < datetime.now(UTC) + timedelta(minutes=1)


# The control


async def test_the_control_clock_is_really_off(cluster: Cluster, off: int) -> None:
    """What this process calls the future, and only that, it refuses as not yet happened."""
    seen = {}
    for minutes in (-45, 45):
        answer = await cluster.client.post(
            f"{cluster.url('reception')}/reception/v1/visits/{'0' * 20}/repairs/1/approve",
            json={
                "channel": "phone",
                "occurred_at": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(),
            },
            headers={"Authorization": f"Bearer {cluster.token(Role.ADVISOR, SITES[0])}"},
        )
        seen[minutes] = answer.status_code
    assert seen == ({-45: 404, 45: 404} if off > 0 else {-45: 422, 45: 422})

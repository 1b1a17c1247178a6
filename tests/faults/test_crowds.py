"""Too many at once: everyone gets an answer, and those who behave are not held up by those who do not."""

import asyncio
import socket
import time
import uuid
from contextlib import AsyncExitStack

import httpx2
import pytest
from psycopg import AsyncConnection

from access.roles import Role
from tests.faults.cluster import SITES, Cluster, eventually

pytestmark = pytest.mark.faults

SITE = SITES[0]
LONG_STORY = ["刹车异响" * 50] * 10
"""A few of these are more than the buffers of a connection hold."""


async def test_two_hundred_edits_of_one_work_order_at_once(cluster: Cluster) -> None:
    """Injected: 200 repairs are added to one work order at the same moment. Expected: each is recorded
    once, the versions have no gap."""
    id = await cluster.receive(SITE, "crowded")
    await cluster.add_repair(SITE, id)
    url = f"{cluster.url('workshop')}/workshop/v1/work-orders/{id}/repairs"
    token = cluster.token(Role.TECHNICIAN, SITE)

    async def add(client: httpx2.AsyncClient, n: int) -> int:
        answer = await client.post(
            url,
            json={"description": f"repair {n}", "price_fen": 100, "delay_minutes": 1},
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())},
        )
        assert answer.status_code == 201, answer.text
        version: int = answer.json()["version"]
        return version

    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=200)) as client:
        versions = sorted(await asyncio.gather(*(add(client, n) for n in range(200))))
    assert versions == list(range(versions[0], versions[0] + 200))


async def test_more_requests_than_database_connections(cluster: Cluster) -> None:
    """Injected: the event table is locked, so that every pooled connection waits; 40 more requests come.
    Expected: 503 with Retry-After for those without a connection, after two seconds; then all is well
    again."""
    token = cluster.token(Role.ADVISOR, SITE)

    async def ask(n: int) -> tuple[int, float, str | None]:
        began = time.monotonic()
        answer = await cluster.client.post(
            f"{cluster.url('reception')}/reception/v1/visits/{n:020}/repairs/1/approve",
            json={"channel": "phone"},
            headers={"Authorization": f"Bearer {token}"},
        )
        return answer.status_code, time.monotonic() - began, answer.headers.get("retry-after")

    async with await AsyncConnection.connect(cluster.settings.reception_db) as maintenance:
        await maintenance.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        waiting = [asyncio.create_task(ask(n)) for n in range(40)]
        done, held = await asyncio.wait(waiting, timeout=5)
        refused = [each.result() for each in done]
        await maintenance.rollback()
    assert len(refused) >= 30
    assert {(status, retry) for status, _, retry in refused} == {(503, "2")}
    assert max(took for _, took, _ in refused) < 4
    assert {(await each)[0] for each in held} <= {404}
    await eventually(lambda: cluster.receive(SITE, "afterwards"))


class Screen:
    """A board on a wall, that shows what the stream sends, or hangs."""

    def __init__(self, cluster: Cluster, *, reads: bool) -> None:
        self._cluster = cluster
        self._reads = reads
        self.cards = 0
        self.last = b""
        self.bytes = 0

    async def connect(self, stack: AsyncExitStack) -> None:
        place = httpx2.URL(self._cluster.url("projections"))
        line = socket.socket()
        if not self._reads:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, (place.host, place.port))
        reader, writer = await asyncio.open_connection(sock=line, limit=2**20 if self._reads else 2**10)
        stack.callback(writer.close)
        token = self._cluster.token(Role.ADVISOR, SITE)
        writer.write(
            f"GET /v1/sites/{SITE}/board/stream HTTP/1.1\r\nHost: {place.host}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        assert b"200" in await reader.readline()
        if self._reads:
            watching = asyncio.create_task(self._watch(reader))
            stack.callback(watching.cancel)

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"id:"):
                self.cards, self.last = self.cards + 1, line
            self.bytes += len(line)


async def test_five_hundred_screens_of_which_fifty_stop_reading(cluster: Cluster) -> None:
    """Injected: 500 screens watch a board, 50 of them read nothing. Expected: the others miss no car and all
    come to the same last change (who is late gets a card as it stands), the memory of the app stays
    bounded."""
    before = cluster.memory("projections")
    async with AsyncExitStack() as stack:
        screens = [Screen(cluster, reads=n >= 50) for n in range(500)]
        for first in range(0, 500, 50):
            await asyncio.gather(*(screen.connect(stack) for screen in screens[first : first + 50]))
        for n in range(40):
            await cluster.receive(SITE, f"on the screens {n}", LONG_STORY)

        async def all_alike() -> bool:
            watching = screens[50:]
            level = len({screen.last for screen in watching}) == 1
            return level and min(screen.cards for screen in watching) >= 40

        await eventually(all_alike)
        assert screens[-1].bytes > 200_000
        assert cluster.memory("projections") < before + 150
    await cluster.ready("projections")

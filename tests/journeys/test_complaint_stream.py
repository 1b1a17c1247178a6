"""The stream of a complaint over HTTP: what a program that comes back is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.journeys.story import WITHIN
from tests.journeys.test_complaint import RAISED
from tests.system import Running

CARE = "/customer-care/v1/complaints"


@asynccontextmanager
async def watching(running: Running, path: str, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    given = {"Authorization": f"Bearer {running.token('care_agent', 'sh01')}", **headers}
    async with running.client.stream("GET", path, headers=given) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert ": connected" in [await anext(lines), await anext(lines)]
        yield lines


async def ids(lines: AsyncIterator[str], until: str) -> list[int]:
    """The ids up to that of the fact whose data say so."""
    found: list[int] = []
    async with asyncio.timeout(WITHIN):
        async for line in lines:
            if line.startswith("id: "):
                found.append(int(line[4:]))
            if line.startswith("data: ") and until in line:
                return found
    raise AssertionError("the stream ended")


async def test_whoever_comes_back_to_a_complaint_goes_on_where_they_were(running: Running) -> None:
    raised = await running.post(CARE, RAISED, "care_agent")
    complaint = raised["id"]
    at = (
        await running.get(
            f"/v1/complaints/{complaint}/timeline", "care_agent", min_position=raised["position"]
        )
    ).json()
    path = f"/v1/complaints/{complaint}/timeline/stream"
    async with watching(running, f"{path}?after=0") as steady:
        assert (await ids(steady, "complaint_raised"))[-1] <= at["position"]
        for outcome in ("not_reached", "reached"):
            await running.post(f"{CARE}/{complaint}/contact", {"outcome": outcome}, "care_agent")
        seen = await ids(steady, '"not_reached"')
        everything = seen + await ids(steady, '"reached"')
    async with watching(running, path, **{"Last-Event-ID": str(seen[-1])}) as lines:
        missed = await ids(lines, '"reached"')
    assert seen + missed == everything == sorted(set(everything))

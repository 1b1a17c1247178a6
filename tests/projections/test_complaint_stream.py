"""What happens to complaints, to everybody who watches: each fact once, in order, nothing of another site."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from access.problems import Problem
from eventlog.follow import Wake
from events.customer_care import ComplaintRaised, CustomerContacted
from projections import complaint_stream
from projections.catalogue import PROJECTIONS
from projections.complaint_stream import ComplaintStream
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.live import LiveViews
from tests.projections.log import given_log, view
from tests.projections.story import raised, sealed
from tests.projections.test_boards import ADVISOR, Dealership, place
from tests.recording import recorded

__all__ = ["place"]

HERE = replace(ADVISOR, sites=frozenset({"sh01"}))
WITHIN = 30


@asynccontextmanager
async def streaming(place: Dealership) -> AsyncIterator[ComplaintStream]:
    await hears(place)
    live = LiveViews(place.pool, PROJECTIONS, Wake("not listened to"))
    stream = ComplaintStream(place.pool, live, place.views(place.boards()))
    running = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def hears(place: Dealership, *facts: Any) -> None:
    await given_log(place.ledger, *facts)
    await view(place.conn, COMPLAINT_TIMELINE)


def complaint(id: str, site: str = "sh01") -> Any:
    """Raised at the first minute."""
    said = raised.event.model_copy(update={"complaint_id": id})
    assert isinstance(said, ComplaintRaised)
    return recorded(said, 1, site)


def contacted(id: str, minute: int, site: str = "sh01") -> Any:
    return recorded(CustomerContacted(complaint_id=id, channel="phone", outcome="not_reached"), minute, site)


async def sent(frames: AsyncIterator[bytes], until: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Name, id and data of what comes, up to a position."""
    found: list[tuple[str, int, dict[str, Any]]] = []
    async with asyncio.timeout(WITHIN):
        async for chunk in frames:
            for frame in chunk.decode().split("\n\n"):
                if frame.startswith("event: "):
                    name, id, data = (line.partition(": ")[2] for line in frame.split("\n"))
                    found.append((name, int(id), json.loads(data)))
            if found and found[-1][1] >= until:
                await frames.aclose()  # type: ignore[attr-defined]
                return found
    raise AssertionError("the stream ended")


def positions(found: list[tuple[str, int, dict[str, Any]]]) -> list[int]:
    return [position for _, position, _ in found]


async def test_each_fact_of_a_complaint_comes_once_in_order_and_nothing_of_another(place: Dealership) -> None:
    async with streaming(place) as stream:
        await hears(place, complaint("C1"), complaint("C2"))
        watching = asyncio.create_task(sent(await stream.open(HERE, "C1", None), 6))
        for position in (3, 4, 5, 6):
            await hears(place, contacted("C1" if position % 2 == 0 else "C2", position))
        found = await watching
    assert [(name, at) for name, at, _ in found] == [("entry", 4), ("entry", 6)]
    assert [data["event"] for *_, data in found] == ["customer_care.customer_contacted.v1"] * 2


@pytest.mark.parametrize("shown", ["C1", None], ids=["one complaint", "the list"])
async def test_a_screen_that_comes_back_misses_nothing_and_gets_nothing_twice(
    place: Dealership, shown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaint_stream, "PAGE", 2)
    async with streaming(place) as stream:
        await hears(place, complaint("C1"), *(contacted("C1", n) for n in (2, 3, 4, 5)))
        for last in range(5):
            found = await sent(await stream.open(HERE, shown, last), 5)
            assert positions(found) == ([*range(last + 1, 6)] if shown else [5])


async def test_the_list_tells_which_complaints_stand_otherwise_and_only_those_of_the_own_sites(
    place: Dealership,
) -> None:
    async with streaming(place) as stream:
        watching = asyncio.create_task(sent(await stream.open(HERE, None, None), 4))
        everywhere = replace(HERE, sites=frozenset("*"))
        all_of_them = asyncio.create_task(sent(await stream.open(everywhere, None, 0), 4))
        await asyncio.sleep(0)
        await hears(place, complaint("C1"), complaint("C2", "gz01"), complaint("C3"))
        await hears(place, contacted("C1", 2))
        found = await watching
        assert [each["complaint_id"] for *_, each in found][-1] == "C1"
        assert {each["site"] for *_, each in found} == {"sh01"}
        assert {each["site"] for *_, each in await all_of_them} == {"sh01", "gz01"}
    assert positions(found) == sorted(set(positions(found)))


async def test_a_complaint_of_another_site_is_as_missing_as_one_that_is_not_there(place: Dealership) -> None:
    async with streaming(place) as stream:
        await hears(place, complaint("C1", "gz01"))
        for id in ("C1", "nowhere"):
            with pytest.raises(Problem) as refused:
                await stream.open(HERE, id, None)
            assert refused.value.status == 404


async def test_nothing_that_is_sealed_is_sent(place: Dealership) -> None:
    async with streaming(place) as stream:
        await hears(place, complaint("C1"))
        for shown in ("C1", None):
            [(_, _, said)] = await sent(await stream.open(ADVISOR, shown, 0), 1)
            assert sealed.box not in json.dumps(said)
            assert (said["data"] if shown else said)["narrative_hidden"] is True


async def test_a_screen_is_refused_while_too_many_watch_and_let_in_when_one_has_left(
    place: Dealership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaint_stream, "MOST", 1)
    async with streaming(place) as stream:
        frames = await stream.open(HERE, None, None)
        assert (await anext(frames)).startswith(b": connected")
        with pytest.raises(Problem, match="Too many screens"):
            await stream.open(HERE, None, None)
        await frames.aclose()  # type: ignore[attr-defined]
        await stream.open(HERE, None, None)


@pytest.mark.parametrize("how", ["the server stops", "its time is over"])
async def test_a_connection_ends(place: Dealership, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "its time is over":
        monkeypatch.setattr(complaint_stream, "LIFETIME", 0.0)
    async with streaming(place) as stream:
        frames = await stream.open(HERE, None, None)
        assert (await anext(frames)).startswith(b": connected")
        if how == "the server stops":
            await stream.end()
        async with asyncio.timeout(WITHIN):
            assert [chunk async for chunk in frames] == []


async def test_only_screens_that_a_change_concerns_look_at_the_database(
    place: Dealership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the control: the one that it concerns does look."""
    looked: asyncio.Queue[str | None] = asyncio.Queue()
    since = ComplaintStream._since
    monkeypatch.setattr(ComplaintStream, "_since", _noting(looked, since))
    async with streaming(place) as stream:
        await hears(place, complaint("C1"), complaint("C2"))
        frames = {id: await stream.open(HERE, id, 2) for id in ("C1", "C2")}
        watching = {id: asyncio.create_task(sent(each, 3)) for id, each in frames.items()}
        async with asyncio.timeout(WITHIN):
            for _ in range(4):  # at first, and once more when the stream knows of them
                await looked.get()
        await hears(place, contacted("C2", 3))
        await watching["C2"]
        watching["C1"].cancel()
    assert (await looked.get(), looked.empty()) == ("C2", True)


def _noting(
    looked: asyncio.Queue[str | None], since: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    async def noting(stream: ComplaintStream, screen: complaint_stream.Screen, after: int) -> Any:
        looked.put_nowait(screen.complaint)
        return await since(stream, screen, after)

    return noting

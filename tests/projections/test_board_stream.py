"""What changes on a board, to a thousand screens: made once, in order, nothing twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eventlog.follow import Wake
from projections import board_stream
from projections.board_stream import BoardStream, Change, Form, as_json
from projections.catalogue import PROJECTIONS
from projections.live import LiveViews
from projections.projection import Document
from projections.work_order_board.cards import ShownCard
from tests.projections.test_boards import NOON, Dealership, place

__all__ = ["place"]

SCREENS = 1_000
WITHIN = 30


@asynccontextmanager
async def streaming(place: Dealership) -> AsyncIterator[BoardStream]:
    live = LiveViews(place.pool, PROJECTIONS, Wake("not listened to"))
    stream = BoardStream(live, place.boards())
    running = asyncio.create_task(stream.run())
    yield stream
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def told(
    stream: BoardStream, many: int, connected: asyncio.Semaphore, *, plates: bool = True, form: Form = as_json
) -> bytes:
    """What a screen is sent until it has so many cards."""
    sent = b""
    frames = stream.watch("sh01", None, seeing_people=plates, form=form)
    async with asyncio.timeout(WITHIN):
        async for chunk in frames:
            if chunk.startswith(b": connected"):
                connected.release()
            sent += chunk
            if sent.count(b"event: card\n") >= many:
                await frames.aclose()  # type: ignore[attr-defined]
                return sent
    raise AssertionError("the stream ended")


async def test_a_card_is_made_once_for_all_screens_that_show_the_same(place: Dealership) -> None:
    made: list[tuple[int, str | None]] = []

    def form(card: Document, position: int) -> str:
        made.append((position, card["plate"]))
        return as_json(card, position)

    async with streaming(place) as stream:
        connected = asyncio.Semaphore(0)
        screens = [
            asyncio.create_task(told(stream, 1, connected, plates=n % 2 == 0, form=form))
            for n in range(SCREENS)
        ]
        for _ in screens:
            await connected.acquire()
        await place.receives("1")
        sent = set(await asyncio.gather(*screens))
    assert len(sent) == 2, "all with the same rights were sent the same"
    assert len(made) == 2
    assert set(made) == {(1, None), (1, "沪A1")}


async def test_a_screen_that_comes_back_misses_nothing_and_gets_nothing_twice(place: Dealership) -> None:
    async with streaming(place) as stream:
        connected = asyncio.Semaphore(0)
        steady = asyncio.create_task(told(stream, 3, connected))
        await connected.acquire()
        for n in ("1", "2", "3"):
            await place.receives(n)
        everything = positions(await steady)

        for last in (0, *everything):
            missed: list[int] = []
            frames = stream.watch("sh01", last, seeing_people=True)
            async with asyncio.timeout(WITHIN):
                async for chunk in frames:
                    missed += positions(chunk)
                    if last == everything[-1] or (missed and missed[-1] == everything[-1]):
                        break
            await frames.aclose()  # type: ignore[attr-defined]
            assert missed == [each for each in everything if each > last]
    assert everything == [1, 2, 3]


async def test_whoever_is_further_behind_than_memory_is_served_from_the_view(
    place: Dealership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_stream, "KEPT", 1)
    monkeypatch.setattr("projections.boards.PAGE", 2)
    await place.receives("1")
    async with streaming(place) as stream:
        connected = asyncio.Semaphore(0)
        steady = asyncio.create_task(told(stream, 4, connected))
        await connected.acquire()
        for n in ("2", "3", "4", "5"):
            await place.receives(n)
        await steady
        sent = b""
        async with asyncio.timeout(WITHIN):
            async for chunk in stream.watch("sh01", 0, seeing_people=True):
                sent += chunk
                if positions(sent)[-1:] == [5]:
                    break
    assert positions(sent) == [1, 2, 3, 4, 5]


async def test_nothing_of_another_site_is_sent(place: Dealership) -> None:
    async with streaming(place) as stream:
        connected = asyncio.Semaphore(0)
        screen = asyncio.create_task(told(stream, 1, connected))
        await connected.acquire()
        await place.receives("1", site="gz01")
        await place.receives("2", site="sh01")
        assert positions(await screen) == [2]


def test_what_people_type_cannot_end_an_event() -> None:
    document: dict[str, Any] = {
        "work_order_id": "1",
        "column": "waiting",
        "since": NOON.isoformat(),
        "team": "a\r\nb\rid: 9\nc",
    }
    card = ShownCard(document, 7)
    frame = Change((card, card), NOON, 0.0).frame(True, lambda card, _: card["team"])
    assert frame == b"event: card\nid: 7\ndata: a\ndata: b\ndata: id: 9\ndata: c\n\n"


def positions(sent: bytes) -> list[int]:
    assert all(json.loads(line[6:]) for line in sent.splitlines() if line.startswith(b"data: "))
    return [int(line[4:]) for line in sent.splitlines() if line.startswith(b"id: ")]

"""The live board: every change to everyone who watches, once, in order."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.journeys.story import WITHIN, Visit
from tests.system import Running

Card = tuple[int, dict[str, Any]]


@asynccontextmanager
async def watching(
    running: Running, site: str = "sh01", role: str = "advisor", **headers: str
) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a board's stream."""
    given = {"Authorization": f"Bearer {running.token(role, site)}", **headers}
    async with running.client.stream("GET", f"/v1/sites/{site}/board/stream", headers=given) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert ": connected" in [await anext(lines), await anext(lines)]
        yield lines


async def cards(lines: AsyncIterator[str], visit: Visit, until: str) -> list[Card]:
    """The changes that came, up to the one in which the card of this visit has that last event, or a line in
    that state."""
    found: list[Card] = []
    position = 0
    async with asyncio.timeout(WITHIN):
        async for line in lines:
            name, _, value = line.partition(": ")
            if name == "id":
                position = int(value)
            elif name == "data":
                found.append((0, json.loads(value)))
            elif line == "" and found and found[-1][0] == 0:
                found[-1] = (position, found[-1][1])
                card = found[-1][1]
                reached = {card["last_event"], *(line["state"] for line in card["lines"])}
                if card["work_order_id"] == visit.id and until in reached:
                    return found
    raise AssertionError("the stream ended")


async def test_changes_come_in_order_and_a_screen_that_comes_back_misses_nothing(running: Running) -> None:
    visit = await Visit(running).received()
    async with watching(running) as lines, watching(running) as steady:
        await visit.dispatched()
        seen = await cards(lines, visit, "workshop.progress_watch_set.v1")
        last = seen[-1][0]
        await visit.repair_added(line=2)
        await visit.answered(2, "approve")
        everything = await cards(steady, visit, "released")

    async with watching(running, **{"Last-Event-ID": str(last)}) as lines:
        missed = await cards(lines, visit, "released")
        await visit.work("complete")
        followed = await cards(lines, visit, "workshop.repair_completed.v1")

    positions = [position for position, _ in seen + missed + followed]
    assert positions == sorted(set(positions))
    for each in (everything, seen + missed):
        assert each[-1][1]["lines"][0]["state"] == "released"
    assert _facts(everything[-1]) == _facts(missed[-1])
    assert [card["last_event"] for _, card in followed if card["work_order_id"] == visit.id] == [
        "workshop.repair_completed.v1"
    ]


async def test_another_sites_changes_never_appear(running: Running) -> None:
    async with watching(running, "hz01") as lines:
        await (await Visit(running, "sh01").received()).dispatched()
        own = await (await Visit(running, "hz01").received()).dispatched()
        seen = await cards(lines, own, "workshop.progress_watch_set.v1")
    assert {card["site"] for _, card in seen} == {"hz01"}


async def test_an_auditor_watches_without_plates(running: Running) -> None:
    async with watching(running, role="region_auditor") as hidden, watching(running) as clear:
        visit = await (await Visit(running).received()).dispatched()
        [*_, (_, masked)] = await cards(hidden, visit, "workshop.progress_watch_set.v1")
        [*_, (_, shown)] = await cards(clear, visit, "workshop.progress_watch_set.v1")
    assert (masked["plate"], masked["plate_hidden"]) == (None, True)
    assert shown["plate"] == visit.plate
    assert visit.plate not in json.dumps(masked, ensure_ascii=False)


async def test_a_stream_of_another_site_is_refused_before_it_begins(running: Running) -> None:
    elsewhere = await running.get("/v1/sites/hz01/board/stream", "advisor", "sh01")
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (404, "application/problem+json")


def _facts(change: Card) -> dict[str, Any]:
    return {k: v for k, v in change[1].items() if k not in ("waiting_minutes", "risk")}

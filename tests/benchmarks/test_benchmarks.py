"""A benchmark that measures something else than it says is worse than none."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from benchmarks import growth
from benchmarks.appending import metadata
from benchmarks.gates import WORK, out_of_order
from benchmarks.history import EPOCH, SOURCE, WHOLE, bodies, fill_ledger, fill_store, story
from benchmarks.load import http, load
from benchmarks.measure import Wanted, interleaved
from eventlog.bus import Arrival
from eventlog.feed import FeedEvent
from eventlog.ledger import Ledger
from eventlog.recorded import decode, event_hash
from eventlog.store import EventStore
from ops.processes import LOOPBACK

FreshDatabase = Callable[[str], Awaitable[str]]
STORY = story(WHOLE, "sh01")


async def rows_of(dsn: str) -> list[Any]:
    async with await AsyncConnection.connect(dsn) as conn:
        rows = await (await conn.execute("SELECT * FROM ledger ORDER BY seq")).fetchall()
        return [*rows, await (await conn.execute("SELECT seq, chain FROM ledger_head")).fetchone()]


async def test_a_ledger_that_was_filled_in_is_the_one_that_ingesting_makes(
    fresh_database: FreshDatabase,
) -> None:
    filled, ingested = await fresh_database("filled"), await fresh_database("ingested")
    assert await fill_ledger(filled, islice(repeat(STORY), 3)) == 30

    ledger = Ledger(ingested, {SOURCE: no_feed})
    await ledger.provision()
    async with ledger.running():
        texts = [text.encode() for text in bodies(islice(repeat(STORY), 3))]
        events = [FeedEvent(n, n - 1, event_hash(text), text) for n, text in enumerate(texts, start=1)]
        await ledger.ingest([Arrival(SOURCE, EPOCH, event) for event in events])

    assert await rows_of(filled) == await rows_of(ingested)


async def no_feed(after: int, limit: int) -> Any:
    raise AssertionError("nothing is missing")


async def test_a_store_that_was_filled_in_goes_on_where_its_streams_end(
    fresh_database: FreshDatabase,
) -> None:
    dsn = await fresh_database("filled")
    store = EventStore("bench", dsn)
    await fill_store(store, dsn, 2, STORY)
    async with store.running():
        handled = await store.handle(WORK, "work_order-w00000001", "w00000001", metadata())
        page = await store.page(0, 100)

    assert (handled.version, handled.position) == (11, 21)
    assert [event.body.decode() for event in page.events[:20]] == [
        text.replace("00000000", number) for number in ("00000000", "00000001") for _, text in STORY
    ]
    assert [decode(event.body).version for event in page.events] == [*range(1, 11), *range(1, 11), 11]


async def test_contenders_take_turns_and_the_median_counts() -> None:
    turns: list[str] = []
    values = {"ours": iter([5.0, 1.0, 3.0]), "theirs": iter([2.0, 2.0, 9.0])}

    def contender(name: str) -> Callable[[], Awaitable[float]]:
        async def round() -> float:
            turns.append(name)
            return next(values[name])

        return round

    found = await interleaved(3, **{name: contender(name) for name in values})
    assert (turns, found) == (["ours", "theirs"] * 3, {"ours": 3.0, "theirs": 2.0})


@pytest.mark.parametrize(
    ("names", "chosen"), [((), True), (("http64",), True), (("board", "http"), True), (("board",), False)]
)
def test_what_is_measured_is_chosen_by_the_beginning_of_its_key(names: tuple[str, ...], chosen: bool) -> None:
    assert Wanted(names)("http64_vs_bare", "http64_vs_library") is chosen


@pytest.mark.parametrize(("given", "wrong"), [((1, 2, 3), 0), ((2, 1, 3), 3), ((1, 3), 1), ((1, 1, 2), 1)])
def test_an_event_out_of_the_order_of_its_stream_is_counted(given: tuple[int, ...], wrong: int) -> None:
    other = '{"stream": "other", "version": 1}'
    assert out_of_order([other, *(f'{{"stream": "one", "version": {n}}}' for n in given)]) == wrong


@pytest.mark.parametrize("status", [201, 500])
async def test_a_load_counts_answers_of_the_right_status_only(status: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            await asyncio.sleep(0.001)  # an app takes longer; requests for 40,000 a second are made
            writer.write(f"HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\nok".encode())

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        loading = load(port, repeat(http("GET", "/")), 2, 0.2, 201)
        if status == 201:
            found = await loading
            assert found.rate > 0
            assert found.seconds == sorted(found.seconds)
        else:
            with pytest.raises(AssertionError):
                await loading


def test_a_plot_without_matplotlib_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(sys, "argv", ["growth", "--plot", str(tmp_path / "growth.svg")])
    with pytest.raises(SystemExit, match="uv run --group plots python"):
        growth.main()

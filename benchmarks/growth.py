"""`python -m benchmarks.growth`: a command, a board and a rebuild, the more is stored already."""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import uvloop
from psycopg import AsyncConnection
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from access.keyring import Keyring, load_master_key
from access.pools import open_pool
from benchmarks.appending import metadata
from benchmarks.apps import Apps, installed, until
from benchmarks.gates import WORK
from benchmarks.history import DELIVERED, NOBODY, WHOLE, Story, fill_ledger, fill_store, received, story
from benchmarks.load import answer, http, load
from benchmarks.measure import Timed, Wanted, interleaved
from benchmarks.rebuilding import rebuilding
from eventlog.settings import Settings
from eventlog.store import EventStore
from ops.nats import Nats
from ops.postgres import Postgres
from projections.catalogue import PROJECTIONS
from projections.rebuild import rebuild
from projections.views import new_build
from projections.work_order_board.projection import WORK_ORDER_BOARD

EVENTS = "10000,100000,500000,2000000"
ORDERS = "10000,100000,1000000"
CARDS = 200
SECONDS = 0.7
TURNS, REBUILDS = 9, 3
"""Rounds: short ones in turns, so that what else happens on the machine hits all sizes alike."""
MOST = 1_000
"""Commands in a round; the smallest store has to hold as many work orders."""
FLAT = 1.5
"""How much more it may take with most stored than with least, on a machine as unsteady as this kind."""


@dataclass(frozen=True, slots=True)
class Growth:
    key: str
    what: str
    unit: str
    stored: str
    points: list[tuple[int, float]]
    """How many are stored, what it takes."""

    @property
    def ratio(self) -> float:
        """Most stored to least stored."""
        return self.points[-1][1] / self.points[0][1]


@dataclass(frozen=True, slots=True)
class Run:
    postgres: Postgres
    nats: Nats
    data: Path
    events: Sequence[int]
    orders: Sequence[int]


async def measure(wanted: Wanted, run: Run) -> AsyncIterator[Growth]:
    for key, measuring in (
        ("growth_command", _commands),
        ("growth_board", _boards),
        ("growth_rebuild", _rebuilds),
    ):
        if wanted(key):
            yield await measuring(run)


async def _commands(run: Run) -> Growth:
    """One command after another, each for another stored work order, which has to be read."""
    rounds: dict[str, Timed] = {}
    for events in run.events:
        dsn, orders = _database(run, f"store_{events}"), events // len(WHOLE)
        await fill_store(EventStore("bench", dsn), dsn, orders, story(WHOLE, "sh01"))
        rounds[str(events)] = _lone(dsn, orders)
    await _settle(run)
    points = await _in_turns(TURNS, rounds)
    return Growth("growth_command", "a command, p50", "ms", "stored events", points)


def _lone(dsn: str, orders: int) -> Timed:
    async def round() -> float:
        taken = []
        async with EventStore("bench", dsn).running() as store:
            until = time.perf_counter() + SECONDS
            for number in random.sample(range(orders), min(orders, MOST)):
                began = time.perf_counter()
                await store.handle(WORK, f"work_order-w{number:08}", f"w{number:08}", metadata())
                taken.append(time.perf_counter() - began)
                if began > until:
                    break
        return statistics.median(taken) * 1000

    return round


async def _boards(run: Run) -> Growth:
    """One reader of the board of one site: 200 work orders are open there, all others were delivered."""
    async with AsyncExitStack() as stack:
        rounds: dict[str, Timed] = {}
        for orders in run.orders:
            apps = await installed(run.postgres, run.nats, run.data / f"board{orders}", f"board{orders}")
            await _fill_board(apps.settings, orders)
            port = await stack.enter_async_context(apps.ours("projections"))
            rounds[str(orders)] = await _reading(apps, port)
        await _settle(run)
        points = await _in_turns(TURNS, rounds)
    return Growth("growth_board", f"a board of {CARDS} cards, p50", "ms", "work orders", points)


async def _fill_board(settings: Settings, orders: int) -> None:
    stories = chain(await _open_stories(settings), _delivered(orders - CARDS))
    head = await fill_ledger(settings.ledger_db, stories)
    async with await AsyncConnection.connect(settings.ledger_db, autocommit=True) as conn:
        await rebuild(conn, WORK_ORDER_BOARD, lambda position, head: None)
        for other in PROJECTIONS:
            if other is not WORK_ORDER_BOARD:  # left empty, as if nothing had concerned it
                build = await new_build(conn, other, "live")
                await conn.execute(
                    "UPDATE projection SET position = %s WHERE (name, build) = (%s, %s)",
                    (head, other.name, build.number),
                )


async def _open_stories(settings: Settings) -> list[Story]:
    """Each of another customer, with a plate that can be read."""
    stories = []
    async with open_pool(settings.keys_db, 1) as pool:
        keyring = Keyring(pool, load_master_key(settings.secrets / "master.key"))
        for n in range(CARDS):
            subject = await keyring.subject_for({"phone": f"138{n:08}"})
            plate = await keyring.seal(subject, NOBODY.context, f"沪A{n:05}")
            stories.append(story([received(plate)], "sh01"))
    return stories


def _delivered(orders: int) -> Iterator[Story]:
    return islice(repeat(story([received(), DELIVERED], "sh01")), orders)


async def _reading(apps: Apps, port: int) -> Timed:
    request = http("GET", "/v1/sites/sh01/board", Authorization=apps.bearer("sh01"))

    async def shown() -> bool:
        _, body = await answer(port, request, 200)
        return len(json.loads(body)["cards"]) == CARDS

    async def signed() -> bool:
        """Whether the checkpoint of all that was filled in is behind it."""
        async with await AsyncConnection.connect(apps.settings.ledger_db) as conn:
            found = await (await conn.execute("SELECT count(*) > 0 FROM checkpoint")).fetchone()
        return bool(found and found[0])

    await until(signed)
    await until(shown)

    async def round() -> float:
        return (await load(port, repeat(request), 1, SECONDS, 200)).milliseconds(0.5)

    return round


async def _rebuilds(run: Run) -> Growth:
    """The whole board anew, with ten events for each work order."""
    rounds: dict[str, Timed] = {}
    for events in run.events:
        dsn = _database(run, f"ledger_{events}")
        await fill_ledger(dsn, islice(repeat(story(WHOLE, "sh01")), events // len(WHOLE)))
        rounds[str(events)] = rebuilding(dsn, events)
    await _settle(run)
    points = [(events, 1e6 / rate) for events, rate in await _in_turns(REBUILDS, rounds)]
    return Growth("growth_rebuild", "a rebuild, for each event", "µs", "events", points)


async def _in_turns(turns: int, rounds: dict[str, Timed]) -> list[tuple[int, float]]:
    found = await interleaved(turns, **rounds)
    return [(int(size), value) for size, value in found.items()]


def _database(run: Run, name: str) -> str:
    run.postgres.create_databases([name])
    return run.postgres.dsn(name)


async def _settle(run: Run) -> None:
    """What was filled in is on disk before anything is measured."""
    async with await AsyncConnection.connect(run.postgres.dsn("postgres"), autocommit=True) as conn:
        await conn.execute("CHECKPOINT")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--events", default=EVENTS, help=f"sizes of stores and ledgers ({EVENTS})")
    parser.add_argument("--orders", default=ORDERS, help=f"work orders beside a board ({ORDERS})")
    parser.add_argument("--only", default="", help="beginnings of keys, with commas between: growth_board")
    parser.add_argument("--minutes", type=float, default=30.0, help="given up after (30)")
    parser.add_argument("--json", action="store_true", help="ratios by key, and the points")
    parser.add_argument("--plot", type=Path, help="an SVG file; needs the dependency group plots")
    options = parser.parse_args()
    if options.plot:
        _matplotlib()
    console = Console(stderr=True)
    wanted = Wanted(tuple(name for name in options.only.split(",") if name))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Postgres(data / "postgres") as postgres, Nats(data / "nats") as nats:
            run = Run(postgres, nats, data, _sizes(options.events), _sizes(options.orders))
            found = uvloop.run(_within(options.minutes, wanted, run, console))
    if options.plot:
        plot(found, options.plot)
    if options.json:
        points = {"points": {growth.key: dict(growth.points) for growth in found}}
        print(json.dumps({growth.key: round(growth.ratio, 3) for growth in found} | points))
    else:
        Console(width=160).print(_table(found))


async def _within(minutes: float, wanted: Wanted, run: Run, console: Console) -> list[Growth]:
    found = []
    try:
        async with asyncio.timeout(60 * minutes):
            async for growth in measure(wanted, run):
                found.append(growth)
                console.print(f"{growth.key} {growth.ratio:.2f} {growth.points}", style="dim")
    except TimeoutError:
        sys.exit(f"not done within {minutes:g} minutes: allow more with --minutes, or less with --events")
    return found


def _sizes(text: str) -> list[int]:
    return sorted(int(size) for size in text.split(","))


def _table(found: list[Growth]) -> Table:
    table = Table("key", "what", "takes", "most to least", "target", "reached", box=MARKDOWN)
    for growth in found:
        takes = ", ".join(f"{value:.2f} {growth.unit} at {size:,}" for size, value in growth.points)
        reached = "yes" if growth.ratio <= FLAT else "no"
        table.add_row(growth.key, growth.what, takes, f"{growth.ratio:.2f}", f"≤ {FLAT:g}", reached)
    return table


def plot(found: list[Growth], path: Path) -> None:
    """What each takes, over how much is stored."""
    pyplot = _matplotlib()
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    figure, panels = pyplot.subplots(1, len(found), figsize=(3.4 * len(found), 2.8), squeeze=False)
    for panel, growth in zip(panels[0], found, strict=True):
        sizes, values = zip(*growth.points, strict=True)
        panel.plot(sizes, values, marker="o", color="#1f5fa8")
        panel.set(xscale="log", ylim=(0, 1.3 * max(values)), title=growth.what)
        panel.set(xlabel=growth.stored, ylabel=growth.unit)
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        sys.exit("A plot needs matplotlib: uv run --group plots python -m benchmarks.growth --plot …")
    matplotlib.use("svg")
    from matplotlib import pyplot

    return pyplot


if __name__ == "__main__":
    main()

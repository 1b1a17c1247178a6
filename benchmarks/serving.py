"""Our apps over HTTP against the plain ways."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import cycle, islice, repeat
from pathlib import Path

from benchmarks import watching
from benchmarks.apps import CUSTOMERS, Apps, installed, level, until, visit
from benchmarks.load import Load, answer, http, load
from benchmarks.measure import Gate, Row, Timed, Wanted, interleaved
from ops.nats import Nats
from ops.postgres import Postgres

COMMANDS = ("http64_vs_bare", "http64_vs_library", "command_p99_vs_p50")
BOARDS = ("board_vs_pydantic", "board_304_vs_sql", "board_p99_vs_p50", "asof_vs_live")
CARDS = 200
ADVISORS = 16


async def rows(
    wanted: Wanted, postgres: Postgres, nats: Nats, data: Path, seconds: float, rounds: int
) -> AsyncIterator[Row | Gate]:
    if not wanted(*COMMANDS, *BOARDS, *watching.KEYS):
        return
    apps = await installed(postgres, nats, data)
    async with apps.plain() as plain, apps.ours("reception") as reception:
        await _make_customers(apps, reception)
        if wanted(*COMMANDS):
            async for row in _commands(wanted, apps, reception, plain, seconds, rounds):
                yield row
        if not wanted(*BOARDS, *watching.KEYS):
            return
        received = [await answer(reception, each, 201) for each in islice(apps.visits("sh01"), CARDS)]
        for _, body in received[::2]:
            await answer(reception, apps.correction("sh01", json.loads(body)["id"]), 201)
        async with apps.ours("projections") as projections:
            await until(lambda: level(apps.settings))
            if wanted(*BOARDS):
                async for row in _boards(wanted, apps, projections, plain, seconds, rounds):
                    yield row
            at = watching.Servers(apps, postgres, nats, reception, projections, plain)
            async for each_row in watching.rows(wanted, at, seconds, rounds):
                yield each_row


async def _make_customers(apps: Apps, reception: int) -> None:
    """From now on all customers have come before and have their keys."""
    visits, desks = apps.visits("sh02"), asyncio.Semaphore(16)

    async def receive() -> None:
        async with desks:
            await answer(reception, next(visits), 201)

    await asyncio.gather(*(receive() for _ in range(CUSTOMERS)))


async def _commands(
    wanted: Wanted, apps: Apps, reception: int, plain: int, seconds: float, rounds: int
) -> AsyncIterator[Row]:
    visits = apps.visits("sh02")

    def rate(port: int, requests: Iterator[bytes]) -> Timed:
        async def round() -> float:
            return (await load(port, requests, 64, seconds, 201)).rate

        return round

    if wanted("http64_vs_bare", "http64_vs_library"):
        body = visit(1)
        found = await interleaved(
            rounds,
            ours=rate(reception, visits),
            bare=rate(plain, repeat(http("POST", "/bare", body))),
            library=rate(plain, repeat(http("POST", "/library", body))),
        )
        yield Row("http64_vs_bare", "HTTP command, 64 clients", "/s", found["ours"], found["bare"], 0.45)
        yield Row("http64_vs_library", "HTTP command, 64 clients", "/s", found["ours"], found["library"], 8.0)
    if wanted("command_p99_vs_p50"):
        yield _tail("command_p99_vs_p50", "command", await load(reception, visits, 16, seconds * rounds, 201))


async def _boards(
    wanted: Wanted, apps: Apps, projections: int, plain: int, seconds: float, rounds: int
) -> AsyncIterator[Row]:
    advisors = [apps.bearer("sh01", f"advisor-{n}") for n in range(ADVISORS)]

    def board(path: str = "/v1/sites/sh01/board", match: str = "", advisor: str = advisors[0]) -> bytes:
        return http("GET", path, Authorization=advisor, If_None_Match=match or '"none"')

    def boards(path: str = "/v1/sites/sh01/board", match: str = "") -> Iterator[bytes]:
        """Each of the advisors in turn: who looked is counted, one row for each of them."""
        return cycle([board(path, match, advisor) for advisor in advisors])

    head, body = await answer(projections, board(), 200)
    read = json.loads(body)
    assert len(read["cards"]) == CARDS
    assert len(json.loads((await answer(plain, board("/board/pydantic"), 200))[1])) == CARDS
    tag = head.lower().partition(b"etag: ")[2].partition(b"\r")[0].decode()

    def rate(port: int, requests: Iterator[bytes], status: int = 200) -> Timed:
        async def round() -> float:
            return (await load(port, requests, ADVISORS, seconds, status)).rate

        return round

    what = f"board of {CARDS} cards"
    if wanted("board_vs_pydantic", "board_304_vs_sql"):
        found = await interleaved(
            rounds,
            full=rate(projections, boards()),
            same=rate(projections, boards(match=tag), 304),
            pydantic=rate(plain, boards("/board/pydantic")),
            sql=rate(plain, boards("/board/sql")),
        )
        yield Row("board_vs_pydantic", what, "/s", found["full"], found["pydantic"], 2.0)
        yield Row("board_304_vs_sql", f"{what}, unchanged", "/s", found["same"], found["sql"], 4.0)
    if wanted("board_p99_vs_p50"):
        seen = await load(projections, boards(), ADVISORS, seconds * rounds, 200)
        yield _tail("board_p99_vs_p50", what, seen)

    def latency(requests: Iterator[bytes]) -> Timed:
        async def round() -> float:
            seen = await load(projections, requests, 1, seconds, 200)
            return seen.milliseconds(0.5)

        return round

    if wanted("asof_vs_live"):
        # All cards were there at each of these moments; since then 1 to 100 of them have changed.
        moments = range(read["position"] - CARDS // 2, read["position"])
        past = cycle([board(f"/v1/sites/sh01/board?as_of={each}") for each in moments])
        found = await interleaved(rounds, past=latency(past), live=latency(repeat(board())))
        yield Row(
            "asof_vs_live", f"{what}, as of before", "ms", found["past"], found["live"], 3.0, at_most=True
        )


def _tail(key: str, what: str, seen: Load) -> Row:
    what = f"{what}, p99 to p50, 16 clients"
    return Row(key, what, "ms", seen.milliseconds(0.99), seen.milliseconds(0.5), 3.0, at_most=True)

"""What holds for every view: one loop, one function, however and whenever the events come."""

import asyncio
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege, UniqueViolation
from psycopg.sql import SQL, Identifier

from eventlog import follow, sql
from eventlog.ledger import Ledger
from eventlog.recorded import canonical, encode
from eventlog.settings import Settings
from ops.processes import Unusable
from ops.reports import rebuild_view
from projections import rebuild as rebuilding
from projections import steps, views
from projections.catalogue import PROJECTIONS
from projections.facts import Fact, Reader
from projections.projection import Document, Projection
from projections.rebuild import Difference, RebuildFailed, rebuild
from projections.work_order_board.projection import WORK_ORDER_BOARD
from tests.events.samples import SAMPLES, VEHICLE_RECEIVED_V1
from tests.projections.log import Rows, documents, everything, given_log, view
from tests.projections.story import DAY, VISIT, dispatched, in_guangzhou, opened, received

Conn = AsyncConnection[Any]

every_view = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)


def unseen(position: int, head: int) -> None:
    """Of a rebuild's progress."""


@every_view
async def test_a_rebuild_equals_the_live_view(ledger: Ledger, conn: Conn, projection: Projection) -> None:
    for fact in DAY:
        await given_log(ledger, fact)
        live = await view(conn, projection)
    before = await everything(conn, live)

    rebuilt = await rebuild(conn, projection, unseen)

    assert rebuilt.differences == []
    assert rebuilt.switched
    assert await everything(conn, await view(conn, projection)) == before != []


@every_view
def test_any_event_may_be_the_first_that_a_view_can_read(projection: Projection) -> None:
    """What came before may be of a newer release."""
    facts = [projection.reader.read(sample.decode()) for sample in SAMPLES.values()]
    of_view = [fact for fact in facts if isinstance(fact, Fact) and getattr(fact.data, projection.key)]
    assert of_view
    for fact in of_view:
        projection.evolve(None, fact)


@every_view
async def test_twice_equals_once(ledger: Ledger, conn: Conn, projection: Projection) -> None:
    await given_log(ledger, *DAY)
    once = await everything(conn, await view(conn, projection))
    assert await everything(conn, await view(conn, projection)) == once
    for _ in range(2):
        await rebuild(conn, projection, unseen)
        assert await everything(conn, await view(conn, projection)) == once != []


@every_view
async def test_as_of_each_position_equals_the_view_captured_then(
    ledger: Ledger, conn: Conn, projection: Projection
) -> None:
    captured: list[dict[str, Document]] = []
    for fact in DAY:
        await given_log(ledger, fact)
        captured.append(await documents(conn, await view(conn, projection)))
    await rebuild(conn, projection, unseen)
    build = await view(conn, projection)
    assert [await documents(conn, build, position) for position in range(1, len(DAY) + 1)] == captured
    assert captured[0] != captured[-1]


@every_view
async def test_the_size_of_a_batch_does_not_matter(
    ledger: Ledger, conn: Conn, projection: Projection
) -> None:
    await given_log(ledger, *DAY)
    by_one = await everything(conn, await view(conn, projection, batch=1))
    await views.drop_build(conn, views.Build(projection, 1))
    assert await everything(conn, await view(conn, projection, batch=500)) == by_one != []


@every_view
async def test_a_view_goes_on_where_it_stopped(ledger: Ledger, conn: Conn, projection: Projection) -> None:
    await given_log(ledger, *DAY)
    at_once = await everything(conn, await view(conn, projection))
    await views.drop_build(conn, views.Build(projection, 1))

    build = await views.new_build(conn, projection, "live")
    assert (await steps.advance(conn, build, limit=11)).position == 11
    async with ledger.pool.connection() as another:
        assert await everything(another, await view(another, projection, batch=3)) == at_once


async def test_two_processes_that_advance_a_view_take_turns(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY)
    build = await views.new_build(conn, WORK_ORDER_BOARD, "live")
    async with ledger.pool.connection() as another:
        await asyncio.gather(*(view(each, WORK_ORDER_BOARD, batch=1) for each in (conn, another)))
    shared = await everything(conn, build)
    assert (await rebuild(conn, WORK_ORDER_BOARD, unseen)).differences == []
    assert await everything(conn, await view(conn, WORK_ORDER_BOARD)) == shared


async def test_a_type_of_a_newer_release_is_skipped_and_counted(ledger: Ledger, conn: Conn) -> None:
    newer = json.loads(encode(dispatched)) | {"type": "workshop.vehicle_polished.v1"}
    await given_log(ledger, received, opened, canonical(newer), dispatched)
    with_unknown = await documents(conn, build := await view(conn, WORK_ORDER_BOARD))
    assert with_unknown["V1"]["column"] == "in_work"
    [progress] = await sql.rows(conn, "SELECT position, skipped FROM projection")
    assert progress == (4, 1)
    assert await documents(conn, build, 2) == await documents(conn, build, 3)


async def test_an_event_with_unknown_contents_does_not_stop_a_view(ledger: Ledger, conn: Conn) -> None:
    strange = json.loads(encode(dispatched))
    strange["data"] = {"work_order_id": "V1", "team": {"name": "A", "lead": "Li"}}
    await given_log(ledger, received, opened, canonical(strange))
    shown = await documents(conn, await view(conn, WORK_ORDER_BOARD))
    assert shown["V1"]["column"] == "waiting"
    assert await sql.rows(conn, "SELECT position, skipped FROM projection") == [(3, 1)]


# A changed view


def evolve_loudly(card: Document | None, fact: Fact) -> Document:
    card = WORK_ORDER_BOARD.evolve(card, fact) or {}
    return {**card, "team": card["team"].upper()} if "team" in card else card


LOUD = replace(WORK_ORDER_BOARD, version=WORK_ORDER_BOARD.version + 1, evolve=evolve_loudly)
to_north = replace(dispatched, event=dispatched.event.model_copy(update={"team": "north"}))


async def builds(conn: Conn) -> list[tuple[int, str]]:
    found = await sql.rows(conn, "SELECT build, status FROM projection ORDER BY build")
    return [(build, status) for build, status in found]


async def test_a_changed_view_explains_each_difference_by_an_event(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, received, opened, to_north, in_guangzhou)
    old = await view(conn, WORK_ORDER_BOARD)
    before = await everything(conn, old)

    rebuilt = await rebuild(conn, LOUD, unseen)

    assert rebuilt.differences == [Difference("V1", to_north.id, {"team": ("north", "NORTH")})]
    assert (rebuilt.differing, rebuilt.documents, rebuilt.position) == (1, 2, 4)
    assert (await documents(conn, await view(conn, LOUD)))["V1"]["team"] == "NORTH"
    assert await builds(conn) == [(1, "old"), (2, "live")]
    assert await everything(conn, old) == before


async def test_the_next_rebuild_drops_what_the_last_one_kept(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, received)
    await view(conn, WORK_ORDER_BOARD)
    await rebuild(conn, LOUD, unseen)
    await rebuild(conn, LOUD, unseen)
    assert await builds(conn) == [(2, "old"), (3, "live")]


async def test_a_dry_run_switches_nothing_and_keeps_nothing(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, received, to_north)
    before = await everything(conn, await view(conn, WORK_ORDER_BOARD))

    rebuilt = await rebuild(conn, LOUD, unseen, dry_run=True)

    assert (rebuilt.differing, rebuilt.switched) == (1, False)
    assert await everything(conn, await view(conn, WORK_ORDER_BOARD)) == before
    assert await builds(conn) == [(1, "live")]
    assert await sql.rows(conn, "SELECT FROM pg_tables WHERE tablename = 'work_order_board_2'") == []


async def test_what_an_interrupted_rebuild_left_is_dropped(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, received)
    await view(conn, WORK_ORDER_BOARD)
    await views.new_build(conn, LOUD, "building")
    await rebuild(conn, LOUD, unseen)
    assert await builds(conn) == [(1, "old"), (2, "live")]


async def test_a_view_is_rebuilt_while_events_come(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY[:5])
    await view(conn, WORK_ORDER_BOARD)

    async def go_on() -> None:
        async with ledger.pool.connection() as another:
            for fact in DAY[5:]:
                await given_log(ledger, fact)
                await view(another, WORK_ORDER_BOARD)

    going_on = asyncio.create_task(go_on())
    while not going_on.done():
        assert (await rebuild(conn, WORK_ORDER_BOARD, unseen)).differences == []
    await going_on
    live = await everything(conn, await view(conn, WORK_ORDER_BOARD))
    await rebuild(conn, WORK_ORDER_BOARD, unseen)
    assert await everything(conn, await view(conn, WORK_ORDER_BOARD)) == live


# Whose rows a reader sees


async def seen_by(conn: Conn, build: views.Build, sites: str) -> set[str]:
    async with conn.transaction():
        await conn.execute("SET LOCAL ROLE bayledger_reader")
        await conn.execute("SELECT set_config('bayledger.sites', %s, true)", (sites,))
        query = SQL("SELECT site FROM {}").format(Identifier(build.table))
        return {site for [site] in await sql.rows(conn, query)}


async def test_a_reader_sees_the_rows_of_its_sites_only(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *VISIT, in_guangzhou)
    board = await view(conn, WORK_ORDER_BOARD)
    assert await seen_by(conn, board, "sh01") == {"sh01"}
    assert await seen_by(conn, board, "bj01,gz01") == {"gz01"}
    assert await seen_by(conn, board, "*") == {"sh01", "gz01"}
    assert await seen_by(conn, board, "bj01") == await seen_by(conn, board, "") == set()


async def test_a_reader_who_names_no_sites_sees_nothing(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, received)
    board = await view(conn, WORK_ORDER_BOARD)
    count = SQL("SELECT count(*) FROM {}").format(Identifier(board.table))
    assert await sql.row(conn, count) == (1,)
    async with conn.transaction():
        await conn.execute("SET LOCAL ROLE bayledger_reader")
        assert await sql.row(conn, count) == (0,)


async def test_a_reader_changes_nothing(ledger: Ledger, conn: Conn) -> None:
    board = await view(conn, WORK_ORDER_BOARD)
    await conn.execute("SET ROLE bayledger_reader")
    with pytest.raises(InsufficientPrivilege):
        await conn.execute(SQL("DELETE FROM {}").format(Identifier(board.table)))


UNGUARDED = """
SELECT t.relname FROM pg_class t JOIN projection p ON t.relname = p.name || '_' || p.build
WHERE NOT (t.relrowsecurity AND t.relforcerowsecurity AND EXISTS (
    SELECT FROM pg_policies WHERE tablename = t.relname AND roles = '{bayledger_reader}' AND cmd = 'SELECT'
))
"""


async def test_the_database_guards_the_rows_of_every_view(conn: Conn) -> None:
    for projection in PROJECTIONS:
        await view(conn, projection)
    assert await sql.rows(conn, UNGUARDED) == []
    await conn.execute("ALTER TABLE complaint_timeline_1 NO FORCE ROW LEVEL SECURITY")
    await conn.execute("DROP POLICY sites ON parked_messages_1")
    unguarded = {table for [table] in await sql.rows(conn, UNGUARDED)}
    assert unguarded == {"complaint_timeline_1", "parked_messages_1"}, "this check can fail"


# A rebuild in two processes


async def filled(conn: Conn, projection: Projection, processes: int) -> Rows:
    await rebuild(conn, projection, unseen, processes=processes)
    live = await views.live_build(conn, projection)
    assert live
    return await everything(conn, live[0])


def many_orders(count: int) -> list[bytes]:
    """The whole story of so many vehicles, told in turns; in between, what this release cannot read."""
    told: list[bytes] = []
    for fact in VISIT:
        body = encode(fact).decode()
        told += [body.replace('"V1"', f'"V{n}"').replace("-V1", f"-V{n}").encode() for n in range(count)]
        told.append(canonical(json.loads(body) | {"type": "workshop.vehicle_polished.v1"}))
        told.append(canonical(json.loads(body) | {"data": {"work_order_id": "V1", "line": "first"}}))
    return told


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "CHUNK", 7)
    monkeypatch.setattr(rebuilding, "KEPT", 6)
    monkeypatch.setattr(rebuilding, "MANY", 1)


@every_view
@pytest.mark.usefixtures("small_chunks")
async def test_every_way_to_fill_a_view_ends_in_the_same(
    ledger: Ledger, conn: Conn, projection: Projection
) -> None:
    """Live in small steps and in big ones, rebuilt in one process and in two, with more documents than one
    process holds in memory."""
    await given_log(ledger, *DAY, *many_orders(20), VEHICLE_RECEIVED_V1)
    live = await everything(conn, build := await view(conn, projection, batch=3))
    skipped = await sql.rows(conn, "SELECT skipped FROM projection")
    await views.drop_build(conn, build)
    assert await everything(conn, await view(conn, projection)) == live != []
    for processes in (1, 2):
        assert await filled(conn, projection, processes) == live
        counted = await sql.rows(conn, "SELECT skipped FROM projection WHERE status = 'live'")
        assert counted == skipped > [(0,)]


@pytest.mark.usefixtures("small_chunks")
async def test_a_document_cut_in_two_shares_would_show(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: events dealt out one by one, whichever document they belong to."""
    await given_log(ledger, *many_orders(3))
    monkeypatch.setattr(Reader, "keys", lambda _, bodies: [body.decode() for body in bodies])
    build = await views.new_build(conn, WORK_ORDER_BOARD, "old")
    head = await follow.head(conn)
    await rebuilding._fold_share(conn, build, 0, head, 0, 2, lambda position: None)
    with pytest.raises(UniqueViolation):
        await rebuilding._fold_share(conn, build, 0, head, 1, 2, lambda position: None)


async def test_positions_that_are_missing_in_the_ledger_shift_nothing(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY)
    await conn.execute("DELETE FROM ledger WHERE seq IN (4, 9)")
    by_one = await everything(conn, await view(conn, WORK_ORDER_BOARD, batch=1))
    assert await filled(conn, WORK_ORDER_BOARD, 1) == by_one


def dying(dsn: str, name: str, number: int, until: int, there: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failing(dsn: str, name: str, number: int, until: int, there: Any) -> None:
    there.send("the disk is full")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("other", "why"), [(dying, "second process ended with -9"), (failing, "process failed: the disk is full")]
)
async def test_a_rebuild_that_loses_its_second_process_says_so_and_leaves_nothing(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch, other: Any, why: str
) -> None:
    await given_log(ledger, *DAY)
    before = await everything(conn, await view(conn, WORK_ORDER_BOARD))
    monkeypatch.setattr(rebuilding, "_other_half", other)
    with pytest.raises(RebuildFailed, match=why):
        await rebuild(conn, WORK_ORDER_BOARD, unseen, processes=2)
    assert await builds(conn) == [(1, "live")]
    assert await everything(conn, await view(conn, WORK_ORDER_BOARD)) == before
    assert await tables(conn) == ["work_order_board_1"]


@pytest.mark.usefixtures("small_chunks")
async def test_the_command_names_the_view_whose_second_process_was_lost(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_log(ledger, *DAY)
    monkeypatch.setattr(rebuilding, "_other_half", dying)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    settings = Settings.model_construct(ledger_db=str(ledger.pool.conninfo))
    why = "work_order_board was not rebuilt: its second process ended with -9"
    with pytest.raises(Unusable, match=why):
        await rebuild_view(settings, WORK_ORDER_BOARD, unseen, dry_run=False)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("processes", [1, 2])
async def test_a_rebuild_that_is_interrupted_leaves_nothing(
    ledger: Ledger, conn: Conn, processes: int
) -> None:
    await given_log(ledger, *DAY, *many_orders(20))
    await view(conn, WORK_ORDER_BOARD)
    going_on = asyncio.Event()
    rebuilds = asyncio.create_task(
        rebuild(conn, WORK_ORDER_BOARD, lambda position, head: going_on.set(), processes=processes)
    )
    await going_on.wait()
    rebuilds.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rebuilds
    assert multiprocessing.active_children() == []
    assert await builds(conn) == [(1, "live")]
    assert await tables(conn) == ["work_order_board_1"]


async def tables(conn: Conn) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'work_order_board_%%'"
    return [name for [name] in await sql.rows(conn, query)]


@pytest.mark.usefixtures("small_chunks")
async def test_progress_only_grows_and_reaches_the_end(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY, *many_orders(20))
    for processes in (1, 2):
        told: list[tuple[int, int]] = []
        await rebuild(conn, WORK_ORDER_BOARD, lambda *at: told.append(at), processes=processes)  # noqa: B023
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] == len(DAY) + len(many_orders(20))

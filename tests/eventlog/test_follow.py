"""Readers of the ledger hear that it has grown, and have what was appended beside them without asking."""

import asyncio

from eventlog.follow import Wake, read
from eventlog.ledger import Ledger
from eventlog.store import EventStore
from tests.eventlog.conftest import arrivals, dispatch_many, eventually, in_background


def rows(*positions: int) -> list[tuple[int, str]]:
    return [(position, f"event {position}") for position in positions]


def test_a_reader_that_keeps_up_gets_what_follows_from_memory() -> None:
    wake = Wake("")
    wake.grown(rows(5, 6, 7))
    wake.grown(rows(8))
    assert wake.since(4) == rows(5, 6, 7, 8)
    assert wake.since(6) == rows(7, 8)
    assert wake.since(8) == []


def test_a_reader_that_is_behind_gets_nothing_from_memory() -> None:
    wake = Wake("")
    assert wake.since(0) == []
    wake.grown(rows(5, 6))
    assert wake.since(3) == []


def test_what_another_process_appended_leaves_no_gap_in_memory() -> None:
    wake = Wake("")
    wake.grown(rows(5, 6))
    wake.grown(rows(9))
    assert wake.since(5) == wake.since(6) == []
    assert wake.since(8) == rows(9)


def test_a_reader_is_woken_by_what_came_between_its_look_and_its_waiting() -> None:
    wake = Wake("")
    before = wake.next
    wake.grown(rows(1))
    assert before.is_set()
    assert not wake.next.is_set()


async def test_what_is_appended_here_is_what_the_ledger_holds(ledger: Ledger, store: EventStore) -> None:
    wake = Wake("")
    await dispatch_many(store, 120)
    whole = await arrivals(store)
    async with Ledger(str(ledger.pool.conninfo), {"reception": store.page}, wake.grown).running() as telling:
        for some in (whole[:1], whole[1:100], whole[:100], whole[100:]):
            await telling.ingest(some)
    async with ledger.pool.connection() as conn:
        assert wake.since(0) == await read(conn, 0, 200)


async def test_a_reader_hears_of_what_another_process_appended(ledger: Ledger, store: EventStore) -> None:
    wake = Wake(str(ledger.pool.conninfo))
    heard = wake.next
    async with in_background(wake.run()):
        pending = iter(range(1_000))

        async def heard_of_one() -> bool:
            await dispatch_many(store, 1, f"order-{next(pending)}")
            await ledger.refill("reception")
            await asyncio.sleep(0)
            return heard.is_set()

        await eventually(heard_of_one)
        assert wake.since(0) == []

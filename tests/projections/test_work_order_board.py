"""What a card of the board shows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import permutations

import pytest

from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from events.reception import RepairDeclined
from events.workshop import RepairDropped
from projections.facts import fact as read
from projections.projection import Document
from projections.work_order_board.projection import COLUMNS, WORK_ORDER_BOARD, evolve
from tests.projections import story
from tests.projections.log import documents, given_log, view
from tests.projections.story import RECEPTION, VISIT, WORKSHOP
from tests.projections.test_views import Conn
from tests.recording import recorded

declined = recorded(
    RepairDeclined(visit_id="V1", work_order_id="V1", line=1, channel="phone", reason="later"), 30
)
dropped = recorded(RepairDropped(work_order_id="V1", line=1), 31)


def card(facts: Sequence[Recorded]) -> Document:
    shown = reduce(evolve, map(read, facts), None)
    assert shown is not None
    return shown


async def test_each_fact_moves_the_card(ledger: Ledger, conn: Conn) -> None:
    """In the database, as of each position: the column, who is to act, and since which fact."""
    await given_log(ledger, *VISIT)
    board = await view(conn, WORK_ORDER_BOARD)
    moves = [
        (story.received, "waiting", "supervisor", story.received),
        (story.opened, "waiting", "supervisor", story.received),
        (story.dispatched, "in_work", "technician", story.dispatched),
        (story.added, "waiting_for_customer", "reception", story.added),
        (story.asked, "waiting_for_customer", "customer", story.asked),
        (story.approved, "in_work", "technician", story.approved),
        (story.released, "in_work", "technician", story.approved),
        (story.completed, "in_check", "inspector", story.completed),
        (story.failed, "in_check", "supervisor", story.failed),
        (story.reworked, "in_work", "technician", story.reworked),
        (story.completed_again, "in_check", "inspector", story.completed_again),
        (story.passed, "ready", "advisor", story.passed),
        (story.readied, "ready", "advisor", story.passed),
        (story.delivered, "delivered", "nobody", story.delivered),
        (story.closed, "delivered", "nobody", story.delivered),
    ]
    assert [fact for fact, *_ in moves] == list(VISIT)
    for position, (fact, column, waits_for, began) in enumerate(moves, start=1):
        shown = (await documents(conn, board, position))["V1"]
        assert (shown["column"], shown["waits_for"]) == (column, waits_for), fact.event
        assert (shown["since"], shown["last_event"]) == (to_text(began.recorded_at), fact.event.type)
    assert {column for _, column, _, _ in moves} == set(COLUMNS)


def test_a_card_shows_the_vehicle_and_what_was_found() -> None:
    shown = card(VISIT)
    assert (shown["vin"], shown["mileage_km"], shown["team"]) == ("LSVAA49J132047371", 48_210, "机电一组")
    assert (shown["symptoms"], shown["reworks"], shown["cause"]) == (["刹车时有尖叫声"], 1, "仍有异响")
    [line] = shown["lines"]
    assert (line["description"], line["price_fen"], line["state"]) == ("前刹车片", 68_000, "released")


def test_work_goes_on_without_a_declined_repair() -> None:
    shown = card(
        (story.received, story.opened, story.dispatched, story.added, story.asked, declined, dropped)
    )
    assert shown["waits_for"] == "technician"
    assert shown["lines"][0]["state"] == "dropped"


def interleaved(*streams: tuple[Recorded, ...]) -> list[tuple[Recorded, ...]]:
    """Some of the ways in which the facts of two services can reach the ledger, extremes included."""
    ways = []
    for first, second in permutations(streams):
        ways.append((*first, *second))
        for n in range(len(first)):
            ways.append((*first[:n], *second, *first[n:]))
    return ways


@pytest.mark.parametrize("until", range(1, len(VISIT) + 1))
def test_in_whichever_order_the_services_are_heard_the_card_is_the_same(until: int) -> None:
    """Each service's own facts keep their order; a service may be heard late, even after what it caused."""
    known = VISIT[:until]
    streams = (tuple(f for f in known if f in RECEPTION), tuple(f for f in known if f in WORKSHOP))
    for way in interleaved(*streams):
        assert card(way) == card(known)


async def test_a_late_service_is_shown_as_if_it_had_been_in_time(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *WORKSHOP, *RECEPTION)
    board = await view(conn, WORK_ORDER_BOARD, batch=1)
    assert (await documents(conn, board))["V1"] == card(VISIT)


def test_a_late_entry_counts_from_when_it_happened() -> None:
    on_paper = replace(
        story.completed,
        recorded_at=story.failed.recorded_at,
        metadata=replace(story.completed.metadata, occurred_at=story.completed.recorded_at),
    )
    assert card((story.received, story.dispatched, on_paper))["since"] == to_text(story.completed.recorded_at)

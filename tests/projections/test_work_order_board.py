"""What a card of the board shows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import permutations

import pytest

from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from events import Event
from events.reception import (
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
    BelongingsConsentGiven,
    RepairDeclined,
)
from events.workshop import BelongingsInTheWay, RepairDropped, RepairRevised
from projections.facts import fact as read
from projections.projection import Document
from projections.work_order_board.cards import A_DAY, computed, is_shown, midnight
from projections.work_order_board.projection import COLUMNS, WORK_ORDER_BOARD, evolve
from tests.projections import story
from tests.projections.log import documents, given_log, view
from tests.projections.story import RECEPTION, VISIT, WORKSHOP
from tests.projections.test_views import Conn
from tests.projections.whole_visit import WHOLE_VISIT, at, old_book
from tests.recording import OPENING, recorded

declined = recorded(
    RepairDeclined(visit_id="V1", work_order_id="V1", line=1, channel="phone", reason="later"), 30
)
dropped = recorded(RepairDropped(work_order_id="V1", line=1), 31)


def card(facts: Sequence[Recorded]) -> Document:
    handled = (fact for fact in facts if type(fact.event) in WORK_ORDER_BOARD.handles)
    shown = reduce(evolve, map(read, handled), None)
    assert shown is not None
    return shown


async def test_each_fact_moves_the_card(ledger: Ledger, conn: Conn) -> None:
    """In the database, as of each position: the column, who is to act, and since which fact."""
    await given_log(ledger, *VISIT)
    board = await view(conn, WORK_ORDER_BOARD)
    moves = [
        (story.received, "waiting", "advisor", story.received),
        (story.opened, "waiting", "advisor", story.received),
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
    assert {column for _, column, _, _ in moves} == set(COLUMNS) - {"booked", "waiting_for_parts"}


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


# From the booking to the gate


def stays(facts: Sequence[Recorded]) -> list[tuple[str, int]]:
    """The columns in which the card stood, each with the minute since when."""
    shown: list[tuple[str, int]] = []
    for n, fact in enumerate(facts, start=1):
        column = card(facts[:n])["column"]
        if not shown or shown[-1][0] != column:
            shown.append((column, int((fact.recorded_at - OPENING).total_seconds() // 60)))
    return shown


def test_one_card_goes_from_the_booking_to_the_gate() -> None:
    """R-13, R-14, P-01, W-15, W-18."""
    assert stays(WHOLE_VISIT) == [
        ("booked", -1500),
        ("waiting", 2),
        ("in_work", 15),
        ("waiting_for_parts", 18),
        ("waiting_for_customer", 40),
        ("waiting_for_parts", 50),
        ("in_work", 60),
        ("in_check", 120),
        ("in_work", 127),
        ("in_check", 140),
        ("ready", 146),
        ("in_check", 150),
        ("in_work", 150),
        ("in_check", 160),
        ("ready", 162),
        ("delivered", 209),
    ]


def test_a_booked_card_says_who_comes_and_when() -> None:
    """R-13: customer, model, request; on the day its slot."""
    shown = card(WHOLE_VISIT[:8])
    assert (shown["customer"], shown["model"], shown["need"]) == ("c-1", "ID.4", "保养")
    assert (shown["waits_for"], shown["since"], shown["number"]) == ("customer", to_text(at(0)), "A-7")


@pytest.mark.parametrize(
    "event",
    [
        AppointmentCancelled(**old_book, reason="customer"),
        AppointmentMissed(**old_book),
        AppointmentRescheduled(**old_book, to=at(0), to_book="sh01.2026-03-02"),
    ],
)
def test_a_card_whose_appointment_came_to_nothing_leaves_the_board(event: Event) -> None:
    """K-24."""
    shown = card((*WHOLE_VISIT[:3], recorded(event, 1)))
    assert shown["column"] == "gone"
    assert not is_shown(shown, midnight(at(0)))


def test_a_booking_is_on_the_board_on_its_day_and_when_it_is_overdue() -> None:
    """R-13: in the column of the day."""
    booked = card(WHOLE_VISIT[:8])
    day = midnight(at(0))
    assert [is_shown(booked, day + n * A_DAY) for n in (-1, 0, 1)] == [False, True, True]
    assert computed(booked, day - A_DAY)["column"] == "later"
    assert computed(booked, day)["column"] == "booked"


def test_the_card_shows_what_somebody_has_to_do_about_it() -> None:
    """W-05, W-10, W-11, W-13, W-19."""

    def until(name: str) -> Document:
        n = next(n for n, fact in enumerate(WHOLE_VISIT) if type(fact.event).__name__ == name)
        return card(WHOLE_VISIT[: n + 1])

    assert until("PrioritySet")["priority"] == "high"
    asked = until("BelongingsInTheWay")["belongings"]
    assert (asked["items"], asked["asked_at"]) == (["儿童座椅"], to_text(at(20)))
    assert until("BelongingsConsentGiven")["belongings"] == {"agreed": ["儿童座椅"]}
    assert until("DelayReported")["delays"] == {"1": {"cause": "parts", "minutes": 30}}
    told = until("CustomerToldOfDelay")
    assert (told["delays"]["1"]["told_at"], told["promised_at"]) == (to_text(at(75)), to_text(at(270)))
    assert [until(name).get("progress") for name in ("ProgressCheckDue", "ProgressRecorded")] == [
        "check_due",
        None,
    ]
    assert until("ProgressAlarmRaised")["progress"] == "alarm"
    assert until("VehicleReturned")["parking_place"] == "B-12"
    assert until("DeliveryCheckFailed")["sent_back_cause"] == "脏"


def test_consent_to_one_thing_in_the_way_is_none_to_another() -> None:
    """W-10: in whichever order the services are heard."""
    order = {"visit_id": "V1", "work_order_id": "V1"}
    asked = tuple(
        recorded(BelongingsInTheWay(**order, items=(item,)), minute)
        for item, minute in (("儿童座椅", 20), ("高尔夫包", 21))
    )
    consented = tuple(
        recorded(BelongingsConsentGiven(**order, items=(item,), channel="phone"), minute)
        for item, minute in (("高尔夫包", 22), ("儿童座椅", 23))
    )
    shown = card((*asked, consented[0]))["belongings"]
    assert (shown["items"], shown["asked_at"]) == (["儿童座椅"], to_text(asked[0].recorded_at))
    for known in (consented[:1], consented):
        for way in interleaved(asked, known):
            assert card(way)["belongings"] == card((*asked, *known))["belongings"]
    assert "asked_at" not in card((*asked, *consented))["belongings"]


def test_another_revision_of_a_repair_waits_for_the_customer_again() -> None:
    """R-65."""
    revised = recorded(
        RepairRevised(**{**story.repair, "price_fen": 1}, revision=2, hash="0" * 64), minute=40
    )
    shown = card((*VISIT[: VISIT.index(story.released) + 1], revised))
    assert (shown["column"], shown["waits_for"]) == ("waiting_for_customer", "reception")
    [line] = shown["lines"]
    assert (line["revision"], line["state"], line["price_fen"]) == (2, "added", 1)

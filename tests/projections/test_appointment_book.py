"""A day at the desk as people look at it, and what a month of them comes to."""

from datetime import date
from functools import reduce

import pytest

from access.problems import Problem
from access.roles import Role
from access.tokens import Principal
from eventlog.ledger import Ledger
from events import Event
from events.reception import (
    AppointmentConfirmed,
    AppointmentReminderDue,
    AppointmentRescheduled,
    CustomerWaitedTooLong,
)
from events.workshop import BayKeptFree
from projections.appointment_book.day import day_at, load
from projections.appointment_book.projection import APPOINTMENT_BOOK, evolve
from projections.appointment_book.statistics import statistics
from projections.appointment_book.welcome import greeting, surname
from projections.complaint_timeline.statistics import Month
from projections.facts import fact
from projections.projection import Document
from projections.unsealing import hidden
from projections.work_order_board.projection import WORK_ORDER_BOARD
from tests.projections.log import given_log, view
from tests.projections.test_complaint_statistics import views
from tests.projections.test_views import Conn
from tests.reception.test_appointment_book import (
    BOOK,
    about,
    another,
    at,
    booked,
    cancelled,
    facts,
    kept,
    make,
    missed,
    opened,
    reminded,
)
from tests.reception.test_appointment_queue import called, came, to_the_appointment, used
from tests.reception.test_visit import received
from tests.recording import recorded

second = another("A2", slot_at=at("09:15"), kind="proactive", channel="website", welcome="plate")
told = BayKeptFree(
    book=BOOK, appointment_id="A1", bay=1, starts_at=at("09:30"), ends_at=at("10:30"), follows=3
)


def stored(*events: Event) -> Document:
    """As the view keeps it."""
    document = reduce(evolve, (fact(recorded(event, n)) for n, event in enumerate(events, 1)), None)
    assert document is not None
    return document


def day(*events: Event, clock: str = "09:20") -> Document:
    return day_at(stored(*events), at(clock))


def states(shown: Document, kind: str) -> list[str]:
    return [each["state"] for each in shown["slots"] if each["kind"] == kind]


def test_each_slot_says_how_it_stands() -> None:
    """R-19, R-23, K-21: free, booked, kept free, or used."""
    shown = day(*booked, *facts(second, 2, advisor=2, bay=2), came("N1", "09:05"), used("N1", "gap", "09:24"))
    first = [(each["kind"], each["state"]) for each in shown["slots"][:6]]
    assert first == [
        ("slot", "free"),
        ("slot", "booked"),
        ("gap", "consumed"),
        ("slot", "free"),
        ("buffer", "buffer"),
        ("slot", "free"),
    ]
    assert shown["slots"][1]["taken"] == {"1": "A1", "2": "A2"}
    assert shown["slots"][2]["arrival_id"] == "N1"


def test_an_appointment_says_who_comes_when_to_whom_and_what_is_prepared() -> None:
    """R-05, R-08, R-09, R-10."""
    [shown] = day(*booked, told)["appointments"]
    assert (shown["number"], shown["advisor"], shown["bay"]) == ("260303-01", 1, 1)
    assert (shown["need"], shown["state"]) == ("air conditioning is warm", "booked")
    assert [part["code"] for part in shown["high_value_parts"]] == ["COMPRESSOR"]
    assert "workshop_told_at" in shown


def test_in_whichever_order_the_services_are_heard_the_day_is_the_same() -> None:
    events = [*booked, told]
    late, early = stored(*events), stored(told, *booked)
    for each in (late, early):
        each.pop("told")
    strip = ("requested_at", "confirmed_at")
    for each in (late, early):
        for appointment in each["appointments"].values():
            for name in strip:
                appointment.pop(name)
    assert late == early


@pytest.mark.parametrize(("ending", "state"), [(cancelled, "cancelled"), (missed, "missed")])
def test_what_ended_holds_nothing(ending: Event, state: str) -> None:
    """K-24."""
    shown = day(*booked, ending)
    assert shown["appointments"][0]["state"] == state
    assert shown["counts"]["appointments"][state] == 1
    assert "booked" not in states(shown, "slot")


def test_an_appointment_that_moved_stands_at_its_new_time() -> None:
    """R-12."""
    later = make.model_copy(update={"slot_at": at("14:00")})
    moved = AppointmentRescheduled(**about, to=at("14:00"), to_book=BOOK)
    [shown] = day(*booked, moved, *facts(later)[1:])["appointments"]
    assert shown["slot_at"].startswith("2026-03-03T06:00")
    assert shown["state"] == "booked"


def test_a_reminder_is_due_until_somebody_is_reached() -> None:
    """R-07, R-11, R-12."""
    due = AppointmentReminderDue(**about, reminder=1, due_at=at("09:15", day=2))
    unreached = reminded.model_copy(update={"outcome": "not_reached"})
    assert day(*booked, due)["counts"]["reminders_due"] == 1
    assert day(*booked, due, unreached)["counts"]["reminders_due"] == 1
    reached = day(*booked, due, unreached, reminded)
    assert reached["counts"]["reminders_due"] == 0
    assert [each["outcome"] for each in reached["appointments"][0]["reminders"]] == ["not_reached", "comes"]


def test_the_queue_is_in_its_order() -> None:
    """R-25, R-26, R-27, K-10: whose appointment has begun, members, all others as they came."""
    waiting = [came("N2", "09:02"), came("N3", "09:12", member=True), to_the_appointment, kept]
    assert [each["arrival_id"] for each in day(*booked, *waiting)["queue"]] == ["N1", "N3", "N2"]
    early = day(*booked, *waiting, clock="09:14")["queue"]
    assert [each["arrival_id"] for each in early] == ["N3", "N2", "N1"]


def test_patience_that_ended_is_seen() -> None:
    """R-21."""
    waited = CustomerWaitedTooLong(book=BOOK, arrival_id="N2", since=at("09:02"), minutes=8, rules=1)
    shown = day(opened, came("N2", "09:02"), waited)
    [waiting] = shown["queue"]
    assert (waiting["waiting_minutes"], waiting["over_patience"]) == (18, True)
    assert shown["counts"]["waited_too_long"] == 1
    assert not day(opened, came("N2", "09:13"))["queue"][0]["over_patience"]


def test_who_was_called_in_waits_no_more() -> None:
    shown = day(opened, came("N2", "09:02"), called("N2", 5))
    assert shown["queue"] == []
    assert [each["waited_seconds"] for each in shown["done"]] == [300]


# Load


def test_the_load_is_known_for_the_day_and_for_each_hour() -> None:
    """R-24: an hour in bay 1 from 9:30 on, of three bays."""
    shown = load(stored(*booked))
    assert shown is not None
    assert (shown["booked"], shown["capacity"]) == (60, 7 * 60 * 3)
    assert [(each["booked"], each["capacity"]) for each in shown["hours"][:3]] == [
        (30, 180),
        (30, 180),
        (0, 180),
    ]


def test_a_day_that_was_not_opened_has_no_load() -> None:
    assert load(stored(came("N1", "09:00"))) is None


# Statistics


def test_what_a_month_comes_to() -> None:
    """P-02, R-02, R-09, R-17, R-21, R-29."""
    walk_in = received.model_copy(update={"book": BOOK})
    by_appointment = walk_in.model_copy(update={"appointment_id": "A1", "appointment_book": BOOK})
    waited = CustomerWaitedTooLong(book=BOOK, arrival_id="N2", since=at("09:02"), minutes=8, rules=1)
    shown = statistics(
        [
            stored(
                *booked,
                *facts(second, 2, advisor=2, bay=2),
                to_the_appointment,
                kept,
                called("N1", 6),
                came("N2", "09:02"),
                waited,
                used("N2", "gap", "09:24"),
                called("N2", 10),
                by_appointment,
                walk_in,
                walk_in,
            )
        ]
    )
    assert shown == {
        "appointments": 2,
        "by_kind": {"passive": 1, "proactive": 1},
        "by_channel": {"phone": 1, "website": 1},
        "by_outcome": {"kept": 1, "booked": 1},
        "moved": 0,
        "received": 3,
        "received_booked": 1,
        "booking_rate": 0.333,
        "arrivals": 2,
        "waited_too_long": 1,
        "left": 0,
        "average_wait_seconds": 480,
        "consumed": {"gap": 1},
        "by_day": [{"date": "2026-03-03", "appointments": 2, "received": 3}],
    }


def test_an_appointment_that_moved_to_another_day_is_counted_there() -> None:
    """R-12, P-02."""
    moved = AppointmentRescheduled(**about, to=at("10:00", day=4), to_book="sh01.2026-03-04")
    there = [
        event.model_copy(update={"book": "sh01.2026-03-04"})
        if not isinstance(event, AppointmentConfirmed)
        else event.model_copy(update={"book": "sh01.2026-03-04", "moved_from": date(2026, 3, 3)})
        for event in facts(make)
    ]
    shown = statistics([stored(*booked, moved), stored(*there)])
    assert (shown["appointments"], shown["moved"]) == (1, 1)


def test_a_month_without_appointments() -> None:
    shown = statistics([])
    assert (shown["appointments"], shown["booking_rate"], shown["average_wait_seconds"]) == (0, None, None)


# The welcome board


@pytest.mark.parametrize(
    ("welcome", "shown"),
    [
        ("full", {"name": "欧阳小明", "plate": "沪A12345"}),
        ("surname", {"surname": "欧阳"}),
        ("plate", {"plate": "沪A12345"}),
    ],
)
def test_the_welcome_board_shows_what_the_customer_chose(welcome: str, shown: Document) -> None:
    """R-16."""
    expected = {"slot_at": "2026-03-03T01:15:00.000000+00:00", "state": "booked"}
    assert greeting({**expected, "welcome": welcome}, "欧阳小明", "沪A12345") == {**expected, **shown}
    assert greeting({**expected, "welcome": welcome}, None, None) is None


def test_who_wants_nothing_shown_is_not_on_the_board() -> None:
    """R-16."""
    quiet = {"slot_at": "x", "state": "booked", "welcome": "nothing"}
    assert greeting(quiet, "欧阳小明", "沪A12345") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("王小明", "王"), ("欧阳小明", "欧阳"), ("Anna Maria Smith", "Smith"), (" 李 ", "李")],
)
def test_a_surname(name: str, expected: str) -> None:
    """R-16."""
    assert surname(name) == expected


# Personal values


def test_personal_values_are_hidden_however_deep_they_stand() -> None:
    clear = hidden(day(*booked, came("N1", "09:00", plate=make.plate)))
    [appointment], [waiting] = clear["appointments"], clear["queue"]
    assert (appointment["plate"], appointment["plate_hidden"]) == (None, True)
    assert (appointment["phone"], appointment["phone_hidden"]) == (None, True)
    assert (waiting["plate"], waiting["plate_hidden"]) == (None, True)
    assert "box" not in str(clear)


AUDITOR = Principal("liu.fang", Role.REGION_AUDITOR, frozenset({"sh01"}), 0)
"""Sees no people."""


async def test_a_day_is_read_as_it_stands_and_as_it_stood(ledger: Ledger, conn: Conn) -> None:
    """P-02."""
    events = [*booked, cancelled]
    await given_log(ledger, *(recorded(event, n) for n, event in enumerate(events, 1)))
    for projection in (APPOINTMENT_BOOK, WORK_ORDER_BOARD):
        await view(conn, projection)
    reader = views(ledger)
    now = await reader.day(AUDITOR, "sh01", "2026-03-03")
    then = await reader.day(AUDITOR, "sh01", "2026-03-03", as_of=len(booked))
    assert [each.document["appointments"][0]["state"] for each in (now, then)] == ["cancelled", "booked"]
    assert now.document["appointments"][0]["customer_name_hidden"]
    none = await reader.day(AUDITOR, "sh01", "2026-03-04")
    assert none.document == {
        "book": "sh01.2026-03-04",
        "site": "sh01",
        "date": "2026-03-04",
        "opened": False,
    }
    with pytest.raises(Problem, match="There is nothing here"):
        await reader.day(AUDITOR, "gz01", "2026-03-03")


async def test_a_month_is_counted_at_the_site_that_is_asked_for(ledger: Ledger, conn: Conn) -> None:
    """P-02, R-09."""
    elsewhere = make.model_copy(update={"book": "sh02.2026-03-03", "appointment_id": "A9"})
    there = [event.model_copy(update={"book": elsewhere.book}) for event in booked]
    await given_log(
        ledger,
        *(recorded(event, n) for n, event in enumerate(booked, 1)),
        *(recorded(event, n, site="sh02") for n, event in enumerate(there, 1)),
    )
    for projection in (APPOINTMENT_BOOK, WORK_ORDER_BOARD):
        await view(conn, projection)
    reader = views(ledger)
    march = await reader.appointment_statistics(AUDITOR, "sh01", Month.named("2026-03"))
    april = await reader.appointment_statistics(AUDITOR, "sh01", Month.named("2026-04"))
    assert (march.document["appointments"], april.document["appointments"]) == (1, 0)
    _, _, days = await reader.days(AUDITOR, "sh01", "2026-03-01", "2026-03-07")
    assert [each["date"] for each in days] == ["2026-03-03"]
    assert await reader.welcome(AUDITOR, "sh01", "2026-03-03") == []

"""The rules of appointments. The site opens at nine; its clocks are eight hours ahead."""

from datetime import UTC, date, datetime, timedelta

import pytest

from events import Event, Sealed
from events.reception import (
    AppointmentCancelled,
    AppointmentConfirmed,
    AppointmentDayOpened,
    AppointmentKept,
    AppointmentMissed,
    AppointmentReminded,
    AppointmentReminderDue,
    AppointmentRequested,
    AppointmentRescheduled,
    BayReserved,
    PartWanted,
)
from services.reception import appointment_commands as do
from services.reception.appointment_book import appointment_decider
from services.reception.appointment_slots import slots_of
from tests.reception.test_appointment_slots import NINE, TUESDAY
from tests.spec import Spec

BOOK = "sh01.2026-03-03"
RULES = NINE.model_copy(update={"bays": 3})
book = Spec(appointment_decider([RULES]))


def at(clock: str, day: int = 3) -> datetime:
    """On a day of March, by the clocks of the site."""
    return datetime.fromisoformat(f"2026-03-{day:02}T{clock}:00+08:00").astimezone(UTC)


NOW = at("10:00", day=1)
SLOTS = slots_of(RULES, TUESDAY)
sealed = Sealed(subject="c-1", context="reception.appointment_requested.phone", box="AAAA")
pads = PartWanted(code="BRAKE-PAD-F-OE", name="前刹车片 front brake pads", quantity=1, unit_fen=68_000)
compressor = PartWanted(code="COMPRESSOR", name="空调压缩机 A/C compressor", quantity=1, unit_fen=385_000)

opened = AppointmentDayOpened(
    book=BOOK,
    rules=1,
    hours=SLOTS.hours,
    slot_minutes=15,
    gap_minutes=6,
    slots=SLOTS.booked,
    buffers=SLOTS.buffers,
    gaps=SLOTS.gaps,
    advisors=2,
    bays=3,
)
make = do.BookAppointment(
    book=BOOK,
    at=NOW,
    entered_at=NOW,
    appointment_id="A1",
    slot_at=at("09:15"),
    agreed=True,
    kind="passive",
    channel="phone",
    need="air conditioning is warm",
    service="problem",
    operations=("AC-DIAG",),
    labour_minutes=60,
    parts=(pads, compressor),
    customer="c-1",
    customer_name=sealed,
    phone=sealed,
    plate=sealed,
)


def when(moment: datetime) -> dict[str, datetime]:
    """Agreed and entered."""
    return {"at": moment, "entered_at": moment}


def another(id: str, **changed: object) -> do.BookAppointment:
    return make.model_copy(update={"appointment_id": id, **changed})


def facts(command: do.BookAppointment, number: int = 1, advisor: int = 1, bay: int = 1) -> list[Event]:
    """What a booking is recorded as, on a day that is open."""
    slot_at = command.slot_at
    about = {"book": BOOK, "appointment_id": command.appointment_id, "work_order_id": command.appointment_id}
    dear = tuple(part for part in command.parts if part.code == "COMPRESSOR")
    wanted = command.model_dump(include=set(AppointmentRequested.model_fields))
    starts_at = slot_at + timedelta(minutes=15)
    return [
        AppointmentRequested.model_validate({**wanted, **about, "high_value_parts": dear}),
        BayReserved(
            **about,
            bay=bay,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=command.labour_minutes),
            high_value_parts=dear,
        ),
        AppointmentConfirmed.model_validate(
            {
                **about,
                "number": f"260303-{number:02}",
                "slot_at": slot_at,
                "advisor": advisor,
                "reminders_at": (slot_at - timedelta(hours=24), slot_at - timedelta(hours=12)),
                "missed_at": slot_at + timedelta(minutes=30),
                "rules": 1,
            }
        ),
    ]


booked = [opened, *facts(make)]
about = {"book": BOOK, "appointment_id": "A1", "work_order_id": "A1"}
move = do.MoveAppointment(book=BOOK, at=NOW, entered_at=NOW, appointment_id="A1", slot_at=at("14:00"))
cancel = do.CancelAppointment(book=BOOK, at=NOW, appointment_id="A1", reason="customer")
cancelled = AppointmentCancelled(**about, reason="customer")
remind = do.Remind(book=BOOK, at=NOW, appointment_id="A1", channel="phone", outcome="comes")
reminded = AppointmentReminded(**about, channel="phone", outcome="comes")
miss = do.MissAppointment(book=BOOK, at=at("09:45"), appointment_id="A1")
missed = AppointmentMissed(**about)
keep = do.KeepAppointment(book=BOOK, at=at("09:10"), appointment_id="A1")
kept = AppointmentKept(**about)


# Days


def test_a_day_is_opened_with_its_slots() -> None:
    """R-19."""
    book.given().when(do.OpenDay(book=BOOK, at=NOW)).then(opened)


def test_a_day_is_opened_once() -> None:
    book.given(opened).when(do.OpenDay(book=BOOK, at=NOW)).then_nothing()


def test_a_day_is_opened_anew_when_other_rules_hold_for_it() -> None:
    """X-14."""
    newer = RULES.model_copy(update={"version": 2, "effective": at("00:00", day=2), "advisors": 3})
    later = Spec(appointment_decider([RULES, newer]))
    later.given(opened).when(do.OpenDay(book=BOOK, at=NOW)).then(
        opened.model_copy(update={"rules": 2, "advisors": 3})
    )


def test_a_holiday_is_not_opened() -> None:
    """K-24."""
    holiday = do.OpenDay(book="sh01.2026-10-01", at=NOW)
    book.given().when(holiday).then_rejected("the site is closed on 2026-10-01")


# Booking


def test_a_customer_gets_a_number_a_time_an_advisor_and_a_bay() -> None:
    """R-01, R-02, R-03, R-04, R-05, R-17: the day opens with its first appointment."""
    book.given().when(make).then(opened, *facts(make))


def test_an_appointment_is_made_once() -> None:
    book.given(*booked).when(make).then_nothing()


def test_the_customer_agrees_first() -> None:
    """R-08."""
    book.given(opened).when(another("A1", agreed=False)).then_rejected(
        "the customer has to agree to the time and to the parts first"
    )


def test_parts_of_high_value_are_prepared() -> None:
    """R-08: those from 1,000 yuan on, with their quantity."""
    _, requested, reserved, _ = book.decider.decide(make, book.decider.initial)
    assert isinstance(requested, AppointmentRequested)
    assert isinstance(reserved, BayReserved)
    assert requested.high_value_parts == reserved.high_value_parts == (compressor,)


@pytest.mark.parametrize("given_at", [at("09:16", day=2), at("09:14")])
def test_an_appointment_is_made_a_day_ahead(given_at: datetime) -> None:
    """R-01."""
    book.given(opened).when(another("A1", **when(given_at))).then_rejected(
        "an appointment is made at least 24 hours before its time"
    )


def test_just_a_day_ahead_is_early_enough() -> None:
    """R-01, R-11: a reminder whose time has come already is not set."""
    *_, confirmed = book.decider.decide(another("A1", **when(at("09:15", day=2))), book.decider.initial)
    assert isinstance(confirmed, AppointmentConfirmed)
    assert confirmed.reminders_at == (at("21:15", day=2),)


@pytest.mark.parametrize("passed", [at("09:15"), at("12:00", day=4)])
def test_nobody_books_in_the_past(passed: datetime) -> None:
    book.given(opened).when(another("A1", **when(passed))).then_rejected(
        "the time of the appointment has passed already"
    )


def test_a_late_entry_books_no_time_that_has_passed_meanwhile() -> None:
    """R-01: agreed in time, entered too late; nobody would be reminded, and the customer has missed it."""
    soon = RULES.model_copy(update={"lead_time_hours": 0})
    late = {"at": at("09:00"), "entered_at": at("09:20")}
    Spec(appointment_decider([soon])).given(opened).when(another("A1", **late)).then_rejected(
        "the time of the appointment has passed already"
    )


def test_the_lead_time_of_a_late_entry_counts_from_when_the_customer_agreed() -> None:
    """R-01, R-11: the reminders are those that are still ahead."""
    late = another("A1", at=at("09:00", day=2), entered_at=at("21:30", day=2))
    *_, confirmed = book.given(opened).when(late)._decide()
    assert isinstance(confirmed, AppointmentConfirmed)
    assert confirmed.reminders_at == ()


@pytest.mark.parametrize(
    ("clock", "because"),
    [
        ("09:05", "no reception begins at 09:05; the next one is at 09:15"),
        ("09:45", "09:45 is kept free, so that no delay lasts"),
        ("12:30", "nobody is received at 12:30"),
        ("08:00", "nobody is received at 08:00"),
        ("17:00", "nobody is received at 17:00"),
        ("23:00", "nobody is received at 23:00"),
    ],
)
def test_only_slots_are_booked(clock: str, because: str) -> None:
    """R-19, R-04."""
    book.given(opened).when(another("A1", slot_at=at(clock))).then_rejected(because)


def test_nobody_books_on_a_holiday() -> None:
    """K-24."""
    holiday = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
    closed = another("A1", book="sh01.2026-10-01", slot_at=holiday)
    book.given().when(closed).then_rejected("the site is closed on 2026-10-01")


def test_each_advisor_receives_one_customer_at_a_time() -> None:
    """R-04."""
    second = another("A2")
    book.given(*booked).when(second).then(*facts(second, number=2, advisor=2, bay=2))
    book.given(*booked, *facts(second, number=2, advisor=2, bay=2)).when(another("A3")).then_rejected(
        "every advisor has an appointment at 09:15 already"
    )


def test_an_advisor_is_not_booked_twice_when_other_rules_lay_out_the_day_anew() -> None:
    """R-04, X-14: 09:15 until 09:30 was given out, and 09:20 until 09:40 would overlap with it."""
    slow = {"version": 2, "effective": at("00:00", day=2), "slot_minutes": 20, "advisors": 1}
    anew = Spec(appointment_decider([RULES, RULES.model_copy(update=slow)])).given(*booked)
    anew.when(another("A2", slot_at=at("09:20"))).then_rejected(
        "every advisor has an appointment at 09:20 already"
    )
    *_, confirmed = anew.when(another("A2", slot_at=at("09:40")))._decide()
    assert isinstance(confirmed, AppointmentConfirmed)
    assert confirmed.advisor == 1


def test_each_bay_holds_one_vehicle_at_a_time() -> None:
    """R-04."""
    second, third = another("A2", labour_minutes=15), another("A3", slot_at=at("09:30"))
    full = [*booked, *facts(second, 2, advisor=2, bay=2), *facts(third, 3, bay=3)]
    late = another("A4", slot_at=at("09:30"), labour_minutes=120)
    book.given(*full).when(late).then(*facts(late, 4, advisor=2, bay=2))
    book.given(*full, *facts(late, 4, advisor=2, bay=2)).when(
        another("A5", slot_at=at("10:00"))
    ).then_rejected("no bay is free from 10:15 to 11:15")


def test_a_bay_is_kept_until_the_work_is_done_or_the_day_ends() -> None:
    """R-04."""
    long = another("A1", slot_at=at("16:30"), labour_minutes=480)
    _, reserved, _ = book.given(opened).when(long)._decide()
    assert isinstance(reserved, BayReserved)
    assert reserved.ends_at == at("17:00")


# Moving


def test_a_customer_comes_at_another_time_of_the_day() -> None:
    """R-12: the number stays, the old time is free."""
    _, reserved, confirmed = facts(make.model_copy(update={"slot_at": at("14:00")}))
    rescheduled = AppointmentRescheduled(**about, to=at("14:00"), to_book=BOOK)
    book.given(*booked).when(move).then(rescheduled, reserved, confirmed)
    book.given(*booked, rescheduled, reserved, confirmed).when(another("A2")).then(
        *facts(another("A2"), number=2)
    )


def test_moving_to_the_same_time_changes_nothing() -> None:
    book.given(*booked).when(move.model_copy(update={"slot_at": make.slot_at})).then_nothing()


def test_an_appointment_is_moved_up_to_the_last_minute() -> None:
    """R-12: the second call comes when the time is near; the lead time was kept when it was made."""
    assert book.given(*booked).when(move.model_copy(update=when(at("09:10"))))._decide()


def test_an_appointment_is_not_moved_to_where_somebody_else_is() -> None:
    full = [another("A2", slot_at=at("14:00")), another("A3", slot_at=at("14:00"))]
    others = [*facts(full[0], 2, 1, 1), *facts(full[1], 3, 2, 2)]
    book.given(*booked, *others).when(move).then_rejected("every advisor has an appointment at 14:00 already")


requested_earlier, _, confirmed_earlier = facts(make)
assert isinstance(requested_earlier, AppointmentRequested)
assert isinstance(confirmed_earlier, AppointmentConfirmed)
take_over = do.TakeOverAppointment(
    book=BOOK,
    at=NOW,
    entered_at=NOW,
    appointment_id="A1",
    slot_at=make.slot_at,
    requested=requested_earlier.model_copy(update={"book": "sh01.2026-03-02"}),
    expected=True,
    number="260302-07",
    moved_from=date(2026, 3, 2),
    moved_from_slot=at("14:00", day=2),
)


def test_a_customer_comes_on_another_day() -> None:
    """R-12: with the number they know."""
    requested, reserved, confirmed = facts(make)
    came_from = {"moved_from": date(2026, 3, 2), "moved_from_slot": at("14:00", day=2)}
    moved = confirmed.model_copy(update={"number": "260302-07", **came_from})
    book.given().when(take_over).then(opened, requested, reserved, moved)
    book.given(opened, requested, reserved, moved).when(take_over).then_nothing()


@pytest.mark.parametrize("command", [make, move, take_over])
def test_a_late_entry_is_made_on_the_same_day(command: do.SetTime) -> None:
    """R-01: or whoever books would say themselves when the lead time began."""
    earlier = command.model_copy(update={"at": NOW - timedelta(days=1)})
    book.given(*(booked if command is move else [opened])).when(earlier).then_rejected(
        "an appointment is entered on the day on which it was agreed"
    )


def test_an_appointment_does_not_come_back_before_it_has_gone() -> None:
    """Its old time is freed by what was recorded on the other day, which has not been heard of yet."""
    for clock in ("09:15", "14:00"):
        book.given(*booked).when(take_over.model_copy(update={"slot_at": at(clock)})).then_rejected(
            "the appointment is being moved already; please look again in a moment"
        )


def test_only_who_is_expected_comes_on_another_day() -> None:
    """R-12, K-24: not who cancelled, nor who came."""
    book.given(opened).when(take_over.model_copy(update={"expected": False})).then_rejected(
        "the customer is not expected on that day any more"
    )


free = do.FreeMoved(
    book=BOOK,
    at=NOW,
    appointment_id="A1",
    slot_at=make.slot_at,
    to=at("10:00", day=4),
    to_book="sh01.2026-03-04",
)
gone = AppointmentRescheduled(**about, to=at("10:00", day=4), to_book="sh01.2026-03-04")


def test_the_old_day_lets_go_of_what_another_day_took_over() -> None:
    """R-12: once."""
    book.given(*booked).when(free).then(gone)
    book.given(*booked, gone).when(free).then_nothing()


def test_the_old_day_lets_go_of_nobody_whose_appointment_changed_meanwhile() -> None:
    """R-12, K-24: it was cancelled, kept or missed here, or has another time."""
    for ending in (cancelled, kept, missed):
        book.given(*booked, ending).when(free).then_nothing()
    within = AppointmentRescheduled(**about, to=at("14:00"), to_book=BOOK)
    at_two = facts(make.model_copy(update={"slot_at": at("14:00")}))[1:]
    book.given(*booked, within, *at_two).when(free).then_nothing()


give_back = do.GiveBack(
    book=BOOK,
    at=NOW,
    appointment_id="A1",
    slot_at=make.slot_at,
    to=at("10:00", day=4),
    to_book="sh01.2026-03-04",
)


def test_a_day_gives_back_what_was_not_let_go_for_it() -> None:
    """R-04, R-12: once; the advisor and the bay are free again."""
    book.given(*booked).when(give_back).then(gone)
    book.given(*booked, gone).when(give_back).then_nothing()
    book.given(*booked, kept).when(give_back).then_nothing()


def test_who_cancelled_before_the_old_day_let_go_is_not_expected_on_the_other() -> None:
    """K-24: for the reason that they gave."""
    for_parts = give_back.model_copy(update={"cancelled": "parts_missing"})
    ended = cancelled.model_copy(update={"reason": "parts_missing"})
    book.given(*booked).when(for_parts).then(ended)
    book.given(*booked, ended).when(for_parts).then_nothing()


# What becomes of it


def test_a_customer_cancels() -> None:
    """K-24: the advisor and the bay are free again."""
    book.given(*booked).when(cancel).then(cancelled)
    book.given(*booked, cancelled).when(another("A2")).then(*facts(another("A2"), number=2))


def test_cancelling_twice_changes_nothing() -> None:
    book.given(*booked, cancelled).when(cancel).then_nothing()


def test_a_reminder_is_due_at_its_time() -> None:
    """R-07, R-11: a day before, and half a day before; each once."""
    ring = do.RemindNow(book=BOOK, at=at("09:15", day=2), appointment_id="A1", reminder=1)
    due = AppointmentReminderDue(**about, reminder=1, due_at=at("09:15", day=2))
    book.given(*booked).when(ring).then(due)
    book.given(*booked, due).when(ring).then_nothing()
    book.given(*booked).when(ring.model_copy(update={"reminder": 2})).then_nothing()
    book.given(*booked).when(ring.model_copy(update={"reminder": 3})).then_nothing()


def test_the_customer_is_asked_whether_they_come() -> None:
    """R-07, R-12."""
    book.given(*booked).when(remind).then(reminded)


def test_the_same_answer_again_is_no_news_but_another_call_in_vain_is() -> None:
    book.given(*booked, reminded).when(remind).then_nothing()
    in_vain = remind.model_copy(update={"outcome": "not_reached"})
    unreached = reminded.model_copy(update={"outcome": "not_reached"})
    book.given(*booked, unreached).when(in_vain).then(unreached)


def test_who_does_not_come_has_missed_it() -> None:
    """K-24: half an hour after the time."""
    book.given(*booked).when(miss).then(missed)
    book.given(*booked).when(miss.model_copy(update={"at": at("09:44")})).then_nothing()
    book.given(*booked, missed).when(another("A2", **when(at("09:15", day=2)))).then(
        facts(another("A2"), 2)[0],
        facts(another("A2"), 2)[1],
        facts(another("A2"), 2)[2].model_copy(update={"reminders_at": (at("21:15", day=2),)}),
    )


def test_who_comes_has_kept_it() -> None:
    """R-06, R-14."""
    book.given(*booked).when(keep).then(kept)


@pytest.mark.parametrize("ending", [kept, cancelled, missed])
@pytest.mark.parametrize(
    "clock",
    [miss, keep, do.RemindNow(book=BOOK, at=at("09:15", day=2), appointment_id="A1", reminder=1)],
)
def test_what_is_settled_stays_so(ending: Event, clock: do.BookingCommand) -> None:
    book.given(*booked, ending).when(clock).then_nothing()


@pytest.mark.parametrize(("ending", "word"), [(kept, "kept"), (cancelled, "cancelled"), (missed, "missed")])
@pytest.mark.parametrize("command", [move, cancel, remind])
def test_nothing_is_changed_about_what_is_settled(
    ending: Event, word: str, command: do.BookingCommand
) -> None:
    spec = book.given(*booked, ending).when(command)
    if command == cancel and ending == cancelled:
        spec.then_nothing()
    else:
        spec.then_rejected(f"appointment 260303-01 was {word} already")


@pytest.mark.parametrize("command", [move, cancel, remind, miss, keep])
def test_there_is_nothing_to_do_about_an_appointment_that_nobody_made(command: do.BookingCommand) -> None:
    book.given(opened).when(command).then_rejected("there is no such appointment on this day")

"""The rules of the queue at the desk: two advisors, from nine o'clock on."""

from datetime import timedelta

import pytest

from events import Event
from events.reception import (
    BufferConsumed,
    CustomerArrived,
    CustomerCalledIn,
    CustomerLeft,
    CustomerWaitedTooLong,
)
from services.reception import appointment_commands as do
from tests.reception.test_appointment_book import (
    BOOK,
    another,
    at,
    book,
    booked,
    cancelled,
    facts,
    kept,
    make,
    missed,
    opened,
)

EIGHT_MINUTES = timedelta(minutes=8)


def came(id: str, clock: str, **known: object) -> CustomerArrived:
    """Somebody without an appointment, with a car that is easy to serve."""
    return CustomerArrived.model_validate(
        {
            "book": BOOK,
            "arrival_id": id,
            "service": "simple",
            "arrived_at": at(clock),
            "patience_until": at(clock) + EIGHT_MINUTES,
            **known,
        }
    )


def arrive(id: str, clock: str, appointment_id: str | None = None) -> do.Arrive:
    return do.Arrive(book=BOOK, at=at(clock), arrival_id=id, appointment_id=appointment_id, service="simple")


def call(id: str, clock: str) -> do.CallIn:
    return do.CallIn(book=BOOK, at=at(clock), arrival_id=id)


def called(id: str, minutes: int) -> CustomerCalledIn:
    return CustomerCalledIn(book=BOOK, arrival_id=id, waited_seconds=minutes * 60, too_long=minutes > 8)


def used(id: str, place: str, clock: str) -> BufferConsumed:
    minutes = 6 if place == "gap" else 15
    return BufferConsumed.model_validate(
        {"book": BOOK, "arrival_id": id, "place": place, "at": at(clock), "minutes": minutes}
    )


to_the_appointment = came(
    "N1", "09:10", appointment_id="A1", slot_at=at("09:15"), service="problem", customer="c-1"
).model_copy(update={"patience_until": at("09:23")})
second = another("A2")
both_booked = [*booked, *facts(second, 2, advisor=2, bay=2)]
"""The slot at 9:15 is full."""


# Arriving


def test_somebody_comes_without_an_appointment() -> None:
    """R-26: the day is opened if nobody had booked."""
    book.given().when(arrive("N1", "09:00")).then(opened, came("N1", "09:00"))


def test_an_arrival_is_noted_once() -> None:
    book.given(opened, came("N1", "09:00")).when(arrive("N1", "09:00")).then_nothing()


def test_somebody_comes_to_their_appointment() -> None:
    """R-06, R-14, R-21: patience counts from the time that was agreed."""
    book.given(*booked).when(arrive("N1", "09:10", "A1")).then(to_the_appointment, kept)


def test_who_comes_when_the_slot_is_over_waits_like_the_others() -> None:
    """K-10: and the appointment is kept all the same."""
    late = came("N1", "09:30", appointment_id="A1", service="problem", customer="c-1")
    book.given(*booked).when(arrive("N1", "09:30", "A1")).then(late, kept)


def test_who_left_may_come_again() -> None:
    left = CustomerLeft(book=BOOK, arrival_id="N1", waited_seconds=60)
    again = to_the_appointment.model_copy(update={"arrival_id": "N2", "arrived_at": at("09:12")})
    book.given(*booked, to_the_appointment, kept, left).when(arrive("N2", "09:12", "A1")).then(again)


@pytest.mark.parametrize(
    ("before", "because"),
    [
        ([cancelled], "appointment 260303-01 was cancelled; enter the customer without it"),
        ([missed], "appointment 260303-01 was missed; enter the customer without it"),
        (
            [to_the_appointment, kept],
            "the customer of appointment 260303-01 is in the queue already",
        ),
    ],
)
def test_an_appointment_is_verified(before: list[Event], because: str) -> None:
    """R-06."""
    book.given(*booked, *before).when(arrive("N2", "09:20", "A1")).then_rejected(because)


def test_nobody_comes_to_an_appointment_of_another_day() -> None:
    """R-06."""
    book.given(opened).when(arrive("N1", "09:00", "A9")).then_rejected(
        "there is no such appointment on this day"
    )


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("appointment_id", ["A1", None])
def test_nobody_comes_on_another_day(days: int, appointment_id: str | None) -> None:
    """R-26: no day is opened, and no appointment kept, by who stands at the desk today."""
    today = arrive("N1", "09:00", appointment_id)
    other = today.model_copy(update={"at": today.at + timedelta(days=days)})
    for history in ([], booked):
        book.given(*history).when(other).then_rejected("who comes is entered on the day on which they come")


# Being received


def test_a_slot_that_nobody_booked_is_for_whoever_comes() -> None:
    """R-23."""
    book.given(*booked, came("N1", "09:16")).when(call("N1", "09:18")).then(called("N1", 2))


def test_simple_maintenance_goes_into_the_next_gap() -> None:
    """R-22, R-23, K-21."""
    book.given(*both_booked, came("N1", "09:16")).when(call("N1", "09:18")).then(
        used("N1", "gap", "09:24"), called("N1", 2)
    )


def test_a_problem_goes_into_the_next_buffer() -> None:
    """R-23, K-21."""
    problem = came("N1", "09:16", service="problem")
    book.given(*both_booked, problem).when(call("N1", "09:18")).then(
        used("N1", "buffer", "09:45"), called("N1", 2)
    )


def test_each_gap_and_each_buffer_helps_once() -> None:
    """K-21: or the fourth customer would be late again."""
    before = [*both_booked, came("N1", "09:15"), used("N1", "gap", "09:24"), called("N1", 2)]
    book.given(*before, came("N2", "09:16")).when(call("N2", "09:19")).then(
        used("N2", "gap", "10:24"), called("N2", 3)
    )
    problems = [came("N2", "09:16", service="problem"), used("N2", "buffer", "09:45"), called("N2", 2)]
    third = came("N3", "09:17", service="problem")
    book.given(*before, *problems, third).when(call("N3", "09:19")).then(
        used("N3", "buffer", "10:45"), called("N3", 2)
    )


def test_when_no_gap_is_left_a_buffer_takes_simple_maintenance() -> None:
    """R-23."""
    book.given(opened, came("N1", "16:40")).when(call("N1", "16:46")).then(
        used("N1", "buffer", "16:45"), called("N1", 6)
    )


def test_when_nothing_is_left_the_customer_is_offered_an_appointment() -> None:
    """K-21."""
    before = [opened, came("N1", "16:40"), used("N1", "buffer", "16:45"), called("N1", 6)]
    book.given(*before, came("N2", "16:46")).when(call("N2", "16:50")).then_rejected(
        "no gap or buffer is left today; offer the customer an appointment"
    )


def test_two_walk_ins_fill_a_slot_of_two_advisors() -> None:
    """R-23, K-21."""
    two = [came("N1", "09:00"), called("N1", 1), came("N2", "09:00"), called("N2", 1)]
    book.given(opened, *two, came("N3", "09:02")).when(call("N3", "09:03")).then(
        used("N3", "gap", "09:24"), called("N3", 1)
    )


# Whose turn it is


def test_whose_appointment_has_begun_is_received_first() -> None:
    """R-27, K-10."""
    before = [*booked, came("N2", "09:01", member=True), to_the_appointment, kept]
    book.given(*before).when(call("N2", "09:15")).then_rejected(
        "the appointment of another customer has begun; they are received first"
    )
    book.given(*before).when(call("N1", "09:15")).then(called("N1", 5))


def test_an_appointment_that_has_not_begun_goes_before_nobody() -> None:
    """K-10."""
    before = [*booked, came("N2", "09:11"), to_the_appointment, kept]
    book.given(*before).when(call("N1", "09:14")).then(called("N1", 4))
    member = came("N3", "09:12", member=True)
    book.given(*before, member).when(call("N3", "09:14")).then(called("N3", 2))


def test_a_member_is_received_before_others() -> None:
    """R-25, K-10."""
    before = [opened, came("N1", "09:00"), came("N2", "09:05", member=True)]
    book.given(*before).when(call("N1", "09:06")).then_rejected("a member is waiting and is received first")
    book.given(*before).when(call("N2", "09:06")).then(called("N2", 1))


def test_the_others_are_received_as_they_came() -> None:
    """R-26, K-10."""
    before = [opened, came("N1", "09:00"), came("N2", "09:01")]
    book.given(*before).when(call("N2", "09:06")).then_rejected(
        "another customer came earlier and is received first"
    )
    book.given(*before, called("N1", 6)).when(call("N2", "09:06")).then(called("N2", 5))


def test_each_advisor_may_receive_their_own_appointment() -> None:
    """R-27: two customers of one slot do not wait for each other."""
    theirs = to_the_appointment.model_copy(
        update={"arrival_id": "N2", "appointment_id": "A2", "arrived_at": at("09:12")}
    )
    before = [*both_booked, to_the_appointment, kept, theirs]
    book.given(*before).when(call("N2", "09:16")).then(called("N2", 4))


def test_who_cannot_be_received_now_keeps_nobody_waiting() -> None:
    """K-21: no buffer is left for the problem; the gap is."""
    buffers = [
        fact
        for n, begins in enumerate(opened.buffers)
        for fact in (
            came(f"P{n}", "08:50", service="problem"),
            BufferConsumed(book=BOOK, arrival_id=f"P{n}", place="buffer", at=begins, minutes=15),
            called(f"P{n}", 5),
        )
    ]
    waiting = [came("N1", "09:15", service="problem"), came("N2", "09:16")]
    book.given(*both_booked, *buffers, *waiting).when(call("N2", "09:17")).then(
        used("N2", "gap", "09:24"), called("N2", 1)
    )


# Waiting


def test_how_long_somebody_waited_is_noted_when_they_are_called_in() -> None:
    """R-21: more than eight minutes is too long."""
    book.given(opened, came("N1", "09:00")).when(call("N1", "09:08")).then(called("N1", 8))
    book.given(opened, came("N1", "09:00")).when(call("N1", "09:09")).then(called("N1", 9))


def test_somebody_is_called_in_once() -> None:
    book.given(opened, came("N1", "09:00"), called("N1", 2)).when(call("N1", "09:05")).then_nothing()


def test_patience_ends() -> None:
    """R-21: noted once, and not of whom an advisor receives."""
    ends = do.PatienceEnds(book=BOOK, at=at("09:08"), arrival_id="N1")
    too_long = CustomerWaitedTooLong(book=BOOK, arrival_id="N1", since=at("09:00"), minutes=8, rules=1)
    book.given(opened, came("N1", "09:00")).when(ends).then(too_long)
    book.given(opened, came("N1", "09:00"), too_long).when(ends).then_nothing()
    book.given(opened, came("N1", "09:00"), called("N1", 5)).when(ends).then_nothing()
    early = ends.model_copy(update={"at": at("09:07")})
    book.given(opened, came("N1", "09:00")).when(early).then_nothing()


def test_somebody_leaves() -> None:
    """R-21."""
    leave = do.Leave(book=BOOK, at=at("09:20"), arrival_id="N1")
    left = CustomerLeft(book=BOOK, arrival_id="N1", waited_seconds=1_200)
    book.given(opened, came("N1", "09:00")).when(leave).then(left)
    book.given(opened, came("N1", "09:00"), left).when(leave).then_nothing()
    book.given(opened, came("N1", "09:00"), left).when(call("N1", "09:21")).then_rejected(
        "the customer has left"
    )
    book.given(opened, came("N1", "09:00"), called("N1", 2)).when(leave).then_rejected(
        "the customer was called in already"
    )


@pytest.mark.parametrize(
    "command",
    [
        call("N9", "09:00"),
        do.Leave(book=BOOK, at=at("09:00"), arrival_id="N9"),
        do.PatienceEnds(book=BOOK, at=at("09:00"), arrival_id="N9"),
    ],
)
def test_there_is_nothing_to_do_about_somebody_who_did_not_come(command: do.QueueCommand) -> None:
    book.given(opened, *facts(make)).when(command).then_rejected("nobody of that kind arrived on this day")

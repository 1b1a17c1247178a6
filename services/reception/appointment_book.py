"""The appointments of a site on one day, and who waits at its desk.

One stream and one decision for the whole day: an advisor and a bay are promised once, however many people
book at the same moment (R-04).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Literal, TypeAlias

from eventlog.decider import Decider, Rejected
from events import Event
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
    CancelReason,
)
from events.shop_rules import ReceptionRules
from services.reception import appointment_queue
from services.reception.appointment_commands import (
    AboutAppointment,
    Arrive,
    BookAppointment,
    CallIn,
    CancelAppointment,
    DayCommand,
    FreeMoved,
    GiveBack,
    KeepAppointment,
    Leave,
    MissAppointment,
    MoveAppointment,
    OpenDay,
    PatienceEnds,
    Remind,
    RemindNow,
    SetTime,
    TakeOverAppointment,
)
from services.reception.appointment_queue import Queue
from services.reception.appointment_slots import Slots, rules_for, slots_of

Status: TypeAlias = Literal["booked", "kept", "moved", "cancelled", "missed"]


@dataclass(frozen=True, slots=True)
class Booking:
    """What is known of an appointment, as it was recorded."""

    requested: AppointmentRequested
    reserved: BayReserved
    confirmed: AppointmentConfirmed
    status: Status = "booked"
    rung: frozenset[int] = frozenset()
    said: tuple[str, str] | None = None
    """What came of the last reminder."""
    moved_to: tuple[datetime, str] | None = None
    """The time and the book for which this day let go of it."""
    cancelled: CancelReason | None = None

    @property
    def holds(self) -> bool:
        """Whether its advisor and its bay are taken."""
        return self.status in ("booked", "kept")


@dataclass(frozen=True, slots=True)
class AppointmentBook:
    rules: int = 0
    """The version of the rules for this day; none before it was opened."""
    numbers: int = 0
    """How many have been given out."""
    requested: AppointmentRequested | None = None
    reserved: BayReserved | None = None
    bookings: Mapping[str, Booking] = field(default_factory=dict)
    queue: Queue = field(default=Queue())


@dataclass(frozen=True, slots=True)
class Day:
    """A book together with what the rules make of its day."""

    name: str
    date: date
    book: AppointmentBook
    rules: ReceptionRules
    slots: Slots

    def opening(self) -> list[Event]:
        if self.book.rules == self.rules.version:
            return []
        return [
            AppointmentDayOpened(
                book=self.name,
                rules=self.rules.version,
                hours=self.slots.hours,
                slot_minutes=self.rules.slot_minutes,
                gap_minutes=self.rules.gap_minutes,
                slots=self.slots.booked,
                buffers=self.slots.buffers,
                gaps=self.slots.gaps,
                advisors=self.rules.advisors,
                bays=self.rules.bays,
            )
        ]

    def clock(self, at: datetime) -> str:
        """As the clocks at the site show it."""
        return f"{at.astimezone(self.rules.opening.zone):%H:%M}"


def decide(command: DayCommand, book: AppointmentBook, rules: Sequence[ReceptionRules]) -> list[Event]:
    """`rules` are all versions of the site's."""
    date = date_of(command.book)
    of_day = rules_for(rules, date)
    day = Day(command.book, date, book, of_day, slots_of(of_day, date))
    match command:
        case OpenDay():
            if not day.slots.hours:
                raise Rejected(f"the site is closed on {date}")
            return day.opening()
        case BookAppointment():
            return _book(command, day)
        case TakeOverAppointment():
            return _take_over(command, day)
        case Arrive() | CallIn() | Leave() | PatienceEnds():
            return appointment_queue.decide(command, day)
    if (booking := book.bookings.get(command.appointment_id)) is None:
        raise Rejected("there is no such appointment on this day")
    return _decide_about(command, booking, day)


def _book(command: BookAppointment, day: Day) -> list[Event]:
    if command.appointment_id in day.book.bookings:
        return []
    if not command.agreed:
        raise Rejected("the customer has to agree to the time and to the parts first")
    lead = timedelta(hours=day.rules.lead_time_hours)
    if command.entered_at < command.slot_at < command.at + lead:
        raise Rejected(f"an appointment is made at least {day.rules.lead_time_hours} hours before its time")
    dear = tuple(part for part in command.parts if part.unit_fen >= day.rules.high_value_fen)
    requested = AppointmentRequested(
        **command.model_dump(include=set(AppointmentRequested.model_fields)),
        work_order_id=command.appointment_id,
        high_value_parts=dear,
    )
    number = f"{day.date:%y%m%d}-{day.book.numbers + 1:02}"
    return [*day.opening(), requested, *_allot(requested, command, number, day)]


def _take_over(command: TakeOverAppointment, day: Day) -> list[Event]:
    booking = day.book.bookings.get(command.appointment_id)
    if booking and booking.holds:
        came_so = (command.slot_at, command.moved_from, command.moved_from_slot)
        if came_so == (
            booking.confirmed.slot_at,
            booking.confirmed.moved_from,
            booking.confirmed.moved_from_slot,
        ):
            return []
        raise Rejected("the appointment is being moved already; please look again in a moment")
    if not command.expected:
        raise Rejected("the customer is not expected on that day any more")
    requested = command.requested.model_copy(update={"book": day.name})
    confirmed = _allot(requested, command, command.number, day)
    return [*day.opening(), requested, *confirmed]


def _allot(
    requested: AppointmentRequested,
    command: SetTime,
    number: str,
    day: Day,
) -> list[Event]:
    """An advisor and a bay that nobody else has. Raises Rejected with the reason why there is none."""
    slot_at, now = command.slot_at, command.entered_at
    if slot_at <= now:
        raise Rejected("the time of the appointment has passed already")
    zone = day.rules.opening.zone
    if command.at.astimezone(zone).date() != now.astimezone(zone).date():
        raise Rejected("an appointment is entered on the day on which it was agreed")
    _must_begin_a_slot(slot_at, day)
    others = [
        each
        for each in day.book.bookings.values()
        if each.holds and each.requested.appointment_id != requested.appointment_id
    ]
    starts_at = slot_at + timedelta(minutes=day.rules.slot_minutes)
    taken = {  # until the vehicle is in its bay; other rules may have given out other slots
        each.confirmed.advisor
        for each in others
        if each.confirmed.slot_at < starts_at and slot_at < each.reserved.starts_at
    }
    advisor = next((n for n in range(1, day.rules.advisors + 1) if n not in taken), None)
    if advisor is None:
        raise Rejected(f"every advisor has an appointment at {day.clock(slot_at)} already")
    closes = max(each.closes for each in day.slots.hours)
    ends_at = min(starts_at + timedelta(minutes=requested.labour_minutes), closes)
    full = {
        each.reserved.bay
        for each in others
        if each.reserved.starts_at < ends_at and starts_at < each.reserved.ends_at
    }
    bay = next((n for n in range(1, day.rules.bays + 1) if n not in full), None)
    if bay is None:
        raise Rejected(f"no bay is free from {day.clock(starts_at)} to {day.clock(ends_at)}")
    about = requested.model_dump(include={"book", "appointment_id", "work_order_id"})
    from_day = {}
    if isinstance(command, TakeOverAppointment):
        from_day = command.model_dump(include={"moved_from", "moved_from_slot"})
    before = (slot_at - timedelta(hours=hours) for hours in day.rules.reminder_hours)
    return [
        BayReserved(
            **about,
            bay=bay,
            starts_at=starts_at,
            ends_at=ends_at,
            high_value_parts=requested.high_value_parts,
        ),
        AppointmentConfirmed(
            **about,
            number=number,
            slot_at=slot_at,
            advisor=advisor,
            reminders_at=tuple(sorted(each for each in before if each > now)),
            missed_at=slot_at + timedelta(minutes=day.rules.missed_after_minutes),
            rules=day.rules.version,
            **from_day,
        ),
    ]


def _must_begin_a_slot(slot_at: datetime, day: Day) -> None:
    if slot_at in day.slots.booked:
        return
    if not day.slots.hours:
        raise Rejected(f"the site is closed on {day.date}")
    if slot_at in day.slots.buffers:
        raise Rejected(f"{day.clock(slot_at)} is kept free, so that no delay lasts")
    later = next((each for each in day.slots.booked if each > slot_at), None)
    if later is None or not any(each.opens <= slot_at < each.closes for each in day.slots.hours):
        raise Rejected(f"nobody is received at {day.clock(slot_at)}")
    raise Rejected(f"no reception begins at {day.clock(slot_at)}; the next one is at {day.clock(later)}")


def _decide_about(command: AboutAppointment, booking: Booking, day: Day) -> list[Event]:
    about = {"book": day.name, "appointment_id": command.appointment_id}
    about["work_order_id"] = booking.requested.work_order_id
    match command:
        case MoveAppointment(slot_at=slot_at):
            if booking.status == "booked" and booking.confirmed.slot_at == slot_at:
                return []
            _must_be_expected(booking)
            allotted = _allot(booking.requested, command, booking.confirmed.number, day)
            return [AppointmentRescheduled(**about, to=slot_at, to_book=day.name), *allotted]
        case FreeMoved(to=to, to_book=to_book):
            stands = _stands_at(booking, command.slot_at)
            return [AppointmentRescheduled(**about, to=to, to_book=to_book)] if stands else []
        case GiveBack(to=to, to_book=to_book, cancelled=reason):
            if not _stands_at(booking, command.slot_at):
                return []
            if reason:
                return [AppointmentCancelled(**about, reason=reason)]
            return [AppointmentRescheduled(**about, to=to, to_book=to_book)]
        case CancelAppointment(reason=reason):
            if booking.status == "cancelled":
                return []
            _must_be_expected(booking)
            return [AppointmentCancelled(**about, reason=reason)]
        case RemindNow(reminder=n, at=at):
            times = booking.confirmed.reminders_at
            if booking.status != "booked" or n in booking.rung or n > len(times) or at < times[n - 1]:
                return []
            return [AppointmentReminderDue(**about, reminder=n, due_at=times[n - 1])]
        case Remind(channel=channel, outcome=outcome):
            _must_be_expected(booking)
            if outcome != "not_reached" and booking.said == (channel, outcome):
                return []
            return [AppointmentReminded(**about, channel=channel, outcome=outcome)]
        case MissAppointment(at=at):
            if booking.status != "booked" or at < booking.confirmed.missed_at:
                return []
            return [AppointmentMissed(**about)]
        case KeepAppointment():
            return [AppointmentKept(**about)] if booking.status == "booked" else []
    raise AssertionError(f"nobody decides about {command!r}")


def _stands_at(booking: Booking, slot_at: datetime) -> bool:
    return booking.status == "booked" and booking.confirmed.slot_at == slot_at


def _must_be_expected(booking: Booking) -> None:
    if booking.status != "booked":
        raise Rejected(f"appointment {booking.confirmed.number} was {booking.status} already")


def evolve(book: AppointmentBook, event: Event) -> AppointmentBook:
    match event:
        case AppointmentDayOpened(rules=rules):
            return replace(book, rules=rules)
        case AppointmentRequested():
            return replace(book, requested=event, numbers=book.numbers + 1)
        case BayReserved():
            return replace(book, reserved=event)
        case AppointmentConfirmed(appointment_id=id):
            before = book.bookings.get(id)
            requested = book.requested
            if requested is None or requested.appointment_id != id:  # moved within the day
                assert before
                requested = before.requested
            assert book.reserved
            return _with(book, id, Booking(requested, book.reserved, event))
        case AppointmentReminderDue(appointment_id=id, reminder=n):
            return _with(book, id, replace(book.bookings[id], rung=book.bookings[id].rung | {n}))
        case AppointmentReminded(appointment_id=id):
            return _with(book, id, replace(book.bookings[id], said=(event.channel, event.outcome)))
        case AppointmentRescheduled(appointment_id=id):
            moved_to = (event.to, event.to_book)
            return _with(book, id, replace(book.bookings[id], status="moved", moved_to=moved_to))
        case AppointmentCancelled(appointment_id=id, reason=reason):
            return _with(book, id, replace(book.bookings[id], status="cancelled", cancelled=reason))
        case AppointmentMissed(appointment_id=id):
            return _with(book, id, replace(book.bookings[id], status="missed"))
        case AppointmentKept(appointment_id=id):
            return _with(book, id, replace(book.bookings[id], status="kept"))
    return replace(book, queue=appointment_queue.evolve(book.queue, event))


def _with(book: AppointmentBook, id: str, booking: Booking) -> AppointmentBook:
    return replace(book, bookings={**book.bookings, id: booking})


def appointment_decider(rules: Sequence[ReceptionRules]) -> Decider[AppointmentBook, DayCommand]:
    return Decider(AppointmentBook(), partial(decide, rules=rules), evolve)


def book_of(site: str, day: date) -> str:
    return f"{site}.{day.isoformat()}"


def date_of(book: str) -> date:
    return date.fromisoformat(book.rpartition(".")[2])


def book_stream(book: str) -> str:
    return f"appointments-{book}"

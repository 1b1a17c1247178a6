"""The queue at the desk: who waits, whose turn it is, and what a car without an appointment is put into."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from eventlog.decider import Rejected
from events import Event
from events.queue import ARRIVAL, IN_SLOT, MEMBER, Turn, turn
from events.reception import (
    AppointmentKept,
    BufferConsumed,
    CustomerArrived,
    CustomerCalledIn,
    CustomerLeft,
    CustomerWaitedTooLong,
)
from services.reception.appointment_commands import Arrive, CallIn, Leave, PatienceEnds, QueueCommand

if TYPE_CHECKING:
    from services.reception.appointment_book import Day

Place: TypeAlias = tuple[Literal["gap", "buffer"], datetime]

WHO_IS_FIRST = {
    IN_SLOT: "the appointment of another customer has begun; they are received first",
    MEMBER: "a member is waiting and is received first",
    ARRIVAL: "another customer came earlier and is received first",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    arrived: CustomerArrived
    called_at: datetime | None = None
    left: bool = False
    too_long: bool = False

    @property
    def waits(self) -> bool:
        return self.called_at is None and not self.left

    def turn(self, at: datetime) -> Turn:
        of = self.arrived
        return turn(at, slot_at=of.slot_at, member=of.member, arrived_at=of.arrived_at)


@dataclass(frozen=True, slots=True)
class Queue:
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)
    consumed: Mapping[Place, str] = field(default_factory=dict)
    """Gaps and buffers that were used, and for whom."""


def decide(command: QueueCommand, day: "Day") -> list[Event]:
    if isinstance(command, Arrive):
        return _arrive(command, day)
    if (arrival := day.book.queue.arrivals.get(command.arrival_id)) is None:
        raise Rejected("nobody of that kind arrived on this day")
    about = {"book": day.name, "arrival_id": command.arrival_id}
    waited = max(0, int((command.at - arrival.arrived.arrived_at).total_seconds()))
    match command:
        case CallIn(at=at):
            if arrival.called_at is not None:
                return []
            if arrival.left:
                raise Rejected("the customer has left")
            too_long = at > arrival.arrived.patience_until
            called = CustomerCalledIn(**about, waited_seconds=waited, too_long=too_long)
            return [*_placed(arrival, at, day), called]
        case Leave():
            if arrival.left:
                return []
            if arrival.called_at is not None:
                raise Rejected("the customer was called in already")
            return [CustomerLeft(**about, waited_seconds=waited)]
        case PatienceEnds(at=at):
            if not arrival.waits or arrival.too_long or at < arrival.arrived.patience_until:
                return []
            return [
                CustomerWaitedTooLong(
                    **about,
                    since=arrival.arrived.arrived_at,
                    minutes=day.rules.patience_minutes,
                    rules=day.rules.version,
                )
            ]


def _arrive(command: Arrive, day: "Day") -> list[Event]:
    """Patience counts from the arrival, or from the appointment of who came before it (R-21)."""
    if command.arrival_id in day.book.queue.arrivals:
        return []
    if command.at.astimezone(day.rules.opening.zone).date() != day.date:
        raise Rejected("who comes is entered on the day on which they come")
    arrived = CustomerArrived(
        **command.model_dump(include=set(CustomerArrived.model_fields)),
        arrived_at=command.at,
        patience_until=command.at + timedelta(minutes=day.rules.patience_minutes),
    )
    if command.appointment_id is None:
        return [*day.opening(), arrived]
    booking = day.book.bookings.get(command.appointment_id)
    if booking is None:
        raise Rejected("there is no such appointment on this day")
    number = booking.confirmed.number
    if not booking.holds:
        raise Rejected(f"appointment {number} was {booking.status}; enter the customer without it")
    if any(
        each.waits and each.arrived.appointment_id == command.appointment_id
        for each in day.book.queue.arrivals.values()
    ):
        raise Rejected(f"the customer of appointment {number} is in the queue already")
    slot_at = booking.confirmed.slot_at
    in_time = command.at < slot_at + timedelta(minutes=day.rules.slot_minutes)
    received_from = max(command.at, slot_at) if in_time else command.at
    of_the_booking = booking.requested.model_dump(include={"member", "service", "welcome", "customer"})
    arrived = arrived.model_copy(
        update={
            **of_the_booking,
            "slot_at": slot_at if in_time else None,
            "patience_until": received_from + timedelta(minutes=day.rules.patience_minutes),
        }
    )
    if booking.status == "kept":
        return [arrived]
    about = booking.requested.model_dump(include={"book", "appointment_id", "work_order_id"})
    return [arrived, AppointmentKept(**about)]


def _placed(arrival: Arrival, at: datetime, day: "Day") -> list[Event]:
    """What it takes to receive somebody now: nothing of who comes to their appointment, nothing in a slot
    that nobody booked, else a gap or a buffer (R-23, K-21). Raises Rejected if it is not their turn."""
    place = _place(arrival, at, day)
    mine = arrival.turn(at)
    for other in day.book.queue.arrivals.values():
        if other is arrival or not other.waits or other.turn(at) >= mine:
            continue
        # Each of those whose appointment has begun has an advisor of their own.
        if other.turn(at)[0] == mine[0] == IN_SLOT or _place(other, at, day) == "none":
            continue
        raise Rejected(WHO_IS_FIRST[other.turn(at)[0]])
    if place == "none":
        raise Rejected("no gap or buffer is left today; offer the customer an appointment")
    if place is None:
        return []
    kind, begins = place
    return [
        BufferConsumed(
            book=day.name,
            arrival_id=arrival.arrived.arrival_id,
            place=kind,
            at=begins,
            minutes=day.rules.gap_minutes if kind == "gap" else day.rules.slot_minutes,
        )
    ]


def _place(arrival: Arrival, at: datetime, day: "Day") -> Place | Literal["none"] | None:
    """None for who needs none."""
    if arrival.arrived.slot_at is not None or _slot_has_room(at, day):
        return None
    return next(_places(arrival, at, day), "none")


def _slot_has_room(at: datetime, day: "Day") -> bool:
    length = timedelta(minutes=day.rules.slot_minutes)
    slot = next((each for each in day.slots.booked if each <= at < each + length), None)
    if slot is None:
        return False
    booked = sum(each.holds and each.confirmed.slot_at == slot for each in day.book.bookings.values())
    put_elsewhere = set(day.book.queue.consumed.values())
    unbooked = sum(
        each.called_at is not None
        and slot <= each.called_at < slot + length
        and each.arrived.slot_at is None
        and id not in put_elsewhere
        for id, each in day.book.queue.arrivals.items()
    )
    return booked + unbooked < day.rules.advisors


def _places(arrival: Arrival, at: datetime, day: "Day") -> Iterator[Place]:
    """Those that are still to come and unused: simple maintenance takes a gap while there is one (R-23)."""
    gap, buffer = timedelta(minutes=day.rules.gap_minutes), timedelta(minutes=day.rules.slot_minutes)
    if arrival.arrived.service == "simple":
        yield from (
            ("gap", begins)
            for begins in day.slots.gaps
            if at < begins + gap and ("gap", begins) not in day.book.queue.consumed
        )
    yield from (
        ("buffer", begins)
        for begins in day.slots.buffers
        if at < begins + buffer and ("buffer", begins) not in day.book.queue.consumed
    )


def evolve(queue: Queue, event: Event) -> Queue:
    match event:
        case CustomerArrived(arrival_id=id):
            return _with(queue, id, Arrival(event))
        case CustomerCalledIn(arrival_id=id):
            arrival = queue.arrivals[id]
            called_at = arrival.arrived.arrived_at + timedelta(seconds=event.waited_seconds)
            return _with(queue, id, replace(arrival, called_at=called_at))
        case CustomerLeft(arrival_id=id):
            return _with(queue, id, replace(queue.arrivals[id], left=True))
        case CustomerWaitedTooLong(arrival_id=id):
            return _with(queue, id, replace(queue.arrivals[id], too_long=True))
        case BufferConsumed():
            return replace(queue, consumed={**queue.consumed, (event.place, event.at): event.arrival_id})
    return queue


def _with(queue: Queue, id: str, arrival: Arrival) -> Queue:
    return replace(queue, arrivals={**queue.arrivals, id: arrival})

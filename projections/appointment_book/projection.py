"""A day at the desk as one document: its slots, its appointments, who waits, and what was used (P-02, R-09).

Events of one service come in order, those of two need not: what the workshop says stands by itself.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from eventlog.recorded import to_text
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
    BufferConsumed,
    CustomerArrived,
    CustomerCalledIn,
    CustomerLeft,
    CustomerWaitedTooLong,
    VehicleReceived,
)
from events.workshop import BayKeptFree
from projections.facts import Fact, values
from projections.projection import Document, Projection

Step: TypeAlias = Callable[[Document, Any, Fact], Document]


def evolve(day: Document | None, fact: Fact) -> Document:
    book = fact.data.book
    day = day or {
        "book": book,
        "site": fact.site,
        "date": book.rpartition(".")[2],
        "appointments": {},
        "arrivals": {},
        "consumed": [],
        "told": {},
        "received": {"booked": 0, "unbooked": 0},
    }
    return _STEPS[fact.event](day, fact.data, fact)


def _opened(day: Document, data: Any, _: Fact) -> Document:
    said = values(data)
    times = {name: [_time(each) for each in said[name]] for name in ("slots", "buffers", "gaps")}
    hours = [{name: _time(at) for name, at in each.items()} for each in said["hours"]]
    return {**day, **said, **times, "hours": hours}


def _requested(day: Document, data: Any, fact: Fact) -> Document:
    said = {name: value for name, value in values(data).items() if name != "book"}
    return _appointment(day, data, **said, requested_at=fact.occurred_at, state="booked", reminders=[])


def _reserved(day: Document, data: Any, _: Fact) -> Document:
    return _appointment(day, data, bay=data.bay, starts_at=data.starts_at, ends_at=data.ends_at)


def _confirmed(day: Document, data: Any, fact: Fact) -> Document:
    said = {name: value for name, value in values(data).items() if name not in ("book", "rules")}
    times = {"reminders_at": [_time(each) for each in data.reminders_at]}
    return _appointment(
        day, data, **{**said, **times}, state="booked", confirmed_at=fact.occurred_at, reminder_due=False
    )


def _reminder_due(day: Document, data: Any, _: Fact) -> Document:
    return _appointment(day, data, reminder_due=True)


def _reminded(day: Document, data: Any, fact: Fact) -> Document:
    before = day["appointments"].get(data.appointment_id, {}).get("reminders", [])
    said = {"channel": data.channel, "outcome": data.outcome, "at": fact.occurred_at, "by": fact.actor}
    return _appointment(day, data, reminders=[*before, said], reminder_due=data.outcome == "not_reached")


def _ended(state: str) -> Step:
    def step(day: Document, data: Any, fact: Fact) -> Document:
        said = {name: value for name in ("to", "to_book", "reason") if (value := getattr(data, name, None))}
        return _appointment(
            day, data, state=state, reminder_due=False, **{f"{state}_at": fact.occurred_at}, **said
        )

    return step


def _told(day: Document, data: Any, fact: Fact) -> Document:
    return {**day, "told": {**day["told"], data.appointment_id: fact.occurred_at}}


def _arrived(day: Document, data: Any, _: Fact) -> Document:
    said = {name: value for name, value in values(data).items() if name != "book"}
    return _arrival(day, data, **said, state="waiting", too_long=False)


def _called_in(day: Document, data: Any, fact: Fact) -> Document:
    return _arrival(
        day,
        data,
        state="called_in",
        called_at=fact.occurred_at,
        called_by=fact.actor,
        waited_seconds=data.waited_seconds,
        too_long=data.too_long,
    )


def _left(day: Document, data: Any, fact: Fact) -> Document:
    return _arrival(day, data, state="left", left_at=fact.occurred_at, waited_seconds=data.waited_seconds)


def _waited(day: Document, data: Any, _: Fact) -> Document:
    return _arrival(day, data, too_long=True)


def _consumed(day: Document, data: Any, _: Fact) -> Document:
    used = {"arrival_id": data.arrival_id, "place": data.place, "at": data.at, "minutes": data.minutes}
    return {**day, "consumed": [*day["consumed"], used]}


def _received(day: Document, data: Any, fact: Fact) -> Document:
    how = "booked" if data.appointment_id else "unbooked"
    day = {**day, "received": {**day["received"], how: day["received"][how] + 1}}
    if data.arrival_id in day["arrivals"]:
        return _arrival(day, data, visit_id=data.visit_id, received_at=fact.occurred_at)
    return day


def _appointment(day: Document, data: Any, **said: Any) -> Document:
    before = day["appointments"].get(data.appointment_id, {})
    return {**day, "appointments": {**day["appointments"], data.appointment_id: {**before, **said}}}


def _arrival(day: Document, data: Any, **said: Any) -> Document:
    before = day["arrivals"].get(data.arrival_id, {})
    return {**day, "arrivals": {**day["arrivals"], data.arrival_id: {**before, **said}}}


def _time(text: str) -> str:
    """In the one form of all times."""
    return to_text(datetime.fromisoformat(text))


_STEPS: dict[type[Event], Step] = {
    AppointmentDayOpened: _opened,
    AppointmentRequested: _requested,
    BayReserved: _reserved,
    AppointmentConfirmed: _confirmed,
    AppointmentReminderDue: _reminder_due,
    AppointmentReminded: _reminded,
    AppointmentRescheduled: _ended("moved"),
    AppointmentCancelled: _ended("cancelled"),
    AppointmentMissed: _ended("missed"),
    AppointmentKept: _ended("kept"),
    BayKeptFree: _told,
    CustomerArrived: _arrived,
    CustomerCalledIn: _called_in,
    CustomerLeft: _left,
    CustomerWaitedTooLong: _waited,
    BufferConsumed: _consumed,
    VehicleReceived: _received,
}

APPOINTMENT_BOOK = Projection(
    name="appointment_book",
    version=1,
    handles=tuple(_STEPS),
    key="book",
    evolve=evolve,
    columns={"day": ("text", lambda day: day["date"])},
)

"""A day as people look at it at a moment: the state of each slot, the queue in its order, how full it is."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from events.queue import turn
from projections.projection import Document

HOLDS = ("booked", "kept")
"""Appointments whose advisor and bay are taken."""


def not_opened(book: str, site: str, date: str) -> Document:
    """A day that nobody has asked about yet."""
    return {"book": book, "site": site, "date": date, "opened": False}


def day_at(day: Document, at: datetime) -> Document:
    """The stored day, in the order in which it is looked at."""
    appointments = sorted(
        (each | _told(day, each) for each in day["appointments"].values() if "slot_at" in each),
        key=lambda each: (each["slot_at"], each["advisor"], each["number"]),
    )
    arrivals = list(day["arrivals"].values())
    stored = ("arrivals", "consumed", "told")
    return {
        **{name: value for name, value in day.items() if name not in stored},
        "opened": "slots" in day,
        "slots": list(_slots(day, appointments)) if "slots" in day else [],
        "appointments": appointments,
        "queue": [_waiting(each, day, at) for each in _in_turn(arrivals, at)],
        "done": [each for each in arrivals if each["state"] != "waiting"],
        "counts": _counts(day, appointments, arrivals),
    }


def _told(day: Document, appointment: Document) -> Document:
    """When the workshop knew of it (R-10)."""
    at = day["told"].get(appointment["appointment_id"])
    return {"workshop_told_at": at} if at else {}


def _slots(day: Document, appointments: Sequence[Document]) -> Iterator[Document]:
    """All that the day consists of, in order: what is booked or free, what stays free, what was used."""
    used = {(each["place"], each["at"]): each["arrival_id"] for each in day["consumed"]}
    length, gap = timedelta(minutes=day["slot_minutes"]), timedelta(minutes=day["gap_minutes"])
    kinds = (("slot", day["slots"], length), ("gap", day["gaps"], gap), ("buffer", day["buffers"], length))
    for begins, kind, lasts in sorted((at, kind, lasts) for kind, times, lasts in kinds for at in times):
        slot: Document = {"at": begins, "until": (_time(begins) + lasts).isoformat(), "kind": kind}
        if kind == "slot":
            taken = {
                str(each["advisor"]): each["appointment_id"]
                for each in appointments
                if each["slot_at"] == begins and each["state"] in HOLDS
            }
            free = day["advisors"] - len(taken)
            yield {**slot, "state": "free" if free else "booked", "free": free, "taken": taken}
        elif (arrival := used.get((kind, begins))) is not None:
            yield {**slot, "state": "consumed", "arrival_id": arrival}
        else:
            yield {**slot, "state": kind}


def _in_turn(arrivals: Iterable[Document], at: datetime) -> list[Document]:
    """Who waits, by the one rule for the queue (K-10)."""
    return sorted(
        (each for each in arrivals if each["state"] == "waiting"),
        key=lambda each: turn(
            at,
            slot_at=_time(each["slot_at"]) if "slot_at" in each else None,
            member=each["member"],
            arrived_at=_time(each["arrived_at"]),
        ),
    )


def _waiting(arrival: Document, day: Document, at: datetime) -> Document:
    """With what the appointment says of who came to it, and whether patience is at an end (R-21)."""
    appointment = day["appointments"].get(arrival.get("appointment_id"), {})
    known = {
        name: appointment[name] for name in ("number", "plate", "model", "advisor") if name in appointment
    }
    return {
        **known,
        **arrival,
        "waiting_minutes": max(0, int((at - _time(arrival["arrived_at"])).total_seconds() // 60)),
        "over_patience": at > _time(arrival["patience_until"]),
    }


def _counts(day: Document, appointments: Sequence[Document], arrivals: Sequence[Document]) -> Document:
    states = [each["state"] for each in appointments]
    return {
        "appointments": {state: states.count(state) for state in (*HOLDS, "moved", "cancelled", "missed")},
        "reminders_due": sum(bool(each["reminder_due"]) for each in appointments),
        "waiting": sum(each["state"] == "waiting" for each in arrivals),
        "called_in": sum(each["state"] == "called_in" for each in arrivals),
        "left": sum(each["state"] == "left" for each in arrivals),
        "waited_too_long": sum(each["too_long"] for each in arrivals),
        "consumed": len(day["consumed"]),
        "received": day["received"],
    }


def load(day: Document) -> Document | None:
    """The minutes of labour that are booked into the bays, against what there are, for the day and for each
    of its hours (R-24); None for a day that was not opened."""
    if "hours" not in day:
        return None
    kept = [
        (_time(each["starts_at"]), _time(each["ends_at"]))
        for each in day["appointments"].values()
        if each["state"] in HOLDS and "starts_at" in each
    ]
    hours = []
    for period in day["hours"]:
        opens, closes = _time(period["opens"]), _time(period["closes"])
        for begins, ends in pairwise([*_full_hours(opens, closes), closes]):
            minutes = sum(_overlap(begins, ends, *each) for each in kept)
            capacity = int((ends - begins).total_seconds() // 60) * day["bays"]
            hours.append({"at": begins.isoformat(), "booked": minutes, "capacity": capacity})
    booked, capacity = (sum(each[name] for each in hours) for name in ("booked", "capacity"))
    return {"booked": booked, "capacity": capacity, "hours": hours}


def _full_hours(opens: datetime, closes: datetime) -> Iterator[datetime]:
    """The opening, and each full hour until the close."""
    at = opens
    while at < closes:
        yield at
        at = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _overlap(begins: datetime, ends: datetime, starts: datetime, stops: datetime) -> int:
    return max(0, int((min(ends, stops) - max(begins, starts)).total_seconds() // 60))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

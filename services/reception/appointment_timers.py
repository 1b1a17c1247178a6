"""The clocks of a day at the desk: reminders, missed appointments, and the patience of who waits."""

from collections.abc import Iterator

from eventlog.recorded import Recorded
from eventlog.store import EventStore
from eventlog.timers import Cancel, Change, Set, Timer, Timers
from events.reception import (
    AppointmentCancelled,
    AppointmentConfirmed,
    AppointmentKept,
    AppointmentMissed,
    AppointmentReminderDue,
    AppointmentRescheduled,
    CustomerArrived,
    CustomerCalledIn,
    CustomerLeft,
    CustomerWaitedTooLong,
)
from services.reception import appointment_commands as do
from services.reception.appointment_book import appointment_decider
from services.reception.rules import rules_of

MOST_REMINDERS = 5
"""That rules can ask for."""
TYPES = (
    AppointmentConfirmed,
    AppointmentReminderDue,
    AppointmentRescheduled,
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentKept,
    CustomerArrived,
    CustomerCalledIn,
    CustomerLeft,
    CustomerWaitedTooLong,
)


def changes(recorded: Recorded) -> Iterator[Change]:
    match recorded.event:
        case AppointmentConfirmed(appointment_id=id, missed_at=missed_at, reminders_at=times):
            yield Set(f"missed:{id}", missed_at)
            for n, due_at in enumerate(times, start=1):
                yield Set(f"reminder-{n}:{id}", due_at)
        case AppointmentReminderDue(appointment_id=id, reminder=n):
            yield Cancel(f"reminder-{n}:{id}")
        case (
            AppointmentRescheduled(appointment_id=id)
            | AppointmentCancelled(appointment_id=id)
            | AppointmentMissed(appointment_id=id)
            | AppointmentKept(appointment_id=id)
        ):
            yield Cancel(f"missed:{id}")
            for n in range(1, MOST_REMINDERS + 1):
                yield Cancel(f"reminder-{n}:{id}")
        case CustomerArrived(arrival_id=id, patience_until=patience_until):
            yield Set(f"patience:{id}", patience_until)
        case (
            CustomerCalledIn(arrival_id=id)
            | CustomerLeft(arrival_id=id)
            | CustomerWaitedTooLong(arrival_id=id)
        ):
            yield Cancel(f"patience:{id}")


def appointment_timers(reception: EventStore) -> Timers:
    """A reminder falls due, an appointment is missed, a customer has waited too long: each is noted once."""

    async def ring(timer: Timer) -> None:
        decider = appointment_decider(await rules_of(reception, timer.site))
        await reception.handle(decider, timer.stream, _command(timer), timer.metadata())

    return Timers(reception, TYPES, changes, ring)


def _command(timer: Timer) -> do.DayCommand:
    kind, _, id = timer.name.partition(":")
    book, at = timer.stream.removeprefix("appointments-"), timer.rings_at
    if kind == "missed":
        return do.MissAppointment(book=book, at=at, appointment_id=id)
    if kind == "patience":
        return do.PatienceEnds(book=book, at=at, arrival_id=id)
    return do.RemindNow(book=book, at=at, appointment_id=id, reminder=int(kind.removeprefix("reminder-")))

"""What can be asked of a day at the desk, about its appointments and its queue; time comes with it."""

from datetime import date, datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from events import Sealed
from events.reception import (
    AnswerChannel,
    AppointmentRequested,
    BookingChannel,
    BookingKind,
    CancelReason,
    PartWanted,
    ReminderOutcome,
    ServiceKind,
    Welcome,
)


class AboutDay(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    book: str
    at: datetime


class OpenDay(AboutDay):
    pass


class AboutAppointment(AboutDay):
    appointment_id: str


class SetTime(AboutAppointment):
    slot_at: datetime
    entered_at: datetime
    """When a late entry is made; `at` is when the customer agreed."""


class BookAppointment(SetTime):
    agreed: bool
    kind: BookingKind
    channel: BookingChannel
    need: str
    service: ServiceKind
    operations: tuple[str, ...] = ()
    labour_minutes: int
    parts: tuple[PartWanted, ...] = ()
    member: bool = False
    welcome: Welcome = "surname"
    model: str | None = None
    vin: str | None = None
    customer: str
    customer_name: Sealed
    phone: Sealed
    plate: Sealed


class TakeOverAppointment(SetTime):
    """From another day."""

    requested: AppointmentRequested
    expected: bool
    """Whether that day still expects the customer."""
    number: str
    moved_from: date
    moved_from_slot: datetime


class MoveAppointment(SetTime):
    """To another time of the same day."""


class FreeMoved(AboutAppointment):
    """It was taken over by another day, as it stood at that time of this one."""

    slot_at: datetime
    to: datetime
    to_book: str


class GiveBack(AboutAppointment):
    """The day that it was taken over from did not let go of it for this one."""

    slot_at: datetime
    to: datetime
    """Where it is instead."""
    to_book: str
    cancelled: CancelReason | None = None


class CancelAppointment(AboutAppointment):
    reason: CancelReason


class RemindNow(AboutAppointment):
    reminder: int


class Remind(AboutAppointment):
    channel: AnswerChannel
    outcome: ReminderOutcome


class MissAppointment(AboutAppointment):
    pass


class KeepAppointment(AboutAppointment):
    pass


# The queue


class AboutArrival(AboutDay):
    arrival_id: str


class Arrive(AboutArrival):
    appointment_id: str | None = None
    member: bool = False
    service: ServiceKind = "problem"
    welcome: Welcome = "surname"
    customer: str | None = None
    plate: Sealed | None = None


class CallIn(AboutArrival):
    pass


class Leave(AboutArrival):
    pass


class PatienceEnds(AboutArrival):
    pass


BookingCommand: TypeAlias = (
    BookAppointment
    | TakeOverAppointment
    | MoveAppointment
    | FreeMoved
    | GiveBack
    | CancelAppointment
    | RemindNow
    | Remind
    | MissAppointment
    | KeepAppointment
)
QueueCommand: TypeAlias = Arrive | CallIn | Leave | PatienceEnds
DayCommand: TypeAlias = OpenDay | BookingCommand | QueueCommand

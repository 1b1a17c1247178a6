"""What is done at the desk and on the phone before a vehicle is received: appointments and the queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, Field
from starlette.responses import Response

from access.keyring import Keyring
from access.problems import Problem
from access.request_body import RequestBody
from access.roles import Action
from eventlog.decider import Rejected
from eventlog.recorded import Recorded
from eventlog.store import EventStore, StaleVersion, UnknownStream
from events.lines import Minutes
from events.reception import (
    AppointmentRequested,
    BookingChannel,
    BookingKind,
    CancelReason,
    CustomerArrived,
    PartWanted,
    ReminderOutcome,
    ServiceKind,
    Welcome,
)
from events.shop_rules import PriceList
from services.commands_over_http import (
    Body,
    Caller,
    CommandRouter,
    Phone,
    Time,
    Vin,
    answer,
    commanding,
)
from services.personal_data import seal
from services.reception import appointment_commands as do
from services.reception.appointment_book import (
    AppointmentBook,
    appointment_decider,
    book_of,
    book_stream,
)
from services.reception.appointment_slots import site_date
from services.reception.commands import StaffChannel
from services.reception.rules import SHIPPED_RULES, price_lists_of, rules_of
from services.versions import in_force


def _date(text: str) -> date:
    day = date.fromisoformat(text)
    if not 2000 <= day.year < 2100:
        raise ValueError("the year must be one between 2000 and 2099")
    return day


Day = Annotated[
    str, Path(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(lambda text: f"{_date(text)}")
]
Reference = Annotated[str, Field(pattern="^[0-9a-f]{20}$")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{20}$")]
Code = Annotated[str, Field(pattern="^[A-Z0-9-]{2,20}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Plate = Annotated[str, Field(min_length=1, max_length=20)]
Yes = Annotated[bool, Field(strict=True)]


class Prepare(RequestBody):
    """A part to have ready (R-08)."""

    code: Code
    quantity: Annotated[int, Field(ge=1, le=100, strict=True)] = 1


class Book(Body):
    slot_at: Time
    kind: BookingKind = "passive"
    channel: BookingChannel = "phone"
    need: Annotated[str, Field(min_length=1, max_length=500)]
    """Why the vehicle comes (R-01, R-03)."""
    service: ServiceKind
    operations: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    labour_minutes: Annotated[Minutes, Field(strict=True)] | None = None
    """Left out, it is that of the operations."""
    parts: Annotated[tuple[Prepare, ...], Field(max_length=20)] = ()
    agreed: Yes
    """The customer agreed to the time and the parts (R-08)."""
    member: Yes = False
    welcome: Welcome = "surname"
    """What the welcome board may show (R-16)."""
    model: Text | None = None
    vin: Vin | None = None
    customer_name: Text
    phone: Phone
    plate: Plate


class Reschedule(Body):
    slot_at: Time


class Cancel(Body):
    reason: CancelReason = "customer"


class Remind(Body):
    channel: StaffChannel = "phone"
    outcome: ReminderOutcome


class Arrive(Body):
    appointment_id: Reference | None = None
    """With it, the rest is that of the appointment."""
    service: ServiceKind = "problem"
    member: Yes = False
    welcome: Welcome = "surname"
    plate: Plate | None = None
    phone: Phone | None = None
    """Makes the customer known by it; it is not kept here."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command about what a day has already: where it is posted, who may, and what it becomes."""

    path: str
    about: str
    action: Action
    body: type[Body]
    command: Callable[..., do.DayCommand]
    summary: str


STEPS = (
    Step(
        "appointments/{id}/cancel",
        "appointment_id",
        Action.APPOINTMENT_BOOK,
        Cancel,
        do.CancelAppointment,
        "The customer does not come; advisor and bay are free again (K-24).",
    ),
    Step(
        "appointments/{id}/remind",
        "appointment_id",
        Action.APPOINTMENT_BOOK,
        Remind,
        do.Remind,
        "The customer was asked whether they can make it (R-07, R-11, R-12).",
    ),
    Step(
        "arrivals/{id}/call-in",
        "arrival_id",
        Action.QUEUE_KEEP,
        Body,
        do.CallIn,
        "An advisor receives who is next; a walk-in uses a gap or a buffer (R-23, K-10, K-21).",
    ),
    Step(
        "arrivals/{id}/leave",
        "arrival_id",
        Action.QUEUE_KEEP,
        Body,
        do.Leave,
        "Somebody left without having been received.",
    ),
)


def appointments_api(reception: EventStore, keyring: Keyring) -> CommandRouter:
    router = CommandRouter(prefix="/v1")

    @router.command("/appointments", tags=["appointments"])
    async def book(body: Book, caller: Annotated[Caller, commanding(Action.APPOINTMENT_BOOK)]) -> Response:
        """A number, a time, an advisor and a bay for a customer (R-03 … R-05); name, phone and plate are
        sealed before they are stored."""
        now, appointment_id = datetime.now(UTC), caller.new_id()
        at = _agreed(body, now)
        prices = in_force(await price_lists_of(reception, caller.site), at)
        rules = await rules_of(reception, caller.site)
        parts, minutes = _parts(body, prices), _labour(body, prices)
        clear = {"customer_name": body.customer_name, "phone": body.phone, "plate": body.plate.upper()}
        customer, sealed = await seal(keyring, AppointmentRequested, body.phone, clear)
        fields = body.model_dump(exclude={*clear, "occurred_at", "parts", "labour_minutes"})
        command = do.BookAppointment.model_validate(
            {
                **fields,
                **sealed,
                "book": book_of(caller.site, site_date(rules, body.slot_at)),
                "at": at,
                "entered_at": now,
                "appointment_id": appointment_id,
                "labour_minutes": minutes,
                "parts": parts,
                "customer": customer,
            }
        )
        return await give(command, body, caller, appointment_id, new=True)

    @router.command("/days/{date}/open", tags=["appointments"])
    async def open_day(
        date: Day, body: Body, caller: Annotated[Caller, commanding(Action.APPOINTMENT_BOOK)]
    ) -> Response:
        """The slots of a day are laid out by the rules that hold on it; the first booking does so too."""
        command = do.OpenDay(book=f"{caller.site}.{date}", at=_at(body))
        return await give(command, body, caller, command.book, new=True)

    @router.command("/days/{date}/appointments/{id}/reschedule", tags=["appointments"])
    async def reschedule(
        date: Day, id: Id, body: Reschedule, caller: Annotated[Caller, commanding(Action.APPOINTMENT_BOOK)]
    ) -> Response:
        """The customer comes at another time (R-12). On another day, that day takes the appointment over
        first; then this one lets go of it, or else a policy makes it."""
        here, now = f"{caller.site}.{date}", datetime.now(UTC)
        at = _agreed(body, now)
        rules = await rules_of(reception, caller.site)
        there = book_of(caller.site, site_date(rules, body.slot_at))
        if there == here:
            move = do.MoveAppointment(
                book=here, at=at, entered_at=now, appointment_id=id, slot_at=body.slot_at
            )
            return await give(move, body, caller, id)
        stream = book_stream(here)
        history = await reception.stream(stream)
        if not history:
            raise UnknownStream(stream)
        if caller.expected_version not in (None, len(history)):
            raise StaleVersion(len(history))
        booking = _day(history).bookings.get(id)
        if booking is None:
            raise Problem(409, "There is no such appointment on this day.")
        take_over = do.TakeOverAppointment(
            book=there,
            at=at,
            entered_at=now,
            appointment_id=id,
            slot_at=body.slot_at,
            requested=booking.requested,
            expected=booking.status == "booked",
            number=booking.confirmed.number,
            moved_from=_date(date),
            moved_from_slot=booking.confirmed.slot_at,
        )
        metadata = replace(caller.metadata(id, body), occurred_at=at)
        decider = appointment_decider(rules)
        taken = await reception.handle(decider, book_stream(there), take_over, metadata, new=True)
        if not taken.repeated:
            free = do.FreeMoved(
                book=here,
                at=at,
                appointment_id=id,
                slot_at=take_over.moved_from_slot,
                to=body.slot_at,
                to_book=there,
            )
            await reception.handle(decider, stream, free, metadata)
            if _day(await reception.stream(stream)).bookings[id].moved_to != (body.slot_at, there):
                raise Rejected("the appointment is being moved already; please look again in a moment")
        return answer(reception.source, id, taken)

    @router.command("/days/{date}/arrivals", tags=["queue"])
    async def arrive(
        date: Day, body: Arrive, caller: Annotated[Caller, commanding(Action.QUEUE_KEEP)]
    ) -> Response:
        """Somebody stands at the desk (R-06, R-26, R-27); the plate is sealed before it is stored."""
        arrival_id = caller.new_id()
        fields = body.model_dump(exclude={"occurred_at", "plate", "phone"})
        if body.plate and body.appointment_id is None:
            context = f"{CustomerArrived.type.rpartition('.')[0]}.plate"
            known_by = {"phone": body.phone} if body.phone else {}
            customer, sealed = await keyring.seal_for(known_by, {context: body.plate.upper()})
            fields |= {"customer": customer, "plate": sealed[context]}
        command = do.Arrive(book=f"{caller.site}.{date}", at=_at(body), arrival_id=arrival_id, **fields)
        return await give(command, body, caller, arrival_id, new=True)

    def add(step: Step) -> None:
        async def post(
            date: Day,
            id: Id,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            command = step.command(
                book=f"{caller.site}.{date}",
                at=_at(body),
                **{step.about: id},
                **body.model_dump(exclude={"occurred_at"}),
            )
            return await give(command, body, caller, id)

        router.command(
            f"/days/{{date}}/{step.path}",
            tags=["appointments" if step.about == "appointment_id" else "queue"],
            name=step.path.rpartition("/")[2].replace("-", " "),
            description=step.summary,
        )(post)

    for step in STEPS:
        add(step)

    async def give(
        command: do.DayCommand, body: Body, caller: Caller, id: str, *, new: bool = False
    ) -> Response:
        handled = await reception.handle(
            appointment_decider(await rules_of(reception, caller.site)),
            book_stream(command.book),
            command,
            # What is judged by a time carries that very time.
            replace(caller.metadata(id, body), occurred_at=command.at),
            new=new,
            expected_version=caller.expected_version,
        )
        return answer(reception.source, id, handled)

    return router


def _day(history: Sequence[Recorded]) -> AppointmentBook:
    return appointment_decider(SHIPPED_RULES).fold(recorded.event for recorded in history)


def _parts(body: Book, prices: PriceList) -> list[PartWanted]:
    listed = {part.code: part for part in prices.parts}
    if unknown := [each.code for each in body.parts if each.code not in listed]:
        raise Problem(422, f"The price list has no part {unknown[0]}.")
    return [
        PartWanted(
            code=each.code,
            name=listed[each.code].name,
            quantity=each.quantity,
            unit_fen=listed[each.code].unit_fen,
        )
        for each in body.parts
    ]


def _labour(body: Book, prices: PriceList) -> int:
    listed = {operation.code: operation for operation in prices.operations}
    if unknown := [code for code in body.operations if code not in listed]:
        raise Problem(422, f"The price list has no operation {unknown[0]}.")
    if body.labour_minutes is not None:
        return body.labour_minutes
    if not body.operations:
        raise Problem(422, "Name the operations, or estimate the minutes of labour.")
    return sum(listed[code].labour_minutes for code in body.operations)


def _agreed(body: Body, now: datetime) -> datetime:
    """When the customer agreed: not after it is entered, however the clocks differ."""
    return min(body.occurred_at or now, now)


def _at(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)

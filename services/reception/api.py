"""What people at the reception desk do."""

from datetime import UTC, datetime
from typing import Annotated, Self

import vininfo
from fastapi import Path
from pydantic import Field, model_validator
from starlette.responses import Response

from access.keyring import Keyring
from access.problems import Problem
from access.roles import Action
from eventlog.store import EventStore
from events.reception import VehicleReceived
from services.commands_over_http import Body, Caller, CommandRouter, Phone, Time, Vin, answer, commanding
from services.personal_data import seal
from services.reception.appointment_book import appointment_decider, book_of, book_stream
from services.reception.appointment_slots import site_date
from services.reception.commands import (
    CorrectMileage,
    ReceiveVehicle,
)
from services.reception.mileage import Readings
from services.reception.rules import SHIPPED_RULES, rules_of
from services.reception.visit import visit_decider, visit_stream

Text = Annotated[str, Field(min_length=1, max_length=200)]
Mileage = Annotated[int, Field(ge=0, le=3_000_000, strict=True)]
VisitId = Annotated[str, Path(pattern="^[0-9a-f]{20}$")]
Reference = Annotated[str, Field(pattern="^[0-9a-f]{20}$")]
Yes = Annotated[bool, Field(strict=True)]


class Receive(Body):
    vin: Vin
    plate: Annotated[str, Field(min_length=1, max_length=20)]
    customer_name: Text
    phone: Phone
    mileage_km: Mileage
    symptoms: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=20)
    ]
    promised_at: Time | None = None
    appointment_id: Reference | None = None
    """The visit goes on under it (R-13, R-14)."""
    appointment_book: Annotated[str, Field(max_length=60)] | None = None
    arrival_id: Reference | None = None
    """Who waited at the desk (R-21)."""
    model: Text | None = None
    member: Yes | None = None
    first_service: Yes | None = None
    fuel_eighths: Annotated[int, Field(ge=0, le=8, strict=True)] | None = None
    mileage_less_because: Text | None = None
    """Why it shows less than at an earlier visit, which is refused without a reason (R-37)."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.appointment_id is None) != (self.appointment_book is None):
            raise ValueError("an appointment is named by its id and the book of its day")
        return self


class Correct(Body):
    mileage_km: Mileage
    reason: Text
    mileage_less_because: Text | None = None


def api(reception: EventStore, keyring: Keyring) -> CommandRouter:
    router = CommandRouter(prefix="/v1/visits", tags=["visits"])
    readings = Readings(reception)

    @router.command("")
    async def receive(body: Receive, caller: Annotated[Caller, commanding(Action.VISIT_RECEIVE)]) -> Response:
        """A vehicle arrived. A misfit check digit of a VIN is a warning: most European ones are misfit."""
        rules = await rules_of(reception, caller.site)
        came = body.occurred_at or datetime.now(UTC)
        today = book_of(caller.site, site_date(rules, came))
        if body.appointment_id and body.appointment_book:
            await must_be_booked(body.appointment_id, body.appointment_book, caller.site)
        visit_id = body.appointment_id or caller.new_id()
        clear = {"customer_name": body.customer_name, "phone": body.phone, "plate": body.plate.upper()}
        known = body.model_dump(exclude={*clear, "occurred_at", "symptoms"})
        customer, sealed = await seal(keyring, VehicleReceived, body.phone, clear)
        check_digit_fits = vininfo.Vin(body.vin).verify_checksum(check_year=False)
        command = ReceiveVehicle(
            visit_id=visit_id,
            work_order_id=visit_id,
            vin_check_digit="ok" if check_digit_fits else "mismatch",
            customer=customer,
            customer_name=sealed["customer_name"],
            phone=sealed["phone"],
            plate=sealed["plate"],
            symptoms=tuple(body.symptoms),
            book=body.appointment_book or today,
            earlier=await readings.earlier(rules, body.vin, came, visit_stream(visit_id)),
            **known,
        )
        handled = await reception.handle(
            visit_decider(caller.principal.actor, rules),
            visit_stream(visit_id),
            command,
            caller.metadata(visit_id, body),
            new=True,
            expected_version=caller.expected_version,
        )
        if handled.recorded:
            await keyring.give("plate", body.plate, customer)  # of whoever came with it last
        warnings = [] if check_digit_fits else ["The check digit of the VIN does not fit; please compare it."]
        return answer(reception.source, visit_id, handled, warnings)

    async def must_be_booked(appointment_id: str, book: str, site: str) -> None:
        """At the caller's site; who comes late has missed it and comes all the same."""
        history = await reception.stream(book_stream(book)) if book.startswith(f"{site}.") else []
        day = appointment_decider(SHIPPED_RULES).fold(recorded.event for recorded in history)
        booking = day.bookings.get(appointment_id)
        if booking is None or booking.status in ("moved", "cancelled"):
            raise Problem(422, "appointment_id: there is no such appointment in this book.")

    @router.command("/{visit_id}/mileage/correct")
    async def correct_mileage(
        visit_id: VisitId, body: Correct, caller: Annotated[Caller, commanding(Action.VISIT_RECEIVE)]
    ) -> Response:
        """The mileage was read wrongly; the reading before stays on record."""
        rules = await rules_of(reception, caller.site)
        stream = visit_stream(visit_id)
        earlier = None
        if history := await reception.stream(stream):
            came = history[0]
            assert isinstance(came.event, VehicleReceived)
            earlier = await readings.earlier(rules, came.event.vin, came.occurred_at, stream)
        command = CorrectMileage(
            visit_id=visit_id, earlier=earlier, **body.model_dump(exclude={"occurred_at"})
        )
        handled = await reception.handle(
            visit_decider(caller.principal.actor, rules),
            stream,
            command,
            caller.metadata(visit_id, body),
            expected_version=caller.expected_version,
        )
        return answer(reception.source, visit_id, handled)

    return router

"""What reception does whenever the workshop, or one of its own days and visits, reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.reception import AppointmentConfirmed, VehicleReceived
from events.workshop import QualityPassed, RepairAdded, RepairRevised
from services.reception.appointment_book import appointment_decider, book_of, book_stream
from services.reception.appointment_commands import DayCommand, FreeMoved, GiveBack, KeepAppointment
from services.reception.commands import Command, ReadyVehicle, RequestApproval
from services.reception.rules import rules_of
from services.reception.visit import visit_decider, visit_stream


def policies(reception: EventStore) -> Policies:
    policies = Policies("reception", reception)

    @policies.whenever(RepairAdded)
    async def whenever_repair_added_request_approval(added: RepairAdded, cause: Recorded) -> None:
        """The customer decides about every added repair (R-60)."""
        command = RequestApproval(**added.model_dump(include={*RequestApproval.model_fields}))
        await give(command, cause, "whenever_repair_added_request_approval")

    @policies.whenever(RepairRevised)
    async def whenever_repair_revised_request_approval(revised: RepairRevised, cause: Recorded) -> None:
        """Another price, part or time is another question (R-65)."""
        command = RequestApproval(**revised.model_dump(include={*RequestApproval.model_fields}))
        await give(command, cause, "whenever_repair_revised_request_approval")

    @policies.whenever(QualityPassed)
    async def whenever_quality_passed_ready_vehicle(passed: QualityPassed, cause: Recorded) -> None:
        if passed.visit_id is None:  # work done for no visit, as in an imported history
            return
        command = ReadyVehicle(visit_id=passed.visit_id)
        await give(command, cause, "whenever_quality_passed_ready_vehicle")

    async def give(command: Command, cause: Recorded, policy: str) -> None:
        decider = visit_decider(policy, await rules_of(reception, cause.metadata.site))
        await reception.handle(decider, visit_stream(command.visit_id), command, caused_by(cause, policy))

    @policies.whenever(AppointmentConfirmed)
    async def whenever_appointment_confirmed_free_moved(
        confirmed: AppointmentConfirmed, cause: Recorded
    ) -> None:
        """The day that it was moved from lets go of it (R-12): for one day only, and of nobody who cancelled
        or came meanwhile. Where it did not, the other day gives the appointment back."""
        if confirmed.moved_from is None or confirmed.moved_from_slot is None:
            return
        policy = "whenever_appointment_confirmed_free_moved"
        old = book_of(cause.metadata.site, confirmed.moved_from)
        id, at = confirmed.appointment_id, cause.occurred_at
        free = FreeMoved(
            book=old,
            at=at,
            appointment_id=id,
            slot_at=confirmed.moved_from_slot,
            to=confirmed.slot_at,
            to_book=confirmed.book,
        )
        await change_day(free, cause, policy)
        decider = appointment_decider(await rules_of(reception, cause.metadata.site))
        day = decider.fold(recorded.event for recorded in await reception.stream(book_stream(old)))
        booking = day.bookings[id]
        to, to_book = booking.moved_to or (booking.confirmed.slot_at, old)
        if to_book == confirmed.book:
            return
        back = GiveBack(
            book=confirmed.book,
            at=at,
            appointment_id=id,
            slot_at=confirmed.slot_at,
            to=to,
            to_book=to_book,
            cancelled=booking.cancelled,
        )
        await change_day(back, cause, policy)

    @policies.whenever(VehicleReceived)
    async def whenever_vehicle_received_keep_appointment(received: VehicleReceived, cause: Recorded) -> None:
        """Who is received has come, even if nobody noted the arrival (R-14)."""
        if received.appointment_id is None or received.appointment_book is None:
            return
        command = KeepAppointment(
            book=received.appointment_book, at=cause.occurred_at, appointment_id=received.appointment_id
        )
        await change_day(command, cause, "whenever_vehicle_received_keep_appointment")

    async def change_day(command: DayCommand, cause: Recorded, policy: str) -> None:
        decider = appointment_decider(await rules_of(reception, cause.metadata.site))
        await reception.handle(decider, book_stream(command.book), command, caused_by(cause, policy))

    return policies

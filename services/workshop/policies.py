"""What the workshop does whenever reception reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.reception import (
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
    BayReserved,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReceived,
)
from services.workshop.bay_plan import BAY_PLAN, BayCommand, FreeBay, KeepBayFree, bay_plan_stream
from services.workshop.commands import CloseWorkOrder, DropRepair, OpenWorkOrder, ReleaseRepair
from services.workshop.work_order import WORK_ORDER, work_order_stream


def policies(workshop: EventStore) -> Policies:
    policies = Policies("workshop", workshop)

    @policies.whenever(VehicleReceived)
    async def whenever_vehicle_received_open_work_order(received: VehicleReceived, cause: Recorded) -> None:
        command = OpenWorkOrder(
            work_order_id=received.work_order_id,
            visit_id=received.visit_id,
            symptoms=received.symptoms,
            promised_at=received.promised_at,
        )
        metadata = caused_by(cause, "whenever_vehicle_received_open_work_order")
        stream = work_order_stream(received.work_order_id)
        await workshop.handle(WORK_ORDER, stream, command, metadata, new=True)

    @policies.whenever(RepairApproved)
    async def whenever_repair_approved_release_repair(approved: RepairApproved, cause: Recorded) -> None:
        command = ReleaseRepair(work_order_id=approved.work_order_id, line=approved.line)
        metadata = caused_by(cause, "whenever_repair_approved_release_repair")
        await workshop.handle(WORK_ORDER, work_order_stream(approved.work_order_id), command, metadata)

    @policies.whenever(RepairDeclined)
    async def whenever_repair_declined_drop_repair(declined: RepairDeclined, cause: Recorded) -> None:
        command = DropRepair(work_order_id=declined.work_order_id, line=declined.line)
        metadata = caused_by(cause, "whenever_repair_declined_drop_repair")
        await workshop.handle(WORK_ORDER, work_order_stream(declined.work_order_id), command, metadata)

    @policies.whenever(VehicleDelivered)
    async def whenever_vehicle_delivered_close_work_order(
        delivered: VehicleDelivered, cause: Recorded
    ) -> None:
        command = CloseWorkOrder(work_order_id=delivered.work_order_id)
        metadata = caused_by(cause, "whenever_vehicle_delivered_close_work_order")
        await workshop.handle(WORK_ORDER, work_order_stream(delivered.work_order_id), command, metadata)

    @policies.whenever(BayReserved)
    async def whenever_bay_reserved_keep_bay_free(reserved: BayReserved, cause: Recorded) -> None:
        """The workshop knows on the same day, and which parts of high value to prepare (R-08, R-10)."""
        command = KeepBayFree(
            **reserved.model_dump(include={"book", "appointment_id", "bay", "starts_at", "ends_at"}),
            parts=tuple(part.code for part in reserved.high_value_parts),
            follows=cause.version,
        )
        await plan_bay(command, cause, "whenever_bay_reserved_keep_bay_free")

    @policies.whenever(AppointmentRescheduled)
    async def whenever_appointment_rescheduled_free_bay(
        rescheduled: AppointmentRescheduled, cause: Recorded
    ) -> None:
        await free_bay(rescheduled, cause, "whenever_appointment_rescheduled_free_bay")

    @policies.whenever(AppointmentCancelled)
    async def whenever_appointment_cancelled_free_bay(
        cancelled: AppointmentCancelled, cause: Recorded
    ) -> None:
        await free_bay(cancelled, cause, "whenever_appointment_cancelled_free_bay")

    @policies.whenever(AppointmentMissed)
    async def whenever_appointment_missed_free_bay(missed: AppointmentMissed, cause: Recorded) -> None:
        await free_bay(missed, cause, "whenever_appointment_missed_free_bay")

    async def free_bay(
        gone: AppointmentRescheduled | AppointmentCancelled | AppointmentMissed, cause: Recorded, policy: str
    ) -> None:
        command = FreeBay(book=gone.book, appointment_id=gone.appointment_id, follows=cause.version)
        await plan_bay(command, cause, policy)

    async def plan_bay(command: BayCommand, cause: Recorded, policy: str) -> None:
        stream = bay_plan_stream(command.book)
        await workshop.handle(BAY_PLAN, stream, command, caused_by(cause, policy), new=True)

    return policies

"""What the workshop does whenever reception reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.reception import (
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
    BayReserved,
    BelongingsConsentGiven,
    DeliveryCheckFailed,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleHandedToWorkshop,
    VehicleReceived,
    WorkOrderSigned,
)
from events.workshop import Task
from services.workshop.bay_plan import BAY_PLAN, BayCommand, FreeBay, KeepBayFree, bay_plan_stream
from services.workshop.commands import (
    AuthoriseWork,
    CloseWorkOrder,
    Command,
    DropRepair,
    OpenWorkOrder,
    ReleaseBelongings,
    ReleaseRepair,
    SendBack,
    TakeIn,
)
from services.workshop.rules import rules_of
from services.workshop.work_order import work_order_decider, work_order_stream


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
        await give(command, cause, "whenever_vehicle_received_open_work_order", new=True)

    @policies.whenever(WorkOrderSigned)
    async def whenever_work_order_signed_authorise_work(signed: WorkOrderSigned, cause: Recorded) -> None:
        """What the customer signed may be worked on; the workshop is told no prices (R-65)."""
        command = AuthoriseWork(
            work_order_id=signed.work_order_id,
            visit_id=signed.visit_id,
            revision=signed.revision,
            hash=signed.hash,
            tasks=tuple(Task(**line.model_dump(include={*Task.model_fields})) for line in signed.lines),
            promised_at=signed.promised_at,
        )
        await give(command, cause, "whenever_work_order_signed_authorise_work", new=True)

    @policies.whenever(VehicleHandedToWorkshop)
    async def whenever_vehicle_handed_to_workshop_take_in(
        handed: VehicleHandedToWorkshop, cause: Recorded
    ) -> None:
        """W-04."""
        command = TakeIn(**handed.model_dump())
        await give(command, cause, "whenever_vehicle_handed_to_workshop_take_in", new=True)

    @policies.whenever(RepairApproved)
    async def whenever_repair_approved_release_repair(approved: RepairApproved, cause: Recorded) -> None:
        command = ReleaseRepair(work_order_id=approved.work_order_id, line=approved.line, hash=approved.hash)
        await give(command, cause, "whenever_repair_approved_release_repair")

    @policies.whenever(RepairDeclined)
    async def whenever_repair_declined_drop_repair(declined: RepairDeclined, cause: Recorded) -> None:
        command = DropRepair(work_order_id=declined.work_order_id, line=declined.line, hash=declined.hash)
        await give(command, cause, "whenever_repair_declined_drop_repair")

    @policies.whenever(BelongingsConsentGiven)
    async def whenever_belongings_consent_given_release_belongings(
        given: BelongingsConsentGiven, cause: Recorded
    ) -> None:
        """W-10."""
        command = ReleaseBelongings(work_order_id=given.work_order_id, items=given.items)
        await give(command, cause, "whenever_belongings_consent_given_release_belongings")

    @policies.whenever(DeliveryCheckFailed)
    async def whenever_delivery_check_failed_send_back(failed: DeliveryCheckFailed, cause: Recorded) -> None:
        """The advisor's own check counts like the workshop's (W-18, K-11)."""
        command = SendBack(work_order_id=failed.work_order_id, cause=failed.cause)
        await give(command, cause, "whenever_delivery_check_failed_send_back")

    @policies.whenever(VehicleDelivered)
    async def whenever_vehicle_delivered_close_work_order(
        delivered: VehicleDelivered, cause: Recorded
    ) -> None:
        command = CloseWorkOrder(work_order_id=delivered.work_order_id)
        await give(command, cause, "whenever_vehicle_delivered_close_work_order")

    async def give(command: Command, cause: Recorded, policy: str, *, new: bool = False) -> None:
        """`new`: this may be heard before anything else about the vehicle."""
        decider = work_order_decider(await rules_of(workshop, cause.metadata.site))
        stream = work_order_stream(command.work_order_id)
        await workshop.handle(decider, stream, command, caused_by(cause, policy), new=new)

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

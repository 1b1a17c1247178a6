"""What the workshop does whenever reception reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.reception import RepairApproved, RepairDeclined, VehicleDelivered, VehicleReceived
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

    return policies

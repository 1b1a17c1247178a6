"""What reception does whenever the workshop reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.workshop import QualityPassed, RepairAdded
from services.reception.commands import ReadyVehicle, RequestApproval
from services.reception.visit import VISIT, visit_stream


def policies(reception: EventStore) -> Policies:
    policies = Policies("reception", reception)

    @policies.whenever(RepairAdded)
    async def whenever_repair_added_request_approval(added: RepairAdded, cause: Recorded) -> None:
        """The customer decides about every added repair (R-60)."""
        command = RequestApproval(**added.model_dump())
        metadata = caused_by(cause, "whenever_repair_added_request_approval")
        await reception.handle(VISIT, visit_stream(added.visit_id), command, metadata)

    @policies.whenever(QualityPassed)
    async def whenever_quality_passed_ready_vehicle(passed: QualityPassed, cause: Recorded) -> None:
        if passed.visit_id is None:  # work done for no visit, as in an imported history
            return
        metadata = caused_by(cause, "whenever_quality_passed_ready_vehicle")
        command = ReadyVehicle(visit_id=passed.visit_id)
        await reception.handle(VISIT, visit_stream(passed.visit_id), command, metadata)

    return policies

"""What reception does whenever the workshop reports a fact."""

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.workshop import QualityPassed, RepairAdded
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

    @policies.whenever(QualityPassed)
    async def whenever_quality_passed_ready_vehicle(passed: QualityPassed, cause: Recorded) -> None:
        if passed.visit_id is None:  # work done for no visit, as in an imported history
            return
        command = ReadyVehicle(visit_id=passed.visit_id)
        await give(command, cause, "whenever_quality_passed_ready_vehicle")

    async def give(command: Command, cause: Recorded, policy: str) -> None:
        decider = visit_decider(policy, await rules_of(reception, cause.metadata.site))
        await reception.handle(decider, visit_stream(command.visit_id), command, caused_by(cause, policy))

    return policies

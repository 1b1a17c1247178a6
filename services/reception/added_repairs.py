"""Added repairs: what the workshop finds is asked of the customer, line by line, and the answer is final."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from eventlog.decider import Rejected
from events import Event
from events.reception import ApprovalRequested, RepairApproved, RepairDeclined
from services.reception.commands import AddedRepairCommand, ApproveRepair, DeclineRepair, RequestApproval

if TYPE_CHECKING:
    from services.reception.visit import Visit

Answer: TypeAlias = Literal["waiting", "approved", "declined"]


@dataclass(frozen=True, slots=True)
class AddedRepairs:
    answers: Mapping[int, Answer] = field(default_factory=dict)


def decide(command: AddedRepairCommand, visit: "Visit") -> list[Event]:
    answers = visit.added.answers
    match command:
        case RequestApproval(line=line):
            return [] if line in answers else [ApprovalRequested(**command.model_dump())]
        case ApproveRepair(line=line):
            if _answered(answers, line, "approved"):
                return []
            return [RepairApproved(**command.model_dump(), work_order_id=visit.work_order_id)]
        case DeclineRepair(line=line):
            if _answered(answers, line, "declined"):
                return []
            return [RepairDeclined(**command.model_dump(), work_order_id=visit.work_order_id)]


def evolve(added: AddedRepairs, event: Event) -> AddedRepairs:
    match event:
        case ApprovalRequested(line=line):
            return _with(added, line, "waiting")
        case RepairApproved(line=line):
            return _with(added, line, "approved")
        case RepairDeclined(line=line):
            return _with(added, line, "declined")
    return added


def _answered(answers: Mapping[int, Answer], line: int, answer: Answer) -> bool:
    """Whether the customer gave this answer before; an answer is final."""
    before = answers.get(line)
    if before is None:
        raise Rejected(f"no approval was requested for line {line}")
    if before not in ("waiting", answer):
        raise Rejected(f"line {line} was already {before}")
    return before == answer


def _with(added: AddedRepairs, line: int, answer: Answer) -> AddedRepairs:
    return replace(added, answers={**added.answers, line: answer})

"""A visit: the customer hands over a vehicle, answers for its added repairs and takes it home."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from eventlog.decider import Decider, Rejected
from events import Event
from events.reception import (
    ApprovalRequested,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReadied,
    VehicleReceived,
)
from services.reception.commands import (
    ApproveRepair,
    Command,
    DeclineRepair,
    DeliverVehicle,
    ReadyVehicle,
    ReceiveVehicle,
    RequestApproval,
)

Answer: TypeAlias = Literal["waiting", "approved", "declined"]


@dataclass(frozen=True, slots=True)
class Visit:
    work_order_id: str | None = None
    mileage_km: int = 0
    answers: Mapping[int, Answer] = field(default_factory=dict)
    readied: bool = False
    delivered: bool = False


def decide(command: Command, visit: Visit) -> list[Event]:
    if isinstance(command, ReceiveVehicle):
        return [] if visit.work_order_id else [VehicleReceived(**command.model_dump())]
    if visit.work_order_id is None:
        raise Rejected("the vehicle has not been received")
    match command:
        case RequestApproval(line=line):
            return [] if line in visit.answers else [ApprovalRequested(**command.model_dump())]
        case ApproveRepair(line=line):
            if _answered(visit, line, "approved"):
                return []
            return [RepairApproved(**command.model_dump(), work_order_id=visit.work_order_id)]
        case DeclineRepair(line=line):
            if _answered(visit, line, "declined"):
                return []
            return [RepairDeclined(**command.model_dump(), work_order_id=visit.work_order_id)]
        case ReadyVehicle(visit_id=visit_id):
            if visit.readied:
                return []
            return [VehicleReadied(visit_id=visit_id, work_order_id=visit.work_order_id)]
        case DeliverVehicle():
            if visit.delivered:
                return []
            if not visit.readied:
                raise Rejected("the vehicle has not passed its quality check yet")
            if command.mileage_km is not None and command.mileage_km < visit.mileage_km:
                raise Rejected(f"{command.mileage_km} km is less than the {visit.mileage_km} km at reception")
            return [VehicleDelivered(**command.model_dump(), work_order_id=visit.work_order_id)]


def evolve(visit: Visit, event: Event) -> Visit:
    match event:
        case VehicleReceived():
            return replace(visit, work_order_id=event.work_order_id, mileage_km=event.mileage_km)
        case ApprovalRequested(line=line):
            return _with(visit, line, "waiting")
        case RepairApproved(line=line):
            return _with(visit, line, "approved")
        case RepairDeclined(line=line):
            return _with(visit, line, "declined")
        case VehicleReadied():
            return replace(visit, readied=True)
        case VehicleDelivered():
            return replace(visit, delivered=True)
    return visit


VISIT = Decider(initial=Visit(), decide=decide, evolve=evolve)


def visit_stream(visit_id: str) -> str:
    return f"visit-{visit_id}"


def _answered(visit: Visit, line: int, answer: Answer) -> bool:
    """Whether the customer gave this answer before; an answer is final."""
    before = visit.answers.get(line)
    if before is None:
        raise Rejected(f"no approval was requested for line {line}")
    if before not in ("waiting", answer):
        raise Rejected(f"line {line} was already {before}")
    return before == answer


def _with(visit: Visit, line: int, answer: Answer) -> Visit:
    return replace(visit, answers={**visit.answers, line: answer})

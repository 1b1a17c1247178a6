"""A work order: what the technicians may do to a vehicle, and how its quality check went."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from eventlog.decider import Decider, Rejected
from events import Event
from events.workshop import (
    QualityFailed,
    QualityPassed,
    RepairAdded,
    RepairCompleted,
    RepairDropped,
    RepairReleased,
    ReworkOrdered,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from services.workshop.commands import (
    AddRepair,
    CloseWorkOrder,
    Command,
    CompleteRepair,
    DispatchWork,
    DropRepair,
    FailQuality,
    OpenWorkOrder,
    OrderRework,
    PassQuality,
    ReleaseRepair,
)

Stage: TypeAlias = Literal["waiting", "in work", "in check", "waiting for rework", "passed", "closed"]
Line: TypeAlias = Literal["on hold", "released", "dropped"]


@dataclass(frozen=True, slots=True)
class WorkOrder:
    opened: bool = False
    visit_id: str | None = None
    stage: Stage = "waiting"
    team: str | None = None
    lines: Mapping[int, Line] = field(default_factory=dict)


def decide(command: Command, order: WorkOrder) -> list[Event]:
    if isinstance(command, OpenWorkOrder):
        return [] if order.opened else [WorkOrderOpened(**command.model_dump())]
    if not order.opened:
        raise Rejected("the work order is not open")
    id = command.work_order_id
    match command:
        case DispatchWork(team=team):
            if order.team == team:
                return []
            _must_be(order, "waiting", "in work", to="dispatched")
            return [WorkDispatched(work_order_id=id, team=team)]
        case AddRepair():
            _must_be(order, "in work", to="extended")
            if order.visit_id is None:
                raise Rejected("this work order has no visit whose customer could be asked")
            line = len(order.lines) + 1
            return [RepairAdded(**command.model_dump(), visit_id=order.visit_id, line=line)]
        case ReleaseRepair(line=line):
            return [RepairReleased(work_order_id=id, line=line)] if _on_hold(order, line) else []
        case DropRepair(line=line):
            return [RepairDropped(work_order_id=id, line=line)] if _on_hold(order, line) else []
        case CompleteRepair():
            if order.stage == "in check":
                return []
            _must_be(order, "in work", to="completed")
            if waiting := [str(line) for line, state in order.lines.items() if state == "on hold"]:
                raise Rejected(f"the customer has not answered for line {', '.join(waiting)} yet")
            return [RepairCompleted(work_order_id=id)]
        case PassQuality():
            if order.stage == "passed":
                return []
            _must_be(order, "in check", to="passed")
            return [QualityPassed(work_order_id=id, visit_id=order.visit_id)]
        case FailQuality(cause=cause):
            if order.stage == "waiting for rework":
                return []
            _must_be(order, "in check", to="failed")
            return [QualityFailed(work_order_id=id, cause=cause)]
        case OrderRework():
            _must_be(order, "waiting for rework", to="sent to rework")
            return [ReworkOrdered(work_order_id=id)]
        case CloseWorkOrder():
            if order.stage == "closed":
                return []
            _must_be(order, "passed", to="closed")
            return [WorkOrderClosed(work_order_id=id)]


def evolve(order: WorkOrder, event: Event) -> WorkOrder:
    match event:
        case WorkOrderOpened(visit_id=visit_id):
            return replace(order, opened=True, visit_id=visit_id)
        case WorkDispatched(team=team):
            return replace(order, team=team, stage="in work")
        case RepairAdded(line=line):
            return _with(order, line, "on hold")
        case RepairReleased(line=line):
            return _with(order, line, "released")
        case RepairDropped(line=line):
            return _with(order, line, "dropped")
        case RepairCompleted():
            return replace(order, stage="in check")
        case QualityPassed():
            return replace(order, stage="passed")
        case QualityFailed():
            return replace(order, stage="waiting for rework")
        case ReworkOrdered():
            return replace(order, stage="in work")
        case WorkOrderClosed():
            return replace(order, stage="closed")
    return order


WORK_ORDER = Decider(initial=WorkOrder(), decide=decide, evolve=evolve)


def work_order_stream(work_order_id: str) -> str:
    return f"work_order-{work_order_id}"


def _must_be(order: WorkOrder, *stages: Stage, to: str) -> None:
    if order.stage not in stages:
        raise Rejected(f"a work order that is {order.stage} cannot be {to}")


def _on_hold(order: WorkOrder, line: int) -> bool:
    """Whether the line waits for the customer's answer; an answer that comes again changes nothing."""
    if line not in order.lines:
        raise Rejected(f"there is no line {line}")
    return order.lines[line] == "on hold"


def _with(order: WorkOrder, line: int, state: Line) -> WorkOrder:
    return replace(order, lines={**order.lines, line: state})

"""A work order: what the technicians may do to a vehicle, how that goes, and how its quality check went.

One stream and one decision for all of it; each part of it is a module.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Literal, TypeAlias, get_args

from eventlog.decider import Decider, Rejected
from events import Event
from events.shop_rules import WorkshopRules
from events.workshop import (
    PrioritySet,
    QualityFailed,
    QualityPassed,
    RepairCompleted,
    ReworkOrdered,
    VehicleAcceptedByTeam,
    VehicleTakenIn,
    WorkAuthorised,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from services.versions import in_force
from services.workshop import checks, lines, progress
from services.workshop.checks import Checks
from services.workshop.commands import (
    AcceptVehicle,
    AuthoriseWork,
    CheckCommand,
    CloseWorkOrder,
    Command,
    CompleteRepair,
    DispatchWork,
    LineCommand,
    OpenWorkOrder,
    ProgressCommand,
    SetPriority,
    TakeIn,
)
from services.workshop.lines import Lines
from services.workshop.progress import Progress

Stage: TypeAlias = Literal["waiting", "in work", "in check", "waiting for rework", "passed", "closed"]


@dataclass(frozen=True, slots=True)
class WorkOrder:
    opened: bool = False
    visit_id: str | None = None
    stage: Stage = "waiting"
    revision: int = 0
    """Of what the customer signed."""
    taken_in: int = 0
    """With which revision; 0 while the vehicle is not here."""
    priority: str = "normal"
    team: str | None = None
    accepted: bool = False
    """By the team that has it now."""
    reworks: int = 0
    lines: Lines = field(default=Lines())
    progress: Progress = field(default=Progress())
    checks: Checks = field(default=Checks())

    def must_be(self, *stages: Stage, to: str) -> None:
        if self.stage not in stages:
            raise Rejected(f"a work order that is {self.stage} cannot be {to}")


def decide(command: Command, order: WorkOrder, rules: Sequence[WorkshopRules]) -> list[Event]:
    """`rules` are all versions of the site's."""
    events = _decide(command, order, rules)
    return [*events, *progress.watch(command, order, reduce(evolve, events, order), rules)]


def _decide(command: Command, order: WorkOrder, rules: Sequence[WorkshopRules]) -> list[Event]:
    match command:
        case OpenWorkOrder():
            return [] if order.opened else [WorkOrderOpened(**command.model_dump())]
        case AuthoriseWork() | TakeIn() if not order.opened:
            # Reception was heard of this before it was heard of the vehicle.
            opened = WorkOrderOpened(work_order_id=command.work_order_id, visit_id=command.visit_id)
            return [opened, *_decide(command, evolve(order, opened), rules)]
    if not order.opened:
        raise Rejected("the work order is not open")
    if isinstance(command, get_args(LineCommand)):
        return lines.decide(command, order, rules)
    if isinstance(command, get_args(ProgressCommand)):
        return progress.decide(command, order)
    if isinstance(command, get_args(CheckCommand)):
        return checks.decide(command, order, rules)
    return _decide_order(command, order, rules)


def _decide_order(command: Command, order: WorkOrder, rules: Sequence[WorkshopRules]) -> list[Event]:
    id = command.work_order_id
    match command:
        case AuthoriseWork():
            if order.stage == "closed" or command.revision <= order.revision:
                return []
            minutes = sum(task.labour_minutes for task in command.tasks)
            return [WorkAuthorised(**command.model_dump(exclude={"visit_id"}), labour_minutes=minutes)]
        case TakeIn():
            if order.taken_in or order.stage == "closed":
                return []
            return [VehicleTakenIn(**command.model_dump(exclude={"visit_id"}))]
        case SetPriority(priority=priority):
            if order.priority == priority:
                return []
            order.must_be("waiting", "in work", "in check", "waiting for rework", to="given a priority")
            return [PrioritySet(work_order_id=id, priority=priority)]
        case DispatchWork(team=team, mode=mode, at=at):
            if order.team == team:
                return []
            order.must_be("waiting", "in work", to="dispatched")
            if order.stage == "waiting" and not order.revision >= order.taken_in > 0:
                raise Rejected("the vehicle has not been handed over to the workshop yet")
            if mode not in in_force(rules, at).dispatch:
                raise Rejected(_NOT_HERE[mode])
            return [WorkDispatched(**command.model_dump(exclude={"at"}))]
        case AcceptVehicle(tools_checked=tools_checked):
            if order.accepted:
                return []
            order.must_be("in work", to="taken over by its team")
            if not tools_checked:
                raise Rejected("before the work, check that the tools and the equipment work")
            return [VehicleAcceptedByTeam(**command.model_dump(exclude={"at"}))]
        case CompleteRepair():
            if order.stage == "in check":
                return []
            order.must_be("in work", to="completed")
            if waiting := [str(line) for line in order.lines.of_state("on hold")]:
                raise Rejected(f"the customer has not answered for line {', '.join(waiting)} yet")
            return [*lines.completed(id, order.lines), RepairCompleted(work_order_id=id)]
        case CloseWorkOrder():
            if order.stage == "closed":
                return []
            order.must_be("passed", to="closed")
            return [WorkOrderClosed(work_order_id=id)]
    raise AssertionError(f"nobody decides about {command!r}")


_NOT_HERE = {
    "to_team": "at this site advisors give work to the teams they lead",
    "own_team": "at this site the workshop supervisor gives work to the teams",
}


def evolve(order: WorkOrder, event: Event) -> WorkOrder:
    order = replace(
        order,
        lines=lines.evolve(order.lines, event),
        progress=progress.evolve(order.progress, event),
        checks=checks.evolve(order.checks, event),
    )
    match event:
        case WorkOrderOpened(visit_id=visit_id):
            return replace(order, opened=True, visit_id=visit_id)
        case WorkAuthorised(revision=revision):
            return replace(order, revision=revision)
        case VehicleTakenIn(revision=revision):
            return replace(order, taken_in=revision or 1)
        case PrioritySet(priority=priority):
            return replace(order, priority=priority)
        case WorkDispatched(team=team):
            return replace(order, team=team, accepted=False, stage="in work")
        case VehicleAcceptedByTeam():
            return replace(order, accepted=True)
        case RepairCompleted():
            return replace(order, stage="in check")
        case QualityPassed():
            return replace(order, stage="passed")
        case QualityFailed():
            return replace(order, stage="waiting for rework")
        case ReworkOrdered():
            return replace(order, stage="in work", reworks=order.reworks + 1)
        case WorkOrderClosed():
            return replace(order, stage="closed")
    return order


def work_order_decider(rules: Sequence[WorkshopRules]) -> Decider[WorkOrder, Command]:
    """Decides by the rules of the site."""
    return Decider(WorkOrder(), partial(decide, rules=rules), evolve)


def work_order_stream(work_order_id: str) -> str:
    return f"work_order-{work_order_id}"

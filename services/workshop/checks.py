"""The end of the work: test drive, quality check and rework, wash, and the way back to the advisor."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.shop_rules import WorkshopRules
from events.workshop import (
    QualityFailed,
    QualityPassed,
    RepairCompleted,
    ReworkCostSplit,
    ReworkOrdered,
    Share,
    TestDriveRecorded,
    VehicleReturned,
    VehicleWashed,
)
from services.versions import in_force
from services.workshop.commands import (
    CheckCommand,
    FailQuality,
    OrderRework,
    PassQuality,
    RecordTestDrive,
    ReturnVehicle,
    SendBack,
    SplitReworkCost,
    WashVehicle,
)
from services.workshop.lines import OPEN

if TYPE_CHECKING:
    from services.workshop.work_order import WorkOrder


@dataclass(frozen=True, slots=True)
class Checks:
    test_drive: TestDriveRecorded | None = None
    """The last since the repair was completed."""
    cause: str | None = None
    """Of the failed check."""
    shares: dict[int, tuple[Share, ...]] = field(default_factory=dict)
    """By the number of the rework, whose cost was split."""
    washed: bool = False
    returned: VehicleReturned | None = None


def decide(command: CheckCommand, order: "WorkOrder", rules: Sequence[WorkshopRules]) -> list[Event]:
    id, checks = command.work_order_id, order.checks
    match command:
        case RecordTestDrive():
            driven = TestDriveRecorded(**command.model_dump())
            if driven == checks.test_drive:
                return []
            order.must_be("in check", to="test-driven")
            return [driven]
        case PassQuality(at=at):
            if order.stage == "passed":
                return []
            order.must_be("in check", to="passed")
            if not_done := [str(line) for line in order.lines.of_state(*OPEN)]:
                raise Rejected(f"line {', '.join(not_done)} was signed since and is not done")
            if in_force(rules, at).test_drive:
                if checks.test_drive is None:
                    raise Rejected("the vehicle has not been driven since the repair was completed")
                if not checks.test_drive.passed:
                    raise Rejected("the last test drive was not passed")
            return [QualityPassed(work_order_id=id, visit_id=order.visit_id)]
        case FailQuality(cause=cause):
            if order.stage == "waiting for rework":
                return []
            order.must_be("in check", to="failed")
            return [QualityFailed(work_order_id=id, cause=cause, visit_id=order.visit_id)]
        case OrderRework(cause=cause):
            order.must_be("waiting for rework", to="sent to rework")
            return [_rework(order, id, cause or checks.cause)]
        case SendBack(cause=cause):
            return [_rework(order, id, cause)] if order.stage == "passed" else []
        case SplitReworkCost():
            return _split(command, order, in_force(rules, command.at))
        case WashVehicle():
            if checks.washed:
                return []
            order.must_be("passed", to="washed")
            return [VehicleWashed(work_order_id=id)]
        case ReturnVehicle(at=at):
            returned = VehicleReturned(**command.model_dump(exclude={"at"}), visit_id=order.visit_id)
            if checks.returned == returned:
                return []
            order.must_be("passed", to="returned")
            if in_force(rules, at).wash and not checks.washed:
                raise Rejected("the vehicle has not been washed yet")
            return [returned]


def evolve(checks: Checks, event: Event) -> Checks:
    match event:
        case RepairCompleted():
            return replace(checks, test_drive=None)
        case TestDriveRecorded():
            return replace(checks, test_drive=event)
        case QualityFailed(cause=cause):
            return replace(checks, cause=cause)
        case ReworkOrdered():
            return replace(checks, test_drive=None, washed=False, returned=None)
        case ReworkCostSplit(rework=rework, shares=shares):
            return replace(checks, shares={**checks.shares, rework: shares})
        case VehicleWashed():
            return replace(checks, washed=True)
        case VehicleReturned():
            return replace(checks, returned=event)
    return checks


def _rework(order: "WorkOrder", id: str, cause: str | None) -> ReworkOrdered:
    return ReworkOrdered(work_order_id=id, rework=order.reworks + 1, cause=cause)


def _split(command: SplitReworkCost, order: "WorkOrder", rules: WorkshopRules) -> list[Event]:
    if not 1 <= command.rework <= order.reworks:
        raise Rejected(f"there was no rework {command.rework}")
    if command.leader == command.responsible:
        shares: tuple[Share, ...] = (Share(person=command.leader, percent=100, amount_fen=command.cost_fen),)
    else:
        percent = rules.rework_leader_percent
        leader_fen = int((Decimal(command.cost_fen * percent) / 100).quantize(Decimal(1), ROUND_HALF_UP))
        shares = (
            Share(person=command.leader, percent=percent, amount_fen=leader_fen),
            Share(
                person=command.responsible,
                percent=100 - percent,
                amount_fen=command.cost_fen - leader_fen,
            ),
        )
    before = order.checks.shares.get(command.rework)
    if before == shares:
        return []
    if before is not None:
        raise Rejected(f"the cost of rework {command.rework} was split already")
    return [
        ReworkCostSplit(
            work_order_id=command.work_order_id,
            rework=command.rework,
            cost_fen=command.cost_fen,
            shares=shares,
            rules=rules.version,
        )
    ]

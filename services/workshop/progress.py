"""How the work goes: somebody asks before it is late, delays have a cause, belongings are left alone.

The watch is set for the work that may be done, by the rules that held when it began; more work or a delay
sets it anew. The answer to a question silences the alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.shop_rules import WorkshopRules
from events.workshop import (
    BelongingsInTheWay,
    BelongingsReleased,
    DelayReported,
    ProgressAlarmRaised,
    ProgressCheckDue,
    ProgressRecorded,
    ProgressWatchSet,
    ReworkOrdered,
    VehicleAcceptedByTeam,
)
from services.versions import in_force
from services.workshop.commands import (
    AcceptVehicle,
    AskForBelongings,
    CheckProgress,
    Command,
    DispatchWork,
    ProgressCommand,
    RaiseProgressAlarm,
    RecordProgress,
    ReleaseBelongings,
    ReportDelay,
)

if TYPE_CHECKING:
    from services.workshop.work_order import WorkOrder


@dataclass(frozen=True, slots=True)
class Progress:
    watch: ProgressWatchSet | None = None
    asked: bool = False
    """The check of this watch has rung."""
    answered: bool = False
    """Somebody said since how it goes."""
    alarmed: bool = False
    begun: bool = False
    """A team has taken the vehicle over."""
    last: tuple[datetime, bool, str | None] | None = None
    delays: int = 0
    delay_minutes: int = 0
    in_the_way: frozenset[str] = frozenset()
    """Belongings that the customer was asked about."""
    released: frozenset[str] = frozenset()
    """Belongings that the customer lets us touch."""


def decide(command: ProgressCommand, order: "WorkOrder") -> list[Event]:
    id, progress = command.work_order_id, order.progress
    match command:
        case CheckProgress(at=at):
            watch = _watched(order)
            if watch is None or progress.asked or at < watch.check_at:
                return []
            return [ProgressCheckDue(work_order_id=id, due_at=watch.check_at)]
        case RaiseProgressAlarm(at=at):
            watch = _watched(order)
            if watch is None or progress.answered or progress.alarmed or at < watch.alarm_at:
                return []
            # Of two that are due at once, the alarm may ring first.
            asked: list[Event] = [ProgressCheckDue(work_order_id=id, due_at=watch.check_at)]
            return [
                *(asked if not progress.asked else []),
                ProgressAlarmRaised(work_order_id=id, due_at=watch.alarm_at),
            ]
        case RecordProgress(done_at=done_at, anomaly=anomaly, measures=measures):
            if progress.last == (done_at, anomaly, measures) and (progress.answered or not progress.asked):
                return []
            order.must_be("in work", to="asked about")
            if anomaly and measures is None:
                raise Rejected("with an anomaly, say what is done about it")
            return [ProgressRecorded(**command.model_dump())]
        case ReportDelay():
            order.must_be("waiting", "in work", "in check", "waiting for rework", to="delayed")
            return [
                DelayReported(
                    **command.model_dump(exclude={"at"}), visit_id=order.visit_id, delay=progress.delays + 1
                )
            ]
        case AskForBelongings(items=items):
            new = _without(items, progress.in_the_way | progress.released)
            if not new:
                return []
            order.must_be("in work", to="cleared of belongings")
            return [BelongingsInTheWay(work_order_id=id, visit_id=order.visit_id, items=new)]
        case ReleaseBelongings(items=items):
            new = _without(items, progress.released)
            if not new or order.stage == "closed":
                return []
            return [BelongingsReleased(work_order_id=id, items=new)]


def watch(
    command: Command, before: "WorkOrder", after: "WorkOrder", rules: Sequence[WorkshopRules]
) -> list[Event]:
    """Sets the watch, if what the command led to begins the work or changes how long it takes."""
    watch = after.progress.watch
    expected = _expected(after)
    if after.stage != "in work" or after.reworks or not expected:
        return []
    match command:
        case DispatchWork(at=at) if watch is None:
            started_at, by = at, in_force(rules, at)
        case AcceptVehicle(at=at) if not before.progress.begun:
            started_at, by = at, in_force(rules, at)
        case _ if watch is not None and expected != _expected(before):
            started_at = watch.started_at
            by = next(each for each in rules if each.version == watch.rules)
        case _:
            return []
    check_at, alarm_at = (
        started_at + timedelta(minutes=expected * percent / 100)
        for percent in (by.check_percent, by.alarm_percent)
    )
    if isinstance(command, ReportDelay) and check_at <= command.at:
        return []  # this is what the question would be about
    new = ProgressWatchSet(
        work_order_id=command.work_order_id,
        started_at=started_at,
        expected_minutes=expected,
        check_at=check_at,
        alarm_at=alarm_at,
        rules=by.version,
    )
    return [] if new == watch else [new]


def evolve(progress: Progress, event: Event) -> Progress:
    match event:
        case VehicleAcceptedByTeam():
            return replace(progress, begun=True)
        case ProgressWatchSet():
            return replace(progress, watch=event, asked=False, answered=False, alarmed=False)
        case ProgressCheckDue():
            return replace(progress, asked=True, answered=False)
        case ProgressAlarmRaised():
            return replace(progress, alarmed=True)
        case ProgressRecorded(done_at=done_at, anomaly=anomaly, measures=measures):
            return replace(progress, answered=progress.asked, last=(done_at, anomaly, measures))
        case DelayReported(delay=delay, minutes=minutes):
            return replace(
                progress,
                answered=progress.asked,
                delays=delay,
                delay_minutes=progress.delay_minutes + minutes,
            )
        case ReworkOrdered():  # nobody knows how long that takes until a delay is reported
            return replace(progress, watch=None)
        case BelongingsInTheWay(items=items):
            return replace(progress, in_the_way=progress.in_the_way | {*items})
        case BelongingsReleased(items=items):
            return replace(
                progress, in_the_way=progress.in_the_way - {*items}, released=progress.released | {*items}
            )
    return progress


def _without(items: tuple[str, ...], known: frozenset[str]) -> tuple[str, ...]:
    return tuple(item for item in dict.fromkeys(items) if item not in known)


def _expected(order: "WorkOrder") -> int:
    return order.lines.minutes + order.progress.delay_minutes


def _watched(order: "WorkOrder") -> ProgressWatchSet | None:
    return order.progress.watch if order.stage == "in work" else None

"""The clocks of work orders: somebody asks before it is late, and the alarm rings if nobody knows (W-13)."""

from collections.abc import Iterator

from eventlog.recorded import Recorded
from eventlog.store import EventStore
from eventlog.timers import Cancel, Change, Set, Timer, Timers
from events.workshop import (
    ProgressAlarmRaised,
    ProgressCheckDue,
    ProgressWatchSet,
    RepairCompleted,
    ReworkOrdered,
    WorkOrderClosed,
)
from services.workshop.commands import CheckProgress, RaiseProgressAlarm
from services.workshop.rules import rules_of
from services.workshop.work_order import work_order_decider

TYPES = (
    ProgressWatchSet,
    ProgressCheckDue,
    ProgressAlarmRaised,
    RepairCompleted,
    ReworkOrdered,
    WorkOrderClosed,
)


def work_order_timers(workshop: EventStore) -> Timers:
    def changes(recorded: Recorded) -> Iterator[Change]:
        match recorded.event:
            case ProgressWatchSet(check_at=check_at, alarm_at=alarm_at):
                yield Set("check", check_at)
                yield Set("alarm", alarm_at)
            case ProgressCheckDue():
                yield Cancel("check")
            case ProgressAlarmRaised():
                yield Cancel("alarm")
            case _:
                yield Cancel("check")
                yield Cancel("alarm")

    async def ring(timer: Timer) -> None:
        decider = work_order_decider(await rules_of(workshop, timer.site))
        rung = CheckProgress if timer.name == "check" else RaiseProgressAlarm
        command = rung(work_order_id=timer.stream.removeprefix("work_order-"), at=timer.rings_at)
        await workshop.handle(decider, timer.stream, command, timer.metadata())

    return Timers(workshop, TYPES, changes, ring)

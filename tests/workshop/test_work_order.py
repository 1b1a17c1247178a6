"""The rules of a work order."""

import pytest

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
from services.workshop.work_order import WORK_ORDER
from tests.spec import Spec

work_order = Spec(WORK_ORDER)

open_it = OpenWorkOrder(work_order_id="W1", visit_id="V1", symptoms=("squeals when braking",))
opened = WorkOrderOpened(work_order_id="W1", visit_id="V1", symptoms=("squeals when braking",))
dispatch = DispatchWork(work_order_id="W1", team="north")
dispatched = WorkDispatched(work_order_id="W1", team="north")
to_south = DispatchWork(work_order_id="W1", team="south")
add = AddRepair(work_order_id="W1", description="brake pads", price_fen=68_000, delay_minutes=40)
added = RepairAdded(**add.model_dump(), visit_id="V1", line=1)
release = ReleaseRepair(work_order_id="W1", line=1)
released = RepairReleased(work_order_id="W1", line=1)
drop = DropRepair(work_order_id="W1", line=1)
dropped = RepairDropped(work_order_id="W1", line=1)
complete = CompleteRepair(work_order_id="W1")
completed = RepairCompleted(work_order_id="W1")
pass_it = PassQuality(work_order_id="W1")
passed = QualityPassed(work_order_id="W1", visit_id="V1")
fail = FailQuality(work_order_id="W1", cause="still squeals")
failed = QualityFailed(work_order_id="W1", cause="still squeals")
rework = OrderRework(work_order_id="W1")
reworked = ReworkOrdered(work_order_id="W1")
close = CloseWorkOrder(work_order_id="W1")
closed = WorkOrderClosed(work_order_id="W1")

in_work = (opened, dispatched)
in_check = (*in_work, completed)


def test_the_workshop_opens_a_work_order() -> None:
    work_order.given().when(open_it).then(opened)


def test_a_work_order_is_opened_once() -> None:
    work_order.given(opened).when(open_it).then_nothing()


def test_a_team_is_given_the_work() -> None:
    """W-03, W-06."""
    work_order.given(opened).when(dispatch).then(dispatched)


def test_the_same_team_is_not_dispatched_twice() -> None:
    work_order.given(*in_work).when(dispatch).then_nothing()


def test_another_team_may_take_over() -> None:
    work_order.given(*in_work).when(to_south).then(WorkDispatched(work_order_id="W1", team="south"))


def test_a_technician_finds_more_to_repair() -> None:
    """W-12."""
    work_order.given(*in_work).when(add).then(added)


def test_a_second_find_is_a_line_of_its_own() -> None:
    work_order.given(*in_work, added).when(add).then(added.model_copy(update={"line": 2}))


def test_a_work_order_without_a_visit_has_nobody_to_ask() -> None:
    imported = WorkOrderOpened(work_order_id="W1")
    work_order.given(imported, dispatched).when(add).then_rejected(
        "this work order has no visit whose customer could be asked"
    )


def test_an_approved_repair_is_released() -> None:
    """R-62."""
    work_order.given(*in_work, added).when(release).then(released)


def test_a_declined_repair_is_dropped() -> None:
    """R-62."""
    work_order.given(*in_work, added).when(drop).then(dropped)


@pytest.mark.parametrize("answer", [release, drop])
@pytest.mark.parametrize("before", [released, dropped])
def test_the_first_answer_counts(answer: Command, before: Event) -> None:
    work_order.given(*in_work, added, before).when(answer).then_nothing()


@pytest.mark.parametrize("answer", [release, drop])
def test_only_lines_there_are_can_be_answered(answer: Command) -> None:
    work_order.given(*in_work).when(answer).then_rejected("there is no line 1")


def test_the_repair_is_completed() -> None:
    work_order.given(*in_work, added, released).when(complete).then(completed)


def test_completing_twice_changes_nothing() -> None:
    work_order.given(*in_check).when(complete).then_nothing()


def test_work_is_not_complete_while_the_customer_is_asked() -> None:
    """R-62, R-65: an explicit answer comes first."""
    second = added.model_copy(update={"line": 2})
    work_order.given(*in_work, added, second).when(complete).then_rejected(
        "the customer has not answered for line 1, 2 yet"
    )
    work_order.given(*in_work, added, second, dropped).when(complete).then_rejected(
        "the customer has not answered for line 2 yet"
    )


def test_the_check_finds_the_fault_gone() -> None:
    work_order.given(*in_check).when(pass_it).then(passed)


def test_passing_twice_changes_nothing() -> None:
    work_order.given(*in_check, passed).when(pass_it).then_nothing()


def test_the_check_finds_the_fault_still_there() -> None:
    """W-15."""
    work_order.given(*in_check).when(fail).then(failed)


def test_failing_twice_changes_nothing() -> None:
    work_order.given(*in_check, failed).when(fail).then_nothing()


def test_a_failed_vehicle_goes_back_to_the_technicians() -> None:
    """W-15."""
    work_order.given(*in_check, failed).when(rework).then(reworked)


def test_after_rework_the_vehicle_is_inspected_again() -> None:
    """W-17."""
    work_order.given(*in_check, failed, reworked).when(pass_it).then_rejected(
        "a work order that is in work cannot be passed"
    )
    work_order.given(*in_check, failed, reworked).when(complete).then(completed)
    work_order.given(*in_check, failed, reworked, completed).when(pass_it).then(passed)


def test_nothing_is_left_to_do() -> None:
    work_order.given(*in_check, passed).when(close).then(closed)


def test_closing_twice_changes_nothing() -> None:
    work_order.given(*in_check, passed, closed).when(close).then_nothing()


@pytest.mark.parametrize(
    ("history", "command", "because"),
    [
        ((opened,), add, "a work order that is waiting cannot be extended"),
        ((opened,), complete, "a work order that is waiting cannot be completed"),
        (in_work, pass_it, "a work order that is in work cannot be passed"),
        (in_work, fail, "a work order that is in work cannot be failed"),
        (in_work, rework, "a work order that is in work cannot be sent to rework"),
        (in_work, close, "a work order that is in work cannot be closed"),
        (in_check, to_south, "a work order that is in check cannot be dispatched"),
        (in_check, add, "a work order that is in check cannot be extended"),
        ((*in_check, failed), pass_it, "a work order that is waiting for rework cannot be passed"),
        ((*in_check, passed), fail, "a work order that is passed cannot be failed"),
        ((*in_check, passed), rework, "a work order that is passed cannot be sent to rework"),
        ((*in_check, passed, closed), add, "a work order that is closed cannot be extended"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_step_has_its_time(history: tuple[Event, ...], command: Command, because: str) -> None:
    work_order.given(*history).when(command).then_rejected(because)


@pytest.mark.parametrize(
    "command", [dispatch, add, release, drop, complete, pass_it, fail, rework, close], ids=repr
)
def test_work_needs_an_open_work_order(command: Command) -> None:
    work_order.given().when(command).then_rejected("the work order is not open")

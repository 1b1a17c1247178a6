"""The rules of the end of the work: test drive, quality check, rework, wash, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Event
from events import workshop as facts
from events.workshop import (
    ReworkCostSplit,
    ReworkOrdered,
    Share,
    VehicleReturned,
    VehicleWashed,
)
from services.workshop import commands as do
from services.workshop.commands import Command
from tests.deciders import WORK_ORDER
from tests.workshop.test_work_order import (
    AT,
    authorised,
    by_rules,
    closed,
    complete,
    completed,
    drive,
    driven,
    fail,
    failed,
    in_check,
    in_work,
    pass_it,
    passed,
    rework,
    reworked,
    work_order,
)

bad_drive = do.RecordTestDrive(work_order_id="W1", passed=False, remarks="still squeals")
driven_badly = facts.TestDriveRecorded(**bad_drive.model_dump())
wash = do.WashVehicle(work_order_id="W1")
washed = VehicleWashed(work_order_id="W1")
give_back = do.ReturnVehicle(
    work_order_id="W1", parking_place="B12", keys=1, papers=("work_order", "reception_form"), at=AT
)
returned = VehicleReturned(**give_back.model_dump(exclude={"at"}), visit_id="V1")
send_back = do.SendBack(work_order_id="W1", cause="oil on the seat")
split = do.SplitReworkCost(
    work_order_id="W1", rework=1, cost_fen=1_234, leader="sun", responsible="zhao", at=AT
)
cost_split = ReworkCostSplit(
    work_order_id="W1",
    rework=1,
    cost_fen=1_234,
    shares=(
        Share(person="sun", percent=20, amount_fen=247),
        Share(person="zhao", percent=80, amount_fen=987),
    ),
    rules=1,
)
checked = (*in_check, driven, passed)
in_rework = (*in_check, failed, reworked)


def test_somebody_drives_the_vehicle_after_the_work() -> None:
    """W-18."""
    work_order.given(*in_check).when(drive).then(driven)
    work_order.given(*in_check, driven).when(drive).then_nothing()
    work_order.given(*in_check, driven).when(bad_drive).then(driven_badly)
    work_order.given(*in_work).when(drive).then_rejected("a work order that is in work cannot be test-driven")


def test_the_check_finds_the_fault_gone() -> None:
    """W-01, W-18."""
    work_order.given(*in_check, driven).when(pass_it).then(passed)


def test_passing_twice_changes_nothing() -> None:
    work_order.given(*checked).when(pass_it).then_nothing()


@pytest.mark.parametrize(
    ("history", "because"),
    [
        (in_check, "the vehicle has not been driven since the repair was completed"),
        ((*in_check, driven, driven_badly), "the last test drive was not passed"),
        (
            (*in_check, driven, failed, reworked, completed),
            "the vehicle has not been driven since the repair was completed",
        ),
    ],
)
def test_the_check_takes_a_test_drive_since_the_last_work(history: tuple[Event, ...], because: str) -> None:
    """W-18."""
    work_order.given(*history).when(pass_it).then_rejected(because)
    by_rules(test_drive=False).given(*history).when(pass_it).then(passed)


def test_what_was_signed_after_the_work_is_done_before_the_check_passes() -> None:
    """W-17."""
    work_order.given(*in_check, driven, authorised).when(pass_it).then_rejected(
        "line 1, 2 was signed since and is not done"
    )


def test_the_check_finds_the_fault_still_there() -> None:
    """W-15."""
    work_order.given(*in_check).when(fail).then(failed)
    work_order.given(*in_check, driven).when(fail).then(failed)


def test_failing_twice_changes_nothing() -> None:
    work_order.given(*in_check, failed).when(fail).then_nothing()


def test_a_failed_vehicle_goes_back_to_the_technicians() -> None:
    """W-15: for what the check found, or what is said now."""
    work_order.given(*in_check, failed).when(rework).then(reworked)
    work_order.given(*in_check, failed).when(rework.model_copy(update={"cause": "bent"})).then(
        reworked.model_copy(update={"cause": "bent"})
    )


def test_a_rework_that_is_under_way_is_not_ordered_again() -> None:
    work_order.given(*in_rework).when(rework).then_rejected(
        "a work order that is in work cannot be sent to rework"
    )


@pytest.mark.parametrize("loops", [1, 2, 5])
def test_reworks_are_counted(loops: int) -> None:
    """W-15, W-17: after each the vehicle is inspected again."""
    history: list[Event] = [*in_work]
    for _ in range(loops):
        for command in (complete, fail, rework):
            history += WORK_ORDER.decide(command, WORK_ORDER.fold(history))
    ordered = [event for event in history if isinstance(event, ReworkOrdered)]
    assert [each.rework for each in ordered] == list(range(1, loops + 1))
    work_order.given(*history).when(pass_it).then_rejected("a work order that is in work cannot be passed")
    work_order.given(*history, completed, driven).when(pass_it).then(passed)


def test_the_advisors_own_check_sends_the_vehicle_back() -> None:
    """W-18, K-11."""
    back = ReworkOrdered(work_order_id="W1", rework=1, cause="oil on the seat")
    work_order.given(*checked).when(send_back).then(back)
    work_order.given(*checked, washed, returned).when(send_back).then(back)
    work_order.given(*checked, washed, returned, back, completed, driven, passed).when(wash).then(washed)


@pytest.mark.parametrize("history", [in_work, in_check, (*in_check, failed), in_rework, (*checked, closed)])
def test_a_vehicle_that_is_not_ready_cannot_be_sent_back(history: tuple[Event, ...]) -> None:
    work_order.given(*history).when(send_back).then_nothing()


def test_the_vehicle_is_washed_after_its_check() -> None:
    """W-18, W-22."""
    work_order.given(*checked).when(wash).then(washed)
    work_order.given(*checked, washed).when(wash).then_nothing()
    work_order.given(*in_check).when(wash).then_rejected("a work order that is in check cannot be washed")


def test_keys_and_papers_go_back_and_the_advisor_knows_where_the_vehicle_stands() -> None:
    """W-02, W-19, K-23."""
    work_order.given(*checked, washed).when(give_back).then(returned)
    work_order.given(*checked, washed, returned).when(give_back).then_nothing()
    moved = give_back.model_copy(update={"parking_place": "A1"})
    work_order.given(*checked, washed, returned).when(moved).then(
        returned.model_copy(update={"parking_place": "A1"})
    )


def test_only_what_is_passed_and_clean_goes_back() -> None:
    """W-18."""
    work_order.given(*in_check).when(give_back).then_rejected(
        "a work order that is in check cannot be returned"
    )
    work_order.given(*checked).when(give_back).then_rejected("the vehicle has not been washed yet")
    by_rules(wash=False).given(*checked).when(give_back).then(returned)


def test_the_cost_of_a_rework_is_split() -> None:
    """W-31: also when the vehicle has long gone."""
    work_order.given(*in_rework).when(split).then(cost_split)
    work_order.given(*in_rework, completed, driven, passed, closed).when(split).then(cost_split)


def test_it_is_split_once() -> None:
    work_order.given(*in_rework, cost_split).when(split).then_nothing()
    work_order.given(*in_rework, cost_split).when(split.model_copy(update={"cost_fen": 1})).then_rejected(
        "the cost of rework 1 was split already"
    )


@pytest.mark.parametrize("number", [0, 2])
def test_only_a_rework_there_was_costs_anything(number: int) -> None:
    work_order.given(*in_rework).when(split.model_copy(update={"rework": number})).then_rejected(
        f"there was no rework {number}"
    )


def test_a_leader_who_is_responsible_bears_all_of_it() -> None:
    command = split.model_copy(update={"responsible": "sun"})
    alone = cost_split.model_copy(update={"shares": (Share(person="sun", percent=100, amount_fen=1_234),)})
    work_order.given(*in_rework).when(command).then(alone)


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_shares_add_up_to_the_fen(cost_fen: int, percent: int) -> None:
    """W-31."""
    decider = by_rules(rework_leader_percent=percent).decider
    command = split.model_copy(update={"cost_fen": cost_fen})
    [event] = decider.decide(command, decider.fold(in_rework))
    assert isinstance(event, ReworkCostSplit)
    assert sum(share.amount_fen for share in event.shares) == cost_fen
    assert sum(share.percent for share in event.shares) == 100
    assert all(abs(share.amount_fen - cost_fen * share.percent / 100) <= 0.5 for share in event.shares)


def test_an_order_from_before_there_were_lines_goes_on_where_it_was() -> None:
    """What was recorded by earlier releases still folds."""
    added = facts.RepairAdded(
        work_order_id="W1", visit_id="V1", line=1, description="pads", price_fen=1, delay_minutes=1
    )
    released = facts.RepairReleased(work_order_id="W1", line=1)
    earlier = (*in_work, added, released, completed)
    work_order.given(*earlier).when(drive).then(driven)
    work_order.given(*earlier, driven).when(pass_it).then(passed)
    unanswered: Command = do.ReleaseRepair(work_order_id="W1", line=1)
    work_order.given(*in_work, added).when(unanswered).then(released)

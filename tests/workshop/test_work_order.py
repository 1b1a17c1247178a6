"""The rules of a work order, from the waiting area to the archive."""

from datetime import UTC, datetime

import pytest

from events import Event
from events import workshop as facts
from events.lines import revision_hash
from events.workshop import (
    LineCompleted,
    PrioritySet,
    ProgressWatchSet,
    QualityFailed,
    QualityPassed,
    RepairAdded,
    RepairCompleted,
    RepairDropped,
    RepairReleased,
    ReworkOrdered,
    Task,
    VehicleAcceptedByTeam,
    VehicleTakenIn,
    WorkAuthorised,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from services.workshop import commands as do
from services.workshop.commands import Command
from services.workshop.rules import SHIPPED
from services.workshop.work_order import work_order_decider
from tests.deciders import WORK_ORDER
from tests.spec import Spec

BRAKE_PADS = {
    "description": "brake pads",
    "price_fen": 68_000,
    "delay_minutes": 40,
    "labour_minutes": None,
    "labour_fen": None,
    "parts": None,
}
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
work_order = Spec(WORK_ORDER)

opened = WorkOrderOpened(work_order_id="W1", visit_id="V1", symptoms=("squeals when braking",))
open_it = do.OpenWorkOrder(**opened.model_dump())
authorise = do.AuthoriseWork(
    work_order_id="W1",
    visit_id="V1",
    revision=1,
    hash="a" * 64,
    tasks=(
        Task(line=1, description="oil change", trade="mechatronic", labour_minutes=40),
        Task(line=2, description="dent", trade="body_paint", labour_minutes=60),
    ),
    promised_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
)
authorised = WorkAuthorised(**authorise.model_dump(exclude={"visit_id"}), labour_minutes=100)
take_in = do.TakeIn(work_order_id="W1", visit_id="V1", keys=1, papers=("work_order", "reception_form"))
taken_in = VehicleTakenIn(**take_in.model_dump(exclude={"visit_id"}))
dispatch = do.DispatchWork(work_order_id="W1", team="north", mode="to_team", at=AT)
dispatched = WorkDispatched(work_order_id="W1", team="north", mode="to_team", out_of_order=False)
to_south = dispatch.model_copy(update={"team": "south"})
watched = ProgressWatchSet(
    work_order_id="W1",
    started_at=AT,
    expected_minutes=100,
    check_at=datetime(2026, 3, 2, 9, 10, tzinfo=UTC),
    alarm_at=datetime(2026, 3, 2, 9, 20, tzinfo=UTC),
    rules=1,
)
accept = do.AcceptVehicle(
    work_order_id="W1", fault_confirmed=True, test_driven=False, tools_checked=True, at=AT
)
accepted = VehicleAcceptedByTeam(**accept.model_dump(exclude={"at"}))
add = do.AddRepair(work_order_id="W1", description="brake pads", price_fen=68_000, delay_minutes=40)
added = RepairAdded(
    **add.model_dump(),
    visit_id="V1",
    line=1,
    revision=1,
    hash=revision_hash({"line": 1, "revision": 1, **BRAKE_PADS}),
)
release = do.ReleaseRepair(work_order_id="W1", line=1, hash=added.hash)
released = RepairReleased(work_order_id="W1", line=1, revision=1)
drop = do.DropRepair(work_order_id="W1", line=1, hash=added.hash)
dropped = RepairDropped(work_order_id="W1", line=1)
complete = do.CompleteRepair(work_order_id="W1")
completed = RepairCompleted(work_order_id="W1")
drive = do.RecordTestDrive(work_order_id="W1", passed=True)
driven = facts.TestDriveRecorded(work_order_id="W1", passed=True)
pass_it = do.PassQuality(work_order_id="W1", at=AT)
passed = QualityPassed(work_order_id="W1", visit_id="V1")
fail = do.FailQuality(work_order_id="W1", cause="still squeals")
failed = QualityFailed(work_order_id="W1", cause="still squeals", visit_id="V1")
rework = do.OrderRework(work_order_id="W1")
reworked = ReworkOrdered(work_order_id="W1", rework=1, cause="still squeals")
close = do.CloseWorkOrder(work_order_id="W1")
closed = WorkOrderClosed(work_order_id="W1")

in_work = (opened, dispatched)
in_check = (*in_work, completed)
signed = (opened, authorised, taken_in, dispatched, watched, accepted)
"""With the team, after the customer signed two lines."""


def by_rules(**changed: object) -> Spec:
    """By other rules than the shipped ones."""
    return Spec(work_order_decider([SHIPPED[0].model_copy(update=changed)]))


def test_the_workshop_opens_a_work_order() -> None:
    work_order.given().when(open_it).then(opened)


def test_a_work_order_is_opened_once() -> None:
    work_order.given(opened).when(open_it).then_nothing()


def test_what_the_customer_signed_may_be_worked_on() -> None:
    """R-65, W-21: the workshop has the lines without their prices."""
    work_order.given(opened).when(authorise).then(authorised)


def test_one_signature_authorises_once() -> None:
    work_order.given(opened, authorised).when(authorise).then_nothing()


def test_another_signature_takes_the_place_of_the_first() -> None:
    again = authorise.model_copy(update={"revision": 2, "tasks": authorise.tasks[1:]})
    then = WorkAuthorised(**again.model_dump(exclude={"visit_id"}), labour_minutes=60)
    work_order.given(opened, authorised).when(again).then(then)
    work_order.given(opened, then).when(authorise).then_nothing()
    history = (opened, authorised, then, taken_in, dispatched)
    assert list(WORK_ORDER.fold(history).lines.by_number) == [2]


def test_nobody_works_by_an_older_order_than_the_one_that_came_with_the_vehicle() -> None:
    """R-65: the signature of the newer one is still on its way."""
    with_the_second = taken_in.model_copy(update={"revision": 2})
    work_order.given(opened, authorised, with_the_second).when(dispatch).then_rejected(
        "the vehicle has not been handed over to the workshop yet"
    )


def test_a_signature_is_of_no_use_to_a_closed_order() -> None:
    work_order.given(*in_check, passed, closed).when(authorise).then_nothing()


def test_the_vehicle_is_in_the_waiting_area() -> None:
    """W-02, W-04: with keys and papers."""
    work_order.given(opened, authorised).when(take_in).then(taken_in)


def test_it_is_taken_in_once() -> None:
    work_order.given(opened, authorised, taken_in).when(take_in).then_nothing()
    work_order.given(*in_check, passed, closed).when(take_in).then_nothing()


@pytest.mark.parametrize(("command", "fact"), [(authorise, authorised), (take_in, taken_in)])
def test_messages_may_come_before_the_one_that_opens_the_order(command: Command, fact: Event) -> None:
    just_opened = WorkOrderOpened(work_order_id="W1", visit_id="V1")
    work_order.given().when(command).then(just_opened, fact)
    work_order.given(just_opened, fact).when(open_it).then_nothing()


def test_the_director_says_what_comes_first() -> None:
    """W-05."""
    urgent = do.SetPriority(work_order_id="W1", priority="urgent")
    work_order.given(opened).when(urgent).then(PrioritySet(work_order_id="W1", priority="urgent"))


def test_the_same_priority_changes_nothing() -> None:
    work_order.given(opened).when(do.SetPriority(work_order_id="W1", priority="normal")).then_nothing()


def test_what_is_done_needs_no_priority() -> None:
    low = do.SetPriority(work_order_id="W1", priority="low")
    work_order.given(*in_check, passed).when(low).then_rejected(
        "a work order that is passed cannot be given a priority"
    )


def test_the_watch_begins_with_the_work() -> None:
    """W-13: 70 % and 80 % of 100 minutes."""
    work_order.given(opened, authorised, taken_in).when(dispatch).then(dispatched, watched)


@pytest.mark.parametrize(
    ("mode", "only", "because"),
    [
        ("to_team", "own_team", "at this site advisors give work to the teams they lead"),
        ("own_team", "to_team", "at this site the workshop supervisor gives work to the teams"),
    ],
)
def test_a_site_may_have_one_way_of_giving_work(mode: str, only: str, because: str) -> None:
    """W-20, K-12."""
    command = dispatch.model_copy(update={"mode": mode})
    in_waiting_area = (opened, authorised, taken_in)
    by_rules(dispatch=(only,)).given(*in_waiting_area).when(command).then_rejected(because)
    work_order.given(*in_waiting_area).when(command).then(
        dispatched.model_copy(update={"mode": mode}), watched
    )


def test_the_team_takes_the_vehicle_over() -> None:
    """W-07, W-29: the expected time runs from then on."""
    later = accept.model_copy(update={"at": watched.check_at})
    anew = watched.model_copy(
        update={
            "started_at": watched.check_at,
            "check_at": datetime(2026, 3, 2, 10, 20, tzinfo=UTC),
            "alarm_at": datetime(2026, 3, 2, 10, 30, tzinfo=UTC),
        }
    )
    history = (opened, authorised, taken_in, dispatched, watched)
    work_order.given(*history).when(later).then(accepted, anew)


def test_it_is_taken_over_once_by_each_team() -> None:
    """W-07: a second team begins no new watch."""
    work_order.given(*signed).when(accept).then_nothing()
    to_another = WorkDispatched(work_order_id="W1", team="south", mode="to_team", out_of_order=False)
    work_order.given(*signed, to_another).when(accept).then(accepted)


def test_nobody_begins_with_tools_that_nobody_checked() -> None:
    """W-29."""
    unchecked = accept.model_copy(update={"tools_checked": False})
    work_order.given(*in_work).when(unchecked).then_rejected(
        "before the work, check that the tools and the equipment work"
    )


def test_a_team_is_given_the_work() -> None:
    """W-03, W-06."""
    without_labour = authorised.model_copy(update={"tasks": (), "labour_minutes": 0})
    work_order.given(opened, without_labour, taken_in).when(dispatch).then(dispatched)


@pytest.mark.parametrize("history", [(opened,), (opened, authorised), (opened, taken_in)])
def test_a_team_is_given_what_was_signed_and_handed_over(history: tuple[Event, ...]) -> None:
    """W-04, R-65: on whichever of the two is heard last."""
    work_order.given(*history).when(dispatch).then_rejected(
        "the vehicle has not been handed over to the workshop yet"
    )


def test_work_that_was_given_before_there_were_hand_overs_may_be_given_to_another_team() -> None:
    work_order.given(*in_work).when(to_south).then(dispatched.model_copy(update={"team": "south"}))


def test_it_is_on_record_when_another_vehicle_stood_before_it() -> None:
    """W-03, W-05."""
    before_its_turn = dispatch.model_copy(update={"out_of_order": True})
    work_order.given(opened, authorised, taken_in).when(before_its_turn).then(
        dispatched.model_copy(update={"out_of_order": True}), watched
    )


def test_the_same_team_is_not_dispatched_twice() -> None:
    work_order.given(*in_work).when(dispatch).then_nothing()


def test_the_repair_is_completed() -> None:
    line_completed = LineCompleted(work_order_id="W1", line=1)
    work_order.given(*in_work, added, released).when(complete).then(line_completed, completed)


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


def test_nothing_is_left_to_do() -> None:
    work_order.given(*in_check, passed).when(close).then(closed)


def test_closing_twice_changes_nothing() -> None:
    work_order.given(*in_check, passed, closed).when(close).then_nothing()


@pytest.mark.parametrize(
    ("history", "command", "because"),
    [
        ((opened,), accept, "a work order that is waiting cannot be taken over by its team"),
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
    "command",
    [dispatch, accept, add, release, drop, complete, drive, pass_it, fail, rework, close],
    ids=lambda command: type(command).__name__,
)
def test_work_needs_an_open_work_order(command: Command) -> None:
    work_order.given().when(command).then_rejected("the work order is not open")

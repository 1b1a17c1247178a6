"""What the workshop's pages show, from the files of the vehicles that are there."""

from typing import Any

from events.reception import DeliveryCheckFailed
from projections.projection import Document
from projections.visit_file import shop_floor
from tests.projections.test_visit_file import file, until
from tests.projections.whole_visit import WHOLE_VISIT


def waiting(id: str, taken_in_at: str, priority: str | None = None) -> Document:
    shop = {"taken_in_at": taken_in_at} | ({"priority": priority} if priority else {})
    return {"work_order_id": id, "workshop": shop}


def given(id: str, team: str, *tasks: dict[str, Any], **more: Any) -> Document:
    numbered = {str(n): task for n, task in enumerate(tasks, start=1)}
    return {"work_order_id": id, "received_at": "1", "workshop": {"team": team, "tasks": numbered, **more}}


def ids(files: list[Document]) -> list[str]:
    return [file["work_order_id"] for file in files]


def test_vehicles_are_dispatched_by_priority_and_then_by_arrival() -> None:
    """W-03, W-05."""
    files = [
        waiting("late", "2"),
        waiting("early", "1"),
        waiting("urgent", "3", "urgent"),
        waiting("low", "0", "low"),
        given("given", "north"),
    ]
    assert ids(shop_floor.to_dispatch(files)) == ["urgent", "early", "late", "low"]


def test_the_load_of_a_team_is_what_is_still_to_be_done_by_trade() -> None:
    """W-06, W-28."""
    paint = {"trade": "body_paint", "labour_minutes": 90}
    oil = {"trade": "mechatronic", "labour_minutes": 30}
    files = [
        given("1", "north", oil, paint),
        given("2", "north", oil | {"completed_at": "9"}),
        given("3", "south", oil),
        given("4", "south", oil, completed_at="9"),
    ]
    north, south = shop_floor.loads(files)
    assert (north["team"], north["orders"], north["minutes"]) == (
        "north",
        2,
        {"mechatronic": 30, "body_paint": 90},
    )
    assert (south["orders"], south["minutes"], south["most"]) == (1, {"mechatronic": 30}, 120)


def test_the_first_promise_is_worked_on_first() -> None:
    files = [given("2", "north") | {"promised_at": "2"}, given("1", "north") | {"promised_at": "1"}]
    assert ids(shop_floor.at_work(files)) == ["1", "2"]
    assert shop_floor.at_work(files, "south") == []


def test_somebody_is_asked_until_they_have_answered() -> None:
    """W-13."""
    assert shop_floor.asked_for(until("ProgressCheckDue")) == "check_due"
    assert shop_floor.asked_for(until("ProgressRecorded")) is None
    assert shop_floor.asked_for(until("ProgressAlarmRaised")) == "alarm"
    assert shop_floor.asked_for(until("RepairCompleted")) is None


def test_parts_are_drawn_for_lines_that_the_customer_agreed_to_and_once() -> None:
    """W-09."""
    assert shop_floor.parts_needed(until("QuoteIssued")) == []
    [pads] = shop_floor.parts_needed(until("WorkOrderSigned"))
    assert (pads["line"], pads["code"], pads["quantity"]) == (2, "P-1", "1")
    assert shop_floor.parts_needed(until("PartsPicked")) == []


def test_parts_are_drawn_for_vehicles_at_work_only() -> None:
    """W-09: for any other the workshop refuses them."""
    at_work = until("WorkDispatched")
    [(shown, [pads])] = shop_floor.to_draw([until("WorkOrderSigned"), until("VehicleTakenIn"), at_work])
    assert (shown, pads["code"]) == (at_work, "P-1")
    assert shop_floor.to_draw([at_work | {"workshop": at_work["workshop"] | {"completed_at": "9"}}]) == []


def test_a_vehicle_that_was_sent_back_is_not_checked_until_it_is_done_again() -> None:
    """W-17, W-19: a check that was passed before does not count."""
    sent_back = next(n for n, fact in enumerate(WHOLE_VISIT) if isinstance(fact.event, DeliveryCheckFailed))
    again = file(WHOLE_VISIT[: sent_back + 2])
    assert shop_floor.at_work([again]) == [again]
    assert shop_floor.checked(again) is None


def test_a_vehicle_is_checked_after_its_last_work() -> None:
    """W-15, W-17, W-18."""
    done = until("RepairCompleted")
    assert shop_floor.to_check([done]) == [done]
    assert shop_floor.last_drive(done) is None
    driven = until("TestDriveRecorded")
    assert (shop_floor.last_drive(driven) or {})["passed"] is False
    failed = until("QualityFailed")
    assert (shop_floor.last_check(failed) or {})["cause"] == "异响"
    assert shop_floor.to_check([until("ReworkOrdered"), until("QualityPassed")]) == []
    assert shop_floor.checked(until("QualityPassed"))

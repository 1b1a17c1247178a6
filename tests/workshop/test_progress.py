"""The rules of how the work goes: when somebody asks, delays, and belongings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events import Event
from events.workshop import (
    BelongingsInTheWay,
    BelongingsReleased,
    DelayReported,
    ProgressAlarmRaised,
    ProgressCheckDue,
    ProgressRecorded,
    ProgressWatchSet,
)
from services.workshop import commands as do
from services.workshop.rules import SHIPPED
from services.workshop.work_order import work_order_decider
from tests.spec import Spec
from tests.workshop.test_work_order import (
    AT,
    authorised,
    closed,
    completed,
    dispatch,
    dispatched,
    driven,
    failed,
    in_check,
    opened,
    passed,
    reworked,
    signed,
    taken_in,
    watched,
    work_order,
)

check = do.CheckProgress(work_order_id="W1", at=watched.check_at)
asked = ProgressCheckDue(work_order_id="W1", due_at=watched.check_at)
alarm = do.RaiseProgressAlarm(work_order_id="W1", at=watched.alarm_at)
alarmed = ProgressAlarmRaised(work_order_id="W1", due_at=watched.alarm_at)
done_at = datetime(2026, 3, 2, 10, tzinfo=UTC)
record = do.RecordProgress(work_order_id="W1", done_at=done_at, anomaly=False)
told = ProgressRecorded(**record.model_dump())
report = do.ReportDelay(
    work_order_id="W1", minutes=20, cause="parts", explanation="the filter comes later", at=AT
)
reported = DelayReported(**report.model_dump(exclude={"at"}), visit_id="V1", delay=1)
ask = do.AskForBelongings(work_order_id="W1", items=("child seat",))
in_the_way = BelongingsInTheWay(work_order_id="W1", visit_id="V1", items=("child seat",))
may = do.ReleaseBelongings(work_order_id="W1", items=("child seat",))
free = BelongingsReleased(work_order_id="W1", items=("child seat",))


def longer(minutes: int) -> ProgressWatchSet:
    return watched.model_copy(
        update={
            "expected_minutes": minutes,
            "check_at": AT + timedelta(minutes=minutes * 0.7),
            "alarm_at": AT + timedelta(minutes=minutes * 0.8),
        }
    )


def test_after_70_percent_somebody_asks() -> None:
    """W-13."""
    work_order.given(*signed).when(check).then(asked)


def test_after_80_percent_without_an_answer_the_alarm_rings() -> None:
    """W-13, W-14."""
    work_order.given(*signed, asked).when(alarm).then(alarmed)


def test_an_alarm_that_rings_first_asks_too() -> None:
    work_order.given(*signed).when(alarm).then(asked, alarmed)


def test_an_answer_silences_the_alarm() -> None:
    """W-13: one that was given before anybody asked does not."""
    work_order.given(*signed, asked, told).when(alarm).then_nothing()
    work_order.given(*signed, asked, reported).when(alarm).then_nothing()
    work_order.given(*signed, told, asked).when(alarm).then(alarmed)


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((*signed, asked), check),
        ((*signed, asked, alarmed), alarm),
        (signed, check.model_copy(update={"at": AT})),
        (signed, alarm.model_copy(update={"at": watched.check_at})),
        ((opened, dispatched), check),
        ((*signed, completed), check),
        ((*signed, completed), alarm),
        ((*signed, completed, failed, reworked), alarm),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_rings_twice_too_early_or_too_late_changes_nothing(
    history: tuple[Event, ...], command: Any
) -> None:
    work_order.given(*history).when(command).then_nothing()


def test_the_answer_says_when_it_will_be_done() -> None:
    """W-13."""
    work_order.given(*signed, asked).when(record).then(told)


def test_the_same_answer_is_news_after_another_question_only() -> None:
    work_order.given(*signed, asked, told).when(record).then_nothing()
    work_order.given(*signed, told).when(record).then_nothing()
    work_order.given(*signed, told, asked).when(record).then(told)


def test_an_anomaly_takes_measures() -> None:
    """W-14."""
    anomaly = record.model_copy(update={"anomaly": True})
    work_order.given(*signed).when(anomaly).then_rejected("with an anomaly, say what is done about it")
    with_measures = anomaly.model_copy(update={"measures": "a second technician helps"})
    work_order.given(*signed).when(with_measures).then(ProgressRecorded(**with_measures.model_dump()))


def test_nobody_is_asked_about_work_that_is_not_going_on() -> None:
    work_order.given(*in_check).when(record).then_rejected(
        "a work order that is in check cannot be asked about"
    )


def test_a_delay_has_a_cause_that_the_customer_can_be_told() -> None:
    """W-11, W-34: and the watch is set anew."""
    work_order.given(*signed).when(report).then(reported, longer(120))


def test_delays_are_counted_and_add_up() -> None:
    work_order.given(*signed, reported, longer(120)).when(report).then(
        reported.model_copy(update={"delay": 2}), longer(140)
    )


def test_a_delay_that_answers_the_question_sets_no_watch() -> None:
    """W-13: it would only ask again what was just said."""
    late = report.model_copy(update={"at": longer(120).check_at})
    work_order.given(*signed, asked).when(late).then(reported)


def test_rework_is_a_delay_like_any_other() -> None:
    """W-16, W-34."""
    command = report.model_copy(update={"cause": "rework"})
    work_order.given(*signed, completed, failed, reworked).when(command).then(
        reported.model_copy(update={"cause": "rework"})
    )


def test_what_is_ready_is_not_delayed() -> None:
    work_order.given(*in_check, driven, passed).when(report).then_rejected(
        "a work order that is passed cannot be delayed"
    )


def test_a_running_watch_keeps_the_rules_under_which_it_began() -> None:
    """X-14: new rules hold for work that begins under them."""
    strict = SHIPPED[0].model_copy(
        update={"version": 2, "effective": AT, "check_percent": 50, "alarm_percent": 60}
    )
    both = Spec(work_order_decider([SHIPPED[0], strict]))
    both.given(*signed).when(report).then(reported, longer(120))
    by_strict = watched.model_copy(
        update={
            "check_at": AT + timedelta(minutes=50),
            "alarm_at": AT + timedelta(minutes=60),
            "rules": 2,
        }
    )
    both.given(opened, authorised, taken_in).when(dispatch).then(dispatched, by_strict)


def test_belongings_are_left_alone_until_the_customer_agrees() -> None:
    """W-10."""
    work_order.given(*signed).when(ask).then(in_the_way)
    work_order.given(*signed, in_the_way).when(ask).then_nothing()
    work_order.given(*signed, in_the_way).when(may).then(free)


def test_what_else_is_in_the_way_is_asked_for_beside_it() -> None:
    """W-10: an agreement to one thing is none to another."""
    both = ask.model_copy(update={"items": ("child seat", "golf bag", "golf bag")})
    bag = in_the_way.model_copy(update={"items": ("golf bag",)})
    work_order.given(*signed, in_the_way).when(both).then(bag)
    work_order.given(*signed, in_the_way, bag).when(may).then(free)
    work_order.given(*signed, in_the_way, bag, free).when(
        may.model_copy(update={"items": ("child seat", "golf bag")})
    ).then(free.model_copy(update={"items": ("golf bag",)}))


def test_an_agreement_given_twice_is_one() -> None:
    work_order.given(*signed, in_the_way, free).when(may).then_nothing()
    work_order.given(*in_check, closed).when(may).then_nothing()


def test_nobody_is_asked_again_for_what_may_be_touched() -> None:
    """W-10: also what the customer agreed to before anybody asked."""
    work_order.given(*signed, in_the_way, free).when(ask).then_nothing()
    work_order.given(*signed).when(may).then(free)
    work_order.given(*signed, free).when(ask).then_nothing()


def test_nobody_asks_for_belongings_in_a_car_that_nobody_works_on() -> None:
    work_order.given(opened).when(ask).then_rejected(
        "a work order that is waiting cannot be cleared of belongings"
    )

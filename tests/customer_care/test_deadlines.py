"""Every deadline to the second, against a table made independently of the code under test."""

import csv
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from events.customer_care import DeadlineSet
from events.rulebook import Calendar, Period
from services.customer_care import commands as do
from services.customer_care.rulebook import SHIPPED, Rules, due, matching
from services.working_time import NoWorkingTime, work_between, work_done
from tests.customer_care.deadline_table import ARRIVALS, CHANGE, PAUSE, SHOPS, TABLE, Case, cases
from tests.customer_care.test_complaint import Story, raise_it, sealed

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def table() -> list[Case]:
    with TABLE.open() as file:
        return [Case(**row) for row in csv.DictReader(file)]


def calendar(shop: str) -> Calendar:
    zone, week, odd = SHOPS[shop]

    def periods(of: tuple[str, ...]) -> list[dict[str, str]]:
        return [
            {"opens": opens, "closes": closes.replace("24:00", "00:00")}
            for opens, closes in (period.split("-") for period in of)
        ]

    return Calendar.model_validate(
        {
            "version": 1,
            "owner": "test",
            "effective": EPOCH,
            "zone": zone,
            "week": [periods(day) for day in week],
            "days": {day: periods(of) for day, of in odd.items()},
        }
    )


def rules(shop: str, clock: str) -> Rules:
    [book] = SHIPPED.rulebooks
    counted = tuple(rule.model_copy(update={"clock": clock}) if rule.minutes else rule for rule in book.rules)
    return Rules([book.model_copy(update={"rules": counted})], [calendar(shop)])


def told(case: Case) -> dict[str, datetime]:
    """The deadlines that the story of a case leads to, by rule."""
    shop, local = ARRIVALS[case.arrival]
    raised = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(SHOPS[shop][0])).astimezone(UTC)
    story = Story(rules(shop, case.clock))
    events = story.tell(raise_it(case.severity, case.channel, at=raised))
    match case.scenario:
        case "paused":
            story.tell(do.Pause(complaint_id="C1", at=raised + PAUSE[0], waiting="for_parts"))
            for rule, deadline in story.state.deadlines.items():
                if deadline.set.due_at <= raised + PAUSE[0]:
                    story.tell(do.TimeIsUp(complaint_id="C1", at=raised + PAUSE[0], rule=rule))
            events = story.tell(do.Resume(complaint_id="C1", at=raised + PAUSE[1]))
        case "another class":
            other = "ordinary" if case.severity == "major" else "major"
            change = do.Reclassify.model_validate(
                {
                    "complaint_id": "C1",
                    "at": raised + CHANGE,
                    "subject": "other",
                    "severities": (other,),
                    "reason": sealed,
                }
            )
            events = story.tell(change)
        case "objection":
            again = Story(story.rules)
            at = raised + timedelta(days=3, seconds=17)
            events = again.tell(raise_it(case.severity, "follow_up_call", at=at, follows="C1"))
    return {event.rule: event.due_at for event in events if isinstance(event, DeadlineSet)}


def test_the_table_is_long_and_wide_enough() -> None:
    rows = table()
    assert len(rows) >= 200
    assert set(Counter(row.scenario for row in rows)) == {"plain", "paused", "another class", "objection"}
    assert {row.arrival for row in rows} == set(ARRIVALS)


def test_the_table_is_what_its_maker_says() -> None:
    assert table() == list(cases())


@pytest.mark.parametrize("arrival", ARRIVALS)
def test_every_deadline_is_right_to_the_second(arrival: str) -> None:
    """C-20 … C-24, K-03, K-04, K-05."""
    stories: dict[tuple[str, ...], dict[str, datetime]] = {}
    wrong = []
    for case in table():
        if case.arrival == arrival:
            key = (case.clock, case.severity, case.channel, case.scenario)
            if key not in stories:
                stories[key] = told(case)
            seen = stories[key].get(case.rule)
            if f"{seen:%Y-%m-%dT%H:%M:%S}" != case.due if seen else True:
                wrong.append((case, seen))
    assert not wrong


def test_no_story_has_a_deadline_that_is_not_in_the_table() -> None:
    of_story: dict[tuple[str, ...], list[Case]] = {}
    for case in table():
        story = (case.arrival, case.clock, case.severity, case.channel, case.scenario)
        of_story.setdefault(story, []).append(case)
    for rows in of_story.values():
        assert told(rows[0]).keys() == {case.rule for case in rows}, rows[0]


def test_a_wrong_table_would_be_noticed() -> None:
    """The control: an hour of daylight saving, or a lunch break that is worked through, shows."""
    shop = calendar("berlin")
    before = datetime(2026, 3, 28, 17, 30, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    [right] = {work_done(shop, before, timedelta(hours=6))}
    assert right == datetime(
        2026, 3, 30, 6, 30, tzinfo=UTC
    )  # half an hour, four on Sunday, an hour and a half
    naive = before + timedelta(hours=37, minutes=30)  # as if the Sunday had had 24 hours
    assert right != naive


# Calendars that are wrong


def test_a_calendar_without_working_hours_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs working hours"):
        Calendar.model_validate(
            {"version": 1, "owner": "x", "effective": EPOCH, "zone": "Asia/Shanghai", "week": [[]] * 7}
        )


@pytest.mark.parametrize(
    ("periods", "because"),
    [
        ([{"opens": "12:00", "closes": "08:00"}], "ends after it begins"),
        ([{"opens": "08:00", "closes": "12:00"}, {"opens": "11:00", "closes": "13:00"}], "overlap"),
        ([{"opens": "08:00", "closes": "00:00"}, {"opens": "11:00", "closes": "13:00"}], "overlap"),
        ([{"opens": "08:00+08:00", "closes": "12:00+08:00"}], "carry no zone"),
        ([{"opens": "08:00", "closes": "12:00", "lunch": "no"}], "Extra inputs"),
    ],
)
def test_periods_that_make_no_sense_are_refused(periods: list[dict[str, str]], because: str) -> None:
    with pytest.raises(ValidationError, match=because):
        Calendar.model_validate(
            {"version": 1, "owner": "x", "effective": EPOCH, "zone": "UTC", "week": [periods] * 7}
        )


def test_a_calendar_that_has_run_out_says_so() -> None:
    shop = calendar("shanghai")
    closed = {(EPOCH + timedelta(days=n)).date(): () for n in range(1_100)}
    with pytest.raises(NoWorkingTime):
        work_done(shop.model_copy(update={"days": closed}), EPOCH, timedelta(minutes=1))


def test_a_calendar_that_has_run_out_refuses_no_complaint() -> None:
    held = rules("shanghai", "working_time")
    closed = {(EPOCH + timedelta(days=n)).date(): () for n in range(1_100)}
    story = Story(Rules(held.rulebooks, [held.calendars[0].model_copy(update={"days": closed})]))
    story.tell(raise_it(at=EPOCH))
    assert story.state.deadlines["C-22.contact"].set.due_at == EPOCH + timedelta(hours=2)
    story.tell(do.Pause(complaint_id="C1", at=EPOCH + timedelta(hours=1), waiting="for_parts"))
    story.tell(do.Resume(complaint_id="C1", at=EPOCH + timedelta(hours=4)))
    assert story.state.deadlines["C-22.contact"].set.due_at == EPOCH + timedelta(hours=5)


def test_working_time_adds_up() -> None:
    shop = calendar("berlin")
    at = datetime(2026, 3, 27, 12, 34, 56, tzinfo=UTC)
    for minutes in range(1, 5_000, 97):
        later = work_done(shop, at, timedelta(minutes=minutes))
        assert work_between(shop, at, later) == timedelta(minutes=minutes)
    assert work_between(shop, at, at - timedelta(days=1)) == timedelta(0)


def test_midnight_ends_a_period() -> None:
    assert Period(opens=time(20), closes=time(0))


# Rules that are wrong


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"rules": ()}, "at least 1 item"),
        ({"rules": (SHIPPED.rulebooks[0].rules[0],) * 2}, "is there twice"),
        ({"rules": [{"id": "X", "step": "first_contact", "severities": ["urgent"]}]}, "severities"),
        (
            {"rules": [{"id": "X", "step": "archived", "clock": "end_of_day", "minutes": 5}]},
            "takes no minutes",
        ),
        ({"rules": [{"id": "X", "step": "phoned"}]}, "step"),
        (
            {"ladder": [{"level": "region", "minutes": 5}, {"level": "advisor", "minutes": 1}]},
            "earliest first",
        ),
    ],
)
def test_a_rulebook_that_makes_no_sense_is_refused(change: dict[str, object], because: str) -> None:
    with pytest.raises(ValidationError, match=because):
        type(SHIPPED.rulebooks[0]).model_validate(SHIPPED.rulebooks[0].model_dump() | change)


def test_a_rule_without_minutes_sets_no_deadline() -> None:
    """K-04."""
    [book] = SHIPPED.rulebooks
    call = next(rule for rule in book.rules if rule.id == "C-22.call").model_copy(update={"minutes": None})
    assert due(call, EPOCH, SHIPPED.calendars[0]) is None


def test_all_matching_rules_run() -> None:
    """K-03."""
    ids = [rule.id for rule in matching(SHIPPED.rulebooks[0], "raised", {"major"}, "message")]
    assert {"C-23.contact", "C-24.contact"} <= set(ids)

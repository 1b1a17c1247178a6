"""How long the bars of a complaint's clocks are, and what they say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projections.projection import Document
from projections.web.clocks import Clock, clock, clocks, next_clock

START = datetime(2026, 11, 2, 2, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def deadline(**more: Any) -> Document:
    """Two hours for the first contact."""
    return {
        "rule": "C-22.contact",
        "step": "first_contact",
        "starts_at": START.isoformat(),
        "due_at": at(120).isoformat(),
        "outcome": "pending",
    } | more


def complaint(*deadlines: Document, **more: Any) -> Document:
    return {
        "raised_at": START.isoformat(),
        "since": START.isoformat(),
        "ended": False,
        "done": {},
        "deadlines": {each["rule"]: each for each in deadlines},
    } | more


def bar(one: Document, now: int, **more: Any) -> Clock:
    return clock(one, complaint(one, **more), at(now))


def test_a_running_clock_is_used_up_as_far_as_time_went_by() -> None:
    shown = bar(deadline(), 90)
    assert (shown.stands, shown.seconds, shown.due, shown.used) == ("running", 30 * 60, 1.0, 0.75)


def test_a_step_done_in_time_ends_its_bar_before_the_deadline() -> None:
    shown = bar(deadline(outcome="met", done_at=at(30).isoformat()), 1000)
    assert (shown.stands, shown.seconds, shown.due, shown.used) == ("met", 90 * 60, 1.0, 0.25)


def test_a_step_done_exactly_when_due_is_met() -> None:
    shown = bar(deadline(outcome="met", done_at=at(120).isoformat()), 121)
    assert (shown.stands, shown.seconds, shown.used) == ("met", 0, 1.0)


def test_what_is_still_not_done_grows_beyond_the_deadline() -> None:
    shown = bar(deadline(outcome="breached"), 160)
    assert (shown.stands, shown.seconds, shown.due, shown.used) == ("overdue", 40 * 60, 0.75, 1.0)


def test_a_deadline_that_has_just_passed_is_overdue_before_the_clock_noticed() -> None:
    assert bar(deadline(), 121).stands == "overdue"


def test_a_missed_step_that_was_done_at_last_no_longer_grows() -> None:
    missed = deadline(outcome="breached")
    done = {"first_contact": at(240).isoformat()}
    first, later = (bar(missed, now, done=done) for now in (240, 9_000))
    assert first == later
    assert (first.stands, first.seconds, first.due, first.used) == ("done_late", 120 * 60, 0.5, 1.0)


def test_a_bar_stands_still_during_a_pause() -> None:
    paused = {"paused_at": at(60).isoformat(), "waiting": "for_parts"}
    first, later = (bar(deadline(), now, **paused) for now in (60, 9_000))
    assert first == later
    assert (first.stands, first.used) == ("still", 0.5)


def test_what_had_passed_before_a_pause_is_overdue_all_the_same() -> None:
    shown = bar(deadline(outcome="breached"), 180, paused_at=at(150).isoformat(), waiting="for_parts")
    assert (shown.stands, shown.seconds) == ("overdue", 60 * 60)


def test_a_complaint_that_ended_lets_no_bar_grow() -> None:
    shown = bar(deadline(outcome="breached"), 9_000, ended=True, since=at(180).isoformat())
    assert (shown.stands, shown.seconds) == ("overdue", 60 * 60)


def test_a_dropped_deadline_has_an_empty_bar() -> None:
    shown = bar(deadline(outcome="dropped"), 9_000)
    assert (shown.stands, shown.due, shown.used) == ("dropped", 1.0, 0.0)


def test_a_contact_before_the_complaint_fills_nothing() -> None:
    shown = bar(deadline(outcome="met", done_at=at(-10).isoformat()), 5)
    assert (shown.stands, shown.used) == ("met", 0.0)


@pytest.mark.parametrize("now", [-10, 0, 90, 120, 500])
def test_every_bar_fits_its_place(now: int) -> None:
    shown = bar(deadline(), now)
    assert 0 <= shown.used <= 1
    assert 0 <= shown.due <= 1


def test_a_deadline_at_its_start_is_no_division_by_nothing() -> None:
    shown = bar(deadline(due_at=START.isoformat(), outcome="met", done_at=START.isoformat()), 5)
    assert (shown.stands, shown.due, shown.used) == ("met", 1.0, 1.0)


def test_the_next_clock_is_the_one_overdue_for_the_longest_time() -> None:
    late = deadline(rule="late", step="handed_over", due_at=at(30).isoformat(), outcome="breached")
    soon, later = deadline(rule="soon"), deadline(rule="later", due_at=at(900).isoformat())
    given = complaint(later, soon, late)
    assert [each.deadline["rule"] for each in clocks(given, at(60))] == ["late", "soon", "later"]

    def rule(**more: Any) -> Any:
        found = next_clock(given | more, at(60))
        return found.deadline["rule"] if found else None

    assert rule() == "late"
    assert rule(done={"handed_over": at(50).isoformat()}) == "soon"
    assert rule(paused_at=at(50).isoformat()) == "late"
    assert rule(ended=True) is None

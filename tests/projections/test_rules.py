"""Verdicts: by the rule in force when the vehicle came, whatever the rule says later."""

from datetime import datetime, timedelta

import pytest

from eventlog.recorded import Recorded
from projections.facts import fact as read
from projections.projection import Document
from projections.rules import Rule, in_force, promise_risk, versions_of
from projections.work_order_board.projection import evolve
from tests.projections.story import (
    VISIT,
    delivered,
    in_guangzhou,
    opened,
    passed,
    promised_at,
    readied,
    received,
)

IN_USE = versions_of("promise_risk")
FIRST: Rule = {
    "version": 1,
    "effective": datetime.fromisoformat("2020-01-01T00:00:00+08:00"),
    "at_risk_minutes": 30,
}
CHANGED = datetime.fromisoformat("2026-07-01T00:00:00+08:00")
LATER: Rule = {
    "version": 2,
    "effective": CHANGED,
    "at_risk_minutes": 60,
}


def card(*facts: Recorded) -> Document:
    document: Document = {}
    for fact in facts:
        document = evolve(document or None, read(fact))
    return document


def risk(facts: tuple[Recorded, ...], minutes_before_promise: float) -> tuple[str, int]:
    verdict = promise_risk(card(*facts), promised_at - timedelta(minutes=minutes_before_promise), IN_USE)
    assert verdict["rule"] == "promise_risk v1"
    return verdict["level"], verdict["minutes"]


@pytest.mark.parametrize(
    ("minutes_before_promise", "verdict"),
    [
        (31, ("on_time", 31)),
        (30, ("on_time", 30)),
        (29.99, ("at_risk", 29)),
        (0, ("at_risk", 0)),
        (-0.01, ("late", -1)),
    ],
)
def test_a_promise_is_at_risk_half_an_hour_before(
    minutes_before_promise: float, verdict: tuple[str, int]
) -> None:
    assert risk((received, opened), minutes_before_promise) == verdict


def test_a_promise_is_kept_when_the_vehicle_is_ready_in_time() -> None:
    """Ready ten minutes before the promise, and still there an hour after it."""
    until_ready = VISIT[: VISIT.index(readied) + 1]
    assert risk(until_ready, 5) == ("on_time", 5)
    assert risk(until_ready, -60) == ("on_time", -60)


def test_a_vehicle_that_was_ready_too_late_stays_late() -> None:
    ready_late = card(*VISIT[: VISIT.index(passed) + 1]) | {"promised_at": opened.recorded_at.isoformat()}
    assert promise_risk(ready_late, passed.recorded_at, IN_USE)["level"] == "late"


def test_nothing_is_at_risk_without_a_promise_or_after_the_delivery() -> None:
    assert promise_risk(card(in_guangzhou), promised_at, IN_USE) == {"level": "none"}
    assert promise_risk(card(*VISIT), delivered.recorded_at, IN_USE) == {"level": "none"}


def test_a_later_version_does_not_change_an_earlier_verdict() -> None:
    """X-14: the same vehicle, looked at after the rule was changed, 45 minutes before its promise."""
    came_before = card(received, opened) | {"promised_at": (CHANGED + timedelta(minutes=45)).isoformat()}
    came_after = came_before | {"first_at": CHANGED.isoformat()}
    for known in ([FIRST], [FIRST, LATER]):
        verdict = promise_risk(came_before, CHANGED, known)
        assert (verdict["level"], verdict["rule"]) == ("on_time", "promise_risk v1")
    verdict = promise_risk(came_after, CHANGED, [FIRST, LATER])
    assert (verdict["level"], verdict["rule"]) == ("at_risk", "promise_risk v2")


def test_a_version_holds_from_its_time_on() -> None:
    assert in_force([FIRST, LATER], CHANGED - timedelta(seconds=1)) == FIRST
    assert in_force([FIRST, LATER], CHANGED) == LATER


def test_the_first_version_holds_for_all_before_it() -> None:
    assert in_force([FIRST, LATER], FIRST["effective"] - timedelta(days=1)) == FIRST


def test_every_version_of_a_rule_has_its_number_owner_and_time() -> None:
    """X-14."""
    assert [version["version"] for version in IN_USE] == list(range(1, len(IN_USE) + 1))
    assert all(version["owner"] and version["effective"].tzinfo for version in IN_USE)

"""What a customer is told: steps and times, nothing that is not theirs to know (C-33, P-04)."""

from typing import Any

import pytest

from events.customer_care import Waiting
from projections.complaint_timeline.progress import progress
from projections.projection import Document

AT = [f"2026-03-02T{hour:02}:00:00.000000+00:00" for hour in range(24)]


def complaint(*done: str, **more: Any) -> Document:
    return {
        "complaint_id": "C1",
        "raised_at": AT[0],
        "status": "raised",
        "ended": False,
        "done": {"raised": AT[0]} | {step: AT[hour] for hour, step in enumerate(done, start=1)},
        "deadlines": {},
    } | more


def deadline(step: str, due_at: str, outcome: str = "pending") -> Document:
    return {"rule": f"{step} by {due_at}", "step": step, "due_at": due_at, "outcome": outcome}


def test_steps_are_told_with_their_times_and_the_one_that_follows() -> None:
    told = progress(complaint("handed_over", "first_contact", "cause_found", "planned"))
    assert [(each["step"], each["at"]) for each in told["steps"]] == [
        ("raised", AT[0]),
        ("first_contact", AT[2]),
        ("planned", AT[4]),
    ]
    assert (told["stands"], told["next"]) == ("in_hand", "told")


def test_what_was_skipped_is_not_announced_again() -> None:
    told = progress(complaint("first_contact", "agreement"))
    assert told["next"] == "satisfaction_call"


def test_only_deadlines_that_concern_the_customer_are_promised_and_the_earliest_counts() -> None:
    """K-03."""
    deadlines = [
        deadline("handed_over", AT[1]),
        deadline("first_contact", AT[9]),
        deadline("first_contact", AT[5]),
        deadline("satisfaction_call", AT[20]),
        deadline("returned", AT[3]),
    ]
    told = progress(complaint(deadlines={each["rule"]: each for each in deadlines}))
    assert told["promises"] == [
        {"step": "first_contact", "due_at": AT[5]},
        {"step": "satisfaction_call", "due_at": AT[20]},
    ]


def test_a_promise_that_was_broken_stays_until_it_is_done() -> None:
    late = {"C-21.contact": deadline("first_contact", AT[5], "breached")}
    assert progress(complaint(deadlines=late))["promises"] == [{"step": "first_contact", "due_at": AT[5]}]
    assert progress(complaint("first_contact", deadlines=late))["promises"] == []


@pytest.mark.parametrize("waiting", ["for_customer", "for_parts", "for_manufacturer", "for_authority"])
def test_a_pause_says_what_is_waited_for(waiting: Waiting) -> None:
    call = {"C-21.contact": deadline("first_contact", AT[5])}
    told = progress(complaint(waiting=waiting, paused_at=AT[1], deadlines=call))
    assert (told["stands"], told["promises"]) == (waiting, [])


@pytest.mark.parametrize(
    ("status", "ended", "stands"),
    [
        ("withdrawn", True, "withdrawn"),
        ("voided", True, "closed"),
        ("archived", True, "closed"),
        ("closed", True, "closed"),
        ("objecting", False, "objecting"),
        ("Unmatched", False, "in_hand"),
    ],
)
def test_how_it_ended_is_told_without_saying_whose_fault_it_was(
    status: str, ended: bool, stands: str
) -> None:
    told = progress(complaint(status=status, ended=ended))
    assert (told["stands"], told["next"] is None) == (stands, ended)


def test_nothing_else_of_the_complaint_is_told() -> None:
    secrets = {
        name: f"canary {name}"
        for name in ("customer", "narrative", "responsible", "blamed", "appeal", "escalated_to", "follows")
    }
    assert "canary" not in str(progress(complaint("first_contact", **secrets)))

"""What was due while something was dead is done once it lives again, and only once."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.deadlines import Told, due_by_now, runs, wrong


async def test_deadlines_pass_while_app_bus_and_database_are_killed(tmp_path: Path) -> None:
    """Injected: kill -9 of customer care, NATS or PostgreSQL while deadlines of complaints are due, in each
    of six runs. Expected: each step one event and one message; a rebuild of views and timers sends none."""
    assert await runs(6, seed=3, folder=tmp_path)


# The control


def right() -> Told:
    return Told(
        breaches=Counter({("C1", "C-20"): 1}),
        escalations=Counter({("C1", "C-20", "advisor"): 1}),
        ids={"complaint-C1@6"},
        sent=Counter({"complaint-C1@6": 1}),
    )


def test_a_log_in_which_all_is_right_has_no_findings() -> None:
    assert wrong({"C1": (1, 1)}, right(), ["complaint-C1@6", "complaint-C1@6"]) == []


@pytest.mark.parametrize("damage", ["lost", "doubled", "doubled note", "unsent", "unnoted", "too many"])
def test_a_log_in_which_something_is_wrong_has_findings(damage: str) -> None:
    told, received = right(), ["complaint-C1@6"]
    match damage:
        case "lost":
            told.breaches.clear()
        case "doubled":
            told.escalations["C1", "C-20", "advisor"] = 2
        case "doubled note":
            told.sent["complaint-C1@6"] = 2
        case "unsent":
            received = []
        case "unnoted":
            told.sent.clear()
        case "too many":
            told.breaches["C1", "C-22.contact"] = 1
    assert wrong({"C1": (1, 1)}, told, received)


def test_how_much_is_due_is_counted_by_hand() -> None:
    hours = {0.5: (1, 1), 2: (2, 3), 5: (2, 5), 30: (3, 11), 60: (4, 15)}
    assert {h: due_by_now(timedelta(hours=h)) for h in hours} == hours

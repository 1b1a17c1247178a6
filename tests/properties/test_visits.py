"""What holds for every visit there could be: people do what they may, services hear of each other late."""

from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.recorded import Recorded
from events.reception import ApprovalRequested, RepairApproved, RepairDeclined, VehicleDelivered
from events.workshop import (
    LineCompleted,
    QualityPassed,
    RepairAdded,
    RepairDropped,
    RepairReleased,
    ReworkOrdered,
)
from projections.facts import fact as read
from projections.projection import Document
from projections.work_order_board.projection import WORK_ORDER_BOARD, evolve
from tests.properties.house import walk
from tests.recording import recorded

Log: TypeAlias = list[Recorded]


def story(seed: int) -> Log:
    """All that was recorded about a visit, in order."""
    return [recorded(event, n) for n, event in enumerate(walk(seed), start=1)]


def card(facts: Log) -> Document:
    document: Document | None = None
    for fact in facts:
        if isinstance(fact.event, WORK_ORDER_BOARD.handles):
            document = evolve(document, read(fact))
    assert document is not None
    return document


few = settings(max_examples=200, deadline=None)
visits = st.integers(0, 2**32).map(story)


@few
@given(visits)
def test_no_vehicle_is_delivered_without_a_passed_check_after_the_last_work(log: Log) -> None:
    """W-15, W-17."""
    for n, fact in enumerate(log):
        if isinstance(fact.event, VehicleDelivered):
            last = [f.event for f in log[:n] if f.event.type.startswith("workshop.")][-1]
            assert isinstance(last, QualityPassed)


@few
@given(visits)
def test_an_answer_is_final_and_the_workshop_does_what_the_customer_said(log: Log) -> None:
    """R-62 … R-64."""
    for line in (3, 4):
        about = [type(fact.event) for fact in log if getattr(fact.event, "line", None) == line]
        assert about in (
            [RepairAdded, ApprovalRequested, RepairApproved, RepairReleased, LineCompleted][: len(about)],
            [RepairAdded, ApprovalRequested, RepairDeclined, RepairDropped][: len(about)],
        )


@few
@given(visits, st.randoms(use_true_random=False))
def test_in_whichever_order_the_services_are_heard_the_card_is_the_same(log: Log, chance: Any) -> None:
    streams = [[f for f in log if f.event.type.startswith(s)] for s in ("reception.", "workshop.")]
    heard = []
    while any(streams):
        heard.append(chance.choice([stream for stream in streams if stream]).pop(0))
    assert card(heard) == card(log)


@few
@given(visits.flatmap(st.permutations))
def test_the_board_takes_facts_in_any_order(log: Log) -> None:
    shown = card(log)
    for _, value in WORK_ORDER_BOARD.columns.values():
        value(shown)


def test_these_visits_include_deliveries_after_rework() -> None:
    """Otherwise the rules above would hold for nothing."""
    wanted = {ReworkOrdered, RepairReleased, VehicleDelivered}
    assert any(wanted <= {type(fact.event) for fact in story(seed)} for seed in range(5_000))

"""How long a card stood in each column of the board: on the card, and counted from the log (P-01)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.recorded import Recorded
from projections.facts import fact as read
from projections.projection import Document
from projections.work_order_board.cards import computed
from projections.work_order_board.projection import COLUMNS, MOVES, WORK_ORDER_BOARD, evolve
from tests.projections.whole_visit import WHOLE_VISIT, at
from tests.properties.test_visits import visits

WHOLE = [fact for fact in WHOLE_VISIT if type(fact.event) in WORK_ORDER_BOARD.handles]


def card(facts: Sequence[Recorded]) -> Document:
    shown = reduce(evolve, map(read, facts), None)
    assert shown is not None
    return shown


def counted(log: Sequence[Recorded]) -> dict[str, int]:
    """From the log: what moved the card, in the order in which it happened; each column from when the card
    came there until it went on. No entry happened before what its own service had recorded earlier."""
    latest: dict[str, int] = {}
    timed = []
    for fact in log:
        if type(fact.event) in MOVES:
            service = fact.event.type.partition(".")[0]
            latest[service] = max(latest.get(service, 0), int(fact.occurred_at.timestamp()))
            timed.append((latest[service], fact))
    timed.sort(key=itemgetter(0))
    shown = [card([fact for _, fact in timed[: n + 1]])["column"] for n in range(len(timed))]
    stays = [list(stay) for _, stay in groupby(range(len(timed)), key=lambda n: shown[n])]
    stood: Counter[str] = Counter()
    for stay, following in pairwise(stays):
        stood[shown[stay[0]]] += timed[following[0]][0] - timed[stay[0]][0]
    return {column: seconds for column, seconds in stood.items() if seconds and column in COLUMNS[:-1]}


def heard(log: Sequence[Recorded], chance: Any) -> list[Recorded]:
    """The services heard in some order, each in its own."""
    streams = [[f for f in log if f.event.type.startswith(s)] for s in ("reception.", "workshop.")]
    order = []
    while any(streams):
        order.append(chance.choice([stream for stream in streams if stream]).pop(0))
    return order


few = settings(max_examples=60, deadline=None)


@few
@given(visits, st.randoms(use_true_random=False))
def test_the_board_and_the_log_agree_about_every_visit(log: list[Recorded], chance: Any) -> None:
    assert card(log)["dwell"] == counted(log)
    assert card(heard(log, chance))["dwell"] == counted(log)


@few
@given(st.integers(1, len(WHOLE)), st.randoms(use_true_random=False))
def test_in_whichever_order_the_services_are_heard_a_whole_visit_is_the_same(until: int, chance: Any) -> None:
    log = WHOLE[:until]
    shown = card(heard(log, chance))
    assert shown["dwell"] == counted(log)
    at_once = {"past": ..., "last_event": ...}  # two facts of one second have no order
    assert shown | at_once == card(log) | at_once


@few
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 500)), max_size=5))
def test_what_is_entered_late_counts_from_when_it_happened(late: list[tuple[int, int]]) -> None:
    log = list(WHOLE)
    for n, minutes in late:
        fact = log[n]
        happened = fact.occurred_at - timedelta(minutes=minutes)
        log[n] = replace(fact, metadata=replace(fact.metadata, occurred_at=happened))
    assert card(log)["dwell"] == counted(log)


def test_a_whole_visit_stood_as_long_as_it_took() -> None:
    """From the first call to the gate."""
    shown = card(WHOLE)
    assert shown["dwell"]["waiting_for_parts"] == (22 + 10) * 60
    assert shown["dwell"]["ready"] == (4 + 47) * 60
    assert sum(shown["dwell"].values()) == (209 + 1500) * 60


def test_what_the_card_keeps_for_itself_is_not_shown() -> None:
    assert "past" not in computed(card(WHOLE), at(0))

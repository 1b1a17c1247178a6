"""What holds for every visit there could be: people do what they may, services hear of each other late."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from eventlog.decider import Decider, Rejected
from eventlog.recorded import Recorded
from events import Event
from events.reception import (
    ApprovalRequested,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReceived,
)
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
from services.reception.commands import (
    ApproveRepair,
    DeclineRepair,
    DeliverVehicle,
    ReadyVehicle,
    ReceiveVehicle,
    RequestApproval,
)
from services.workshop.commands import (
    AddRepair,
    AuthoriseWork,
    CloseWorkOrder,
    CompleteRepair,
    DispatchWork,
    DropRepair,
    FailQuality,
    OpenWorkOrder,
    OrderRework,
    PassQuality,
    RecordTestDrive,
    ReleaseRepair,
    TakeIn,
)
from tests.deciders import VISIT, WORK_ORDER
from tests.projections.story import sealed
from tests.recording import OPENING, recorded

Log: TypeAlias = list[Recorded]

ID = "V1"
RECEPTION: list[Any] = [
    ReceiveVehicle(
        visit_id=ID,
        work_order_id=ID,
        vin="LSVAA49J132047371",
        vin_check_digit="ok",
        customer="c-1",
        customer_name=sealed,
        phone=sealed,
        plate=sealed,
        mileage_km=48_210,
        symptoms=("squeals",),
    ),
    DeliverVehicle(visit_id=ID, at=OPENING),
]
for line in (1, 2):
    RECEPTION += [
        ApproveRepair(visit_id=ID, line=line, channel="phone"),
        DeclineRepair(visit_id=ID, line=line, channel="phone", reason="later", told_to="supervisor"),
    ]
WORKSHOP: list[Any] = [
    AuthoriseWork(work_order_id=ID, visit_id=ID, revision=1, hash="0" * 64, tasks=(), promised_at=OPENING),
    TakeIn(work_order_id=ID, visit_id=ID, keys=1, papers=()),
    DispatchWork(work_order_id=ID, team="north", mode="to_team", at=OPENING),
    DispatchWork(work_order_id=ID, team="south", mode="to_team", at=OPENING),
    AddRepair(work_order_id=ID, description="brake pads", price_fen=68_000, delay_minutes=40),
    CompleteRepair(work_order_id=ID),
    RecordTestDrive(work_order_id=ID, passed=True),
    PassQuality(work_order_id=ID, at=OPENING),
    FailQuality(work_order_id=ID, cause="still squeals"),
    OrderRework(work_order_id=ID),
]


def reaction(event: Event) -> tuple[Decider[Any, Any], Any] | None:
    """What the policies do."""
    match event:
        case VehicleReceived():
            return WORK_ORDER, OpenWorkOrder(work_order_id=ID, visit_id=ID)
        case RepairAdded():
            return VISIT, RequestApproval(**event.model_dump(include={*RequestApproval.model_fields}))
        case RepairApproved(line=line, hash=hash):
            return WORK_ORDER, ReleaseRepair(work_order_id=ID, line=line, hash=hash)
        case RepairDeclined(line=line, hash=hash):
            return WORK_ORDER, DropRepair(work_order_id=ID, line=line, hash=hash)
        case QualityPassed():
            return VISIT, ReadyVehicle(visit_id=ID)
        case VehicleDelivered():
            return WORK_ORDER, CloseWorkOrder(work_order_id=ID)
    return None


@st.composite
def visits(draw: st.DrawFn) -> Log:
    """All that was recorded about a visit, in order. At each step somebody gives a command that is accepted,
    or a service hears, however late, of something that happened in the other."""
    log: Log = []
    unheard: list[tuple[Decider[Any, Any], Any]] = []

    def accepted() -> Iterator[tuple[Decider[Any, Any], Any]]:
        enough = sum(isinstance(fact.event, RepairAdded) for fact in log) == 2
        both: list[tuple[Decider[Any, Any], list[Any]]] = [(VISIT, RECEPTION), (WORK_ORDER, WORKSHOP)]
        for decider, commands in both if log else both[:1]:
            state = decider.fold(fact.event for fact in log)
            for command in commands:
                with suppress(Rejected):
                    if not (enough and isinstance(command, AddRepair)) and decider.decide(command, state):
                        yield decider, command

    for _ in range(draw(st.integers(1, 40))):
        possible = [*unheard, *accepted()]
        if not possible:
            break
        decider, command = step = possible[draw(st.integers(0, len(possible) - 1))]
        if step in unheard:
            unheard.remove(step)
        # A message between services that were refused would raise here.
        for event in decider.decide(command, decider.fold(fact.event for fact in log)):
            log.append(recorded(event, len(log) + 1))
            if (caused := reaction(event)) is not None:
                unheard.append(caused)
    return log


def card(facts: Log) -> Document:
    document: Document | None = None
    for fact in facts:
        if isinstance(fact.event, WORK_ORDER_BOARD.handles):
            document = evolve(document, read(fact))
    assert document is not None
    return document


few = settings(max_examples=200, deadline=None)


@few
@given(visits())
def test_no_vehicle_is_delivered_without_a_passed_check_after_the_last_work(log: Log) -> None:
    """W-15, W-17."""
    for n, fact in enumerate(log):
        if isinstance(fact.event, VehicleDelivered):
            last = [f.event for f in log[:n] if f.event.type.startswith("workshop.")][-1]
            assert isinstance(last, QualityPassed)


@few
@given(visits())
def test_an_answer_is_final_and_the_workshop_does_what_the_customer_said(log: Log) -> None:
    """R-62 … R-64."""
    for line in (1, 2):
        about = [type(fact.event) for fact in log if getattr(fact.event, "line", None) == line]
        assert about in (
            [RepairAdded, ApprovalRequested, RepairApproved, RepairReleased, LineCompleted][: len(about)],
            [RepairAdded, ApprovalRequested, RepairDeclined, RepairDropped][: len(about)],
        )


@few
@given(visits(), st.randoms(use_true_random=False))
def test_in_whichever_order_the_services_are_heard_the_card_is_the_same(log: Log, chance: Any) -> None:
    streams = [[f for f in log if f.event.type.startswith(s)] for s in ("reception.", "workshop.")]
    heard = []
    while any(streams):
        heard.append(chance.choice([stream for stream in streams if stream]).pop(0))
    assert card(heard) == card(log)


@few
@given(visits().flatmap(st.permutations))
def test_the_board_takes_facts_in_any_order(log: Log) -> None:
    shown = card(log)
    for _, value in WORK_ORDER_BOARD.columns.values():
        value(shown)


def test_these_visits_include_deliveries_after_rework() -> None:
    """Otherwise the rules above would hold for nothing."""

    def delivered_after_rework_and_an_answer(log: Log) -> bool:
        types = {type(fact.event) for fact in log}
        return {ReworkOrdered, RepairReleased, VehicleDelivered} <= types

    without_shrinking = settings(max_examples=2_000, deadline=None, phases=[Phase.generate])
    find(visits(), delivered_after_rework_and_an_answer, settings=without_shrinking)

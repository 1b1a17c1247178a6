"""What reception does by itself. Every message may come twice."""

from dataclasses import replace

import pytest

from eventlog.policies import Policies, caused_by
from eventlog.recorded import Metadata, encode
from eventlog.store import EventStore, UnknownStream
from events import Event
from events.reception import ApprovalRequested
from events.workshop import QualityPassed, RepairAdded, RepairRevised
from services.reception.policies import policies
from tests.reception.test_visit import readied, received
from tests.recording import recorded

ASK = "whenever_repair_added_request_approval"
ASK_AGAIN = "whenever_repair_revised_request_approval"
READY = "whenever_quality_passed_ready_vehicle"

added = RepairAdded(
    work_order_id="V1",
    visit_id="V1",
    line=1,
    description="brake pads",
    price_fen=68_000,
    delay_minutes=40,
    trade="mechatronic",
)
revised = RepairRevised(**added.model_dump() | {"revision": 2, "hash": "2" * 64, "delay_minutes": 60})
passed = QualityPassed(work_order_id="V1", visit_id="V1")


@pytest.fixture
async def visit(reception: EventStore) -> str:
    await reception.append("visit-V1", 0, [received], recorded(received, 1).metadata)
    return "visit-V1"


@pytest.fixture
def whenever(reception: EventStore) -> Policies:
    return policies(reception)


@pytest.mark.parametrize(
    ("policy", "fact", "reaction"),
    [
        (ASK, added, ApprovalRequested(**added.model_dump())),
        (ASK_AGAIN, revised, ApprovalRequested(**revised.model_dump())),
        (READY, passed, readied),
    ],
)
async def test_reception_reacts_once(
    whenever: Policies, reception: EventStore, visit: str, policy: str, fact: Event, reaction: Event
) -> None:
    """R-60, R-65, W-17."""
    for _ in range(2):
        await whenever.react(policy, encode(recorded(fact, 7)))
    [_, reacted] = await reception.stream(visit)
    assert reacted.event == reaction
    assert replace(reacted.metadata, occurred_at=None) == caused_by(recorded(fact, 7), policy)


def test_a_reaction_names_its_cause() -> None:
    assert caused_by(recorded(added, 7), ASK) == Metadata(
        site="sh01",
        actor=ASK,
        role="policy",
        correlation_id="V1",
        causation_id="workshop-V1@7",
        command_id=f"{ASK}:workshop-V1@7",
    )


async def test_work_for_no_visit_readies_nothing(whenever: Policies, reception: EventStore) -> None:
    await whenever.react(READY, encode(recorded(QualityPassed(work_order_id="V1"), 7)))
    assert (await reception.page(0, 10)).events == []


@pytest.mark.parametrize(("policy", "fact"), [(ASK, added), (ASK_AGAIN, revised), (READY, passed)])
async def test_a_visit_nobody_knows_is_an_error(whenever: Policies, policy: str, fact: Event) -> None:
    with pytest.raises(UnknownStream):
        await whenever.react(policy, encode(recorded(fact, 7)))


async def test_a_repair_and_its_revision_may_be_heard_of_in_any_order(
    whenever: Policies, reception: EventStore, visit: str
) -> None:
    """R-65: the customer is asked about what holds now."""
    await whenever.react(ASK_AGAIN, encode(recorded(revised, 8)))
    await whenever.react(ASK, encode(recorded(added, 7)))
    [_, asked] = await reception.stream(visit)
    assert asked.event == ApprovalRequested(**revised.model_dump())


async def test_another_sites_visit_is_an_error(whenever: Policies, reception: EventStore, visit: str) -> None:
    with pytest.raises(UnknownStream):
        await whenever.react(ASK, encode(recorded(added, 7, site="gz01")))
    assert len(await reception.stream(visit)) == 1


async def test_a_policy_takes_its_own_fact_only(whenever: Policies, visit: str) -> None:
    with pytest.raises(ValueError, match=r"workshop.quality_passed.v1 came where"):
        await whenever.react(ASK, encode(recorded(passed, 7)))

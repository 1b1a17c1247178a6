"""What the workshop does by itself. Every message may come twice."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from eventlog.policies import Policies, caused_by
from eventlog.recorded import encode
from eventlog.store import EventStore, UnknownStream
from events import Event, Sealed
from events.lines import Line, Part
from events.reception import (
    BelongingsConsentGiven,
    DeliveryCheckFailed,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleHandedToWorkshop,
    VehicleReceived,
    WorkOrderSigned,
)
from events.workshop import ReworkOrdered, WorkOrderOpened
from services.workshop.policies import policies
from tests.recording import recorded
from tests.workshop.test_lines import revised
from tests.workshop.test_progress import free, in_the_way
from tests.workshop.test_work_order import (
    added,
    authorised,
    closed,
    dropped,
    in_check,
    in_work,
    opened,
    passed,
    released,
    signed,
    taken_in,
)

OPEN = "whenever_vehicle_received_open_work_order"
AUTHORISE = "whenever_work_order_signed_authorise_work"
TAKE_IN = "whenever_vehicle_handed_to_workshop_take_in"
CONSENT = "whenever_belongings_consent_given_release_belongings"
SEND_BACK = "whenever_delivery_check_failed_send_back"
RELEASE = "whenever_repair_approved_release_repair"
DROP = "whenever_repair_declined_drop_repair"
CLOSE = "whenever_vehicle_delivered_close_work_order"

sealed = Sealed(subject="c-1", context="reception.vehicle_received.phone", box="AAAA")
received = VehicleReceived(
    visit_id="V1",
    work_order_id="W1",
    vin="LSVAA49J132047371",
    vin_check_digit="ok",
    customer="c-1",
    customer_name=sealed,
    phone=sealed,
    plate=sealed,
    mileage_km=48_210,
    symptoms=("squeals when braking",),
)
approved = RepairApproved(visit_id="V1", work_order_id="W1", line=1, channel="phone", hash=added.hash)
declined = RepairDeclined(
    visit_id="V1", work_order_id="W1", line=1, channel="phone", reason="later", hash=added.hash
)
signed_for = WorkOrderSigned(
    visit_id="V1",
    work_order_id="W1",
    revision=authorised.revision,
    hash=authorised.hash,
    channel="in_person",
    lines=tuple(
        Line(
            **task.model_dump(),
            labour_fen=10_000,
            parts=(Part(code="P", name="part", origin="original", quantity=Decimal(1), unit_fen=500),),
        )
        for task in authorised.tasks
    ),
    promised_at=authorised.promised_at,
)
handed_over = VehicleHandedToWorkshop(
    visit_id="V1", work_order_id="W1", keys=1, papers=("work_order", "reception_form")
)
consented = BelongingsConsentGiven(visit_id="V1", work_order_id="W1", items=("child seat",), channel="phone")
sent_back = DeliveryCheckFailed(visit_id="V1", work_order_id="W1", cause="oil on the seat")
delivered = VehicleDelivered(visit_id="V1", work_order_id="W1")


@pytest.fixture
def whenever(workshop: EventStore) -> Policies:
    return policies(workshop)


@pytest.mark.parametrize(
    ("history", "policy", "fact", "reaction"),
    [
        ((), OPEN, received, opened),
        ((opened,), AUTHORISE, signed_for, authorised),
        ((opened, authorised), TAKE_IN, handed_over, taken_in),
        ((*in_work, added), RELEASE, approved, released),
        ((*in_work, added), DROP, declined, dropped),
        ((*signed, in_the_way), CONSENT, consented, free),
        (
            (*in_check, passed),
            SEND_BACK,
            sent_back,
            ReworkOrdered(work_order_id="W1", rework=1, cause="oil on the seat"),
        ),
        ((*in_check, passed), CLOSE, delivered, closed),
    ],
)
async def test_the_workshop_reacts_once(
    whenever: Policies,
    workshop: EventStore,
    history: Sequence[Event],
    policy: str,
    fact: Event,
    reaction: Event,
) -> None:
    """R-62, R-63, R-64, R-65, W-04, W-10, W-18: and the workshop is told no prices."""
    if history:
        await workshop.append("work_order-W1", 0, history, recorded(opened, 1).metadata)
    for _ in range(2):
        await whenever.react(policy, encode(recorded(fact, 9)))
    [*before, reacted] = await workshop.stream("work_order-W1")
    assert len(before) == len(history)
    assert reacted.event == reaction
    assert replace(reacted.metadata, occurred_at=None) == caused_by(recorded(fact, 9), policy)


@pytest.mark.parametrize(
    ("history", "policy", "fact"),
    [
        ((opened, authorised), AUTHORISE, signed_for),
        ((*in_check, passed, closed), AUTHORISE, signed_for),
        ((opened, taken_in), TAKE_IN, handed_over),
        ((*in_work, added, revised), RELEASE, approved),
        ((*in_work, added, revised), DROP, declined),
        ((*in_work, added, dropped), RELEASE, approved),
        ((*signed, in_the_way, free), CONSENT, consented),
        (in_work, SEND_BACK, sent_back),
        ((*in_check, passed, closed), CLOSE, delivered),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_settled_already_is_left_as_it_is(
    whenever: Policies, workshop: EventStore, history: Sequence[Event], policy: str, fact: Event
) -> None:
    """R-65: a late answer is to what the line was. Nothing is parked."""
    await workshop.append("work_order-W1", 0, history, recorded(opened, 1).metadata)
    await whenever.react(policy, encode(recorded(fact, 9)))
    assert [each.event for each in await workshop.stream("work_order-W1")] == list(history)


async def test_in_whichever_order_messages_come_the_order_is_open_once(
    whenever: Policies, workshop: EventStore
) -> None:
    for minute, (policy, fact) in enumerate(
        [(TAKE_IN, handed_over), (AUTHORISE, signed_for), (OPEN, received)], start=7
    ):
        for _ in range(2):
            await whenever.react(policy, encode(recorded(fact, minute)))
    assert [each.event for each in await workshop.stream("work_order-W1")] == [
        WorkOrderOpened(work_order_id="W1", visit_id="V1"),
        taken_in,
        authorised,
    ]


@pytest.mark.parametrize(
    ("policy", "fact"),
    [(RELEASE, approved), (DROP, declined), (CONSENT, consented), (SEND_BACK, sent_back), (CLOSE, delivered)],
)
async def test_a_work_order_nobody_knows_is_an_error(whenever: Policies, policy: str, fact: Event) -> None:
    with pytest.raises(UnknownStream):
        await whenever.react(policy, encode(recorded(fact, 9)))

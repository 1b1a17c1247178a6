"""What the workshop does by itself. Every message may come twice."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from eventlog.policies import Policies, caused_by
from eventlog.recorded import encode
from eventlog.store import EventStore, UnknownStream
from events import Event, Sealed
from events.reception import RepairApproved, RepairDeclined, VehicleDelivered, VehicleReceived
from services.workshop.policies import policies
from tests.recording import recorded
from tests.workshop.test_work_order import added, closed, dropped, in_check, in_work, opened, passed, released

OPEN = "whenever_vehicle_received_open_work_order"
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
approved = RepairApproved(visit_id="V1", work_order_id="W1", line=1, channel="phone")
declined = RepairDeclined(visit_id="V1", work_order_id="W1", line=1, channel="phone", reason="later")
delivered = VehicleDelivered(visit_id="V1", work_order_id="W1")


@pytest.fixture
def whenever(workshop: EventStore) -> Policies:
    return policies(workshop)


@pytest.mark.parametrize(
    ("history", "policy", "fact", "reaction"),
    [
        ((), OPEN, received, opened),
        ((*in_work, added), RELEASE, approved, released),
        ((*in_work, added), DROP, declined, dropped),
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
    """R-62, R-63, R-64."""
    if history:
        await workshop.append("work_order-W1", 0, history, recorded(opened, 1).metadata)
    for _ in range(2):
        await whenever.react(policy, encode(recorded(fact, 9)))
    [*before, reacted] = await workshop.stream("work_order-W1")
    assert len(before) == len(history)
    assert reacted.event == reaction
    assert replace(reacted.metadata, occurred_at=None) == caused_by(recorded(fact, 9), policy)


@pytest.mark.parametrize(("policy", "fact"), [(RELEASE, approved), (DROP, declined), (CLOSE, delivered)])
async def test_a_work_order_nobody_knows_is_an_error(whenever: Policies, policy: str, fact: Event) -> None:
    with pytest.raises(UnknownStream):
        await whenever.react(policy, encode(recorded(fact, 9)))

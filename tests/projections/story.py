"""A day at a dealership: one vehicle from its reception to its delivery, and a complaint about it."""

from datetime import timedelta
from typing import Any

from eventlog.recorded import Recorded
from events import Sealed
from events.customer_care import ComplaintRaised, ComplaintResolved, CustomerContacted
from events.policies import MessageDiscarded, MessageParked, MessageRetried
from events.reception import (
    ApprovalRequested,
    CustomerArrived,
    CustomerCalledIn,
    RepairApproved,
    VehicleDelivered,
    VehicleReadied,
    VehicleReceived,
)
from events.workshop import (
    QualityFailed,
    QualityPassed,
    RepairAdded,
    RepairCompleted,
    RepairReleased,
    ReworkOrdered,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from tests.recording import OPENING, recorded

sealed = Sealed(subject="c-1", context="reception.vehicle_received.phone", box="AAAA")
repair: dict[str, Any] = {
    "visit_id": "V1",
    "work_order_id": "V1",
    "line": 1,
    "description": "前刹车片",
    "price_fen": 68_000,
    "delay_minutes": 40,
}
promised_at = OPENING + timedelta(minutes=110)

received = recorded(
    VehicleReceived(
        visit_id="V1",
        work_order_id="V1",
        vin="LSVAA49J132047371",
        vin_check_digit="ok",
        customer="c-1",
        customer_name=sealed,
        phone=sealed,
        plate=sealed,
        mileage_km=48_210,
        symptoms=("刹车时有尖叫声",),
        promised_at=promised_at,
    ),
    1,
)
opened = recorded(
    WorkOrderOpened(work_order_id="V1", visit_id="V1", symptoms=("刹车时有尖叫声",), promised_at=promised_at),
    2,
)
dispatched = recorded(WorkDispatched(work_order_id="V1", team="机电一组"), 5)
added = recorded(RepairAdded(**repair), 20)
asked = recorded(ApprovalRequested(**repair), 21)
approved = recorded(RepairApproved(visit_id="V1", work_order_id="V1", line=1, channel="phone"), 30)
released = recorded(RepairReleased(work_order_id="V1", line=1), 31)
completed = recorded(RepairCompleted(work_order_id="V1"), 60)
failed = recorded(QualityFailed(work_order_id="V1", cause="仍有异响"), 70)
reworked = recorded(ReworkOrdered(work_order_id="V1"), 75)
completed_again = recorded(RepairCompleted(work_order_id="V1"), 90)
passed = recorded(QualityPassed(work_order_id="V1", visit_id="V1"), 100)
readied = recorded(VehicleReadied(visit_id="V1", work_order_id="V1"), 101)
delivered = recorded(VehicleDelivered(visit_id="V1", work_order_id="V1", mileage_km=48_215), 120)
closed = recorded(WorkOrderClosed(work_order_id="V1"), 121)

RECEPTION = (received, asked, approved, readied, delivered)
WORKSHOP = (
    opened,
    dispatched,
    added,
    released,
    completed,
    failed,
    reworked,
    completed_again,
    passed,
    closed,
)
VISIT: tuple[Recorded, ...] = tuple(sorted((*RECEPTION, *WORKSHOP), key=lambda fact: fact.recorded_at))

in_guangzhou = recorded(WorkOrderOpened(work_order_id="V2"), 3, site="gz01")

raised = recorded(
    ComplaintRaised(
        complaint_id="C1",
        visit_id="V1",
        channel="phone",
        subject="repair_service",
        severity="ordinary",
        customer="c-1",
        customer_name=sealed,
        phone=sealed,
        narrative=sealed,
    ),
    200,
)
not_reached = recorded(CustomerContacted(complaint_id="C1", channel="phone", outcome="not_reached"), 210)
reached = recorded(CustomerContacted(complaint_id="C1", channel="phone", outcome="reached"), 230)
resolved = recorded(ComplaintResolved(complaint_id="C1", resolution="goodwill"), 260)

parked = recorded(
    MessageParked(
        parked_id="P1",
        service="reception",
        policy="whenever_repair_added_request_approval",
        subject="aftersales.sh01.workshop.repair_added",
        headers={},
        body="bm8gSlNPTg==",
        truncated=False,
        reason="JSONDecodeError: Expecting value",
        attempts=1,
    ),
    300,
)
retried = recorded(MessageRetried(parked_id="P1", handled=False, reason="JSONDecodeError again"), 310)
discarded = recorded(MessageDiscarded(parked_id="P1", reason="sent by a test of the bus"), 320)

arrived = recorded(
    CustomerArrived(
        book="sh01.2026-03-02",
        arrival_id="N1",
        service="simple",
        plate=sealed,
        arrived_at=OPENING + timedelta(minutes=330),
        patience_until=OPENING + timedelta(minutes=338),
    ),
    330,
)
called_in = recorded(
    CustomerCalledIn(book="sh01.2026-03-02", arrival_id="N1", waited_seconds=300, too_long=False), 335
)

DAY = (
    *VISIT,
    in_guangzhou,
    raised,
    not_reached,
    reached,
    resolved,
    parked,
    retried,
    discarded,
    arrived,
    called_in,
)

"""Delivery: the vehicle is ready, its advisor checks it once more, and it goes back to its customer."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from eventlog.decider import Rejected
from events import Event
from events.reception import (
    DeliveryAgreed,
    DeliveryCheckFailed,
    DeliveryCheckPassed,
    FollowUpAgreed,
    JointInspectionHeld,
    NewAppointmentOffered,
    NextServiceSet,
    ProtectiveSetFitted,
    ProtectiveSetRemoved,
    VehicleDelivered,
    VehicleReadied,
)
from events.rulebook import Period
from events.shop_rules import ReceptionRules
from services.reception import gate_pass, settlement
from services.reception.commands import (
    AgreeDelivery,
    AgreeFollowUp,
    DeliverVehicle,
    DeliveryCommand,
    FailDeliveryCheck,
    HoldJointInspection,
    OfferNewAppointment,
    PassDeliveryCheck,
    ReadyVehicle,
    RemoveProtectiveSet,
    SetNextService,
)
from services.versions import in_force

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.reception.visit import Visit

CHECK = {
    "fault_gone": "the fault is gone",
    "old_parts_there": "the old parts are there",
    "clean_inside": "it is clean inside",
    "clean_outside": "it is clean outside",
    "nothing_left_behind": "nothing was left behind",
}
"""What an advisor confirms before the customer is called (R-70)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    readied: bool = False
    checked: bool = False
    sent_back: bool = False
    agreed: DeliveryAgreed | None = None
    inspected: JointInspectionHeld | None = None
    protected: bool = False
    next_service: NextServiceSet | None = None
    follow_up: FollowUpAgreed | None = None
    offered: bool | None = None
    """Whether the customer took the appointment they were offered last."""
    delivered: bool = False


def decide(command: DeliveryCommand, visit: "Visit", rules: "Sequence[ReceptionRules]") -> list[Event]:
    now = visit.delivery
    about: dict[str, Any] = {"visit_id": command.visit_id, "work_order_id": visit.work_order_id}
    match command:
        case ReadyVehicle():
            return [] if now.readied else [VehicleReadied(**about)]
        case PassDeliveryCheck():
            if now.checked:
                return []
            _must_be_ready(now)
            if missing := [words for item, words in CHECK.items() if not getattr(command, item)]:
                raise Rejected(f"the check passes when all of it is confirmed; not yet: {', '.join(missing)}")
            return [DeliveryCheckPassed(**about, test_driven=command.test_driven)]
        case FailDeliveryCheck(cause=cause):
            if now.delivered:
                raise Rejected("the vehicle is already with its customer")
            if not now.readied and now.sent_back:
                return []
            _must_be_ready(now)
            revoked = gate_pass.revoked(visit, "sent_back")
            return [*revoked, DeliveryCheckFailed(**about, cause=cause)]
        case AgreeDelivery():
            return _agree_delivery(command, visit, in_force(rules, command.at))
        case HoldJointInspection():
            _must_be_checked(now)
            held = JointInspectionHeld(**command.model_dump(), work_order_id=visit.work_order_id)
            return [] if held == now.inspected else [held]
        case RemoveProtectiveSet():
            return [ProtectiveSetRemoved(**about)] if now.protected else []
        case SetNextService(at=at, due_on=due_on, due_km=due_km):
            if due_on <= at.astimezone(_zone(in_force(rules, at))).date():
                raise Rejected("the next service is due on a day to come")
            if due_km <= visit.mileage_km:
                raise Rejected(f"the next service is due after more than the {visit.mileage_km} km of now")
            due = NextServiceSet(**about, due_on=due_on, due_km=due_km)
            return [] if due == now.next_service else [due]
        case AgreeFollowUp():
            return _agree_follow_up(command, visit, in_force(rules, command.at))
        case OfferNewAppointment(accepted=accepted):
            return [] if now.offered == accepted else [NewAppointmentOffered(**about, accepted=accepted)]
        case DeliverVehicle(at=at, mileage_km=mileage_km):
            if now.delivered:
                return []
            _must_be_ready(now)
            if mileage_km is not None and mileage_km < visit.mileage_km:
                raise Rejected(f"{mileage_km} km is less than the {visit.mileage_km} km at reception")
            gate_pass.must_open(visit, at, _zone(in_force(rules, at)))
            return [VehicleDelivered(**about, mileage_km=mileage_km)]


def evolve(delivery: Delivery, event: Event) -> Delivery:
    match event:
        case VehicleReadied():
            return replace(delivery, readied=True, sent_back=False)
        case DeliveryCheckPassed():
            return replace(delivery, checked=True)
        case DeliveryCheckFailed():
            return replace(delivery, readied=False, checked=False, sent_back=True, inspected=None)
        case DeliveryAgreed():
            return replace(delivery, agreed=event)
        case JointInspectionHeld():
            return replace(delivery, inspected=event)
        case ProtectiveSetFitted():
            return replace(delivery, protected=True)
        case ProtectiveSetRemoved():
            return replace(delivery, protected=False)
        case NextServiceSet():
            return replace(delivery, next_service=event)
        case FollowUpAgreed():
            return replace(delivery, follow_up=event)
        case NewAppointmentOffered(accepted=accepted):
            return replace(delivery, offered=accepted)
        case VehicleDelivered():
            return replace(delivery, delivered=True)
    return delivery


def _agree_delivery(command: AgreeDelivery, visit: "Visit", rules: ReceptionRules) -> list[Event]:
    """The customer is called as soon as the check has passed (R-71); what takes long to hand over is not
    handed over when many come (R-72)."""
    _must_be_checked(visit.delivery)
    if command.deliver_at < command.at:
        raise Rejected("a delivery is agreed for a time to come")
    lines = settlement.billed(visit)
    major = sum(line.labour_minutes for line in lines) >= rules.major_from_minutes
    accident = any(line.trade == "body_paint" for line in lines)
    busy = _peak(rules.peak, command.deliver_at.astimezone(_zone(rules)).time())
    if busy and (major or accident):
        raise Rejected(
            f"a major repair or an accident car is not handed over at peak time: "
            f"agree a time before {busy.opens:%H:%M} or after {busy.closes:%H:%M}"
        )
    fields = command.model_dump(exclude={"at"})
    agreed = DeliveryAgreed(**fields, work_order_id=visit.work_order_id)
    return [] if agreed == visit.delivery.agreed else [agreed]


def _peak(peak: "Sequence[Period]", at: time) -> Period | None:
    for period in peak:
        if period.opens <= at and (at < period.closes or period.closes == time(0)):
            return period
    return None


def _agree_follow_up(command: AgreeFollowUp, visit: "Visit", rules: ReceptionRules) -> list[Event]:
    """The call about the quality comes some days after the delivery, when the customer likes it (R-74, K-01).

    The delivery that counts is the one agreed; none is before the customer has been called.
    """
    agreed = visit.delivery.agreed
    delivery = _day(agreed.deliver_at if agreed else command.at, rules)
    first, last = (delivery + timedelta(days=days) for days in rules.follow_up_days)
    if command.call_until <= command.call_from:
        raise Rejected("the time for the call ends after it begins")
    if _day(command.call_from, rules) < first or _day(command.call_until, rules) > last:
        raise Rejected(f"the call comes from {first} to {last}, so many days after the delivery")
    fields = command.model_dump(exclude={"at"})
    follow_up = FollowUpAgreed(**fields, work_order_id=visit.work_order_id)
    return [] if follow_up == visit.delivery.follow_up else [follow_up]


def _day(at: datetime, rules: ReceptionRules) -> date:
    return at.astimezone(_zone(rules)).date()


def _zone(rules: ReceptionRules) -> ZoneInfo:
    return rules.opening.zone


def _must_be_ready(delivery: Delivery) -> None:
    if not delivery.readied:
        raise Rejected("the vehicle has not passed its quality check yet")


def _must_be_checked(delivery: Delivery) -> None:
    if not delivery.checked:
        raise Rejected("the vehicle has not passed its advisor's check yet")

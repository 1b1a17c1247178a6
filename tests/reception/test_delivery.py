"""From the quality check to the customer's hands."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from eventlog.recorded import encode
from eventlog.store import EventStore
from events.reception import (
    ApprovalRequested,
    DeliveryAgreed,
    DeliveryCheckFailed,
    DeliveryCheckPassed,
    FollowUpAgreed,
    GatePassPrepared,
    GatePassReleased,
    GatePassRevoked,
    JointInspectionHeld,
    NewAppointmentOffered,
    NextServiceSet,
    ProtectiveSetFitted,
    ProtectiveSetRemoved,
    RepairApproved,
    VehicleDelivered,
    VehicleReadied,
)
from events.workshop import QualityPassed
from services.reception.commands import (
    AgreeDelivery,
    AgreeFollowUp,
    Command,
    DeliverVehicle,
    FailDeliveryCheck,
    HoldJointInspection,
    OfferNewAppointment,
    PassDeliveryCheck,
    RemoveProtectiveSet,
    SetNextService,
)
from services.reception.policies import policies
from services.reception.rules import SHIPPED_RULES
from services.reception.visit import visit_decider
from tests.deciders import VISIT
from tests.reception.test_quote import brakes, first, signed
from tests.reception.test_visit import readied, received
from tests.recording import recorded
from tests.spec import Spec

visit = Spec(VISIT)

V1: dict[str, Any] = {"visit_id": "V1", "work_order_id": "V1"}
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""Twelve o'clock at the site."""
PEAK = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Five in the afternoon, when everybody comes."""
NOT_READY = "the vehicle has not passed its quality check yet"
NOT_CHECKED = "the vehicle has not passed its advisor's check yet"

check = PassDeliveryCheck(
    visit_id="V1",
    fault_gone=True,
    old_parts_there=True,
    clean_inside=True,
    clean_outside=True,
    nothing_left_behind=True,
    test_driven=True,
)
checked = DeliveryCheckPassed(**V1, test_driven=True)
send_back = FailDeliveryCheck(visit_id="V1", cause="oil on the seat")
sent_back = DeliveryCheckFailed(**V1, cause="oil on the seat")
agree = AgreeDelivery(visit_id="V1", at=NOON, deliver_at=NOON + timedelta(hours=2), channel="phone")
agreed = DeliveryAgreed(**V1, deliver_at=agree.deliver_at, channel="phone")
inspect = HoldJointInspection(
    visit_id="V1",
    old_parts_shown=True,
    spare_wheel_and_tools=True,
    cleanliness_shown=True,
    advice="new wipers before the rain",
)
inspected = JointInspectionHeld(**inspect.model_dump(), work_order_id="V1")
fitted = ProtectiveSetFitted(**V1)
remove = RemoveProtectiveSet(visit_id="V1")
removed = ProtectiveSetRemoved(**V1)
set_service = SetNextService(visit_id="V1", at=NOON, due_on=date(2026, 9, 2), due_km=58_000)
service_set = NextServiceSet(**V1, due_on=date(2026, 9, 2), due_km=58_000)
call = AgreeFollowUp(
    visit_id="V1",
    at=NOON,
    call_from=NOON + timedelta(days=2),
    call_until=NOON + timedelta(days=2, hours=2),
)
call_agreed = FollowUpAgreed(**V1, call_from=call.call_from, call_until=call.call_until)
offer = OfferNewAppointment(visit_id="V1", accepted=True)
offered = NewAppointmentOffered(**V1, accepted=True)
prepared = GatePassPrepared(**V1, pass_id="p1")
released = GatePassReleased(**V1, pass_id="p1", valid_until=NOON + timedelta(hours=24), token="BLG1.x.y")
deliver = DeliverVehicle(visit_id="V1", at=NOON, mileage_km=48_215)
delivered = VehicleDelivered(**V1, mileage_km=48_215)
ready = (received, first, signed, readied)
leaving = (*ready, checked, prepared, released)


def test_the_advisor_checks_the_vehicle_once_more() -> None:
    """R-70, W-18, K-11: fault gone, old parts there, clean inside and outside, nothing left behind."""
    visit.given(*ready).when(check).then(checked)
    visit.given(*ready, checked).when(check).then_nothing()
    visit.given(received).when(check).then_rejected(NOT_READY)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("fault_gone", "the fault is gone"),
        ("old_parts_there", "the old parts are there"),
        ("clean_inside", "it is clean inside"),
        ("clean_outside", "it is clean outside"),
        ("nothing_left_behind", "nothing was left behind"),
    ],
)
def test_the_check_passes_when_all_of_it_is_confirmed(item: str, words: str) -> None:
    """R-70."""
    visit.given(*ready).when(check.model_copy(update={item: False})).then_rejected(
        f"the check passes when all of it is confirmed; not yet: {words}"
    )


def test_a_vehicle_that_fails_the_check_goes_back_and_is_ready_no_longer() -> None:
    """W-15, W-18."""
    visit.given(*ready).when(send_back).then(sent_back)
    visit.given(*ready, sent_back).when(send_back).then_nothing()
    visit.given(*ready, sent_back).when(check).then_rejected(NOT_READY)
    visit.given(*ready, sent_back, readied).when(check).then(checked)
    visit.given(received).when(send_back).then_rejected(NOT_READY)
    visit.given(*leaving, delivered).when(send_back).then_rejected("the vehicle is already with its customer")


def test_a_failed_check_revokes_the_gate_pass() -> None:
    """R-70, K-20."""
    revoked = GatePassRevoked(**V1, pass_id="p1", reason="sent_back")
    visit.given(*leaving).when(send_back).then(revoked, sent_back)


async def test_news_of_a_check_before_the_rework_readies_nothing_when_it_comes_again(
    reception: EventStore,
) -> None:
    """W-17: the message of the first quality check is delivered once more after the vehicle was sent back."""
    metadata = recorded(received, 1).metadata
    await reception.append("visit-V1", 0, [received], metadata)
    whenever, policy = policies(reception), "whenever_quality_passed_ready_vehicle"
    passed = encode(recorded(QualityPassed(**V1), 7))
    await whenever.react(policy, passed)
    await reception.handle(VISIT, "visit-V1", send_back, recorded(sent_back, 8).metadata)
    await whenever.react(policy, passed)
    assert [each.event for each in await reception.stream("visit-V1")] == [received, readied, sent_back]
    await whenever.react(policy, encode(recorded(QualityPassed(**V1), 9)))
    assert [each.event for each in await reception.stream("visit-V1")][3:] == [readied]


def test_the_customer_is_called_after_the_check_and_says_when_they_come() -> None:
    """R-71."""
    visit.given(*ready, checked).when(agree).then(agreed)
    visit.given(*ready, checked, agreed).when(agree).then_nothing()
    visit.given(*ready).when(agree).then_rejected(NOT_CHECKED)
    past = agree.model_copy(update={"deliver_at": NOON - timedelta(minutes=1)})
    visit.given(*ready, checked).when(past).then_rejected("a delivery is agreed for a time to come")


at_peak = agree.model_copy(update={"deliver_at": PEAK})


@pytest.mark.parametrize("update", [{"labour_minutes": 480}, {"trade": "body_paint"}])
def test_a_major_repair_or_an_accident_car_is_not_handed_over_at_peak_time(update: dict[str, Any]) -> None:
    """R-72."""
    large = signed.model_copy(update={"lines": (brakes.model_copy(update=update),)})
    history = (received, first, large, readied, checked)
    visit.given(*history).when(at_peak).then_rejected(
        "a major repair or an accident car is not handed over at peak time: "
        "agree a time before 16:30 or after 17:30"
    )
    visit.given(*history).when(agree).then(agreed)


def test_an_added_repair_makes_it_an_accident_car_too() -> None:
    """R-72: by the trade that the customer was asked about."""
    wing = ApprovalRequested(
        **V1, line=3, description="wing", price_fen=90_000, delay_minutes=60, trade="body_paint"
    )
    agreed_to = RepairApproved(**V1, line=3, channel="phone")
    visit.given(received, first, signed, wing, agreed_to, readied, checked).when(at_peak).then_rejected(
        "a major repair or an accident car is not handed over at peak time: "
        "agree a time before 16:30 or after 17:30"
    )


def test_a_small_repair_is_handed_over_at_any_time() -> None:
    """R-72."""
    visit.given(*ready, checked).when(at_peak).then(DeliveryAgreed(**V1, deliver_at=PEAK, channel="phone"))


def test_the_vehicle_is_looked_at_with_the_customer() -> None:
    """R-73, R-83: old parts, spare wheel and tools, cleanliness, advice."""
    visit.given(*ready, checked).when(inspect).then(inspected)
    visit.given(*ready, checked, inspected).when(inspect).then_nothing()
    visit.given(*ready).when(inspect).then_rejected(NOT_CHECKED)


def test_the_protective_set_is_removed_once() -> None:
    """R-75; nothing is removed that was not fitted."""
    visit.given(received, fitted).when(remove).then(removed)
    visit.given(received, fitted, removed).when(remove).then_nothing()
    visit.given(received).when(remove).then_nothing()


def test_the_next_service_has_a_day_and_a_mileage() -> None:
    """R-73, R-77, R-85."""
    visit.given(received).when(set_service).then(service_set)
    visit.given(received, service_set).when(set_service).then_nothing()
    today = set_service.model_copy(update={"due_on": date(2026, 3, 2)})
    visit.given(received).when(today).then_rejected("the next service is due on a day to come")
    too_low = set_service.model_copy(update={"due_km": 48_210})
    visit.given(received).when(too_low).then_rejected(
        "the next service is due after more than the 48210 km of now"
    )


def test_the_customer_is_called_two_to_three_days_after_delivery() -> None:
    """R-74, K-01: whatever the customer prefers within the days of the rules."""
    visit.given(*ready, checked, agreed).when(call).then(call_agreed)
    visit.given(*ready, checked, agreed, call_agreed).when(call).then_nothing()
    days = "the call comes from 2026-03-04 to 2026-03-05, so many days after the delivery"
    for early_or_late in (1, 4):
        moved = {"call_from": NOON + timedelta(days=early_or_late)}
        moved["call_until"] = moved["call_from"] + timedelta(hours=1)
        visit.given(*ready, checked, agreed).when(call.model_copy(update=moved)).then_rejected(days)
    backwards = call.model_copy(update={"call_until": call.call_from})
    visit.given(*ready).when(backwards).then_rejected("the time for the call ends after it begins")


def test_the_days_of_the_call_count_from_the_delivery_that_is_agreed() -> None:
    """R-78, K-01."""
    tomorrow = DeliveryAgreed(**V1, deliver_at=NOON + timedelta(days=1), channel="phone")
    visit.given(*ready, checked, tomorrow).when(call).then_rejected(
        "the call comes from 2026-03-05 to 2026-03-06, so many days after the delivery"
    )


def test_every_visit_ends_with_the_offer_of_another() -> None:
    """R-83, R-84."""
    visit.given(received).when(offer).then(offered)
    visit.given(received, offered).when(offer).then_nothing()
    later = OfferNewAppointment(visit_id="V1", accepted=False)
    visit.given(received, offered).when(later).then(NewAppointmentOffered(**V1, accepted=False))


def test_the_customer_takes_the_vehicle_home() -> None:
    """R-82."""
    visit.given(*leaving).when(deliver).then(delivered)
    visit.given(*leaving, delivered).when(deliver).then_nothing()


def test_the_mileage_at_delivery_may_be_unknown() -> None:
    visit.given(*leaving).when(DeliverVehicle(visit_id="V1", at=NOON)).then(VehicleDelivered(**V1))


def test_mileage_never_falls() -> None:
    too_low = deliver.model_copy(update={"mileage_km": 48_209})
    visit.given(*leaving).when(too_low).then_rejected("48209 km is less than the 48210 km at reception")


def test_nothing_is_delivered_before_its_quality_check_passed() -> None:
    """W-17."""
    visit.given(received).when(deliver).then_rejected(NOT_READY)


def test_no_vehicle_is_delivered_without_a_gate_pass_that_holds() -> None:
    """R-81, K-20."""
    unpaid = "the gate pass has not been released: the cashier hands it over after payment"
    visit.given(*ready, checked).when(deliver).then_rejected(unpaid)
    visit.given(*ready, checked, prepared).when(deliver).then_rejected(unpaid)
    revoked = GatePassRevoked(**V1, pass_id="p1", reason="refunded")
    visit.given(*leaving, revoked).when(deliver).then_rejected(
        "the gate pass was revoked: the cashier releases it again when all is settled"
    )
    late = deliver.model_copy(update={"at": NOON + timedelta(hours=25)})
    visit.given(*leaving).when(late).then_rejected(
        "the gate pass was valid until 2026-03-03 12:00: the cashier can release it again"
    )


def test_each_site_has_days_and_hours_of_its_own() -> None:
    """X-14: R-72, K-01 by rules that the site published."""
    own = SHIPPED_RULES[0].model_copy(update={"version": 2, "peak": (), "follow_up_days": (1, 1)})
    large = signed.model_copy(update={"lines": (brakes.model_copy(update={"labour_minutes": 480}),)})
    here = Spec(visit_decider("advisor-sh01", [own]))
    here.given(received, first, large, readied, checked).when(at_peak).then(
        DeliveryAgreed(**V1, deliver_at=PEAK, channel="phone")
    )
    here.given(*ready).when(call).then_rejected(
        "the call comes from 2026-03-03 to 2026-03-03, so many days after the delivery"
    )


@pytest.mark.parametrize(
    "command", [check, send_back, agree, inspect, remove, set_service, call, offer, deliver]
)
def test_what_was_not_received_is_not_handed_over(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")


def test_a_vehicle_is_readied_again_after_rework() -> None:
    """W-17: another quality check, another time ready."""
    assert VISIT.fold([*ready, sent_back, VehicleReadied(**V1)]).delivery.readied

"""The rules of a visit."""

from datetime import UTC, date, datetime

import pytest

from events import Event, Sealed
from events.reception import (
    ApprovalRequested,
    MileageCorrected,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReadied,
    VehicleReceived,
)
from services.reception.commands import (
    ApproveRepair,
    Command,
    CorrectMileage,
    DeclineRepair,
    Reading,
    ReadyVehicle,
    ReceiveVehicle,
    RequestApproval,
)
from tests.deciders import VISIT
from tests.spec import Spec

visit = Spec(VISIT)

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

sealed = Sealed(subject="c-1", context="reception.vehicle_received.phone", box="AAAA")
receive = ReceiveVehicle(
    visit_id="V1",
    work_order_id="V1",
    vin="LSVAA49J132047371",
    vin_check_digit="ok",
    customer="c-1",
    customer_name=sealed,
    phone=sealed,
    plate=sealed,
    mileage_km=48_210,
    symptoms=("squeals when braking",),
)
received = VehicleReceived(**receive.model_dump())
request = RequestApproval(
    visit_id="V1", work_order_id="V1", line=1, description="brake pads", price_fen=68_000, delay_minutes=40
)
requested = ApprovalRequested(**request.model_dump())
approve = ApproveRepair(visit_id="V1", line=1, channel="phone")
approved = RepairApproved(visit_id="V1", work_order_id="V1", line=1, channel="phone")
decline = DeclineRepair(
    visit_id="V1", line=1, channel="phone", reason="too_expensive", told_to="supervisor", told_at=NOON
)
declined = RepairDeclined(
    visit_id="V1",
    work_order_id="V1",
    line=1,
    channel="phone",
    reason="too_expensive",
    told_to="supervisor",
    told_at=NOON,
)
ready = ReadyVehicle(visit_id="V1")
readied = VehicleReadied(visit_id="V1", work_order_id="V1")
delivered = VehicleDelivered(visit_id="V1", work_order_id="V1")
correct = CorrectMileage(visit_id="V1", mileage_km=42_810, reason="two digits were swapped")
corrected = MileageCorrected(**correct.model_dump(), work_order_id="V1")


def test_a_customer_hands_over_a_vehicle() -> None:
    visit.given().when(receive).then(received)


def test_a_vehicle_is_received_once() -> None:
    visit.given(received).when(receive).then_nothing()


@pytest.mark.parametrize("other", [{"vin": "LSVAA4182E2123456"}, {"mileage_km": 12}])
def test_another_vehicle_is_not_received_under_the_same_appointment(other: dict[str, object]) -> None:
    """R-13, R-14: the id of somebody else's visit is no answer."""
    visit.given(received).when(receive.model_copy(update=other)).then_rejected(
        "the vehicle of this appointment has been received already"
    )


def test_the_vehicle_is_ready_when_its_quality_check_passed() -> None:
    visit.given(received).when(ready).then(readied)


def test_a_vehicle_is_readied_once() -> None:
    visit.given(received, readied).when(ready).then_nothing()


def test_a_mileage_that_was_read_wrongly_is_corrected_with_a_reason() -> None:
    """X-03, R-37: the reading before stays on record."""
    visit.given(received).when(correct).then(corrected)


def test_a_mileage_is_corrected_once() -> None:
    visit.given(received, corrected).when(correct).then_nothing()


def test_nobody_corrects_the_mileage_of_a_vehicle_that_is_gone() -> None:
    visit.given(received, readied, delivered).when(correct).then_rejected(
        "the vehicle is back with its customer: nobody can compare the mileage any more"
    )


def less(command: Command, km: int = 42_809, because: str | None = None) -> Command:
    earlier = Reading(km=48_211, on=date(2026, 1, 31))
    said = {"earlier": earlier, "mileage_km": km, "mileage_less_because": because}
    return command.model_copy(update=said)


@pytest.mark.parametrize(("before", "command"), [((), receive), ((received,), correct)])
def test_a_mileage_only_grows_from_visit_to_visit(before: tuple[Event, ...], command: Command) -> None:
    """R-37: whoever reads less hears what was read before, and when."""
    visit.given(*before).when(less(command)).then_rejected(
        "the vehicle had 48211 km on 2026-01-31 already: read it again, or say why it shows less"
    )


def test_a_mileage_that_is_less_is_recorded_with_its_reason() -> None:
    """R-37: nobody does it without knowing."""
    why = "the instruments were replaced"
    visit.given().when(less(receive, because=why)).then(
        received.model_copy(update={"mileage_km": 42_809, "mileage_less_because": why})
    )
    visit.given(received).when(less(correct, because=why)).then(
        corrected.model_copy(update={"mileage_km": 42_809, "mileage_less_because": why})
    )


def test_a_mileage_that_has_grown_needs_no_reason() -> None:
    grown = {"mileage_km": 48_211, "mileage_less_because": None}
    visit.given().when(less(receive, 48_211, "?")).then(received.model_copy(update=grown))


@pytest.mark.parametrize("command", [request, approve, decline, ready, correct])
def test_a_visit_begins_when_the_vehicle_is_received(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")

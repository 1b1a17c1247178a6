"""What opens the gate, once."""

from datetime import timedelta

import pytest

from events.reception import (
    GatePassReleased,
    GatePassRevoked,
    GatePassUsed,
    VehicleDelivered,
)
from services.reception.commands import Command, ReleaseGatePass, UseGatePass
from tests.deciders import VISIT
from tests.reception.test_delivery import NOON, NOT_CHECKED, V1, checked, ready, sent_back
from tests.reception.test_settlement import (
    credited,
    gate_pass,
    paid,
    payable,
    refunded,
    settled,
    some_paid,
)
from tests.spec import Spec

visit = Spec(VISIT)
ID = gate_pass.pass_id
LATER = NOON + timedelta(hours=1)

release = ReleaseGatePass(visit_id="V1", at=NOON, pass_id=ID, token="BLG1.x.y")
released = GatePassReleased(**V1, pass_id=ID, valid_until=NOON + timedelta(hours=24), token="BLG1.x.y")
use = UseGatePass(visit_id="V1", at=LATER, pass_id=ID, valid_until=released.valid_until)
used = GatePassUsed(**V1, pass_id=ID, used_at=LATER)
delivered = VehicleDelivered(**V1, mileage_km=48_215)
UNPAID = "the customer has not paid yet, and no manager has let the vehicle go on credit"


def test_the_pass_is_handed_over_with_change_and_invoice() -> None:
    """R-81, K-20: after signature and payment; it holds for as long as the rules say."""
    visit.given(*payable, paid).when(release).then(released)
    visit.given(*payable, paid, released).when(release).then_nothing()


def test_a_manager_may_let_the_vehicle_go_before_it_is_paid() -> None:
    """R-81."""
    visit.given(*payable, credited).when(release).then(released)


def test_no_pass_is_released_before_everything_is_settled() -> None:
    """R-70, R-79, R-81, K-20."""
    visit.given(*ready, checked).when(release).then_rejected("no settlement has been prepared")
    visit.given(*settled).when(release).then_rejected("the customer has not signed the settlement yet")
    visit.given(*payable).when(release).then_rejected(UNPAID)
    visit.given(*payable, some_paid).when(release).then_rejected(UNPAID)
    visit.given(*payable, paid, refunded).when(release).then_rejected(UNPAID)
    visit.given(*payable, paid, sent_back).when(release).then_rejected(NOT_CHECKED)


def test_a_credit_covers_no_more_than_a_manager_saw() -> None:
    """R-81: what is paid back afterwards is owed, and was not granted."""
    small = credited.model_copy(update={"amount_fen": 48_000})
    visit.given(*payable, some_paid, small).when(release).then(released)
    back = refunded.model_copy(update={"amount_fen": 50_000})
    visit.given(*payable, some_paid, small, back).when(release).then_rejected(UNPAID)


def test_the_pass_of_an_earlier_settlement_is_not_released() -> None:
    other = release.model_copy(update={"pass_id": "p0"})
    visit.given(*payable, paid).when(other).then_rejected("another gate pass has taken the place of this one")


def test_a_pass_that_was_revoked_is_released_again() -> None:
    """K-20, K-24."""
    revoked = GatePassRevoked(**V1, pass_id=ID, reason="refunded")
    paid_again = paid.model_copy(update={"payment": 2, "amount_fen": 8_000})
    visit.given(*payable, paid, released, revoked, refunded, paid_again).when(release).then(released)


def test_a_pass_that_ran_out_is_released_again() -> None:
    """K-24."""
    tomorrow = release.model_copy(update={"at": NOON + timedelta(hours=25)})
    visit.given(*payable, paid, released).when(tomorrow).then(
        GatePassRevoked(**V1, pass_id=ID, reason="expired"),
        released.model_copy(update={"valid_until": NOON + timedelta(hours=49)}),
    )


def test_the_pass_opens_the_gate_once() -> None:
    """R-81, R-82."""
    visit.given(*payable, paid, released, delivered).when(use).then(used)
    visit.given(*payable, paid, released, delivered, used).when(use).then_rejected(
        "this gate pass was used at 2026-03-02 13:00"
    )
    visit.given(*payable, paid, released, used).when(release).then_rejected(
        "the vehicle has left with this gate pass"
    )


def test_who_leaves_through_the_gate_has_the_vehicle() -> None:
    """R-82: if nobody recorded the delivery, the gate does."""
    visit.given(*payable, paid, released).when(use).then(VehicleDelivered(**V1), used)


def test_a_pass_that_does_not_hold_opens_nothing() -> None:
    """R-81, K-20."""
    visit.given(*settled).when(use).then_rejected(
        "the gate pass has not been released: the cashier hands it over after payment"
    )
    revoked = GatePassRevoked(**V1, pass_id=ID, reason="sent_back")
    visit.given(*payable, paid, released, revoked, sent_back).when(use).then_rejected(
        "the gate pass was revoked: the cashier releases it again when all is settled"
    )
    late = use.model_copy(update={"at": NOON + timedelta(hours=24, seconds=1)})
    visit.given(*payable, paid, released).when(late).then_rejected(
        "the gate pass was valid until 2026-03-03 12:00: the cashier can release it again"
    )
    other = use.model_copy(update={"pass_id": "p0"})
    visit.given(*payable, paid, released).when(other).then_rejected(
        "another gate pass has taken the place of this one"
    )


def test_what_was_printed_before_the_last_release_opens_nothing() -> None:
    """K-24: there is one paper that holds."""
    tomorrow = released.model_copy(update={"valid_until": NOON + timedelta(hours=49)})
    expired = GatePassRevoked(**V1, pass_id=ID, reason="expired")
    visit.given(*payable, paid, released, expired, tomorrow).when(use).then_rejected(
        "another gate pass has taken the place of this one"
    )


@pytest.mark.parametrize("command", [release, use])
def test_a_visit_that_has_not_begun_has_no_pass(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")

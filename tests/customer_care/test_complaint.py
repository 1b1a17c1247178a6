"""The rules of a complaint."""

import pytest

from events import Sealed
from events.customer_care import ComplaintRaised, ComplaintResolved, CustomerContacted
from services.customer_care.commands import Command, ContactCustomer, RaiseComplaint, ResolveComplaint
from services.customer_care.complaint import COMPLAINT
from tests.spec import Spec

complaint = Spec(COMPLAINT)

sealed = Sealed(subject="c-1", context="customer_care.complaint_raised.narrative", box="AAAA")
raise_it = RaiseComplaint(
    complaint_id="C1",
    visit_id="V1",
    channel="follow_up_call",
    subject="repair_service",
    severity="ordinary",
    customer="c-1",
    customer_name=sealed,
    phone=sealed,
    narrative=sealed,
)
raised = ComplaintRaised(**raise_it.model_dump())
call = ContactCustomer(complaint_id="C1", channel="phone", outcome="reached")
reached = CustomerContacted(complaint_id="C1", channel="phone", outcome="reached")
not_reached = CustomerContacted(complaint_id="C1", channel="phone", outcome="not_reached")
repair_again = ResolveComplaint(complaint_id="C1", resolution="repaired_again")
repaired_again = ComplaintResolved(complaint_id="C1", resolution="repaired_again")
withdraw = ResolveComplaint(complaint_id="C1", resolution="withdrawn")
withdrawn = ComplaintResolved(complaint_id="C1", resolution="withdrawn")


def test_a_customer_is_dissatisfied() -> None:
    """C-20, C-25."""
    complaint.given().when(raise_it).then(raised)


def test_a_complaint_is_raised_once() -> None:
    complaint.given(raised).when(raise_it).then_nothing()


def test_care_reaches_the_customer() -> None:
    """C-21 … C-24."""
    complaint.given(raised).when(call).then(reached)


def test_every_attempt_counts() -> None:
    """C-21 … C-24: how often and when somebody tried decides whether a deadline was kept."""
    complaint.given(raised, not_reached).when(call).then(reached)
    complaint.given(raised, reached).when(call).then(reached)


def test_agreement_is_reached() -> None:
    """C-22."""
    complaint.given(raised, reached).when(repair_again).then(repaired_again)


def test_resolving_the_same_way_twice_changes_nothing() -> None:
    complaint.given(raised, reached, repaired_again).when(repair_again).then_nothing()


def test_there_is_no_agreement_with_a_customer_nobody_reached() -> None:
    complaint.given(raised).when(repair_again).then_rejected("the customer has not been reached yet")
    complaint.given(raised, not_reached).when(repair_again).then_rejected(
        "the customer has not been reached yet"
    )


def test_a_customer_may_withdraw_unasked() -> None:
    complaint.given(raised).when(withdraw).then(withdrawn)


def test_a_resolution_is_final() -> None:
    complaint.given(raised, reached, repaired_again).when(withdraw).then_rejected(
        "the complaint was already resolved: repaired_again"
    )


def test_nobody_is_called_about_a_resolved_complaint() -> None:
    complaint.given(raised, withdrawn).when(call).then_rejected("the complaint is already resolved")


@pytest.mark.parametrize("command", [call, repair_again, withdraw])
def test_a_complaint_begins_when_it_is_raised(command: Command) -> None:
    complaint.given().when(command).then_rejected("the complaint has not been raised")

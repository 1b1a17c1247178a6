"""The customer decides about what the workshop found, revision by revision."""

from datetime import timedelta
from typing import Any

import pytest

from events.reception import (
    ApprovalRequested,
    BelongingsConsentGiven,
    CustomerToldOfDelay,
    RepairApproved,
    RepairDeclined,
)
from services.reception.commands import (
    Command,
    ConsentToBelongings,
    TellOfDelay,
)
from tests.deciders import VISIT
from tests.reception.test_visit import (
    NOON,
    approve,
    approved,
    decline,
    declined,
    received,
    request,
    requested,
    sealed,
)
from tests.spec import Spec

visit = Spec(VISIT)


def changed(model: Any, **fields: Any) -> Any:
    return model.model_copy(update=fields)


ask = changed(request, revision=1, hash="1" * 64, labour_fen=20_000, why="worn down to the metal")
asked = ApprovalRequested(**ask.model_dump())
ask_again = changed(ask, revision=2, hash="2" * 64, price_fen=70_000, delay_minutes=60)
asked_again = ApprovalRequested(**ask_again.model_dump())
agree = changed(approve, hash="1" * 64, delay_minutes=40, payer="customer")
agreed = RepairApproved(**agree.model_dump(), work_order_id="V1", revision=1)
agree_again = changed(agree, hash="2" * 64, delay_minutes=60)
agreed_again = RepairApproved(**agree_again.model_dump(), work_order_id="V1", revision=2)
refuse = changed(decline, hash="1" * 64, delay_minutes=40)
refused = RepairDeclined(**refuse.model_dump(), work_order_id="V1", revision=1)


def test_reception_asks_the_customer_about_an_added_repair() -> None:
    """R-60, R-61, R-66: with its price, the delay it causes, and why."""
    visit.given(received).when(ask).then(asked)


def test_the_customer_is_asked_once_about_a_revision() -> None:
    visit.given(received, asked).when(ask).then_nothing()
    visit.given(received, asked, refused).when(ask).then_nothing()


def test_another_revision_is_another_question() -> None:
    """R-65: whatever was answered before."""
    for answer in ([], [agreed], [refused]):
        visit.given(received, asked, *answer).when(ask_again).then(asked_again)


def test_an_older_revision_that_is_heard_of_late_changes_nothing() -> None:
    visit.given(received, asked_again).when(ask).then_nothing()
    visit.given(received, asked, agreed, asked_again, agreed_again).when(ask).then_nothing()


def test_the_customer_agrees_to_a_revision() -> None:
    """R-61, R-62, R-64: with channel, time and the delay that was told."""
    visit.given(received, asked).when(agree).then(agreed)


def test_agreeing_twice_changes_nothing() -> None:
    visit.given(received, asked, agreed).when(agree).then_nothing()


def test_the_customer_refuses_a_revision() -> None:
    """R-62, R-63: who in the workshop was told, and when."""
    visit.given(received, asked).when(refuse).then(refused)


def test_refusing_twice_changes_nothing() -> None:
    visit.given(received, asked, refused).when(refuse).then_nothing()


def test_both_answers_are_kept_with_the_same_evidence() -> None:
    """K-14: channel, person, revision, delay."""
    evidence = {"channel": "message", "answered_by": sealed}
    for command, event in ((agree, agreed), (refuse, refused)):
        visit.given(received, asked).when(changed(command, **evidence)).then(changed(event, **evidence))


def test_an_answer_is_final() -> None:
    visit.given(received, asked, refused).when(agree).then_rejected("line 1 was already declined")
    visit.given(received, asked, agreed).when(refuse).then_rejected("line 1 was already approved")


@pytest.mark.parametrize("answer", [agree, refuse])
def test_an_answer_to_what_has_changed_since_is_refused(answer: Command) -> None:
    """R-65."""
    because = "line 1 has changed since: tell the customer what it costs and takes now"
    visit.given(received, asked, asked_again).when(answer).then_rejected(because)
    visit.given(received, asked, agreed, asked_again, agreed_again).when(answer).then_rejected(because)


def test_what_was_said_to_one_revision_says_nothing_about_the_next() -> None:
    """R-65."""
    visit.given(received, asked, refused, asked_again).when(agree_again).then(agreed_again)


@pytest.mark.parametrize("answer", [agree, refuse])
def test_an_answer_names_its_revision(answer: Command) -> None:
    visit.given(received, asked).when(changed(answer, hash=None)).then_rejected(
        "say which revision of line 1 the customer was asked about"
    )


@pytest.mark.parametrize("answer", [agree, refuse])
@pytest.mark.parametrize("told", [None, 10])
def test_the_delay_is_told_in_the_same_call(answer: Command, told: int | None) -> None:
    """R-61."""
    visit.given(received, asked).when(changed(answer, delay_minutes=told)).then_rejected(
        "the customer has to hear that line 1 takes 40 minutes longer"
    )


def test_what_takes_no_longer_needs_no_word_about_it() -> None:
    at_once = changed(asked, delay_minutes=0)
    agree_at_once = changed(agree, delay_minutes=None)
    visit.given(received, at_once).when(agree_at_once).then(changed(agreed, delay_minutes=None))


@pytest.mark.parametrize("told", [None, "supervisor"])
def test_a_refusal_names_who_in_the_workshop_was_told(told: str | None) -> None:
    """R-63: unless the customer said no on the page of a link, which tells the workshop by itself."""
    by_link = changed(refuse, channel="signed_link", told_to=told, told_at=None)
    visit.given(received, asked).when(by_link).then(
        changed(refused, channel="signed_link", told_to=told, told_at=None)
    )
    visit.given(received, asked).when(changed(refuse, told_to=None)).then_rejected(
        "note who in the workshop was told that the customer refused"
    )


def test_lines_are_answered_one_by_one() -> None:
    """K-24: some may be agreed to and others not."""
    other = changed(asked, line=2, hash="3" * 64)
    visit.given(received, asked, other, agreed).when(changed(refuse, line=2, hash="3" * 64)).then(
        changed(refused, line=2, hash="3" * 64)
    )


@pytest.mark.parametrize("answer", [agree, refuse])
def test_there_is_no_answer_without_a_question(answer: Command) -> None:
    visit.given(received).when(answer).then_rejected("no approval was requested for line 1")


# Questions and answers of before there were revisions


def test_a_question_without_a_hash_is_still_asked_and_answered() -> None:
    visit.given(received).when(request).then(requested)
    visit.given(received, requested).when(request).then_nothing()
    visit.given(received, requested).when(approve).then(approved)
    visit.given(received, requested).when(decline).then(declined)
    visit.given(received, requested, approved).when(approve).then_nothing()
    visit.given(received, requested, declined).when(approve).then_rejected("line 1 was already declined")
    visit.given(received, approved).when(decline).then_rejected("line 1 was already approved")


def test_a_question_without_a_hash_may_get_a_revision() -> None:
    visit.given(received, requested, approved).when(ask).then(asked)


# Delays and belongings

tell = TellOfDelay(
    visit_id="V1", delay=1, channel="phone", promised_at=NOON + timedelta(hours=2), understood=True, at=NOON
)
told = CustomerToldOfDelay(
    visit_id="V1",
    work_order_id="V1",
    delay=1,
    channel="phone",
    promised_at=NOON + timedelta(hours=2),
    understood=True,
)
consent = ConsentToBelongings(visit_id="V1", items=("child seat", "golf bag"), channel="phone")
consented = BelongingsConsentGiven(
    visit_id="V1", work_order_id="V1", items=("child seat", "golf bag"), channel="phone"
)


def test_the_customer_hears_of_a_delay_and_the_new_time() -> None:
    """W-11, W-16, W-34."""
    visit.given(received).when(tell).then(told)


def test_of_each_delay_the_customer_hears_once() -> None:
    visit.given(received, told).when(tell).then_nothing()
    visit.given(received, told).when(changed(tell, delay=2)).then(changed(told, delay=2))
    later = NOON + timedelta(hours=3)
    visit.given(received, told).when(changed(tell, promised_at=later)).then(changed(told, promised_at=later))


def test_a_new_time_lies_ahead() -> None:
    visit.given(received).when(changed(tell, promised_at=NOON)).then_rejected(
        "the time that is promised has passed already"
    )


def test_the_customer_agrees_that_belongings_are_touched() -> None:
    """W-10."""
    visit.given(received).when(consent).then(consented)


def test_the_same_belongings_are_agreed_on_once() -> None:
    visit.given(received, consented).when(consent).then_nothing()
    visit.given(received, consented).when(changed(consent, items=("golf bag",))).then_nothing()
    radio = changed(consent, items=("radio",))
    visit.given(received, consented).when(radio).then(changed(consented, items=("radio",)))


@pytest.mark.parametrize("command", [ask, agree, refuse, tell, consent])
def test_a_customer_is_asked_about_a_vehicle_that_was_received(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")

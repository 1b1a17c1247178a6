"""What is paid, by whom, and how much of it is back."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.decider import Rejected
from events.lines import Line, Part, revision_hash
from events.reception import (
    ApprovalRequested,
    CreditReleased,
    GatePassPrepared,
    GatePassRevoked,
    GatePassUsed,
    PaymentReceived,
    PaymentRefunded,
    RepairApproved,
    RepairDeclined,
    SettlementPrepared,
    SettlementSigned,
)
from services.reception.commands import (
    Command,
    PrepareSettlement,
    ReceivePayment,
    RefundPayment,
    ReleaseOnCredit,
    SignSettlement,
)
from tests.deciders import VISIT
from tests.reception.test_delivery import (
    NOT_CHECKED,
    V1,
    call_agreed,
    checked,
    ready,
    released,
    sent_back,
    service_set,
)
from tests.reception.test_quote import brakes, first, oil, signed
from tests.reception.test_visit import readied, received
from tests.spec import Spec

visit = Spec(VISIT)
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

wiper = Part(code="WIPER-F", name="wipers", origin="genuine", quantity=Decimal(2), unit_fen=4_550)
wipers = Line(line=3, description="wipers", labour_minutes=10, labour_fen=3_000, parts=(wiper,))
asked = ApprovalRequested(
    **V1,
    line=3,
    description="wipers",
    price_fen=12_100,
    delay_minutes=10,
    labour_minutes=10,
    labour_fen=3_000,
    parts=(wiper,),
)
approved = RepairApproved(**V1, line=3, channel="phone")
prepare = PrepareSettlement(visit_id="V1")


def settlement(revision: int = 1, **changed: Any) -> SettlementPrepared:
    said: dict[str, Any] = {"lines": (brakes, oil), "discount_fen": 0, "total_fen": 98_000, **changed}
    event = SettlementPrepared(
        **V1, revision=revision, hash="", **{"customer_fen": said["total_fen"], **said}
    )
    return event.model_copy(update={"hash": revision_hash(event.model_dump(mode="json", exclude={"hash"}))})


def pass_of(prepared: SettlementPrepared) -> GatePassPrepared:
    state = VISIT.fold([*ready, checked])
    return next(
        event for event in VISIT.decide(_again(prepared), state) if isinstance(event, GatePassPrepared)
    )


def _again(prepared: SettlementPrepared) -> PrepareSettlement:
    return PrepareSettlement(visit_id="V1", discount_fen=prepared.discount_fen)


prepared = settlement()
gate_pass = pass_of(prepared)
sign = SignSettlement(visit_id="V1", hash=prepared.hash, signature="5" * 64)
signed_off = SettlementSigned(**V1, hash=prepared.hash, signature="5" * 64)
pay = ReceivePayment(visit_id="V1", amount_fen=98_000, method="wechat", invoice="0042")
paid = PaymentReceived(**V1, payment=1, amount_fen=98_000, method="wechat", invoice="0042")
pay_some = ReceivePayment(visit_id="V1", amount_fen=50_000, method="cash")
some_paid = PaymentReceived(**V1, payment=1, amount_fen=50_000, method="cash")
refund = RefundPayment(visit_id="V1", payment=1, amount_fen=8_000, reason="the oil was charged twice")
refunded = PaymentRefunded(**V1, payment=1, amount_fen=8_000, reason="the oil was charged twice")
credit = ReleaseOnCredit(visit_id="V1", at=NOON, pay_by=date(2026, 3, 31), reason="fleet customer")
credited = CreditReleased(**V1, amount_fen=98_000, pay_by=date(2026, 3, 31), reason="fleet customer")
settled = (*ready, checked, prepared, gate_pass)
payable = (*settled, signed_off)


def test_settlement_and_gate_pass_are_printed_together() -> None:
    """R-76, K-20: the lines are those that were signed."""
    visit.given(*ready, checked).when(prepare).then(prepared, gate_pass)
    visit.given(*settled).when(prepare).then_nothing()


def test_nothing_is_settled_before_the_advisors_check() -> None:
    """R-70."""
    visit.given(*ready).when(prepare).then_rejected(NOT_CHECKED)
    visit.given(*settled, sent_back).when(prepare).then_rejected(NOT_CHECKED)


def test_what_nobody_signed_is_not_settled() -> None:
    visit.given(received, readied, checked).when(prepare).then_rejected(
        "the customer has signed no work order that could be settled"
    )


def test_an_added_repair_is_charged_if_the_customer_agreed() -> None:
    """R-60, R-64, K-16: with labour, parts and their origin."""
    with_wipers = settlement(lines=(brakes, oil, wipers), total_fen=110_100)
    history = (received, first, signed, asked)
    charged = VISIT.decide(prepare, VISIT.fold([*history, approved, readied, checked]))
    assert charged[0] == with_wipers
    painted = asked.model_copy(update={"trade": "body_paint"})
    [settled, _] = VISIT.decide(
        prepare, VISIT.fold([received, first, signed, painted, approved, readied, checked])
    )
    assert isinstance(settled, SettlementPrepared)
    assert [line.trade for line in settled.lines] == ["mechatronic", "mechatronic", "body_paint"]
    for left_out in ((), (RepairDeclined(**V1, line=3, channel="phone", reason="later"),)):
        charged = VISIT.decide(prepare, VISIT.fold([*history, *left_out, readied, checked]))
        assert charged[0] == prepared


def test_an_agreement_to_what_has_changed_since_is_charged_to_nobody() -> None:
    """R-65."""
    dearer = asked.model_copy(update={"labour_fen": 9_000, "price_fen": 18_100})
    history = (received, first, signed, asked, approved, dearer, readied, checked)
    assert VISIT.decide(prepare, VISIT.fold(history))[0] == prepared


@pytest.mark.parametrize("parts", [None, ()])
def test_a_repair_of_which_only_the_price_was_asked_is_charged_as_labour(parts: Any) -> None:
    plain = ApprovalRequested(
        **V1, line=3, description="wipers", price_fen=12_100, delay_minutes=10, parts=parts
    )
    history = (received, first, signed, plain, approved, readied, checked)
    line = Line(line=3, description="wipers", labour_fen=12_100)
    assert VISIT.decide(prepare, VISIT.fold(history))[0] == settlement(
        lines=(brakes, oil, line), total_fen=110_100
    )


def test_next_service_and_time_of_the_call_stand_on_the_settlement() -> None:
    """R-77, R-78."""
    printed = settlement(
        next_service_on=service_set.due_on,
        next_service_km=service_set.due_km,
        call_from=call_agreed.call_from,
    )
    [first_event, _] = VISIT.decide(prepare, VISIT.fold([*ready, checked, service_set, call_agreed]))
    assert first_event == printed
    [second, _] = VISIT.decide(prepare, VISIT.fold([*settled, service_set, call_agreed]))
    assert second.model_copy(update={"revision": 1, "hash": ""}) == printed.model_copy(update={"hash": ""})


def test_the_maker_and_the_insurer_pay_nothing_at_the_cashier() -> None:
    """R-43, R-80: the customer owes what is theirs."""
    covered = brakes.model_copy(update={"payer": "warranty"})
    order = signed.model_copy(update={"lines": (covered, oil)})
    both = settlement(lines=(covered, oil), customer_fen=10_000)
    history = (received, first, order, readied, checked)
    [event, gate_pass] = VISIT.decide(prepare, VISIT.fold(history))
    assert event == both
    signs = SettlementSigned(**V1, hash=both.hash, signature="5" * 64)
    visit.given(*history, both, gate_pass, signs).when(pay).then_rejected(
        "the customer owes 100.00 yuan, less than 980.00"
    )


def test_who_pays_for_an_added_repair_is_said_with_the_answer() -> None:
    """R-80."""
    insured = approved.model_copy(update={"payer": "insurer"})
    history = (received, first, signed, asked, insured, readied, checked)
    [event, _] = VISIT.decide(prepare, VISIT.fold(history))
    assert isinstance(event, SettlementPrepared)
    assert (event.total_fen, event.customer_fen) == (110_100, 98_000)


def test_something_may_be_taken_off_a_line_and_off_the_sum() -> None:
    """K-24."""
    less = prepare.model_copy(update={"discounts": {2: 500}, "discount_fen": 99, "total_fen": 97_401})
    discounted = oil.model_copy(update={"discount_fen": 500})
    [event, _] = VISIT.decide(less, VISIT.fold([*ready, checked]))
    assert event == settlement(lines=(brakes, discounted), discount_fen=99, total_fen=97_401)


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (
            {"total_fen": 97_900, "discount_fen": 50},
            "the lines make 980.00 yuan; less 0.50 that is 979.50, not 979.00",
        ),
        ({"discounts": {2: 10_001}}, "line 2 costs 100.00 yuan, less than the 100.01 off it"),
        ({"discounts": {7: 1}}, "there is no line 7"),
        ({"discount_fen": 98_001}, "980.01 yuan off are more than the 980.00 the customer pays"),
    ],
)
def test_a_sum_that_does_not_add_up_is_refused_with_the_arithmetic(
    wrong: dict[str, Any], because: str
) -> None:
    """K-24."""
    visit.given(*ready, checked).when(prepare.model_copy(update=wrong)).then_rejected(because)


fen = st.integers(0, 10**7)
parts = st.builds(
    Part,
    code=st.just("P-1"),
    name=st.just("part"),
    origin=st.sampled_from(["original", "genuine", "aftermarket"]),
    quantity=st.decimals("0.001", "99.999", places=3),
    unit_fen=fen,
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Line, ...]:
    """Signed lines with discounts of their own."""
    lines = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        line = Line(
            line=number,
            description="x",
            labour_fen=draw(fen),
            parts=tuple(draw(st.lists(parts, max_size=3))),
            payer=draw(st.sampled_from(["customer", "warranty", "insurer"])),
        )
        off = draw(st.integers(0, line.gross_fen))
        lines.append(line.model_copy(update={"discount_fen": off}))
    return tuple(lines)


@given(orders(), st.dictionaries(st.integers(1, 5), st.integers(0, 10**6), max_size=3), fen)
def test_whatever_is_taken_off_sums_are_exact_and_never_negative(
    lines: tuple[Line, ...], discounts: dict[int, int], discount_fen: int
) -> None:
    """K-24: each part is rounded half up by itself, everything else is addition."""
    order = signed.model_copy(update={"lines": lines})
    command = PrepareSettlement(visit_id="V1", discounts=discounts, discount_fen=discount_fen)
    try:
        [event, _] = VISIT.decide(command, VISIT.fold([received, first, order, readied, checked]))
    except Rejected:
        # Refused is what takes off more than there is, and nothing else.
        theirs = {line.line: line.total_fen for line in lines if line.payer == "customer"}
        left = sum(total - discounts.get(n, 0) for n, total in theirs.items())
        too_much = {n for n, off in discounts.items() if n > len(lines) or off > lines[n - 1].total_fen}
        assert too_much or discount_fen > left
        return
    assert isinstance(event, SettlementPrepared)

    def exact(line: Line) -> Decimal:
        rounded = ((p.quantity * p.unit_fen).quantize(Decimal(1), ROUND_HALF_UP) for p in line.parts)
        return line.labour_fen + sum(rounded, Decimal(0)) - line.discount_fen

    assert event.total_fen == sum(map(exact, event.lines)) - discount_fen
    own = [exact(line) for line in event.lines if line.payer == "customer"]
    assert event.customer_fen == sum(own) - discount_fen
    assert 0 <= event.customer_fen <= event.total_fen
    assert all(line.total_fen >= 0 for line in event.lines)


def test_the_customer_signs_what_was_explained() -> None:
    """R-79."""
    visit.given(*settled).when(sign).then(signed_off)
    visit.given(*payable).when(sign).then_nothing()


def test_another_settlement_than_the_current_one_is_not_signed() -> None:
    """R-79."""
    other = "this is not the settlement that holds now: explain the current one"
    visit.given(*ready, checked).when(sign).then_rejected(other)
    second = settlement(2, discount_fen=100, total_fen=97_900)
    visit.given(*settled, second).when(sign).then_rejected(other)
    visit.given(*settled, sent_back).when(sign).then_rejected(other)


def test_the_customer_pays_at_once_or_in_parts() -> None:
    """R-80, R-81, X-19: with an invoice, and never more than is owed."""
    visit.given(*payable).when(pay).then(paid)
    visit.given(*payable).when(pay_some).then(some_paid)
    rest = ReceivePayment(visit_id="V1", amount_fen=48_000, method="card")
    visit.given(*payable, some_paid).when(rest).then(
        PaymentReceived(**V1, payment=2, amount_fen=48_000, method="card")
    )
    visit.given(*payable, some_paid).when(pay).then_rejected(
        "the customer owes 480.00 yuan, less than 980.00"
    )
    visit.given(*payable, paid).when(pay_some).then_rejected("the customer owes nothing any more")


def test_nobody_pays_what_they_have_not_signed() -> None:
    """R-79, R-81."""
    visit.given(*ready, checked).when(pay).then_rejected("no settlement has been prepared")
    visit.given(*settled).when(pay).then_rejected("the customer has not signed the settlement yet")


def test_money_goes_back_of_a_payment_that_was_made() -> None:
    """K-24."""
    visit.given(*payable, paid).when(refund).then(refunded)
    visit.given(*payable).when(refund).then_rejected("there is no payment 1")
    rest = refund.model_copy(update={"amount_fen": 90_001})
    visit.given(*payable, paid, refunded).when(rest).then_rejected(
        "of payment 1 there are 900.00 yuan left, less than 900.01"
    )
    again = refund.model_copy(update={"amount_fen": 90_000})
    visit.given(*payable, paid, refunded).when(again).then(
        PaymentRefunded(**V1, payment=1, amount_fen=90_000, reason="the oil was charged twice")
    )


def test_a_refund_revokes_the_gate_pass_and_is_owed_again() -> None:
    """K-24, K-20."""
    revoked = GatePassRevoked(**V1, pass_id=gate_pass.pass_id, reason="refunded")
    ours = released.model_copy(update={"pass_id": gate_pass.pass_id})
    visit.given(*payable, paid, ours).when(refund).then(revoked, refunded)
    owed = ReceivePayment(visit_id="V1", amount_fen=8_000, method="cash")
    visit.given(*payable, paid, refunded).when(owed).then(
        PaymentReceived(**V1, payment=2, amount_fen=8_000, method="cash")
    )


def test_a_new_settlement_revokes_the_gate_pass_of_the_one_before() -> None:
    """R-76, K-20."""
    ours = released.model_copy(update={"pass_id": gate_pass.pass_id})
    cheaper = prepare.model_copy(update={"discount_fen": 100})
    second = settlement(2, discount_fen=100, total_fen=97_900)
    revoked = GatePassRevoked(**V1, pass_id=gate_pass.pass_id, reason="settlement_changed")
    [first_event, second_event, new_pass] = VISIT.decide(cheaper, VISIT.fold([*payable, paid, ours]))
    assert (first_event, second_event) == (revoked, second)
    assert isinstance(new_pass, GatePassPrepared)
    assert new_pass.pass_id != gate_pass.pass_id


def test_what_was_paid_too_much_for_a_new_settlement_can_only_go_back() -> None:
    """K-24."""
    cheaper = settlement(2, discount_fen=8_000, total_fen=90_000)
    signs = SettlementSigned(**V1, hash=cheaper.hash, signature="6" * 64)
    history = (*payable, paid, cheaper, signs)
    visit.given(*history).when(pay_some).then_rejected("the customer owes nothing any more")
    visit.given(*history).when(refund).then(refunded)


def test_what_left_the_house_is_settled() -> None:
    used = GatePassUsed(**V1, pass_id=gate_pass.pass_id, used_at=NOON)
    cheaper = prepare.model_copy(update={"discount_fen": 100})
    visit.given(*payable, paid, used).when(cheaper).then_rejected(
        "the vehicle has left: what was settled stays"
    )


def test_a_manager_lets_a_vehicle_go_on_credit() -> None:
    """R-81, X-19: with a day by which it is paid, and a reason."""
    visit.given(*payable).when(credit).then(credited)
    visit.given(*payable, credited).when(credit).then_nothing()
    visit.given(*payable, paid).when(credit).then_nothing()
    visit.given(*payable, some_paid).when(credit).then(credited.model_copy(update={"amount_fen": 48_000}))
    visit.given(*settled).when(credit).then_rejected("the customer has not signed the settlement yet")
    yesterday = credit.model_copy(update={"pay_by": date(2026, 3, 1)})
    visit.given(*payable).when(yesterday).then_rejected("what is paid later is paid on a day to come")


def test_the_day_by_which_is_paid_is_a_day_of_the_site() -> None:
    """R-81: at half past midnight the day before is past, wherever it is still going on."""
    half_past_midnight = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    at_night = credit.model_copy(update={"at": half_past_midnight, "pay_by": date(2026, 3, 1)})
    visit.given(*payable).when(at_night).then_rejected("what is paid later is paid on a day to come")
    the_same_day = at_night.model_copy(update={"pay_by": date(2026, 3, 2)})
    visit.given(*payable).when(the_same_day).then(credited.model_copy(update={"pay_by": date(2026, 3, 2)}))


def test_what_was_let_go_on_credit_is_paid_later() -> None:
    """X-19."""
    used = GatePassUsed(**V1, pass_id=gate_pass.pass_id, used_at=NOON)
    visit.given(*payable, credited, used).when(pay).then(paid)


@pytest.mark.parametrize("command", [prepare, sign, pay, refund, credit])
def test_what_was_not_received_is_not_settled(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")

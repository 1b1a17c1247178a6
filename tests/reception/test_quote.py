"""What is agreed with the customer before the work begins."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.decider import Rejected
from eventlog.recorded import decode, encode
from events.lines import Line, Part
from events.reception import QuoteIssued, VehicleHandedToWorkshop, WorkOrderSigned
from services.reception.commands import Command, HandToWorkshop, IssueQuote, SignWorkOrder
from services.reception.pricing import WantedLine, WantedPart, priced
from services.reception.quote import hash_of
from services.reception.rules import SHIPPED_PRICES
from tests.deciders import VISIT
from tests.reception.test_visit import received, sealed
from tests.recording import recorded
from tests.spec import Spec

visit = Spec(VISIT)
[prices] = SHIPPED_PRICES

MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Nine o'clock at the site."""
NOON = MORNING + timedelta(hours=3)

pads = Part(code="BRAKE-PAD-F-OE", name="pads", origin="original", quantity=Decimal(1), unit_fen=68_000)
brakes = Line(
    line=1, description="brakes", operation="BRAKES", labour_minutes=60, labour_fen=20_000, parts=(pads,)
)
oil = Line(line=2, description="oil", operation="OIL-FILTER", labour_minutes=30, labour_fen=10_000)
issue = IssueQuote(
    visit_id="V1",
    at=MORNING,
    lines=(brakes, oil),
    promised_at=NOON,
    payment_method="wechat",
    old_parts="return",
    price_list=1,
)


def quoted(revision: int, **changed: Any) -> QuoteIssued:
    quote = QuoteIssued(
        visit_id="V1",
        work_order_id="V1",
        revision=revision,
        hash="",
        lines=changed.pop("lines", issue.lines),
        total_fen=changed.pop("total_fen", 98_000),
        labour_minutes=changed.pop("labour_minutes", 90),
        promised_at=changed.pop("promised_at", NOON),
        payment_method="wechat",
        old_parts="return",
        price_list=1,
        **changed,
    )
    return quote.model_copy(update={"hash": hash_of(quote)})


first = quoted(1)
sign = SignWorkOrder(visit_id="V1", hash=first.hash, channel="in_person", signature="5" * 64)
signed = WorkOrderSigned(
    visit_id="V1",
    work_order_id="V1",
    revision=1,
    hash=first.hash,
    channel="in_person",
    signature="5" * 64,
    lines=first.lines,
    promised_at=NOON,
)
hand_over = HandToWorkshop(visit_id="V1", keys=2, papers=("work_order", "reception_form"), notes="roof box")
handed_over = VehicleHandedToWorkshop(
    visit_id="V1", work_order_id="V1", keys=2, papers=("work_order", "reception_form"), notes="roof box"
)
later = issue.model_copy(update={"promised_at": NOON + timedelta(hours=1)})
second = quoted(2, promised_at=NOON + timedelta(hours=1))


def test_a_quote_has_labour_and_parts_a_time_and_what_happens_to_old_parts() -> None:
    """R-48, R-50, R-55."""
    visit.given(received).when(issue).then(first)


def test_the_same_quote_is_issued_once() -> None:
    visit.given(received, first).when(issue).then_nothing()
    visit.given(received, first, signed, handed_over).when(issue).then_nothing()


def test_another_quote_is_the_next_revision() -> None:
    visit.given(received, first).when(later).then(second)
    visit.given(received, first, second).when(issue).then(quoted(3))


def test_each_revision_has_a_hash_that_anybody_can_compute_again() -> None:
    """R-65: what is signed is what was shown."""
    stored = decode(encode(recorded(first, 7))).event
    assert isinstance(stored, QuoteIssued)
    assert hash_of(stored) == first.hash != second.hash != quoted(3).hash != first.hash


def test_a_total_that_does_not_add_up_is_refused_with_the_sum() -> None:
    """R-48."""
    wrong = issue.model_copy(update={"total_fen": 97_900})
    visit.given(received).when(wrong).then_rejected(
        "labour 300.00 and parts 680.00 less discounts 0.00 are 980.00, not 979.00"
    )
    visit.given(received).when(issue.model_copy(update={"total_fen": 98_000})).then(first)


def test_the_promised_time_follows_from_labour_load_and_opening_hours() -> None:
    """R-49: work behind that of others; the shop closes at half past five."""
    asked = issue.model_copy(update={"promised_at": None, "queue_minutes": 7 * 60})
    visit.given(received).when(asked).then(quoted(1, promised_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC)))
    longer = issue.model_copy(
        update={"promised_at": None, "queue_minutes": 8 * 60, "at": MORNING + timedelta(seconds=9)}
    )
    visit.given(received).when(longer).then(quoted(1, promised_at=datetime(2026, 3, 3, 1, 31, tzinfo=UTC)))


def test_a_time_that_has_passed_is_not_promised() -> None:
    visit.given(received).when(issue.model_copy(update={"promised_at": MORNING})).then_rejected(
        "the time that is promised has passed already"
    )


def test_a_price_may_follow_after_a_full_check() -> None:
    """R-44."""
    visit.given(received).when(issue.model_copy(update={"check_first": True})).then(
        quoted(1, check_first=True)
    )


def test_the_customer_signs_a_revision() -> None:
    """R-50, R-52."""
    visit.given(received, first).when(sign).then(signed)


def test_signing_twice_changes_nothing() -> None:
    visit.given(received, first, signed).when(sign).then_nothing()


def test_only_the_current_revision_is_signed() -> None:
    """R-65."""
    because = "this is not the current quote: show the customer the newest revision"
    visit.given(received, first, second).when(sign).then_rejected(because)
    visit.given(received, first, signed, second).when(sign).then_rejected(because)
    visit.given(received).when(sign).then_rejected("there is no quote to sign yet")


def test_who_is_here_signs_and_who_is_not_is_named() -> None:
    """R-52, K-14."""
    visit.given(received, first).when(sign.model_copy(update={"signature": None})).then_rejected(
        "who is here signs: the signature is missing"
    )
    by_phone = SignWorkOrder(visit_id="V1", hash=first.hash, channel="phone")
    visit.given(received, first).when(by_phone).then_rejected("note who agreed on the customer's side")
    named = by_phone.model_copy(update={"answered_by": sealed})
    agreed = signed.model_copy(update={"channel": "phone", "signature": None, "answered_by": sealed})
    visit.given(received, first).when(named).then(agreed)


def test_car_keys_and_papers_go_to_the_workshop() -> None:
    """W-04."""
    visit.given(received, first, signed).when(hand_over).then(handed_over)


def test_a_vehicle_is_handed_over_once() -> None:
    visit.given(received, first, signed, handed_over).when(hand_over).then_nothing()


@pytest.mark.parametrize("history", [(received,), (received, first), (received, first, signed, second)])
def test_nothing_goes_to_the_workshop_without_a_signature_on_the_current_quote(
    history: tuple[Any, ...],
) -> None:
    """R-52, R-57, R-65."""
    visit.given(*history).when(hand_over).then_rejected("the customer has not signed the current quote yet")


def test_once_in_the_workshop_more_work_is_an_added_repair() -> None:
    """R-50."""
    visit.given(received, first, signed).when(later).then(second)
    visit.given(received, first, signed, handed_over).when(later).then_rejected(
        "the vehicle is in the workshop: more work is an added repair that the customer is asked about"
    )


@pytest.mark.parametrize("command", [issue, sign, hand_over])
def test_a_quote_is_for_a_vehicle_that_was_received(command: Command) -> None:
    visit.given().when(command).then_rejected("the vehicle has not been received")


# Prices

engine_oil = WantedPart(code="OIL-5W30", quantity=Decimal("4.5"))


def test_operations_and_parts_cost_what_the_price_list_says() -> None:
    """R-48, R-59, W-27: labour and parts apart, each part with its origin."""
    [line] = priced([WantedLine(operation="OIL-FILTER", parts=(engine_oil,))], prices)
    assert (line.labour_minutes, line.labour_fen, line.trade) == (30, 10_000, "mechatronic")
    assert [(part.origin, part.unit_fen, part.total_fen) for part in line.parts] == [
        ("original", 6_800, 30_600)
    ]


def test_work_in_no_catalogue_has_a_price_of_its_own() -> None:
    """R-48."""
    roof = WantedPart(
        code="ROOF-BOX", quantity=Decimal(1), name="roof box", origin="aftermarket", unit_fen=99_900
    )
    [line] = priced([WantedLine(description="fit a roof box", labour_fen=5_000, parts=(roof,))], prices)
    assert (line.operation, line.labour_fen, line.total_fen) == (None, 5_000, 104_900)
    [by_time] = priced([WantedLine(description="find the noise", labour_minutes=10)], prices)
    assert by_time.labour_fen == 3_333


@pytest.mark.parametrize(
    ("wanted", "because"),
    [
        (WantedLine(operation="MAGIC"), "the price list has no operation MAGIC for line 1"),
        (WantedLine(), "line 1 needs an operation of the price list or a description"),
        (
            WantedLine(operation="BRAKES", labour_fen=1),
            "60 minutes of labour on line 1 cost 200.00 by the price list",
        ),
        (
            WantedLine(operation="BRAKES", parts=(engine_oil.model_copy(update={"unit_fen": 1}),)),
            "part OIL-5W30 on line 1 costs 68.00 by the price list",
        ),
        (
            WantedLine(operation="BRAKES", parts=(WantedPart(code="X-1", quantity=Decimal(1)),)),
            "part X-1 on line 1 is in no price list: it needs name, origin and price",
        ),
        (WantedLine(operation="BRAKES", discount_fen=20_001), "line 1 costs 200.00, less than its discount"),
    ],
)
def test_a_line_that_the_price_list_contradicts_is_refused(wanted: WantedLine, because: str) -> None:
    """R-59, X-18."""
    with pytest.raises(Rejected) as rejected:
        priced([wanted], prices)
    assert str(rejected.value) == because


def test_a_trade_without_a_labour_price_is_refused() -> None:
    mechanics = prices.model_copy(update={"labour_hour_fen": {"mechatronic": 20_000}})
    with pytest.raises(Rejected, match="no labour price for body and paint work"):
        priced([WantedLine(operation="PAINT")], mechanics)


quantities = st.decimals("0.001", "9999.999", places=3)
some_parts = st.builds(
    WantedPart,
    code=st.just("X-1"),
    quantity=quantities,
    name=st.just("x"),
    origin=st.just("genuine"),
    unit_fen=st.integers(0, 10**9),
)
some_lines = st.builds(
    WantedLine,
    description=st.just("x"),
    labour_minutes=st.integers(0, 100_000),
    parts=st.lists(some_parts, max_size=4).map(tuple),
)


@given(st.lists(some_lines, min_size=1, max_size=5))
def test_sums_are_exact_to_the_fen(wanted: list[WantedLine]) -> None:
    """R-48, K-24: each amount is rounded once, half up, and sums are of rounded amounts."""
    lines = priced(wanted, prices)
    [event] = VISIT.decide(issue.model_copy(update={"lines": lines}), VISIT.fold([received]))
    assert isinstance(event, QuoteIssued)
    exact = [Decimal(line.labour_minutes) * 20_000 / 60 for line in lines]
    exact += [part.quantity * part.unit_fen for line in lines for part in line.parts]
    assert event.total_fen == sum(each.quantize(Decimal(1), ROUND_HALF_UP) for each in exact)
    assert abs(event.total_fen - sum(exact, Decimal(0))) <= len(exact) / Decimal(2)

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
from events.reception import (
    CopiesHandedOver,
    ManufacturerApprovalReceived,
    ManufacturerApprovalRequested,
    QuoteIssued,
    VehicleHandedToWorkshop,
    WarrantyAssessed,
    WorkOrderSigned,
)
from services.reception.commands import (
    AssessWarranty,
    Command,
    HandOverCopies,
    HandToWorkshop,
    IssueQuote,
    ReceiveManufacturerApproval,
    RequestManufacturerApproval,
    SignWorkOrder,
)
from services.reception.pricing import WantedLine, WantedPart, priced
from services.reception.quote import hash_of
from services.reception.rules import SHIPPED_PRICES
from tests.deciders import VISIT
from tests.reception.test_added_repairs import agree, agree_again, agreed, asked, asked_again
from tests.reception.test_intake import first_service, lifted, walked, was_there
from tests.reception.test_intake import signed as walk_around_signed
from tests.reception.test_visit import received, sealed
from tests.recording import recorded
from tests.spec import Spec

visit = Spec(VISIT)
looked_at = (received, walked, walk_around_signed)
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
sign = SignWorkOrder(visit_id="V1", at=MORNING, hash=first.hash, channel="in_person", signature="5" * 64)
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
    visit_id="V1",
    work_order_id="V1",
    keys=2,
    papers=("work_order", "reception_form"),
    notes="roof box",
    revision=1,
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
    by_phone = SignWorkOrder(visit_id="V1", at=MORNING, hash=first.hash, channel="phone")
    visit.given(received, first).when(by_phone).then_rejected("note who agreed on the customer's side")
    named = by_phone.model_copy(update={"answered_by": sealed})
    agreed = signed.model_copy(update={"channel": "phone", "signature": None, "answered_by": sealed})
    visit.given(received, first).when(named).then(agreed)


def test_car_keys_and_papers_go_to_the_workshop() -> None:
    """W-04."""
    visit.given(*looked_at, first, signed).when(hand_over).then(handed_over)
    visit.given(received, first, *looked_at[1:], signed).when(hand_over).then(handed_over)


def test_nothing_goes_to_the_workshop_that_the_customer_has_not_walked_around() -> None:
    """R-33, R-57."""
    because = "the customer has not signed the current walk-around yet"
    visit.given(received, first, signed).when(hand_over).then_rejected(because)
    visit.given(received, walked, first, signed).when(hand_over).then_rejected(because)


def test_at_the_first_service_nothing_is_signed_before_the_underbody_was_seen() -> None:
    """R-40."""
    visit.given(first_service, first).when(sign).then_rejected(
        "at the first service the underbody is inspected before the work order is signed"
    )
    visit.given(first_service, lifted, first).when(sign).then(signed)


def test_the_manager_takes_part_in_large_sums() -> None:
    """R-58."""
    [engine] = (brakes.model_copy(update={"labour_fen": 932_000, "line": 1}),)
    large = quoted(1, lines=(engine,), total_fen=1_000_000, labour_minutes=60)
    command = sign.model_copy(update={"hash": large.hash})
    visit.given(received, large).when(command).then_rejected("from 10000.00 yuan on the manager takes part")
    event = signed.model_copy(update={"hash": large.hash, "lines": large.lines})
    visit.given(received, was_there, large).when(command).then(event)
    smaller = quoted(1, lines=(engine,), total_fen=999_999, labour_minutes=60)
    event = signed.model_copy(update={"hash": smaller.hash, "lines": smaller.lines})
    visit.given(received, smaller).when(sign.model_copy(update={"hash": smaller.hash})).then(event)


def test_the_customer_gets_copies() -> None:
    """R-51."""
    copies = HandOverCopies(visit_id="V1", how="paper")
    given = CopiesHandedOver(visit_id="V1", work_order_id="V1", how="paper")
    visit.given(received, first, signed).when(copies).then(given)
    visit.given(received, first, signed, given).when(copies).then_nothing()
    because = "the customer has not signed the current quote yet"
    visit.given(received, first).when(copies).then_rejected(because)
    visit.given(received, first, signed, given, second).when(copies).then_rejected(because)


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


# Warranty

V1: dict[str, Any] = {"visit_id": "V1", "line": 1}
by_maker = quoted(1, lines=(brakes.model_copy(update={"payer": "warranty"}), oil))
claim = sign.model_copy(update={"hash": by_maker.hash})
claimed = signed.model_copy(update={"hash": by_maker.hash, "lines": by_maker.lines})
covered = WarrantyAssessed(**V1, work_order_id="V1", verdict="covered")
unclear = WarrantyAssessed(**V1, work_order_id="V1", verdict="unclear")
maker_asked = ManufacturerApprovalRequested(**V1, work_order_id="V1")
granted = ManufacturerApprovalReceived(**V1, work_order_id="V1", granted=True)
refused = ManufacturerApprovalReceived(**V1, work_order_id="V1", granted=False)


@pytest.mark.parametrize("verdict", ["covered", "not_covered", "unclear"])
def test_of_each_line_it_is_said_whether_it_is_under_warranty(verdict: Any) -> None:
    """R-43."""
    assess = AssessWarranty(**V1, verdict=verdict)
    assessed = WarrantyAssessed(**V1, work_order_id="V1", verdict=verdict)
    visit.given(received, by_maker).when(assess).then(assessed)
    visit.given(received, by_maker, assessed).when(assess).then_nothing()
    visit.given(received).when(assess).then_rejected("there is no line 1")


def test_the_maker_decides_what_is_unclear() -> None:
    """R-43."""
    ask, decide = RequestManufacturerApproval(**V1), ReceiveManufacturerApproval(**V1, granted=True)
    visit.given(received, by_maker, unclear).when(ask).then(maker_asked)
    visit.given(received, by_maker, unclear, maker_asked).when(ask).then_nothing()
    visit.given(received, by_maker, unclear, maker_asked).when(decide).then(granted)
    visit.given(received, by_maker, unclear, maker_asked, granted).when(decide).then_nothing()
    visit.given(received, by_maker, unclear, maker_asked, refused).when(decide).then_rejected(
        "the maker has decided about line 1 already"
    )
    visit.given(received, by_maker, unclear).when(decide).then_rejected(
        "the maker was not asked about line 1"
    )
    for known in ([], [covered]):
        visit.given(received, by_maker, *known).when(ask).then_rejected(
            "the maker is asked about what is unclear; line 1 is not"
        )


def test_a_further_look_may_make_it_clear() -> None:
    """R-43."""
    visit.given(received, by_maker, unclear).when(AssessWarranty(**V1, verdict="covered")).then(covered)
    decided = [received, by_maker, unclear, maker_asked, refused]
    visit.given(*decided).when(AssessWarranty(**V1, verdict="covered")).then_rejected(
        "the maker has decided about line 1 already"
    )


@pytest.mark.parametrize("known", [[], [unclear], [unclear, maker_asked], [unclear, maker_asked, refused]])
def test_nobody_signs_that_the_maker_pays_before_it_is_clear(known: list[Any]) -> None:
    """R-43, X-11."""
    visit.given(received, by_maker, *known).when(claim).then_rejected(
        "it is not clear yet that the maker pays for line 1"
    )


@pytest.mark.parametrize("known", [[covered], [unclear, maker_asked, granted]])
def test_what_is_covered_or_granted_is_signed(known: list[Any]) -> None:
    """R-43."""
    visit.given(received, by_maker, *known).when(claim).then(claimed)


def test_a_verdict_is_about_the_work_and_not_about_its_number() -> None:
    other = oil.model_copy(update={"line": 1, "payer": "warranty"})
    exchanged = quoted(2, lines=(other,), total_fen=10_000, labour_minutes=30)
    again = sign.model_copy(update={"hash": exchanged.hash})
    visit.given(received, by_maker, covered, exchanged).when(again).then_rejected(
        "it is not clear yet that the maker pays for line 1"
    )
    later_by_maker = quoted(2, lines=by_maker.lines, promised_at=NOON + timedelta(hours=1))
    kept = claim.model_copy(update={"hash": later_by_maker.hash})
    event = claimed.model_copy(
        update={"hash": later_by_maker.hash, "revision": 2, "promised_at": later_by_maker.promised_at}
    )
    visit.given(received, by_maker, covered, later_by_maker).when(kept).then(event)


def test_who_pays_is_not_judged_again_after_the_signature() -> None:
    doubt = AssessWarranty(**V1, verdict="not_covered")
    visit.given(received, by_maker, covered, claimed).when(doubt).then_rejected(
        "the customer has signed who pays for line 1"
    )


def test_an_added_repair_may_be_under_warranty() -> None:
    """R-43, R-64."""
    added = asked.model_copy(update={"line": 3})
    about = WarrantyAssessed(visit_id="V1", work_order_id="V1", line=3, verdict="covered")
    agree_by_maker = agree.model_copy(update={"line": 3, "payer": "warranty"})
    visit.given(received, first, signed, added).when(agree_by_maker).then_rejected(
        "it is not clear yet that the maker pays for line 3"
    )
    visit.given(received, first, signed, added).when(
        AssessWarranty(visit_id="V1", line=3, verdict="covered")
    ).then(about)
    visit.given(received, first, signed, added, about).when(agree_by_maker).then(
        agreed.model_copy(update={"line": 3, "payer": "warranty"})
    )


def test_a_verdict_about_an_added_repair_is_about_one_revision_of_it() -> None:
    """R-43, R-65: dearer or other work is not under warranty because what was found first is."""
    added, dearer = (each.model_copy(update={"line": 3}) for each in (asked, asked_again))
    about = WarrantyAssessed(visit_id="V1", work_order_id="V1", line=3, verdict="covered")
    by_the_maker = agree_again.model_copy(update={"line": 3, "payer": "warranty"})
    visit.given(received, first, signed, added, about, dearer).when(by_the_maker).then_rejected(
        "it is not clear yet that the maker pays for line 3"
    )
    visit.given(received, first, signed, added, about, dearer).when(
        AssessWarranty(visit_id="V1", line=3, verdict="covered")
    ).then(about)


def test_who_pays_for_an_added_repair_is_not_judged_again_after_the_customer_agreed() -> None:
    """R-43, R-64."""
    added, agreed_to = (each.model_copy(update={"line": 3}) for each in (asked, agreed))
    about = WarrantyAssessed(visit_id="V1", work_order_id="V1", line=3, verdict="covered")
    doubt = AssessWarranty(visit_id="V1", line=3, verdict="not_covered")
    visit.given(received, first, signed, added, about, agreed_to).when(doubt).then_rejected(
        "the customer has agreed who pays for line 3"
    )
    visit.given(received, first, signed, added, about).when(doubt).then(
        about.model_copy(update={"verdict": "not_covered"})
    )


# Prices

engine_oil = WantedPart(code="OIL-5W30", quantity=Decimal("4.5"))


def test_operations_and_parts_cost_what_the_price_list_says() -> None:
    """R-48, R-59, W-27, K-16: labour and parts apart, each part with its origin."""
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


def test_labour_that_costs_more_than_a_line_can_is_refused() -> None:
    golden = prices.model_copy(update={"labour_hour_fen": {"mechatronic": 10**9}})
    [line] = priced([WantedLine(description="gild it", labour_minutes=60)], golden)
    assert line.labour_fen == 10**9
    with pytest.raises(Rejected) as rejected:
        priced([WantedLine(description="gild it", labour_minutes=90)], golden)
    assert str(rejected.value) == "90 minutes of labour cost 15000000.00, more than a line can cost"


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

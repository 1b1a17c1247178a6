"""Settlement: what the customer agreed to, line by line, what of it the customer pays, and what was paid.

All in whole fen: each part is rounded half up by itself, sums are only added (K-24).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from eventlog.decider import Rejected
from events import Event
from events.lines import Line, revision_hash
from events.reception import (
    ApprovalRequested,
    CreditReleased,
    DeliveryCheckFailed,
    PaymentReceived,
    PaymentRefunded,
    RepairApproved,
    RepairDeclined,
    SettlementPrepared,
    SettlementSigned,
)
from events.shop_rules import ReceptionRules
from services.reception import gate_pass
from services.reception.appointment_slots import site_date
from services.reception.commands import (
    PrepareSettlement,
    ReceivePayment,
    RefundPayment,
    ReleaseOnCredit,
    SettlementCommand,
    SignSettlement,
)
from services.reception.pricing import yuan

if TYPE_CHECKING:
    from services.reception.visit import Visit


@dataclass(frozen=True, slots=True)
class Settlement:
    asked: Mapping[int, Line] = field(default_factory=dict)
    """Added repairs as the customer was asked about them last."""
    approved: Mapping[int, Line] = field(default_factory=dict)
    revision: int = 0
    hash: str | None = None
    """None while there is no settlement that holds."""
    signed: bool = False
    customer_fen: int = 0
    paid: Mapping[int, int] = field(default_factory=dict)
    """By payment; less what of it was paid back."""
    credit_fen: int = 0
    """The most a manager lets the vehicle go with unpaid."""

    @property
    def owed_fen(self) -> int:
        """By the customer; less than nothing if money has to go back."""
        return self.customer_fen - sum(self.paid.values())


def decide(command: SettlementCommand, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    now = visit.settlement
    about: dict[str, Any] = {"visit_id": command.visit_id, "work_order_id": visit.work_order_id}
    match command:
        case PrepareSettlement():
            return _prepare(command, visit)
        case SignSettlement(hash=hash, signature=signature):
            if hash != now.hash:
                raise Rejected("this is not the settlement that holds now: explain the current one")
            return [] if now.signed else [SettlementSigned(**about, hash=hash, signature=signature)]
        case ReceivePayment(amount_fen=amount):
            _must_be_signed(now)
            if now.owed_fen <= 0:
                raise Rejected("the customer owes nothing any more")
            if amount > now.owed_fen:
                raise Rejected(f"the customer owes {yuan(now.owed_fen)} yuan, less than {yuan(amount)}")
            fields = command.model_dump(exclude={"visit_id"})
            return [PaymentReceived(**about, payment=len(now.paid) + 1, **fields)]
        case RefundPayment(payment=payment, amount_fen=amount):
            left = now.paid.get(payment)
            if left is None:
                raise Rejected(f"there is no payment {payment}")
            if amount > left:
                raise Rejected(
                    f"of payment {payment} there are {yuan(left)} yuan left, less than {yuan(amount)}"
                )
            fields = command.model_dump(exclude={"visit_id"})
            return [*gate_pass.revoked(visit, "refunded"), PaymentRefunded(**about, **fields)]
        case ReleaseOnCredit(at=at, pay_by=pay_by, reason=reason):
            _must_be_signed(now)
            if now.owed_fen <= now.credit_fen:
                return []
            if pay_by < site_date(rules, at):
                raise Rejected("what is paid later is paid on a day to come")
            return [CreditReleased(**about, amount_fen=now.owed_fen, pay_by=pay_by, reason=reason)]


def evolve(settlement: Settlement, event: Event) -> Settlement:
    match event:
        case ApprovalRequested(line=line):
            # Another revision is another question: what was agreed to before holds no longer.
            others = {n: each for n, each in settlement.approved.items() if n != line}
            return replace(settlement, asked={**settlement.asked, line: _asked(event)}, approved=others)
        case RepairApproved(line=line, payer=payer):
            if (asked := settlement.asked.get(line)) is None:
                return settlement
            agreed = asked.model_copy(update={"payer": payer}) if payer else asked
            return replace(settlement, approved={**settlement.approved, line: agreed})
        case RepairDeclined(line=line):
            others = {n: each for n, each in settlement.approved.items() if n != line}
            return replace(settlement, approved=others)
        case SettlementPrepared():
            return replace(
                settlement,
                revision=event.revision,
                hash=event.hash,
                signed=False,
                customer_fen=event.customer_fen,
            )
        case SettlementSigned():
            return replace(settlement, signed=True)
        case DeliveryCheckFailed():
            # What is done to the vehicle now may change what is to be paid.
            return replace(settlement, hash=None, signed=False)
        case PaymentReceived(payment=payment, amount_fen=amount):
            return replace(settlement, paid={**settlement.paid, payment: amount})
        case PaymentRefunded(payment=payment, amount_fen=amount):
            return replace(settlement, paid={**settlement.paid, payment: settlement.paid[payment] - amount})
        case CreditReleased(amount_fen=amount):
            return replace(settlement, credit_fen=amount)
    return settlement


def billed(visit: "Visit") -> tuple[Line, ...]:
    """What the customer signed, and the added repairs they agreed to."""
    ordered = visit.quote.signed.lines if visit.quote.signed else ()
    return ordered + tuple(line for _, line in sorted(visit.settlement.approved.items()))


def _prepare(command: PrepareSettlement, visit: "Visit") -> list[Event]:
    now, delivery = visit.settlement, visit.delivery
    if visit.gate_pass.state == "used":
        raise Rejected("the vehicle has left: what was settled stays")
    if not delivery.checked:
        raise Rejected("the vehicle has not passed its advisor's check yet")
    if not visit.quote.signed:
        raise Rejected("the customer has signed no work order that could be settled")
    lines = tuple(_discounted(billed(visit), command.discounts))
    total = total_of(lines, command.discount_fen, command.total_fen)
    due, call = delivery.next_service, delivery.follow_up
    said: dict[str, Any] = {
        "lines": lines,
        "discount_fen": command.discount_fen,
        "total_fen": total,
        "customer_fen": _of_customer(lines) - command.discount_fen,
        "next_service_on": due and due.due_on,
        "next_service_km": due and due.due_km,
        "call_from": call and call.call_from,
    }
    if now.hash and now.hash == _prepared(visit, now.revision, said).hash:
        return []
    prepared = _prepared(visit, now.revision + 1, said)
    return [*gate_pass.revoked(visit, "settlement_changed"), prepared, gate_pass.prepared(visit, prepared)]


def _prepared(visit: "Visit", revision: int, said: dict[str, Any]) -> SettlementPrepared:
    event = SettlementPrepared(
        visit_id=visit.id, work_order_id=visit.work_order_id, revision=revision, hash="", **said
    )
    return event.model_copy(update={"hash": revision_hash(event.model_dump(mode="json", exclude={"hash"}))})


def total_of(lines: Iterable[Line], discount_fen: int, claimed_fen: int | None = None) -> int:
    """The sum of the lines less what is taken off at its bottom. Raises Rejected for another one."""
    lines = tuple(lines)
    sum_fen, customer = sum(line.total_fen for line in lines), _of_customer(lines)
    if discount_fen > customer:
        raise Rejected(f"{yuan(discount_fen)} yuan off are more than the {yuan(customer)} the customer pays")
    total = sum_fen - discount_fen
    if claimed_fen not in (None, total):
        raise Rejected(
            f"the lines make {yuan(sum_fen)} yuan; less {yuan(discount_fen)} that is {yuan(total)}, "
            f"not {yuan(claimed_fen)}"
        )
    return total


def _asked(event: ApprovalRequested) -> Line:
    """A price that is told in one sum is for labour."""
    in_one_sum = event.labour_fen is None and not event.parts
    return Line(
        line=event.line,
        description=event.description,
        trade=event.trade or "mechatronic",
        labour_minutes=event.labour_minutes or 0,
        labour_fen=event.price_fen if in_one_sum else event.labour_fen or 0,
        parts=event.parts or (),
    )


def _discounted(lines: tuple[Line, ...], discounts: Mapping[int, int]) -> Iterable[Line]:
    if unknown := discounts.keys() - {line.line for line in lines}:
        raise Rejected(f"there is no line {min(unknown)}")
    for line in lines:
        off = discounts.get(line.line, 0)
        if off > line.total_fen:
            raise Rejected(
                f"line {line.line} costs {yuan(line.total_fen)} yuan, less than the {yuan(off)} off it"
            )
        yield line.model_copy(update={"discount_fen": line.discount_fen + off}) if off else line


def _of_customer(lines: Iterable[Line]) -> int:
    return sum(line.total_fen for line in lines if line.payer == "customer")


def _must_be_signed(settlement: Settlement) -> None:
    if settlement.hash is None:
        raise Rejected("no settlement has been prepared")
    if not settlement.signed:
        raise Rejected("the customer has not signed the settlement yet")

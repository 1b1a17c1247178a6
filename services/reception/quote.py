"""Quote and work order: what is to be done, for how much and until when; the customer signs one revision
of it, and with that the vehicle goes to the workshop (R-43 … R-52, W-04)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.lines import revision_hash
from events.reception import QuoteIssued, VehicleHandedToWorkshop, WorkOrderSigned
from events.shop_rules import ReceptionRules
from services.reception.commands import HandToWorkshop, IssueQuote, QuoteCommand, SignWorkOrder
from services.reception.pricing import yuan
from services.versions import in_force
from services.working_time import NoWorkingTime, work_done

if TYPE_CHECKING:
    from services.reception.visit import Visit


@dataclass(frozen=True, slots=True)
class Quote:
    issued: QuoteIssued | None = None
    """The current revision."""
    signed: WorkOrderSigned | None = None
    handed_over: bool = False

    @property
    def in_order(self) -> bool:
        """The customer signed what is quoted now."""
        return self.issued is not None and self.signed is not None and self.signed.hash == self.issued.hash


def decide(command: QuoteCommand, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    match command:
        case IssueQuote():
            return _issue(command, visit, rules)
        case SignWorkOrder():
            return _sign(command, visit)
        case HandToWorkshop():
            return _hand_over(command, visit)


def _issue(command: IssueQuote, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    quote, at = visit.quote, command.at
    labour_minutes = sum(line.labour_minutes for line in command.lines)
    promised_at = command.promised_at or promise(rules, at, labour_minutes + command.queue_minutes)

    def revision(number: int) -> QuoteIssued:
        said = QuoteIssued(
            visit_id=command.visit_id,
            work_order_id=visit.work_order_id,
            revision=number,
            hash="",
            lines=command.lines,
            total_fen=_total(command),
            labour_minutes=labour_minutes,
            promised_at=promised_at.astimezone(UTC),
            payment_method=command.payment_method,
            old_parts=command.old_parts,
            price_list=command.price_list,
            check_first=command.check_first,
        )
        return said.model_copy(update={"hash": hash_of(said)})

    before = quote.issued.revision if quote.issued else 0
    if quote.issued == revision(before):
        return []
    if quote.handed_over:
        raise Rejected(
            "the vehicle is in the workshop: more work is an added repair that the customer is asked about"
        )
    if promised_at <= at:
        raise Rejected("the time that is promised has passed already")
    return [revision(before + 1)]


def promise(rules: Sequence[ReceptionRules], at: datetime, minutes: int) -> datetime:
    """When so much work is done, in opening hours, told in whole minutes (R-49)."""
    try:
        done = work_done(in_force(rules, at).opening, at, timedelta(minutes=minutes))
    except NoWorkingTime:
        raise Rejected("the opening hours leave no time for this work") from None
    whole = done.replace(second=0, microsecond=0)
    return whole if whole == done else whole + timedelta(minutes=1)


def hash_of(quote: QuoteIssued) -> str:
    """Of everything that the customer agrees to."""
    return revision_hash(quote.model_dump(mode="json", exclude={"hash"}))


def _total(command: IssueQuote) -> int:
    """By us; whoever says another total added up something else."""
    labour = sum(line.labour_fen for line in command.lines)
    parts = sum(line.parts_fen for line in command.lines)
    discount = sum(line.discount_fen for line in command.lines)
    total = labour + parts - discount
    if command.total_fen not in (None, total):
        raise Rejected(
            f"labour {yuan(labour)} and parts {yuan(parts)} less discounts {yuan(discount)} "
            f"are {yuan(total)}, not {yuan(command.total_fen or 0)}"
        )
    return total


def _sign(command: SignWorkOrder, visit: "Visit") -> list[Event]:
    quote = visit.quote.issued
    if quote is None:
        raise Rejected("there is no quote to sign yet")
    if command.hash != quote.hash:
        raise Rejected("this is not the current quote: show the customer the newest revision")
    if visit.quote.in_order:
        return []
    if command.channel == "in_person" and command.signature is None:
        raise Rejected("who is here signs: the signature is missing")
    if command.channel != "in_person" and command.answered_by is None:
        raise Rejected("note who agreed on the customer's side")
    return [
        WorkOrderSigned(
            visit_id=command.visit_id,
            work_order_id=visit.work_order_id,
            revision=quote.revision,
            hash=quote.hash,
            channel=command.channel,
            signature=command.signature,
            answered_by=command.answered_by,
            lines=quote.lines,
            promised_at=quote.promised_at,
        )
    ]


def _hand_over(command: HandToWorkshop, visit: "Visit") -> list[Event]:
    if visit.quote.handed_over:
        return []
    if not visit.quote.in_order:
        raise Rejected("the customer has not signed the current quote yet")
    return [
        VehicleHandedToWorkshop(
            visit_id=command.visit_id,
            work_order_id=visit.work_order_id,
            keys=command.keys,
            papers=command.papers,
            notes=command.notes,
        )
    ]


def evolve(quote: Quote, event: Event) -> Quote:
    match event:
        case QuoteIssued():
            return replace(quote, issued=event)
        case WorkOrderSigned():
            return replace(quote, signed=event)
        case VehicleHandedToWorkshop():
            return replace(quote, handed_over=True)
    return quote

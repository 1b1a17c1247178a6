"""Quote and work order: what is to be done, for how much and until when; the customer signs one revision
of it, and with that the vehicle goes to the workshop (R-43 … R-52, W-04)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.lines import Line, revision_hash
from events.reception import (
    ApprovalRequested,
    CopiesHandedOver,
    ManufacturerApprovalReceived,
    ManufacturerApprovalRequested,
    QuoteIssued,
    VehicleHandedToWorkshop,
    Verdict,
    WarrantyAssessed,
    WorkOrderSigned,
)
from events.shop_rules import ReceptionRules
from services.reception.commands import (
    AssessWarranty,
    HandOverCopies,
    HandToWorkshop,
    IssueQuote,
    QuoteCommand,
    ReceiveManufacturerApproval,
    RequestManufacturerApproval,
    SignWorkOrder,
)
from services.reception.intake import missing_before_hand_over, missing_before_signature
from services.reception.pricing import yuan
from services.versions import in_force
from services.working_time import NoWorkingTime, work_done

if TYPE_CHECKING:
    from services.reception.visit import Visit


@dataclass(frozen=True, slots=True)
class Warranty:
    """Whether the maker pays for a line."""

    verdict: Verdict
    asked: bool = False
    granted: bool | None = None

    @property
    def covered(self) -> bool:
        return self.verdict == "covered" or bool(self.granted)


@dataclass(frozen=True, slots=True)
class Quote:
    issued: QuoteIssued | None = None
    """The current revision."""
    signed: WorkOrderSigned | None = None
    copies: frozenset[str] = frozenset()
    handed_over: bool = False
    warranty: Mapping[int, Warranty] = field(default_factory=dict)
    """By line of the quote, or of an added repair: these follow on its numbers."""

    @property
    def in_order(self) -> bool:
        """The customer signed what is quoted now."""
        return self.issued is not None and self.signed is not None and self.signed.hash == self.issued.hash

    def covers(self, line: int) -> bool:
        """The maker pays for the line, as far as anybody has said."""
        return line in self.warranty and self.warranty[line].covered


def decide(command: QuoteCommand, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    match command:
        case IssueQuote():
            return _issue(command, visit, rules)
        case SignWorkOrder():
            return _sign(command, visit, rules)
        case HandOverCopies(how=how):
            if not visit.quote.in_order:
                raise Rejected("the customer has not signed the current quote yet")
            if how in visit.quote.copies:
                return []
            return [CopiesHandedOver(**command.model_dump(), work_order_id=visit.work_order_id)]
        case HandToWorkshop():
            return _hand_over(command, visit)
        case AssessWarranty() | RequestManufacturerApproval() | ReceiveManufacturerApproval():
            return _about_warranty(command, visit)


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


def _sign(command: SignWorkOrder, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    quote = visit.quote.issued
    if quote is None:
        raise Rejected("there is no quote to sign yet")
    if command.hash != quote.hash:
        raise Rejected("this is not the current quote: show the customer the newest revision")
    if visit.quote.in_order:
        return []
    for missing in missing_before_signature(visit):
        raise Rejected(missing)
    for line in quote.lines:
        if line.payer == "warranty" and not visit.quote.covers(line.line):
            raise Rejected(f"it is not clear yet that the maker pays for line {line.line}")
    manager_from = in_force(rules, command.at).manager_from_fen
    if quote.total_fen >= manager_from and not visit.intake.manager_took_part:
        raise Rejected(f"from {yuan(manager_from)} yuan on the manager takes part")
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
    signed = visit.quote.signed
    if signed is None or not visit.quote.in_order:
        raise Rejected("the customer has not signed the current quote yet")
    for missing in missing_before_hand_over(visit):
        raise Rejected(missing)
    return [
        VehicleHandedToWorkshop(
            visit_id=command.visit_id,
            work_order_id=visit.work_order_id,
            keys=command.keys,
            papers=command.papers,
            notes=command.notes,
            revision=signed.revision,
        )
    ]


def _about_warranty(
    command: AssessWarranty | RequestManufacturerApproval | ReceiveManufacturerApproval, visit: "Visit"
) -> list[Event]:
    """Covered or not; if nobody here can say, the maker is asked and decides (R-43)."""
    line, now = command.line, visit.quote.warranty.get(command.line)
    about = {**command.model_dump(), "work_order_id": visit.work_order_id}
    quoted = {each.line for each in visit.quote.issued.lines} if visit.quote.issued else set()
    if line not in quoted and line not in visit.added.asked:
        raise Rejected(f"there is no line {line}")
    match command:
        case AssessWarranty(verdict=verdict):
            if now is not None and now.verdict == verdict:
                return []
            if now is not None and now.granted is not None:
                raise Rejected(f"the maker has decided about line {line} already")
            if line in quoted and visit.quote.in_order:
                raise Rejected(f"the customer has signed who pays for line {line}")
            if line in visit.added.asked and visit.added.asked[line].answer == "approved":
                raise Rejected(f"the customer has agreed who pays for line {line}")
            return [WarrantyAssessed(**about)]
        case RequestManufacturerApproval():
            if now is None or now.verdict != "unclear":
                raise Rejected(f"the maker is asked about what is unclear; line {line} is not")
            return [] if now.asked else [ManufacturerApprovalRequested(**about)]
        case ReceiveManufacturerApproval(granted=granted):
            if now is None or not now.asked:
                raise Rejected(f"the maker was not asked about line {line}")
            if now.granted not in (None, granted):
                raise Rejected(f"the maker has decided about line {line} already")
            return [] if now.granted == granted else [ManufacturerApprovalReceived(**about)]


def evolve(quote: Quote, event: Event) -> Quote:
    match event:
        case QuoteIssued():
            return replace(quote, issued=event, warranty=_still_about(quote, event), copies=frozenset())
        case WorkOrderSigned():
            return replace(quote, signed=event)
        case CopiesHandedOver(how=how):
            return replace(quote, copies=quote.copies | {how})
        case VehicleHandedToWorkshop():
            return replace(quote, handed_over=True)
        case ApprovalRequested(line=line):
            # Another revision of an added repair may be other work: nobody has said who pays for that.
            others = {n: each for n, each in quote.warranty.items() if n != line}
            return replace(quote, warranty=others)
        case WarrantyAssessed(line=line, verdict=verdict):
            return _with(quote, line, Warranty(verdict))
        case ManufacturerApprovalRequested(line=line):
            return _with(quote, line, replace(quote.warranty.get(line, _UNCLEAR), asked=True))
        case ManufacturerApprovalReceived(line=line, granted=granted):
            return _with(
                quote, line, replace(quote.warranty.get(line, _UNCLEAR), asked=True, granted=granted)
            )
    return quote


_UNCLEAR = Warranty("unclear")


def _with(quote: Quote, line: int, warranty: Warranty) -> Quote:
    return replace(quote, warranty={**quote.warranty, line: warranty})


def _still_about(quote: Quote, new: QuoteIssued) -> dict[int, Warranty]:
    """What was said about a line is said about its work: another revision may have other work there."""
    before = {each.line: _work(each) for each in quote.issued.lines} if quote.issued else {}
    after = {each.line: _work(each) for each in new.lines}
    return {n: each for n, each in quote.warranty.items() if n in after and before.get(n) == after[n]}


def _work(line: Line) -> tuple[object, ...]:
    return line.description, line.operation, tuple(part.code for part in line.parts)

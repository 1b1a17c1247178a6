"""Added repairs: what the workshop finds is asked of the customer, line by line; an answer is final for the
revision it was given to, and another price, part or time is another question (R-60 … R-66, K-13, K-14)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from eventlog.decider import Rejected
from events import Event
from events.reception import (
    ApprovalRequested,
    BelongingsConsentGiven,
    CustomerToldOfDelay,
    RepairApproved,
    RepairDeclined,
)
from services.reception.commands import (
    AddedRepairCommand,
    ApproveRepair,
    ConsentToBelongings,
    DeclineRepair,
    RequestApproval,
    TellOfDelay,
)

if TYPE_CHECKING:
    from services.reception.visit import Visit

Answer: TypeAlias = Literal["waiting", "approved", "declined"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One revision of a line, and what the customer said to it."""

    revision: int
    hash: str | None
    """None of what was asked before revisions had one."""
    delay_minutes: int
    answer: Answer = "waiting"


_UNASKED = Asked(0, None, 0)
"""Of an answer in a history whose question is not on record."""


@dataclass(frozen=True, slots=True)
class AddedRepairs:
    asked: Mapping[int, Asked] = field(default_factory=dict)
    told: Mapping[int, CustomerToldOfDelay] = field(default_factory=dict)
    """By the number of the delay."""
    belongings: frozenset[str] = frozenset()


def decide(command: AddedRepairCommand, visit: "Visit") -> list[Event]:
    added, order = visit.added, visit.work_order_id
    match command:
        case RequestApproval(line=line, revision=revision):
            before = added.asked.get(line)
            if before is not None and (revision or 0) <= before.revision:
                return []
            return [ApprovalRequested(**command.model_dump())]
        case ApproveRepair():
            asked = _asked(command, added)
            if asked.answer == "approved":
                return []
            if command.payer == "warranty" and not visit.quote.covers(command.line):
                raise Rejected(f"it is not clear yet that the maker pays for line {command.line}")
            said = command.model_dump()
            return [RepairApproved(**said, work_order_id=order, revision=asked.revision or None)]
        case DeclineRepair():
            asked = _asked(command, added)
            if asked.answer == "declined":
                return []
            if command.told_to is None and command.channel != "signed_link":
                raise Rejected("note who in the workshop was told that the customer refused")
            said = command.model_dump()
            return [RepairDeclined(**said, work_order_id=order, revision=asked.revision or None)]
        case TellOfDelay(at=at):
            told = CustomerToldOfDelay(**command.model_dump(exclude={"at"}), work_order_id=order)
            if added.told.get(command.delay) == told:
                return []
            if command.promised_at <= at:
                raise Rejected("the time that is promised has passed already")
            return [told]
        case ConsentToBelongings(items=items):
            if added.belongings.issuperset(items):
                return []
            return [BelongingsConsentGiven(**command.model_dump(), work_order_id=order)]


def _asked(command: ApproveRepair | DeclineRepair, added: AddedRepairs) -> Asked:
    """The revision that is answered, which has no other answer yet. Raises Rejected."""
    line, answer = command.line, "approved" if isinstance(command, ApproveRepair) else "declined"
    asked = added.asked.get(line)
    if asked is None:
        raise Rejected(f"no approval was requested for line {line}")
    if command.hash is not None and command.hash != asked.hash:
        raise Rejected(f"line {line} has changed since: tell the customer what it costs and takes now")
    if asked.answer not in ("waiting", answer):
        raise Rejected(f"line {line} was already {asked.answer}")
    if asked.answer == "waiting":
        if command.hash is None and asked.hash is not None:
            raise Rejected(f"say which revision of line {line} the customer was asked about")
        told = command.delay_minutes
        # Nobody was made to say it before revisions had a hash.
        if (told is not None or asked.hash) and (told or 0) != asked.delay_minutes:
            raise Rejected(
                f"the customer has to hear that line {line} takes {asked.delay_minutes} minutes longer"
            )
    return asked


def evolve(added: AddedRepairs, event: Event) -> AddedRepairs:
    match event:
        case ApprovalRequested(line=line):
            return _with(added, line, Asked(event.revision or 0, event.hash, event.delay_minutes))
        case RepairApproved(line=line):
            return _with(added, line, replace(added.asked.get(line, _UNASKED), answer="approved"))
        case RepairDeclined(line=line):
            return _with(added, line, replace(added.asked.get(line, _UNASKED), answer="declined"))
        case CustomerToldOfDelay(delay=delay):
            return replace(added, told={**added.told, delay: event})
        case BelongingsConsentGiven(items=items):
            return replace(added, belongings=added.belongings | {*items})
    return added


def _with(added: AddedRepairs, line: int, asked: Asked) -> AddedRepairs:
    return replace(added, asked={**added.asked, line: asked})

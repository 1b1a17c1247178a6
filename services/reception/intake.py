"""Intake: what is seen, found and signed when a vehicle comes, before anybody says what it will cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.lines import revision_hash
from events.reception import (
    Checked,
    Digest,
    ManagerTookPart,
    MobilityProvided,
    PapersVerified,
    PhotoTaken,
    ProtectiveSetFitted,
    SymptomRecorded,
    UnderbodyInspected,
    ValuablesHandedOver,
    VehicleReceived,
    WalkAroundRecorded,
    WalkAroundSigned,
)
from events.walk_around import ITEMS
from services.reception.commands import (
    FitProtectiveSet,
    HandOverValuables,
    InspectUnderbody,
    IntakeCommand,
    ProvideMobility,
    RecordSymptom,
    RecordWalkAround,
    SignWalkAround,
    TakePart,
    TakePhoto,
    VerifyPapers,
)

if TYPE_CHECKING:
    from services.reception.visit import Visit

GOES_ON = (TakePhoto, ProvideMobility, TakePart)
"""What also happens after the vehicle went to the workshop."""


@dataclass(frozen=True, slots=True)
class Intake:
    first_service: bool = False
    symptoms: frozenset[str] = frozenset()
    walk_around: WalkAroundRecorded | None = None
    """The current revision."""
    signed: str | None = None
    """The hash that the customer signed last."""
    papers: PapersVerified | None = None
    valuables: ValuablesHandedOver | None = None
    underbody: UnderbodyInspected | None = None
    said_once: frozenset[Event] = frozenset()
    """Of what changes nothing when it is said again: set fitted, photos, mobility, the manager's part."""

    @property
    def in_order(self) -> bool:
        """The customer signed the walk-around as it stands."""
        return self.walk_around is not None and self.signed == self.walk_around.hash

    @property
    def manager_took_part(self) -> bool:
        return any(isinstance(each, ManagerTookPart) for each in self.said_once)


def missing_before_signature(visit: "Visit") -> list[str]:
    """What has to be done before the work order is signed (R-40)."""
    if visit.intake.first_service and visit.intake.underbody is None:
        return ["at the first service the underbody is inspected before the work order is signed"]
    return []


def missing_before_hand_over(visit: "Visit") -> list[str]:
    """What has to be done before the vehicle goes to the workshop (R-33)."""
    return [] if visit.intake.in_order else ["the customer has not signed the current walk-around yet"]


def decide(command: IntakeCommand, visit: "Visit") -> list[Event]:
    events = _facts(command, visit)
    if events and visit.quote.handed_over and not isinstance(command, GOES_ON):
        raise Rejected("the vehicle is in the workshop: its intake is finished")
    return events


def _facts(command: IntakeCommand, visit: "Visit") -> list[Event]:
    intake = visit.intake
    about = {**command.model_dump(), "work_order_id": visit.work_order_id}
    match command:
        case RecordSymptom(description=description):
            return [] if description in intake.symptoms else [SymptomRecorded(**about)]
        case VerifyPapers():
            if not (command.driving_licence or command.maintenance_manual or command.phone):
                raise Rejected("nothing was compared: neither driving licence nor manual nor phone")
            return _unless(intake.papers, PapersVerified(**about))
        case HandOverValuables():
            return _unless(intake.valuables, ValuablesHandedOver(**about))
        case InspectUnderbody():
            return _unless(intake.underbody, UnderbodyInspected(**about))
        case FitProtectiveSet():
            return _once(intake, ProtectiveSetFitted(**about))
        case TakePhoto():
            return _once(intake, PhotoTaken(**about))
        case TakePart():
            return _once(intake, ManagerTookPart(**about))
        case ProvideMobility(kind=kind):
            if kind == "loan_car" and command.vehicle is None:
                raise Rejected("say which loan car it is")
            if kind == "subsidy" and not command.amount_fen:
                raise Rejected("say how much the subsidy is")
            return _once(intake, MobilityProvided(**about))
        case RecordWalkAround():
            return _record(command, visit)
        case SignWalkAround():
            return _sign(command, visit)


def _unless(before: Event | None, now: Event) -> list[Event]:
    return [] if now == before else [now]


def _once(intake: Intake, event: Event) -> list[Event]:
    return [] if event in intake.said_once else [event]


def _record(command: RecordWalkAround, visit: "Visit") -> list[Event]:
    """A new revision, unless nothing is new; the old signature is void with it."""
    before = visit.intake.walk_around
    checks = _in_their_order(command.checks)

    def revision(number: int) -> WalkAroundRecorded:
        said = WalkAroundRecorded(
            visit_id=command.visit_id,
            work_order_id=visit.work_order_id,
            revision=number,
            hash="",
            checks=checks,
            damages=command.damages,
            fuel_eighths=command.fuel_eighths,
        )
        return said.model_copy(update={"hash": hash_of(said)})

    current = before.revision if before else 0
    if before == revision(current):
        return []
    if command.after != current:
        raise Rejected(f"somebody else recorded revision {current} of this walk-around: look at it first")
    return [revision(current + 1)]


def _in_their_order(checks: Sequence[Checked]) -> tuple[Checked, ...]:
    """Each item once, in the order of the walk-around (R-38)."""
    by_item = {each.item: each for each in checks}
    if len(by_item) < len(checks):
        raise Rejected("an item of the walk-around is there twice")
    if missing := [item.replace("_", " ") for item in ITEMS if item not in by_item]:
        raise Rejected(f"not looked at yet: {', '.join(missing)}")
    return tuple(by_item[item] for item in ITEMS)


def hash_of(walk_around: WalkAroundRecorded) -> str:
    """Of everything that the customer signs."""
    return revision_hash(walk_around.model_dump(mode="json", exclude={"hash"}))


def _sign(command: SignWalkAround, visit: "Visit") -> list[Event]:
    current = visit.intake.walk_around
    if current is None:
        raise Rejected("there is no walk-around to sign yet")
    if command.hash != current.hash:
        raise Rejected(f"the walk-around has changed: show the customer revision {current.revision}")
    if visit.intake.in_order:
        return []
    if command.on_paper and not _photographed(visit.intake, command.signature):
        raise Rejected("take a photo of the signed paper first")
    signed = command.model_dump(exclude={"on_paper"})
    return [WalkAroundSigned(**signed, work_order_id=visit.work_order_id)]


def _photographed(intake: Intake, paper: Digest) -> bool:
    photos = (each for each in intake.said_once if isinstance(each, PhotoTaken))
    return any(each.photo == paper and each.of == "paper" for each in photos)


def evolve(intake: Intake, event: Event) -> Intake:
    match event:
        case VehicleReceived():
            symptoms = frozenset(event.symptoms)
            return replace(intake, first_service=bool(event.first_service), symptoms=symptoms)
        case SymptomRecorded(description=description):
            return replace(intake, symptoms=intake.symptoms | {description})
        case PapersVerified():
            return replace(intake, papers=event)
        case ValuablesHandedOver():
            return replace(intake, valuables=event)
        case UnderbodyInspected():
            return replace(intake, underbody=event)
        case WalkAroundRecorded():
            return replace(intake, walk_around=event)
        case WalkAroundSigned(hash=hash):
            return replace(intake, signed=hash)
        case ProtectiveSetFitted() | PhotoTaken() | MobilityProvided() | ManagerTookPart():
            return replace(intake, said_once=intake.said_once | {event})
    return intake

"""The lines of a work order: what the customer signed may be worked on, what was found later waits for an
answer to what it is now, and parts are drawn on released lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from eventlog.decider import Rejected
from events import Event
from events.lines import Trade, revision_hash
from events.shop_rules import WorkshopRules
from events.workshop import (
    LineCompleted,
    LineStarted,
    PartsAwaited,
    PartsPicked,
    PickedPart,
    RepairAdded,
    RepairCompleted,
    RepairDropped,
    RepairReleased,
    RepairRevised,
    ReworkOrdered,
    WorkAuthorised,
)
from services.versions import in_force
from services.workshop.commands import (
    AddRepair,
    AwaitParts,
    CompleteLine,
    DropRepair,
    LineCommand,
    PickParts,
    ReleaseRepair,
    ReviseRepair,
    StartLine,
)

if TYPE_CHECKING:
    from services.workshop.work_order import WorkOrder

State: TypeAlias = Literal["on hold", "released", "in work", "done", "to be done again", "dropped"]
OPEN: frozenset[State] = frozenset({"released", "in work"})
_SAID = {
    "line",
    "revision",
    "description",
    "price_fen",
    "delay_minutes",
    "labour_minutes",
    "labour_fen",
    "parts",
}
"""What the customer answers to."""


@dataclass(frozen=True, slots=True)
class Line:
    state: State
    added: bool = False
    """Found in the workshop, not signed at the desk."""
    revision: int | None = None
    hash: str | None = None
    minutes: int = 0
    trade: Trade | None = None
    technician: str | None = None
    awaited: tuple[tuple[str, ...], datetime | None] | None = None
    """The parts it waits for, and when they are expected."""


@dataclass(frozen=True, slots=True)
class Lines:
    by_number: Mapping[int, Line] = field(default_factory=dict)
    slips: int = 0

    def of_state(self, *states: State) -> list[int]:
        return [number for number, line in self.by_number.items() if line.state in states]

    @property
    def minutes(self) -> int:
        """Of all work that may be done."""
        return sum(
            line.minutes for line in self.by_number.values() if line.state not in ("on hold", "dropped")
        )


def decide(command: LineCommand, order: "WorkOrder", rules: Sequence[WorkshopRules]) -> list[Event]:
    id, lines = command.work_order_id, order.lines
    match command:
        case AddRepair():
            order.must_be("in work", to="extended")
            number = max(lines.by_number, default=0) + 1
            return [RepairAdded(**_revision(command, order, number, 1))]
        case ReviseRepair(line=number):
            order.must_be("in work", to="extended")
            return _revise(command, order, _line(lines, number))
        case ReleaseRepair(line=number, hash=hash):
            line = _line(lines, number)
            if line.state != "on hold" or not _is_about(line, hash):
                return []
            return [RepairReleased(work_order_id=id, line=number, revision=line.revision)]
        case DropRepair(line=number, hash=hash):
            line = _line(lines, number)
            if line.state != "on hold" or not _is_about(line, hash):
                return []
            return [RepairDropped(work_order_id=id, line=number)]
        case StartLine(line=number, technician=technician):
            line = _line(lines, number)
            if line.state == "in work" and line.technician == technician:
                return []
            order.must_be("in work", to="worked on")
            if not order.accepted:
                raise Rejected("the team has not taken the vehicle over yet")
            _may_be_worked_on(number, line)
            _licensed(command, line, in_force(rules, command.at))
            return [LineStarted(work_order_id=id, line=number, technician=technician)]
        case CompleteLine(line=number):
            line = _line(lines, number)
            if line.state == "done":
                return []
            if line.state != "in work":
                raise Rejected(f"nobody works on line {number}")
            return [LineCompleted(work_order_id=id, line=number)]
        case AwaitParts(line=number, parts=parts, expected_at=expected_at):
            line = _line(lines, number)
            if line.awaited == (parts, expected_at):
                return []
            order.must_be("in work", to="waiting for parts")
            _may_be_worked_on(number, line)
            return [PartsAwaited(**command.model_dump())]
        case PickParts(parts=parts, technician=technician):
            order.must_be("in work", to="given parts")
            for part in parts:
                _may_be_worked_on(part.line, _line(lines, part.line))
            slip = lines.slips + 1
            return [
                PartsPicked(
                    **command.model_dump(), slip=slip, signature=_signature(id, slip, parts, technician)
                )
            ]


def completed(work_order_id: str, lines: Lines) -> list[Event]:
    """The lines that are ended with the repair."""
    return [LineCompleted(work_order_id=work_order_id, line=number) for number in lines.of_state(*OPEN)]


def evolve(lines: Lines, event: Event) -> Lines:
    match event:
        case WorkAuthorised(tasks=tasks, revision=revision):
            # What an earlier revision had and nobody has begun goes; what was found in the workshop stays.
            kept = {n: each for n, each in lines.by_number.items() if each.added or each.state != "released"}
            signed = {
                task.line: Line("released", False, revision, None, task.labour_minutes, task.trade)
                for task in tasks
            }
            return replace(lines, by_number=signed | kept)
        case RepairAdded() | RepairRevised():
            # Before there were labour times, the delay was all that was known of how long it takes.
            minutes = event.delay_minutes if event.labour_minutes is None else event.labour_minutes
            return _with(
                lines,
                event.line,
                Line("on hold", True, event.revision, event.hash, minutes, event.trade),
            )
        case RepairReleased(line=number):
            return _become(lines, "released", number)
        case RepairDropped(line=number):
            return _become(lines, "dropped", number)
        case LineStarted(line=number, technician=technician):
            line = replace(lines.by_number[number], state="in work", technician=technician)
            return _with(lines, number, line)
        case LineCompleted(line=number):
            return _become(lines, "done", number)
        case RepairCompleted():  # there were no events of each line once
            return _become(lines, "done", *lines.of_state(*OPEN, "to be done again"))
        case ReworkOrdered():
            return _become(lines, "to be done again", *lines.of_state("done"))
        case PartsAwaited(line=number, parts=parts, expected_at=expected_at):
            return _with(lines, number, replace(lines.by_number[number], awaited=(parts, expected_at)))
        case PartsPicked(parts=parts, slip=slip):
            there = {part.line for part in parts}
            return replace(
                lines,
                slips=slip,
                by_number={
                    n: replace(line, awaited=None) if n in there else line
                    for n, line in lines.by_number.items()
                },
            )
    return lines


def _revision(
    command: AddRepair | ReviseRepair, order: "WorkOrder", number: int, revision: int
) -> dict[str, Any]:
    """A repair as the customer is asked about it, named by its hash."""
    if order.visit_id is None:
        raise Rejected("this work order has no visit whose customer could be asked")
    parts_fen = sum(part.total_fen for part in command.parts or ())
    itemised = command.labour_fen is not None or command.parts is not None
    if itemised and command.price_fen != parts_fen + (command.labour_fen or 0):
        raise Rejected(
            f"labour of {command.labour_fen or 0} fen and parts of {parts_fen} fen "
            f"are not {command.price_fen} fen"
        )
    asked = command.model_dump() | {"line": number, "revision": revision}
    said = command.model_dump(mode="json") | {"line": number, "revision": revision}
    hash = revision_hash({name: said[name] for name in _SAID})
    return asked | {"visit_id": order.visit_id, "hash": hash}


def _revise(command: ReviseRepair, order: "WorkOrder", line: Line) -> list[Event]:
    number = command.line
    if not line.added:
        raise Rejected(f"line {number} was signed with the work order; add what is new as a line of its own")
    revision = line.revision or 1
    same = _revision(command, order, number, revision)["hash"] == line.hash
    if same and command.trade == line.trade:
        return []
    if line.state == "dropped":
        raise Rejected(f"the customer declined line {number}; add what is new as a line of its own")
    if line.state not in ("on hold", "released"):
        raise Rejected(f"work on line {number} has begun; add what is new as a line of its own")
    return [RepairRevised.model_validate(_revision(command, order, number, revision + 1))]


def _is_about(line: Line, hash: str | None) -> bool:
    """Whether an answer is to what the line is now. One that names no revision is to the first."""
    return hash == line.hash or (hash is None and line.revision == 1)


def _may_be_worked_on(number: int, line: Line) -> None:
    match line.state:
        case "on hold":
            raise Rejected(f"the customer has not agreed to line {number} as it is now")
        case "dropped":
            raise Rejected(f"the customer declined line {number}")
        case "done":
            raise Rejected(f"line {number} is done")


def _licensed(command: StartLine, line: Line, rules: WorkshopRules) -> None:
    if not command.licences or line.trade is None:
        return
    until = command.licences.get(line.trade)
    if until is None or until < command.at.astimezone(rules.zone).date():
        trade = {"mechatronic": "mechatronic", "body_paint": "body and paint"}[line.trade]
        raise Rejected(f"{command.technician} has no licence for {trade} work")


def _signature(id: str, slip: int, parts: tuple[PickedPart, ...], technician: str) -> str:
    return revision_hash(
        {
            "work_order_id": id,
            "slip": slip,
            "parts": [part.model_dump(mode="json") for part in parts],
            "technician": technician,
        }
    )


def _line(lines: Lines, number: int) -> Line:
    if number not in lines.by_number:
        raise Rejected(f"there is no line {number}")
    return lines.by_number[number]


def _with(lines: Lines, number: int, line: Line) -> Lines:
    return replace(lines, by_number={**lines.by_number, number: line})


def _become(lines: Lines, state: State, *numbers: int) -> Lines:
    changed = {number: replace(lines.by_number.get(number, Line(state)), state=state) for number in numbers}
    return replace(lines, by_number={**lines.by_number, **changed})

"""A parked message: what a policy could not handle waits here until an operator decides."""

from dataclasses import dataclass, replace
from typing import TypeAlias

from eventlog.decider import Decider, Rejected
from events import Event
from events.policies import MessageDiscarded, MessageParked, MessageRetried


@dataclass(frozen=True, slots=True)
class Park:
    message: MessageParked


@dataclass(frozen=True, slots=True)
class NoteRetry:
    parked_id: str
    handled: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Discard:
    parked_id: str
    reason: str


Command: TypeAlias = Park | NoteRetry | Discard


@dataclass(frozen=True, slots=True)
class Parked:
    message: MessageParked | None = None
    settled: str | None = None


def decide(command: Command, parked: Parked) -> list[Event]:
    match command:
        case Park(message):
            return [] if parked.message else [message]
        case NoteRetry(parked_id, handled, reason):
            _must_wait(parked)
            return [MessageRetried(parked_id=parked_id, handled=handled, reason=reason)]
        case Discard(parked_id, reason):
            if parked.settled == "discarded":
                return []
            _must_wait(parked)
            return [MessageDiscarded(parked_id=parked_id, reason=reason)]


def _must_wait(parked: Parked) -> None:
    if parked.settled:
        raise Rejected(f"this message was already {parked.settled}")


def evolve(parked: Parked, event: Event) -> Parked:
    match event:
        case MessageParked():
            return replace(parked, message=event)
        case MessageRetried(handled=True):
            return replace(parked, settled="handled")
        case MessageDiscarded():
            return replace(parked, settled="discarded")
    return parked


PARKED = Decider(initial=Parked(), decide=decide, evolve=evolve)


def parked_stream(parked_id: str) -> str:
    return f"parked-{parked_id}"

"""A data subject: a person whose values we keep sealed, and who may ask to be forgotten."""

from dataclasses import dataclass

from eventlog.decider import Decider
from events import Event
from events.customer_care import SubjectErased
from services.customer_care.commands import EraseSubject


@dataclass(frozen=True, slots=True)
class DataSubject:
    erased: bool = False


def decide(command: EraseSubject, subject: DataSubject) -> list[Event]:
    return [] if subject.erased else [SubjectErased(customer=command.customer)]


def evolve(subject: DataSubject, event: Event) -> DataSubject:
    return DataSubject(erased=True) if isinstance(event, SubjectErased) else subject


DATA_SUBJECT = Decider(initial=DataSubject(), decide=decide, evolve=evolve)


def subject_stream(customer: str) -> str:
    return f"subject-{customer}"

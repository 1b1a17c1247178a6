"""What other rules would have said about complaints that are past. Nothing is recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from eventlog.recorded import Recorded
from events import Event
from events.customer_care import (
    ComplaintRaised,
    DeadlineBreached,
    DeadlineDropped,
    DeadlineMet,
    DeadlineSet,
    Escalated,
    NotificationSent,
)
from services.customer_care.commands import TimeIsUp
from services.customer_care.complaint import Complaint, consequences, evolve, time_is_up
from services.customer_care.rulebook import Rules

Outcome: TypeAlias = Literal["pending", "met", "breached", "dropped"]
CLOCKS = (DeadlineSet, DeadlineMet, DeadlineBreached, DeadlineDropped, Escalated, NotificationSent)


@dataclass(frozen=True, slots=True)
class Verdict:
    due_at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """A deadline that would have been another one, would have been none, or is none so far."""

    complaint_id: str
    rule: str
    actual: Verdict | None
    simulated: Verdict | None


def differences(histories: Iterable[Sequence[Recorded]], rules: Rules, now: datetime) -> list[Difference]:
    """By complaint and rule; complaints of the time before there were clocks are left out."""
    found = []
    for history in histories:
        first = history[0].event
        if not isinstance(first, ComplaintRaised) or first.raised_at is None:
            continue
        actual = verdicts(recorded.event for recorded in history)
        simulated = verdicts(_retold(history, rules, now))
        found += [
            Difference(first.complaint_id, rule, actual.get(rule), simulated.get(rule))
            for rule in sorted({*actual, *simulated})
            if actual.get(rule) != simulated.get(rule)
        ]
    return found


def verdicts(events: Iterable[Event]) -> dict[str, Verdict]:
    """The last word on each rule."""
    found: dict[str, Verdict] = {}
    for event in events:
        match event:
            case DeadlineSet(rule=rule, due_at=due_at):
                found[rule] = Verdict(due_at, "pending")
            case DeadlineMet(rule=rule, due_at=due_at):
                found[rule] = Verdict(due_at, "met")
            case DeadlineBreached(rule=rule, due_at=due_at):
                found[rule] = Verdict(due_at, "breached")
            case DeadlineDropped(rule=rule) if found[rule].outcome == "pending":
                found[rule] = Verdict(found[rule].due_at, "dropped")
    return found


def _retold(history: Sequence[Recorded], rules: Rules, now: datetime) -> list[Event]:
    """The same facts at the same times, under the other rules."""
    complaint = Complaint()
    told: list[Event] = []

    def note(events: Iterable[Event]) -> None:
        nonlocal complaint
        for event in events:
            complaint = evolve(complaint, event)
            told.append(event)

    def let_time_pass(until: datetime) -> None:
        for rule, deadline in complaint.deadlines.items():
            if deadline.set.due_at < until:
                command = TimeIsUp(complaint_id=complaint.id, at=until, rule=rule)
                note(list(time_is_up(command, complaint, rules)))

    for recorded in history:
        if not isinstance(recorded.event, CLOCKS):
            at = recorded.occurred_at
            let_time_pass(at)
            note([recorded.event, *consequences([recorded.event], complaint, at, rules)])
    let_time_pass(now)
    return told

"""The clocks of complaints: what their deadlines set going, and who is told when one has passed."""

from collections.abc import Iterator, Sequence

from eventlog.recorded import Recorded
from eventlog.store import EventStore
from eventlog.timers import Cancel, Change, Set, Timer, Timers
from events.customer_care import (
    DeadlineBreached,
    DeadlineDropped,
    DeadlineMet,
    DeadlineSet,
    Escalated,
    NotificationSent,
)
from services.customer_care.commands import Command, NoteNotification, TimeIsUp
from services.customer_care.complaint import complaint_decider
from services.customer_care.notifications import Email, Message, Webhook
from services.customer_care.published_rules import rules_of

TYPES = (DeadlineSet, DeadlineMet, DeadlineBreached, DeadlineDropped, Escalated, NotificationSent)


def complaint_timers(care: EventStore, channels: Sequence[Webhook | Email]) -> Timers:
    """A deadline that passes is a breach and goes up the ladder until its step is done; each escalation is
    sent over every channel that takes it, and noted."""
    by_name = {channel.name: channel for channel in channels}

    def changes(recorded: Recorded) -> Iterator[Change]:
        match recorded.event:
            case DeadlineSet(rule=rule, due_at=due_at):
                yield Set(_deadline(rule), due_at)
            case DeadlineMet(rule=rule) | DeadlineDropped(rule=rule):
                yield Cancel(_deadline(rule))
            case DeadlineBreached(rule=rule, next_at=next_at):
                yield Set(_deadline(rule), next_at) if next_at else Cancel(_deadline(rule))
            case Escalated(rule=rule, next_at=next_at) as escalated:
                yield Set(_deadline(rule), next_at) if next_at else Cancel(_deadline(rule))
                message = _message(recorded, escalated)
                for channel in channels:
                    if channel.takes(message):
                        yield Set(f"notify:{channel.name}:{recorded.version}", recorded.recorded_at)
            case NotificationSent(escalation=escalation, channel=name):
                yield Cancel(f"notify:{name}:{escalation.rpartition('@')[2]}")

    async def ring(timer: Timer) -> None:
        kind, _, about = timer.name.partition(":")
        if kind == "deadline":
            await give(timer, TimeIsUp(complaint_id=timer.correlation_id, rule=about, at=timer.rings_at))
            return
        name, _, version = about.rpartition(":")
        history = await care.stream(timer.stream)
        escalation = history[int(version) - 1]
        assert isinstance(escalation.event, Escalated)
        if (channel := by_name.get(name)) is None:
            return  # no longer configured
        await channel.send(_message(escalation, escalation.event))
        await give(
            timer,
            NoteNotification(
                complaint_id=timer.correlation_id,
                at=timer.rings_at,
                escalation=escalation.id,
                level=escalation.event.level,
                channel=name,
            ),
        )

    async def give(timer: Timer, command: Command) -> None:
        decider = complaint_decider("timer", await rules_of(care, timer.site))
        await care.handle(decider, timer.stream, command, timer.metadata())

    return Timers(care, TYPES, changes, ring)


def _deadline(rule: str) -> str:
    return f"deadline:{rule}"


def _message(recorded: Recorded, escalated: Escalated) -> Message:
    return Message(recorded.id, recorded.recorded_at, recorded.metadata.site, escalated)

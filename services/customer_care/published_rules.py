"""The versions of rulebook and calendar that a site has published, in customer care's own log."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from eventlog.decider import Decider, Rejected
from eventlog.store import EventStore
from events import Event
from events.customer_care import CalendarPublished, RulebookPublished
from events.rulebook import Calendar, Rulebook
from services.customer_care.rulebook import SHIPPED, Rules


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime


class PublishRulebook(_Command):
    rulebook: Rulebook


class PublishCalendar(_Command):
    calendar: Calendar


Command: TypeAlias = PublishRulebook | PublishCalendar


@dataclass(frozen=True, slots=True)
class Published:
    rules: Rules = field(default=SHIPPED)


def decide(command: Command, published: Published) -> list[Event]:
    match command:
        case PublishRulebook(rulebook=rulebook, at=at):
            _follows([each.version for each in published.rules.rulebooks], rulebook, at)
            return [RulebookPublished(rulebook=rulebook)]
        case PublishCalendar(calendar=calendar, at=at):
            _follows([each.version for each in published.rules.calendars], calendar, at)
            return [CalendarPublished(calendar=calendar)]


def _follows(versions: list[int], new: Rulebook | Calendar, at: datetime) -> None:
    """A version that held before it was known would change what was judged already."""
    if new.version != max(versions) + 1:
        raise Rejected(f"the next version is {max(versions) + 1}")
    if new.effective < at:
        raise Rejected("a new version holds from now on at the earliest")


def evolve(published: Published, event: Event) -> Published:
    rules = published.rules
    match event:
        case RulebookPublished(rulebook=rulebook):
            return Published(replace(rules, rulebooks=[*rules.rulebooks, rulebook]))
        case CalendarPublished(calendar=calendar):
            return Published(replace(rules, calendars=[*rules.calendars, calendar]))
    return published


PUBLISHED = Decider(initial=Published(), decide=decide, evolve=evolve)


def rules_stream(site: str) -> str:
    return f"rules-{site}"


async def rules_of(care: EventStore, site: str) -> Rules:
    """The rules of a site, with what it has published last. Raises Unavailable."""
    history = await care.stream(rules_stream(site))
    return PUBLISHED.fold(recorded.event for recorded in history).rules

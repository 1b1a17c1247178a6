"""The versions of rulebook and calendar that a site has published, in customer care's own log."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from eventlog.decider import Decider
from eventlog.store import EventStore
from events import Event
from events.customer_care import CalendarPublished, RulebookPublished
from events.rulebook import Calendar, Rulebook
from services.customer_care.rulebook import SHIPPED, Rules
from services.versions import must_follow


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
            must_follow(published.rules.rulebooks, rulebook, at)
            return [RulebookPublished(rulebook=rulebook)]
        case PublishCalendar(calendar=calendar, at=at):
            must_follow(published.rules.calendars, calendar, at)
            return [CalendarPublished(calendar=calendar)]


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

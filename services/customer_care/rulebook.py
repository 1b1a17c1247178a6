"""Which deadlines a complaint gets, by the version of the rules in force.

A deadline is pinned to the versions of rulebook and calendar under which it was set: later versions change
neither it nor its verdict.
"""

import tomllib
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

from events.rulebook import Calendar, Channel, Rule, Rulebook, Severity, Start
from services.versions import in_force
from services.working_time import NoWorkingTime, end_of_day, work_done


@dataclass(frozen=True, slots=True)
class Rules:
    """All versions that hold, or will hold, at a site; never empty."""

    rulebooks: Sequence[Rulebook]
    calendars: Sequence[Calendar]

    def rulebook(self, at: datetime) -> Rulebook:
        return in_force(self.rulebooks, at)

    def calendar(self, at: datetime) -> Calendar:
        return in_force(self.calendars, at)

    def rulebook_version(self, version: int) -> Rulebook:
        return next(each for each in reversed(self.rulebooks) if each.version == version)

    def calendar_version(self, version: int) -> Calendar:
        return next(each for each in reversed(self.calendars) if each.version == version)


def matching(rulebook: Rulebook, start: Start, severities: Set[Severity], channel: Channel) -> Iterator[Rule]:
    """All rules that match run beside each other; the earliest deadline of a step counts (K-03)."""
    for rule in rulebook.rules:
        if (
            rule.starts == start
            and (not rule.severities or not severities.isdisjoint(rule.severities))
            and (not rule.channels or channel in rule.channels)
        ):
            yield rule


def due(rule: Rule, start: datetime, calendar: Calendar) -> datetime | None:
    """The last moment at which the step is in time; None if the rule sets no deadline.

    Around the clock by a calendar that has run out: no complaint is refused for that.
    """
    if rule.clock == "end_of_day":
        return end_of_day(calendar, start)
    if rule.minutes is None:
        return None
    within = timedelta(minutes=rule.minutes)
    if rule.clock == "working_time":
        with suppress(NoWorkingTime):
            return work_done(calendar, start, within)
    return start + within


def _shipped() -> Rules:
    text = files("services.customer_care").joinpath("rules.toml").read_text("utf-8")
    data = tomllib.loads(text)
    return Rules(
        [Rulebook.model_validate(each) for each in data["rulebook"]],
        [Calendar.model_validate(each) for each in data["calendar"]],
    )


SHIPPED = _shipped()
"""What holds at a site that has published nothing of its own."""

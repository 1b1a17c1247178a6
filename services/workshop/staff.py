"""Who may do which work: people are licensed for a trade after a practical test (W-30)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TypeAlias

from eventlog.decider import Decider, Rejected
from eventlog.recorded import Recorded
from events import Event
from events.lines import Trade
from events.shop_rules import WorkshopRules
from events.workshop import TechnicianLicensed
from services.versions import Log, in_force

Licences: TypeAlias = Mapping[Trade, TechnicianLicensed]


@dataclass(frozen=True, slots=True)
class LicenseTechnician:
    licensed: TechnicianLicensed
    at: datetime


def decide(command: LicenseTechnician, licences: Licences, rules: Sequence[WorkshopRules]) -> list[Event]:
    new = command.licensed
    if licences.get(new.trade) == new:
        return []
    now = in_force(rules, command.at)
    if new.test_percent < now.licence_percent:
        raise Rejected(
            f"a licence takes {now.licence_percent} percent in the practical test, not {new.test_percent}"
        )
    if new.valid_until < command.at.astimezone(now.zone).date():
        raise Rejected("this licence would have ended already")
    return [new]


def evolve(licences: Licences, event: Event) -> Licences:
    return {**licences, event.trade: event} if isinstance(event, TechnicianLicensed) else licences


def staff_decider(rules: Sequence[WorkshopRules]) -> Decider[Licences, LicenseTechnician]:
    """Decides by the rules of the site."""
    return Decider({}, partial(decide, rules=rules), evolve)


def staff_stream(site: str, person: str) -> str:
    """No site has a dot in its name."""
    return f"staff-{site}.{person}"


async def licences_of(workshop: Log, site: str, person: str) -> Mapping[Trade, date]:
    """Until when somebody is licensed for what; empty if nobody registered them. Raises Unavailable."""
    history: Sequence[Recorded] = await workshop.shared_stream(staff_stream(site, person))
    licences = staff_decider([]).fold(recorded.event for recorded in history)
    return {trade: licensed.valid_until for trade, licensed in licences.items()}

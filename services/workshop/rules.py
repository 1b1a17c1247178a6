"""The workshop's rules: the shipped ones, and what a site has published since."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files

from events import Event
from events.shop_rules import WorkshopRules
from events.workshop import WorkshopRulesPublished
from services.versions import Log, published, publishing

SHIPPED = [
    WorkshopRules.model_validate(each)
    for each in tomllib.loads(files("services.workshop").joinpath("rules.toml").read_text("utf-8"))[
        "workshop"
    ]
]


def _rules_of(event: Event) -> WorkshopRules | None:
    return event.rules if isinstance(event, WorkshopRulesPublished) else None


WORKSHOP_RULES = publishing(SHIPPED, lambda rules: WorkshopRulesPublished(rules=rules), _rules_of)


def rules_stream(site: str) -> str:
    return f"workshop_rules-{site}"


async def rules_of(workshop: Log, site: str) -> Sequence[WorkshopRules]:
    """All versions of a site's rules. Raises Unavailable."""
    return await published(workshop, WORKSHOP_RULES, rules_stream(site))

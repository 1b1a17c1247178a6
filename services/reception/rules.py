"""The reception's rules and price lists: the shipped ones, and what a site has published since."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from events import Event
from events.reception import PriceListPublished, ReceptionRulesPublished
from events.shop_rules import PriceList, ReceptionRules
from services.versions import Log, published, publishing


def _shipped(name: str) -> dict[str, Any]:
    return tomllib.loads(files("services.reception").joinpath(name).read_text("utf-8"))


def _rules_of(event: Event) -> ReceptionRules | None:
    return event.rules if isinstance(event, ReceptionRulesPublished) else None


def _price_list_of(event: Event) -> PriceList | None:
    return event.price_list if isinstance(event, PriceListPublished) else None


SHIPPED_RULES = [ReceptionRules.model_validate(each) for each in _shipped("rules.toml")["reception"]]
SHIPPED_PRICES = [PriceList.model_validate(each) for each in _shipped("price_list.toml")["price_list"]]
RECEPTION_RULES = publishing(SHIPPED_RULES, lambda rules: ReceptionRulesPublished(rules=rules), _rules_of)
PRICE_LISTS = publishing(SHIPPED_PRICES, lambda new: PriceListPublished(price_list=new), _price_list_of)


def rules_stream(site: str) -> str:
    return f"reception_rules-{site}"


def price_list_stream(site: str) -> str:
    return f"price_list-{site}"


async def rules_of(reception: Log, site: str) -> Sequence[ReceptionRules]:
    """All versions of a site's rules. Raises Unavailable."""
    return await published(reception, RECEPTION_RULES, rules_stream(site))


async def price_lists_of(reception: Log, site: str) -> Sequence[PriceList]:
    """All versions of a site's price list. Raises Unavailable."""
    return await published(reception, PRICE_LISTS, price_list_stream(site))

"""A site's rules for reception and its prices: read, published from a time to come, and open to everybody."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs, public
from access.roles import SITE, Action
from access.tokens import Principal
from eventlog.decider import Decider
from eventlog.store import EventStore
from events.shop_rules import PriceList, ReceptionRules
from services.commands_over_http import (
    BodyForSite,
    Caller,
    CommandRouter,
    SiteOf,
    answer,
    commanding,
    site_of,
)
from services.reception.rules import (
    PRICE_LISTS,
    RECEPTION_RULES,
    price_list_stream,
    price_lists_of,
    rules_of,
    rules_stream,
)
from services.versions import Publish, Versioned, in_force

V = TypeVar("V", bound=Versioned)


class NewRules(BodyForSite):
    rules: ReceptionRules


class NewPriceList(BodyForSite):
    price_list: PriceList


class RulesOfSite(BaseModel):
    site: str
    rules: Annotated[Sequence[ReceptionRules], Field(description="All versions, the oldest first")]


class PriceListsOfSite(BaseModel):
    site: str
    price_lists: Annotated[Sequence[PriceList], Field(description="All versions, the oldest first")]


class Prices(BaseModel):
    """What work and parts cost, for everybody to read."""

    site: str
    now: PriceList
    announced: Sequence[PriceList]
    """What will hold later, the next one first."""


def rules_api(reception: EventStore) -> list[APIRouter]:
    reading = APIRouter(prefix="/v1", tags=["rules"])
    publishing = CommandRouter(prefix="/v1", tags=["rules"])

    @reading.get("/rules", response_model=RulesOfSite)
    async def rules(
        principal: Annotated[Principal, needs(Action.BOARD_READ)], site: SiteOf | None = None
    ) -> Any:
        """How the site books, receives and hands over, all versions."""
        site = site_of(principal, site)
        return {"site": site, "rules": await rules_of(reception, site)}

    @reading.get("/price-list", response_model=PriceListsOfSite)
    async def price_lists(
        principal: Annotated[Principal, needs(Action.BOARD_READ)], site: SiteOf | None = None
    ) -> Any:
        """Catalogue and prices of the site, all versions (W-24 … W-27)."""
        site = site_of(principal, site)
        return {"site": site, "price_lists": await price_lists_of(reception, site)}

    @reading.get("/prices/{site}", response_model=Prices, dependencies=[public])
    async def prices(site: Annotated[str, Path(pattern=f"^{SITE}$")]) -> Any:
        """What a site charges now, and what it has announced; public (R-59, X-10, X-18)."""
        lists, now = await price_lists_of(reception, site), datetime.now(UTC)
        held = in_force(lists, now)
        announced = sorted((each for each in lists if each.effective > now), key=lambda each: each.effective)
        return {"site": site, "now": held, "announced": announced}

    @publishing.command("/rules")
    async def publish_rules(
        body: NewRules, caller: Annotated[Caller, commanding(Action.SHOP_RULES_PUBLISH)]
    ) -> Response:
        """A new version of the site's rules; what was promised before stays as it was (X-14, X-15)."""
        return await publish(RECEPTION_RULES, rules_stream, body.rules, body, caller)

    @publishing.command("/price-list")
    async def publish_price_list(
        body: NewPriceList, caller: Annotated[Caller, commanding(Action.SHOP_RULES_PUBLISH)]
    ) -> Response:
        """New prices, announced to everybody; quotes of before stay as they are (R-59, X-18)."""
        return await publish(PRICE_LISTS, price_list_stream, body.price_list, body, caller)

    async def publish(
        decider: Decider[Sequence[V], Publish[V]],
        stream_of: Callable[[str], str],
        new: V,
        body: BodyForSite,
        caller: Caller,
    ) -> Response:
        site = site_of(caller.principal, body.site)
        stream = stream_of(site)
        handled = await reception.handle(
            decider,
            stream,
            Publish(new, datetime.now(UTC)),
            caller.metadata(stream, body, site),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(reception.source, stream, handled)

    return [reading, publishing]

"""The workshop's rules at a site: read and published."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs
from access.roles import Action
from access.tokens import Principal
from eventlog.store import EventStore
from events.shop_rules import WorkshopRules
from services.commands_over_http import (
    BodyForSite,
    Caller,
    CommandRouter,
    SiteOf,
    answer,
    commanding,
    site_of,
)
from services.versions import Publish
from services.workshop.rules import WORKSHOP_RULES, rules_of, rules_stream


class NewRules(BodyForSite):
    rules: WorkshopRules


class RulesOfSite(BaseModel):
    site: str
    rules: Annotated[Sequence[WorkshopRules], Field(description="All versions, the oldest first")]


def rules_api(workshop: EventStore) -> list[APIRouter]:
    asking = APIRouter(prefix="/v1", tags=["rules"])
    publishing = CommandRouter(prefix="/v1", tags=["rules"])

    @asking.get("/rules", response_model=RulesOfSite)
    async def rules(
        principal: Annotated[Principal, needs(Action.WORK_ORDER_READ)], site: SiteOf | None = None
    ) -> Any:
        """The workshop's rules at the site, all versions."""
        site = site_of(principal, site)
        return {"site": site, "rules": await rules_of(workshop, site)}

    @publishing.command("/rules")
    async def publish(
        body: NewRules, caller: Annotated[Caller, commanding(Action.SHOP_RULES_PUBLISH)]
    ) -> Response:
        """A new version of the rules for the site; it changes nothing that was set before (X-14)."""
        site = site_of(caller.principal, body.site)
        stream = rules_stream(site)
        handled = await workshop.handle(
            WORKSHOP_RULES,
            stream,
            Publish(body.rules, datetime.now(UTC)),
            caller.metadata(stream, body, site),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(workshop.source, stream, handled)

    return [asking, publishing]

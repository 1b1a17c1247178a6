"""The workshop's rules at a site: read and published."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs
from access.problems import Problem
from access.roles import Action
from access.tokens import Principal
from eventlog.store import EventStore
from events.shop_rules import WorkshopRules
from services.commands_over_http import Body, Caller, CommandRouter, answer, commanding
from services.versions import Publish
from services.workshop.rules import WORKSHOP_RULES, rules_of, rules_stream


class NewRules(Body):
    rules: WorkshopRules


class RulesOfSite(BaseModel):
    site: str
    rules: Annotated[Sequence[WorkshopRules], Field(description="All versions, the oldest first")]


def rules_api(workshop: EventStore) -> list[APIRouter]:
    asking = APIRouter(prefix="/v1", tags=["rules"])
    publishing = CommandRouter(prefix="/v1", tags=["rules"])

    @asking.get("/rules", response_model=RulesOfSite)
    async def rules(principal: Annotated[Principal, needs(Action.WORK_ORDER_READ)]) -> Any:
        """The workshop's rules at the site, all versions."""
        if principal.site is None:
            raise Problem(403, "This token covers several sites; use one of the site where this happens.")
        return {"site": principal.site, "rules": await rules_of(workshop, principal.site)}

    @publishing.command("/rules")
    async def publish(
        body: NewRules, caller: Annotated[Caller, commanding(Action.SHOP_RULES_PUBLISH)]
    ) -> Response:
        """A new version of the rules for the site; it changes nothing that was set before (X-14)."""
        stream = rules_stream(caller.site)
        handled = await workshop.handle(
            WORKSHOP_RULES,
            stream,
            Publish(body.rules, datetime.now(UTC)),
            caller.metadata(stream, body),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(workshop.source, stream, handled)

    return [asking, publishing]

"""Links with which a customer answers for a revision of an added repair, without an account (R-61 … R-66)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.types import DecoratedCallable
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs, public
from access.keyring import Keyring
from access.problems import Problem, missing
from access.roles import Action, Role
from access.signed_link import Links
from access.tokens import Principal
from eventlog.store import EventStore
from events.lines import Minutes
from events.reception import DeclineReason, RepairApproved, RepairDeclined
from services.commands_over_http import HEADERS, Answer, Body, Caller, answer, caller_of
from services.reception.about_customer import sealed_for
from services.reception.answers_api import Line, Text
from services.reception.api import VisitId
from services.reception.commands import ApproveRepair, DeclineRepair
from services.reception.rules import rules_of
from services.reception.visit import visit_decider, visit_stream

KIND = "approve"


class Link(BaseModel):
    path: str
    """Of the page it opens."""
    until: datetime


class Agreed(Body):
    delay_minutes: Annotated[Minutes, Field(strict=True)] | None = None
    """That the page named (R-61)."""
    answered_by: Text | None = None
    """Who answers, if not the customer; sealed before it is stored."""


class Refused(Agreed):
    reason: DeclineReason = "other"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever came with a link, and what it is about."""

    caller: Caller
    visit_id: str
    line: int
    hash: str | None


def about(id: str) -> tuple[str, str, int, str | None]:
    """Site, visit, line and hash that a link names."""
    site, visit_id, line, hash = id.split(".")
    return site, visit_id, int(line), hash or None


def links_api(reception: EventStore, keyring: Keyring) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["visits"])
    links = Links(keyring)

    async def holder(request: Request, link: str) -> Holder:
        opens = links.opened(KIND, link)
        site, visit_id, line, hash = about(opens.id)
        customer = Principal("customer", Role.CUSTOMER, frozenset({site}), opens.until.timestamp())
        caller = await caller_of(request, customer)
        # All customers are one actor: their keys are told apart by their links.
        of_link = hashlib.sha256(link.encode()).hexdigest()[:20]
        return Holder(replace(caller, command_id=f"{caller.command_id}/{of_link}"), visit_id, line, hash)

    @router.post("/visits/{visit_id}/repairs/{line}/link", response_model=Link)
    async def link_to_answer(
        visit_id: VisitId, line: Line, principal: Annotated[Principal, needs(Action.VISIT_ANSWER)]
    ) -> Any:
        """A link to the revision that the customer is asked about now; nothing is recorded."""
        history = await reception.stream(visit_stream(visit_id))
        if not history or not principal.at(site := history[0].metadata.site):
            raise missing()
        decider = visit_decider(principal.actor, await rules_of(reception, site))
        asked = decider.fold(recorded.event for recorded in history).added.asked.get(line)
        if asked is None:
            raise Problem(409, f"No approval was requested for line {line}.")
        secret, until = links.make(KIND, f"{site}.{visit_id}.{line}.{asked.hash or ''}", datetime.now(UTC))
        return {"path": f"/approve/{secret}", "until": until}

    def answering(path: str) -> Callable[[DecoratedCallable], DecoratedCallable]:
        return router.post(
            f"/approvals/{{link}}/{path}",
            status_code=201,
            response_model=Answer,
            dependencies=[public],
            openapi_extra={"parameters": HEADERS},
        )

    @answering("approve")
    async def approve(body: Agreed, holder: Annotated[Holder, Depends(holder)]) -> Response:
        """Whoever holds the link agrees to the revision it names (R-62, R-64)."""
        sealed = await sealed_by(holder, RepairApproved, body)
        command = ApproveRepair(
            visit_id=holder.visit_id,
            line=holder.line,
            hash=holder.hash,
            channel="signed_link",
            delay_minutes=body.delay_minutes,
            **sealed,
        )
        return await give(command, body, holder)

    @answering("decline")
    async def decline(body: Refused, holder: Annotated[Holder, Depends(holder)]) -> Response:
        """Whoever holds the link refuses the revision it names; the workshop sees it at once (R-62)."""
        sealed = await sealed_by(holder, RepairDeclined, body)
        command = DeclineRepair(
            visit_id=holder.visit_id,
            line=holder.line,
            hash=holder.hash,
            channel="signed_link",
            delay_minutes=body.delay_minutes,
            reason=body.reason,
            **sealed,
        )
        return await give(command, body, holder)

    async def sealed_by(
        holder: Holder, event: type[RepairApproved | RepairDeclined], body: Agreed
    ) -> dict[str, Any]:
        site = holder.caller.site
        return await sealed_for(
            reception, keyring, holder.visit_id, site, event, answered_by=body.answered_by
        )

    async def give(command: ApproveRepair | DeclineRepair, body: Body, holder: Holder) -> Response:
        caller = holder.caller
        handled = await reception.handle(
            visit_decider(caller.principal.actor, await rules_of(reception, caller.site)),
            visit_stream(holder.visit_id),
            command,
            caller.metadata(holder.visit_id, body),
            expected_version=caller.expected_version,
        )
        return answer(reception.source, holder.visit_id, handled)

    return router

"""Links for customers: with one, they complain about a visit or see how their complaint stands, without an
account (C-30, C-33)."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from access.guard import needs, public
from access.keyring import Keyring
from access.problems import Problem, missing
from access.request_body import RequestBody
from access.roles import Action, Role
from access.signed_link import Links
from access.tokens import Principal
from eventlog.store import EventStore
from events.customer_care import ComplaintRaised, Subject
from services.commands_over_http import HEADERS, Body, Caller, Phone, caller_of
from services.customer_care import commands as do
from services.customer_care.api import ComplaintId, Reference, Text
from services.customer_care.complaint import complaint_decider, complaint_stream
from services.customer_care.published_rules import rules_of
from services.personal_data import seal


class NewLink(RequestBody):
    visit_id: Reference


class Complain(RequestBody):
    subject: Subject
    customer_name: Annotated[str, Field(min_length=1, max_length=200)]
    phone: Phone
    narrative: Text


class Link(BaseModel):
    path: str
    """Of the page it opens."""
    until: datetime


class Complained(Link):
    position: str | None
    """`<source>:<position>`; give it to the page as `min_position` to see your own complaint."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever came with a link to complain about a visit."""

    caller: Caller
    visit_id: str


def links_api(care: EventStore, keyring: Keyring) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["complaints"])
    links = Links(keyring)

    async def holder(request: Request, link: str) -> Holder:
        opens = links.opened("complain", link)
        site, _, visit_id = opens.id.partition(".")
        customer = Principal("customer", Role.CUSTOMER, frozenset({site}), opens.until.timestamp())
        caller = await caller_of(request, customer)
        # All customers are one actor: their keys are told apart by their links.
        of_link = hashlib.sha256(link.encode()).hexdigest()[:20]
        return Holder(replace(caller, command_id=f"{caller.command_id}/{of_link}"), visit_id)

    @router.post("/links", response_model=Link)
    async def link_to_complain(
        body: NewLink, principal: Annotated[Principal, needs(Action.COMPLAINT_RAISE)]
    ) -> Any:
        """A link with which a customer raises one complaint about a visit; nothing is recorded (C-30)."""
        if principal.site is None:
            raise Problem(403, "This token covers several sites; use one of the site where this happens.")
        secret, until = links.make("complain", f"{principal.site}.{body.visit_id}", datetime.now(UTC))
        return {"path": f"/complain/{secret}", "until": until}

    @router.post(
        "/links/{link}/complaint",
        status_code=201,
        response_model=Complained,
        dependencies=[public],
        openapi_extra={"parameters": HEADERS},
    )
    async def complain(link: str, body: Complain, holder: Annotated[Holder, Depends(holder)]) -> Any:
        """Whoever holds the link complains, once, and gets the link under which they see how it stands."""
        site = holder.caller.site
        complaint_id = hashlib.sha256(link.encode()).hexdigest()[:20]
        clear = body.model_dump(exclude={"subject"})
        customer, sealed = await seal(keyring, ComplaintRaised, body.phone, clear)
        command = do.RaiseComplaint(
            complaint_id=complaint_id,
            at=datetime.now(UTC),
            visit_id=holder.visit_id,
            channel="website",
            subject=body.subject,
            severity="ordinary",
            customer=customer,
            customer_name=sealed["customer_name"],
            phone=sealed["phone"],
            narrative=sealed["narrative"],
        )
        handled = await care.handle(
            complaint_decider("customer", await rules_of(care, site)),
            complaint_stream(complaint_id),
            command,
            replace(holder.caller.metadata(complaint_id, Body()), occurred_at=command.at),
            new=True,
            expected_version=holder.caller.expected_version,
        )
        if not handled.recorded:
            raise Problem(409, "A complaint was raised with this link already; please call us to add to it.")
        secret, until = links.make("progress", f"{site}.{complaint_id}", handled.recorded[0].recorded_at)
        position = f"{care.source}:{handled.position}" if handled.position else None
        return {"path": f"/progress/{secret}", "until": until, "position": position}

    @router.post("/complaints/{complaint_id}/link", response_model=Link)
    async def link_to_progress(
        complaint_id: ComplaintId, principal: Annotated[Principal, needs(Action.COMPLAINT_READ)]
    ) -> Any:
        """A link under which the customer sees how their complaint stands; nothing is recorded (C-33)."""
        history = await care.stream(complaint_stream(complaint_id))
        if not history or not principal.at(site := history[0].metadata.site):
            raise missing()
        secret, until = links.make("progress", f"{site}.{complaint_id}", datetime.now(UTC))
        return {"path": f"/progress/{secret}", "until": until}

    return router

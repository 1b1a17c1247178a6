"""Printed forms: those of a work order for the people who work on it, and the customer's own copies."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from access.guard import SESSION_COOKIE, needs, public
from access.problems import missing
from access.roles import Action, Role
from access.signed_link import Links
from access.tokens import Principal
from projections.api import MinPosition, Moment
from projections.forms.contents import FORMS
from projections.forms.desk import FormsDesk, offer
from projections.reading import Views
from projections.visit_file.projection import VISIT_FILE
from projections.web.complaint_pages import NOT_FOUND_AGAIN
from projections.web.rendering import page

COPIES = ("reception", "work-order")
"""That the customer takes home (R-51)."""
Reader = Annotated[Principal, needs(Action.WORK_ORDER_READ)]


class CopiesLink(BaseModel):
    path: str
    """Of the customer's page."""
    until: datetime


def forms_api(views: Views, links: Links, desk: FormsDesk) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["work orders"])

    @router.get("/work-orders/{id}/forms")
    async def forms(id: str, who: Reader, as_of: Moment, min_position: MinPosition = None) -> Response:
        """The forms that can be printed, each with the hash it carries: to compare with a paper (K-22)."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        return JSONResponse({"forms": [asdict(each) for each in await desk.offers(who, id, as_of)]})

    @router.get("/work-orders/{id}/forms/gate-pass.pdf", response_class=Response, responses=PDF)
    async def gate_pass(
        id: str,
        who: Annotated[Principal, needs(Action.VISIT_CASH)],
        min_position: MinPosition = None,
    ) -> Response:
        """The gate pass with the code that opens the gate, for the cashier (R-81)."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        return pdf(await desk.pdf(who, id, "gate-pass"), "gate-pass", id)

    @router.get("/work-orders/{id}/forms/{form}.pdf", response_class=Response, responses=PDF)
    async def form(
        request: Request, id: str, form: str, who: Reader, as_of: Moment, min_position: MinPosition = None
    ) -> Response:
        """A form as PDF, also as of a past moment; a name on it is recorded as revealed, or left open."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = token or request.cookies.get(SESSION_COOKIE, "")
        return pdf(await desk.pdf(who, id, form, as_of, token), form, id)

    @router.post("/work-orders/{id}/copies/link", response_model=CopiesLink)
    async def link_to_copies(id: str, who: Annotated[Principal, needs(Action.VISIT_QUOTE)]) -> Any:
        """A link under which the customer reads their copies; nothing is recorded (R-51)."""
        read = await views.visit_file(who, id)
        if read is None:
            raise missing()
        secret, until = links.make("copy", f"{read.document['site']}.{id}", datetime.now(UTC))
        return {"path": f"/copy/{secret}", "until": until}

    return router


PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}}}


def pdf(made: bytes, form: str, id: str) -> Response:
    headers = {
        "Content-Disposition": f'inline; filename="{form}-{id}.pdf"',
        "Cache-Control": "private, no-store",
    }
    return Response(made, headers=headers, media_type="application/pdf")


def forms_pages(views: Views, links: Links, desk: FormsDesk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/work-orders/{id}/forms")
    async def forms(request: Request, id: str, who: Reader) -> Response:
        offers = await desk.offers(who, id)
        return page(request, "forms.html", who, id=id, offers=offers)

    @router.get("/copy/{link}", dependencies=[public])
    async def copies(request: Request, link: str, min_position: MinPosition = None) -> Response:
        """Looks nothing up before the link is known to be ours; then reads as the link's site only (R-51)."""
        customer, id = opened(link)
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        file = await desk.customers_file(customer, id)
        offers = [offer(FORMS[name], file) for name in COPIES]
        return page(request, "copy.html", None, headers=NOT_FOUND_AGAIN, offers=offers, link=link, id=id)

    @router.get("/copy/{link}/{form}.pdf", dependencies=[public])
    async def copy(link: str, form: str) -> Response:
        customer, id = opened(link)
        if form not in COPIES:
            raise missing()
        answer = pdf(await desk.copy(customer, id, form), form, id)
        answer.headers.update(NOT_FOUND_AGAIN)
        return answer

    def opened(link: str) -> tuple[Principal, str]:
        opens = links.opened("copy", link)
        site, _, id = opens.id.partition(".")
        return Principal("customer", Role.CUSTOMER, frozenset({site}), opens.until.timestamp()), id

    return router

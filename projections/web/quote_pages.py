"""The advisor's page of quote and work order, the desk's list of calls, the page on which a customer answers
for an added repair, and prices for everybody."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from access.guard import needs, public
from access.problems import Problem, missing
from access.roles import SITE, Action, Role
from access.signed_link import Links
from access.tokens import Principal
from events.lines import Line
from projections.api import MinPosition
from projections.projection import Document
from projections.reading import Views
from projections.visit_file.projection import VISIT_FILE
from projections.web.complaint_pages import NOT_FOUND_AGAIN
from projections.web.rendering import page
from projections.work_order_board.projection import WORK_ORDER_BOARD

MOST_ENTRIES = 1_000
"""Of a timeline in which the revisions of a quote are looked for."""


def quote_pages(views: Views, links: Links) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/visits/{id}/quote")
    async def quote(
        request: Request,
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        min_position: MinPosition = None,
    ) -> Response:
        """For who quotes and who settles with the maker; with what was put off at earlier visits (R-67)."""
        if not (who.may(Action.VISIT_QUOTE) or who.may(Action.VISIT_CLAIM)):
            raise Problem(403, f"The role {who.role} does not include {Action.VISIT_QUOTE}.")
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        read = await views.visit_file(who, id)
        timeline = await views.work_order_timeline(who, id, limit=MOST_ENTRIES)
        if read is None or timeline is None or "visit_id" not in read.document:
            raise missing()
        file = read.document
        vehicles, minutes = await views.labour_ahead(who, file["site"], id)
        history = await views.vehicle(who, file["vin"]) if "vin" in file else None
        revisions = [
            entry for entry in timeline.document["entries"] if entry["event"] == "reception.quote_issued.v1"
        ]
        return page(
            request,
            "quote.html",
            who,
            file=file,
            quote=_with_sums(file["quote"]) if "quote" in file else None,
            revisions=revisions,
            vehicles=vehicles,
            minutes=minutes,
            put_off=history.document["recommendations"] if history else [],
        )

    @router.get("/sites/{site}/calls")
    async def calls(
        request: Request,
        site: str,
        who: Annotated[Principal, needs(Action.VISIT_ANSWER)],
        min_position: MinPosition = None,
    ) -> Response:
        """The desk's list: whose answer the workshop waits for, and what to say in the call (R-60 … R-63)."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
            await views.wait_for(WORK_ORDER_BOARD, min_position)
        board = await views.board(who, site)
        found = []
        for card in board.face.cards:
            if not any(line["state"] == "asked" for line in card.document["lines"]):
                continue
            if (read := await views.visit_file(who, card.document["work_order_id"])) is not None:
                lines = read.document.get("added", {})
                asked = [lines[n] | {"line": int(n)} for n in sorted(lines, key=int)]
                asked = [line for line in asked if line["state"] == "asked"]
                found.append((card.document | read.document, asked))
        return page(request, "calls.html", who, site=site, calls=found)

    @router.get("/approve/{link}", dependencies=[public])
    async def approve(request: Request, link: str, min_position: MinPosition = None) -> Response:
        """What a customer is asked about; looks nothing up before the link is known to be ours."""
        opens = links.opened("approve", link)
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        site, id, line, hash = opens.id.split(".")
        customer = Principal("customer", Role.CUSTOMER, frozenset({site}), opens.until.timestamp())
        read = await views.visit_file(customer, id)
        asked = read.document.get("added", {}).get(line) if read else None
        return page(
            request,
            "approve.html",
            None,
            headers=NOT_FOUND_AGAIN,
            line=asked,
            changed=asked is not None and asked.get("hash") != (hash or None),
            answer=f"/reception/v1/approvals/{link}",
        )

    @router.get("/prices/{site}", dependencies=[public])
    async def prices(request: Request, site: Annotated[str, Path(pattern=f"^{SITE}$")]) -> Response:
        """What work and parts cost, and what will change (R-59, X-10, X-18)."""
        return page(request, "prices.html", None, site=site)

    return router


def _with_sums(quote: Document) -> Document:
    """Each line with what its parts cost, and with its total."""
    lines = [(each, Line.model_validate(each)) for each in quote["lines"]]
    sums = [each | {"parts_fen": line.parts_fen, "total_fen": line.total_fen} for each, line in lines]
    return {**quote, "lines": sums}

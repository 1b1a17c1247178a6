"""The gate: a pass is scanned, and the page says in one look whether the vehicle may leave."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.guard import needs
from access.roles import Action
from access.tokens import Principal
from projections.web.rendering import page


def gate_pages() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/gate")
    async def gate(request: Request, who: Annotated[Principal, needs(Action.GATE_PASS_USE)]) -> Response:
        """Works on without a connection: then the signature of the pass alone is checked (R-81, K-20)."""
        return page(request, "gate.html", who)

    return router

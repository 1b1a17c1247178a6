"""Intake as an advisor walks through it with a tablet: from the papers to the customer's signature."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.guard import needs
from access.problems import Problem, missing
from access.roles import Action
from access.tokens import Principal
from events.walk_around import ENGINE_BAY, ITEMS
from projections.api import MinPosition
from projections.projection import Document
from projections.reading import Views
from projections.visit_file.projection import VISIT_FILE
from projections.web.rendering import page

VIEWS = ("left", "right", "front", "rear", "top", "inside")
"""Of the car; all but the last are drawn."""
KINDS = ("scratch", "dent", "crack", "chip", "missing", "other")
ACROSS = {"left_third": 167, "middle": 500, "right_third": 833}
DOWN = {"upper_third": 167, "middle": 500, "lower_third": 833}
"""Where a damage is, for who does not touch the picture: thousandths of it."""
PHOTOS_OF = ("damage", "underbody", "vehicle", "paper")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of intake: its place on the page, and whether it is done."""

    name: str
    done: bool


def steps(visit: Document) -> list[Step]:
    """In the order in which they are gone through; each can be done at any time (R-32)."""
    walked, signed = "walk_around" in visit, "signed_at" in visit.get("walk_around", {})
    found = [
        Step("symptoms", bool(visit.get("symptoms"))),
        Step("papers", "papers" in visit),
        Step("protective_set", "fitted_at" in visit.get("protective_set", {})),
        Step("valuables", "valuables" in visit),
    ]
    if visit.get("first_service") or "underbody" in visit:
        found.append(Step("underbody", "underbody" in visit))
    return [*found, Step("walk_around", walked), Step("signature", walked and signed)]


def intake_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/visits/{id}/intake")
    async def intake(
        request: Request,
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        min_position: MinPosition = None,
    ) -> Response:
        """For who inspects, and for the manager who takes part (R-58)."""
        if not (who.may(Action.VISIT_INSPECT) or who.may(Action.VISIT_MANAGE)):
            raise Problem(403, f"The role {who.role} does not include {Action.VISIT_INSPECT}.")
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        read = await views.visit_file(who, id)
        if read is None or "received_at" not in read.document:
            raise missing()
        return page(
            request,
            "intake.html",
            who,
            visit=read.document,
            steps=steps(read.document),
            items=ITEMS,
            engine_bay=ENGINE_BAY,
            car_views=VIEWS,
            kinds=KINDS,
            across=ACROSS,
            down=DOWN,
            photos_of=PHOTOS_OF,
        )

    return router

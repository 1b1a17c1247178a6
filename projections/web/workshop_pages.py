"""The pages of the workshop: dispatch, a team's work, parts, checks (W-02 … W-19)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from access.guard import needs
from access.roles import Action
from access.tokens import Principal
from projections.api import MinPosition
from projections.projection import Document
from projections.reading import Views
from projections.visit_file import shop_floor
from projections.visit_file.projection import VISIT_FILE
from projections.web.rendering import page

Team = Annotated[str, Query(max_length=50)]


def workshop_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    async def here(who: Principal, site: str, min_position: str | None) -> list[Document]:
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        return await views.visit_files(who, site)

    @router.get("/sites/{site}/dispatch")
    async def dispatch(
        request: Request,
        site: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_DISPATCH)],
        min_position: MinPosition = None,
    ) -> Response:
        """The controller's: what waits for a team, what each team has to do, who is late."""
        files = await here(who, site, min_position)
        return page(
            request,
            "shop_dispatch.html",
            who,
            site=site,
            waiting=shop_floor.to_dispatch(files),
            teams=shop_floor.loads(files),
            at_work=shop_floor.at_work(files),
            asked_for=shop_floor.asked_for,
            reworked=[file for file in files if file.get("workshop", {}).get("reworks")],
            returned=[file for file in files if shop_floor.checked(file)],
        )

    @router.get("/sites/{site}/team")
    async def team(
        request: Request,
        site: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_WORK)],
        team: Team = "",
        min_position: MinPosition = None,
    ) -> Response:
        """A technician's: the work of one team, line by line."""
        files = await here(who, site, min_position)
        return page(
            request,
            "shop_team.html",
            who,
            site=site,
            team=team,
            teams=[each["team"] for each in shop_floor.loads(files)],
            files=shop_floor.at_work(files, team or None),
            tasks=shop_floor.tasks,
            asked_for=shop_floor.asked_for,
        )

    @router.get("/sites/{site}/parts")
    async def parts(
        request: Request,
        site: str,
        who: Annotated[Principal, needs(Action.PARTS_PICK)],
        min_position: MinPosition = None,
    ) -> Response:
        """The parts clerk's: what is awaited, and what may be drawn on which order."""
        files = await here(who, site, min_position)
        awaited = [file for file in files if file.get("workshop", {}).get("parts_awaited")]
        return page(
            request,
            "shop_parts.html",
            who,
            site=site,
            needed=shop_floor.to_draw(files),
            awaited=awaited,
        )

    @router.get("/sites/{site}/checks")
    async def checks(
        request: Request,
        site: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_INSPECT)],
        min_position: MinPosition = None,
    ) -> Response:
        """The inspector's: test drive, then the check; what failed goes back."""
        files = await here(who, site, min_position)
        return page(
            request,
            "shop_checks.html",
            who,
            site=site,
            files=shop_floor.to_check(files),
            last_drive=shop_floor.last_drive,
            last_check=shop_floor.last_check,
        )

    return router

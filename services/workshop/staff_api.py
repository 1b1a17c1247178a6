"""Who is licensed for what at a site: read, and recorded after a practical test (W-30)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs
from access.problems import Problem
from access.roles import Action
from access.tokens import Principal
from eventlog import sql
from eventlog.recorded import decode
from eventlog.store import EventStore
from events.lines import Trade
from events.shop_rules import Percent
from events.workshop import TechnicianLicensed
from services.commands_over_http import Body, Caller, CommandRouter, answer, commanding
from services.workshop.api import Person
from services.workshop.rules import rules_of
from services.workshop.staff import LicenseTechnician, staff_decider, staff_stream


class License(Body):
    person: Person
    trade: Trade
    test_percent: Annotated[Percent, Field(strict=True)]
    valid_until: date


class LicencesOfSite(BaseModel):
    site: str
    licences: Annotated[
        Sequence[TechnicianLicensed], Field(description="The last of each person and trade, by person")
    ]


def staff_api(workshop: EventStore) -> list[APIRouter]:
    reading = APIRouter(prefix="/v1", tags=["staff"])
    licensing = CommandRouter(prefix="/v1", tags=["staff"])

    @reading.get("/licences", response_model=LicencesOfSite)
    async def licences(who: Annotated[Principal, needs(Action.WORK_ORDER_WORK)]) -> Any:
        """Who may do which work at the site, and until when; who has none may do all of it."""
        if who.site is None:
            raise Problem(403, "This token covers several sites; use one of the site where this happens.")
        async with workshop.pool.connection() as conn:
            found = await sql.rows(conn, _OF_SITE, (staff_stream(who.site, ""),))
        licensed = (decode(state).event for [state] in found)
        last = {(each.person, each.trade): each for each in licensed if isinstance(each, TechnicianLicensed)}
        return {"site": who.site, "licences": [last[key] for key in sorted(last)]}

    @licensing.command("/licences")
    async def license(body: License, caller: Annotated[Caller, commanding(Action.STAFF_LICENSE)]) -> Response:
        """Somebody passed the practical test of a trade (W-30)."""
        stream = staff_stream(caller.site, body.person)
        licensed = TechnicianLicensed(**body.model_dump(exclude={"occurred_at"}))
        handled = await workshop.handle(
            staff_decider(await rules_of(workshop, caller.site)),
            stream,
            LicenseTechnician(licensed, body.occurred_at or datetime.now(UTC)),
            caller.metadata(stream, body),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(workshop.source, stream, handled)

    return [reading, licensing]


_OF_SITE = """
SELECT state FROM events WHERE starts_with(originator_id, %s) ORDER BY originator_id, originator_version
"""

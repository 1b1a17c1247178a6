"""The rules for complaints and the working hours of a site: read, tried out on the past, published."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from access.guard import needs
from access.problems import Problem
from access.request_body import RequestBody
from access.roles import Action
from access.tokens import Principal
from eventlog.store import EventStore
from events.customer_care import ComplaintRaised
from events.rulebook import Calendar, Rulebook
from services.commands_over_http import (
    BodyForSite,
    Caller,
    CommandRouter,
    SiteOf,
    Time,
    answer,
    commanding,
    site_of,
)
from services.customer_care.published_rules import (
    PUBLISHED,
    Command,
    PublishCalendar,
    PublishRulebook,
    rules_of,
    rules_stream,
)
from services.customer_care.rulebook import Rules
from services.customer_care.simulation import Outcome, differences

LONGEST_PERIOD = timedelta(days=100)
MOST_COMPLAINTS = 5_000


class NewRulebook(BodyForSite):
    rulebook: Rulebook


class NewCalendar(BodyForSite):
    calendar: Calendar


class Simulation(RequestBody):
    """What to try out; what is left out stays as it is."""

    rulebook: Rulebook | None = None
    calendar: Calendar | None = None
    since: Time | None = None
    """A quarter ago, if it is left out."""
    until: Time | None = None
    site: SiteOf | None = None


class Verdict(BaseModel):
    due_at: datetime
    outcome: Outcome


class Difference(BaseModel):
    complaint_id: str
    rule: str
    actual: Verdict | None
    simulated: Verdict | None


class Simulated(BaseModel):
    complaints: int
    """How many were looked at."""
    differences: list[Difference]


class RulesOfSite(BaseModel):
    site: str
    rulebooks: Annotated[Sequence[Rulebook], Field(description="All versions, the oldest first")]
    calendars: Sequence[Calendar]


def rules_api(care: EventStore) -> list[APIRouter]:
    asking = APIRouter(prefix="/v1", tags=["rules"])
    publishing = CommandRouter(prefix="/v1", tags=["rules"])

    @asking.get("/rules", response_model=RulesOfSite)
    async def rules(
        principal: Annotated[Principal, needs(Action.COMPLAINT_READ)], site: SiteOf | None = None
    ) -> Any:
        """The rulebook and the working hours of the site, all versions."""
        site = site_of(principal, site)
        found = await rules_of(care, site)
        return {"site": site, "rulebooks": found.rulebooks, "calendars": found.calendars}

    @publishing.command("/rulebook")
    async def publish_rulebook(
        body: NewRulebook, caller: Annotated[Caller, commanding(Action.RULES_PUBLISH)]
    ) -> Response:
        """A new version of the rules for the site; it changes no deadline that was set before (X-14)."""
        return await publish(PublishRulebook(rulebook=body.rulebook, at=datetime.now(UTC)), body, caller)

    @publishing.command("/calendar")
    async def publish_calendar(
        body: NewCalendar, caller: Annotated[Caller, commanding(Action.RULES_PUBLISH)]
    ) -> Response:
        """New working hours of the site; they change no deadline that was set before (K-05)."""
        return await publish(PublishCalendar(calendar=body.calendar, at=datetime.now(UTC)), body, caller)

    @asking.post("/rulebook/simulate", response_model=Simulated)
    async def simulate(body: Simulation, principal: Annotated[Principal, needs(Action.RULES_PUBLISH)]) -> Any:
        """Which deadlines and verdicts of past complaints other rules would have changed; records nothing."""
        site, now = site_of(principal, body.site), datetime.now(UTC)
        until = body.until or now
        since = body.since or until - timedelta(days=91)
        if not timedelta(0) < until - since <= LONGEST_PERIOD:
            raise Problem(422, f"A simulation looks at {LONGEST_PERIOD.days} days at most.")
        streams = await care.streams_begun(ComplaintRaised, site, since, until, MOST_COMPLAINTS + 1)
        if len(streams) > MOST_COMPLAINTS:
            raise Problem(
                422, f"There are more than {MOST_COMPLAINTS} complaints in this period; choose a shorter one."
            )
        held = await rules_of(care, site)
        tried = Rules(
            [body.rulebook] if body.rulebook else held.rulebooks,
            [body.calendar] if body.calendar else held.calendars,
        )
        histories = [await care.stream(stream) for stream in streams]
        found = await asyncio.to_thread(differences, histories, tried, now)
        return {"complaints": len(streams), "differences": [asdict(each) for each in found]}

    async def publish(command: Command, body: BodyForSite, caller: Caller) -> Response:
        site = site_of(caller.principal, body.site)
        stream = rules_stream(site)
        handled = await care.handle(
            PUBLISHED,
            stream,
            command,
            caller.metadata(stream, body, site),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(care.source, stream, handled)

    return [asking, publishing]

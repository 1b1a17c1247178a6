"""What the customer says while the vehicle is in the workshop: to repairs, to delays, about belongings."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from access.keyring import Keyring
from access.roles import Action
from eventlog.store import EventStore
from events.lines import Minutes, Payer
from events.reception import DeclineReason, RepairApproved, RepairDeclined
from services.commands_over_http import Body, Caller, CommandRouter, Time, answer, commanding
from services.reception.about_customer import sealed_for
from services.reception.api import VisitId
from services.reception.commands import (
    ApproveRepair,
    Command,
    ConsentToBelongings,
    DeclineRepair,
    StaffChannel,
    TellOfDelay,
)
from services.reception.rules import rules_of
from services.reception.visit import visit_decider, visit_stream

Line = Annotated[int, Path(ge=1, le=1_000)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Answered(Body):
    channel: StaffChannel = "phone"
    hash: Digest | None = None
    """Of the revision that the customer was asked about; only a repair of before there were any has none."""
    delay_minutes: Annotated[Minutes, Field(strict=True)] | None = None
    """The delay that the customer was told in the same call (R-61)."""
    answered_by: Text | None = None
    """Who answered, if not the customer; sealed before it is stored."""


class Approve(Answered):
    payer: Payer | None = None


class Decline(Answered):
    reason: DeclineReason
    told_to: Text | None = None
    """Who in the workshop took the notice (R-63)."""
    told_at: Time | None = None
    """When; now, if it is left out."""


class Told(Body):
    channel: StaffChannel = "phone"
    promised_at: Time
    understood: Annotated[bool, Field(strict=True)] = True


class Consent(Body):
    items: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)]
    channel: StaffChannel = "phone"


def answers_api(reception: EventStore, keyring: Keyring) -> CommandRouter:
    router = CommandRouter(prefix="/v1/visits/{visit_id}", tags=["visits"])

    @router.command("/repairs/{line}/approve")
    async def approve(
        visit_id: VisitId,
        line: Line,
        body: Approve,
        caller: Annotated[Caller, commanding(Action.VISIT_ANSWER)],
    ) -> Response:
        """The customer agrees to a revision of an added repair; the answer is final (R-61, R-62, R-64)."""
        sealed = await sealed_for(
            reception, keyring, visit_id, caller.site, RepairApproved, answered_by=body.answered_by
        )
        fields = body.model_dump(exclude={"occurred_at", "answered_by"})
        return await give(ApproveRepair(visit_id=visit_id, line=line, **fields, **sealed), body, caller)

    @router.command("/repairs/{line}/decline")
    async def decline(
        visit_id: VisitId,
        line: Line,
        body: Decline,
        caller: Annotated[Caller, commanding(Action.VISIT_ANSWER)],
    ) -> Response:
        """The customer refuses a revision of an added repair; the answer is final (R-61 … R-63)."""
        sealed = await sealed_for(
            reception, keyring, visit_id, caller.site, RepairDeclined, answered_by=body.answered_by
        )
        fields = body.model_dump(exclude={"occurred_at", "answered_by", "told_at"})
        told_at = body.told_at or _at(body) if body.told_to else None
        command = DeclineRepair(visit_id=visit_id, line=line, told_at=told_at, **fields, **sealed)
        return await give(command, body, caller)

    @router.command("/delays/{delay}/told")
    async def told(
        visit_id: VisitId,
        delay: Annotated[int, Path(ge=1, le=1_000)],
        body: Told,
        caller: Annotated[Caller, commanding(Action.VISIT_QUOTE)],
    ) -> Response:
        """The customer knows of a delay, its cause and the new time (W-11, W-16)."""
        fields = body.model_dump(exclude={"occurred_at"})
        return await give(TellOfDelay(visit_id=visit_id, delay=delay, at=_at(body), **fields), body, caller)

    @router.command("/belongings/consent")
    async def consent(
        visit_id: VisitId, body: Consent, caller: Annotated[Caller, commanding(Action.VISIT_ANSWER)]
    ) -> Response:
        """The customer agrees that belongings in the way are touched (W-10)."""
        fields = body.model_dump(exclude={"occurred_at"})
        return await give(ConsentToBelongings(visit_id=visit_id, **fields), body, caller)

    async def give(command: Command, body: Body, caller: Caller) -> Response:
        metadata = caller.metadata(command.visit_id, body)
        handled = await reception.handle(
            visit_decider(caller.principal.actor, await rules_of(reception, caller.site)),
            visit_stream(command.visit_id),
            command,
            # What is judged by a time carries that very time.
            replace(metadata, occurred_at=command.at) if isinstance(command, TellOfDelay) else metadata,
            expected_version=caller.expected_version,
        )
        return answer(reception.source, command.visit_id, handled)

    return router


def _at(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)

"""What people in the workshop do."""

from typing import Annotated

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from access.roles import Action
from eventlog.store import EventStore
from services.commands_over_http import Body, Caller, CommandRouter, answer, commanding
from services.workshop.commands import (
    AddRepair,
    Command,
    CompleteRepair,
    DispatchWork,
    FailQuality,
    OrderRework,
    PassQuality,
)
from services.workshop.work_order import WORK_ORDER, work_order_stream

WorkOrderId = Annotated[str, Path(pattern="^[0-9A-Za-z._-]{1,100}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Dispatch(Body):
    team: Annotated[str, Field(min_length=1, max_length=50)]


class Add(Body):
    description: Text
    price_fen: Annotated[int, Field(ge=0, le=10**9, strict=True)]
    delay_minutes: Annotated[int, Field(ge=0, le=100_000, strict=True)]
    """How much later the vehicle will be ready: told to the customer in the same call (R-61)."""


class Cause(Body):
    cause: Text


def api(workshop: EventStore) -> CommandRouter:
    router = CommandRouter(prefix="/v1/work-orders/{work_order_id}", tags=["work orders"])

    @router.command("/dispatch")
    async def dispatch(
        work_order_id: WorkOrderId,
        body: Dispatch,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_DISPATCH)],
    ) -> Response:
        """A team is given the work order."""
        return await give(DispatchWork(work_order_id=work_order_id, team=body.team), body, caller)

    @router.command("/repairs")
    async def add_repair(
        work_order_id: WorkOrderId,
        body: Add,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_ADD_REPAIR)],
    ) -> Response:
        """A technician found more to repair; reception asks the customer."""
        fields = body.model_dump(exclude={"occurred_at"})
        return await give(AddRepair(work_order_id=work_order_id, **fields), body, caller)

    @router.command("/complete")
    async def complete(
        work_order_id: WorkOrderId,
        body: Body,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_COMPLETE)],
    ) -> Response:
        """All released work is done."""
        return await give(CompleteRepair(work_order_id=work_order_id), body, caller)

    @router.command("/quality/pass")
    async def pass_quality(
        work_order_id: WorkOrderId,
        body: Body,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_INSPECT)],
    ) -> Response:
        """The fault is gone."""
        return await give(PassQuality(work_order_id=work_order_id), body, caller)

    @router.command("/quality/fail")
    async def fail_quality(
        work_order_id: WorkOrderId,
        body: Cause,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_INSPECT)],
    ) -> Response:
        """The fault is still there, or there is a new one."""
        return await give(FailQuality(work_order_id=work_order_id, cause=body.cause), body, caller)

    @router.command("/rework")
    async def rework(
        work_order_id: WorkOrderId,
        body: Body,
        caller: Annotated[Caller, commanding(Action.WORK_ORDER_REWORK)],
    ) -> Response:
        """The vehicle goes back to the technicians."""
        return await give(OrderRework(work_order_id=work_order_id), body, caller)

    async def give(command: Command, body: Body, caller: Caller) -> Response:
        id = command.work_order_id
        handled = await workshop.handle(
            WORK_ORDER,
            work_order_stream(id),
            command,
            caller.metadata(id, body),
            expected_version=caller.expected_version,
        )
        return answer(workshop.source, id, handled)

    return router

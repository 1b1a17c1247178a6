"""What people in the workshop do."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator, Field
from starlette.responses import Response

from access.request_body import RequestBody
from access.roles import Action, Role
from eventlog.store import EventStore
from events.lines import Fen, Minutes, PartOrigin, Quantity, Trade
from events.workshop import DelayCause, Priority
from services.commands_over_http import Body, Caller, CommandRouter, Time, answer, commanding
from services.workshop import commands as do
from services.workshop.rules import rules_of
from services.workshop.staff import licences_of
from services.workshop.waiting_area import WaitingArea
from services.workshop.work_order import work_order_decider, work_order_stream

WorkOrderId = Annotated[str, Path(pattern="^[0-9A-Za-z._-]{1,100}$")]
Line = Annotated[int, Path(ge=1, le=1_000)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
Person = Annotated[str, Field(pattern="^[0-9A-Za-z._@-]{1,100}$")]
"""The name that somebody signs in with."""
Yes = Annotated[bool, Field(strict=True)]
Amount = Annotated[Fen, Field(strict=True)]
Keys = Annotated[int, Field(ge=1, le=20, strict=True)]


def _exact(quantity: Any) -> Any:
    if isinstance(quantity, float | bool):
        raise ValueError('write a quantity as a text or a whole number, such as "4.5"')
    return quantity


Exactly = Annotated[Quantity, BeforeValidator(_exact)]


class Prioritise(Body):
    priority: Priority


class Dispatch(Body):
    team: Annotated[str, Field(min_length=1, max_length=50)]


class Accept(Body):
    fault_confirmed: Yes
    test_driven: Yes = False
    tools_checked: Yes


class Needed(RequestBody):
    """A part of an added repair, with its price."""

    code: Word
    name: Word
    origin: PartOrigin
    quantity: Exactly = Decimal(1)
    unit_fen: Amount
    in_stock: Yes | None = None


class Repair(Body):
    description: Text
    price_fen: Annotated[int, Field(ge=0, le=10**9, strict=True)]
    delay_minutes: Annotated[int, Field(ge=0, le=100_000, strict=True)]
    """How much later the vehicle will be ready: told to the customer in the same call (R-61)."""
    trade: Trade = "mechatronic"
    """Of the technician who may do it (W-30)."""
    labour_minutes: Annotated[Minutes, Field(strict=True)] | None = None
    labour_fen: Amount | None = None
    parts: Annotated[tuple[Needed, ...], Field(max_length=50)] | None = None
    why: Text | None = None
    """What the technician says to the customer (R-66)."""


class Await(Body):
    line: Annotated[int, Field(ge=1, le=1_000, strict=True)]
    parts: Annotated[tuple[Word, ...], Field(min_length=1, max_length=50)]
    expected_at: Time | None = None


def _some(quantity: str) -> str:
    if not Decimal(quantity):
        raise ValueError("draw more than nothing")
    return quantity


class Picked(RequestBody):
    line: Annotated[int, Field(ge=1, le=1_000, strict=True)]
    code: Word
    name: Word
    quantity: Annotated[str, Field(pattern=r"^[0-9]{1,5}(\.[0-9]{1,3})?$"), AfterValidator(_some)]


class Pick(Body):
    parts: Annotated[tuple[Picked, ...], Field(min_length=1, max_length=100)]
    technician: Person
    """Who signs the issue slip."""


class Progress(Body):
    done_at: Time
    anomaly: Yes = False
    measures: Text | None = None
    """What is done about the anomaly (W-14)."""


class Delay(Body):
    minutes: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    cause: DelayCause
    explanation: Text
    """What the customer can be told (W-34)."""


class Belongings(Body):
    items: Annotated[tuple[Word, ...], Field(min_length=1, max_length=50)]


class TestDrive(Body):
    passed: Yes
    remarks: Text | None = None


class Cause(Body):
    cause: Text


class Rework(Body):
    cause: Text | None = None
    """Left out, it is what the check found."""


class Cost(Body):
    rework: Annotated[int, Field(ge=1, le=1_000, strict=True)]
    cost_fen: Amount
    leader: Person
    responsible: Person


class HandBack(Body):
    parking_place: Annotated[str, Field(min_length=1, max_length=50)]
    keys: Keys = 1
    papers: Annotated[tuple[Word, ...], Field(min_length=1, max_length=10)] = ("work_order", "reception_form")


@dataclass(frozen=True, slots=True)
class Step:
    """A command about a work order: where it is posted, who may, and what it becomes."""

    path: str
    action: Action
    body: type[Body]
    command: type[do.Command]
    summary: str


STEPS = (
    Step(
        "priority",
        Action.WORK_ORDER_RETURN,
        Prioritise,
        do.SetPriority,
        "The director decides what is dispatched first (W-05).",
    ),
    Step(
        "dispatch",
        Action.WORK_ORDER_DISPATCH,
        Dispatch,
        do.DispatchWork,
        "A team is given the work order; an advisor gives it to the team they lead (W-06, W-20).",
    ),
    Step(
        "accept",
        Action.WORK_ORDER_WORK,
        Accept,
        do.AcceptVehicle,
        "The team took the vehicle over against the reception form; tools were checked (W-07, W-29).",
    ),
    Step(
        "lines/{line}/start",
        Action.WORK_ORDER_WORK,
        Body,
        do.StartLine,
        "Who sends this works on a line that the customer agreed to (W-08).",
    ),
    Step("lines/{line}/complete", Action.WORK_ORDER_WORK, Body, do.CompleteLine, "A line is done."),
    Step(
        "repairs",
        Action.WORK_ORDER_ADD_REPAIR,
        Repair,
        do.AddRepair,
        "A technician found more to repair; reception asks the customer.",
    ),
    Step(
        "repairs/{line}/revise",
        Action.WORK_ORDER_ADD_REPAIR,
        Repair,
        do.ReviseRepair,
        "Price, part or time of an added repair changed; the customer is asked again (R-65).",
    ),
    Step(
        "parts/await",
        Action.WORK_ORDER_WORK,
        Await,
        do.AwaitParts,
        "A line waits for parts.",
    ),
    Step(
        "parts/pick",
        Action.PARTS_PICK,
        Pick,
        do.PickParts,
        "Parts were drawn on the work order, and the technician signed the issue slip (W-09).",
    ),
    Step(
        "progress",
        Action.WORK_ORDER_WORK,
        Progress,
        do.RecordProgress,
        "When it will be done; with an anomaly, what is done about it (W-13, W-14).",
    ),
    Step(
        "delay",
        Action.WORK_ORDER_WORK,
        Delay,
        do.ReportDelay,
        "It takes longer, for a cause that the customer can be told (W-11, W-34).",
    ),
    Step(
        "belongings",
        Action.WORK_ORDER_WORK,
        Belongings,
        do.AskForBelongings,
        "The customer's belongings have to be touched; the advisor asks first (W-10).",
    ),
    Step("complete", Action.WORK_ORDER_COMPLETE, Body, do.CompleteRepair, "All released work is done."),
    Step(
        "test-drive",
        Action.WORK_ORDER_INSPECT,
        TestDrive,
        do.RecordTestDrive,
        "How the vehicle drives after the work (W-18).",
    ),
    Step("quality/pass", Action.WORK_ORDER_INSPECT, Body, do.PassQuality, "The fault is gone."),
    Step(
        "quality/fail",
        Action.WORK_ORDER_INSPECT,
        Cause,
        do.FailQuality,
        "The fault is still there, or there is a new one.",
    ),
    Step(
        "rework",
        Action.WORK_ORDER_REWORK,
        Rework,
        do.OrderRework,
        "The vehicle goes back to the technicians.",
    ),
    Step(
        "rework/cost",
        Action.WORK_ORDER_COST,
        Cost,
        do.SplitReworkCost,
        "Who bears what a rework costs (W-31).",
    ),
    Step("wash", Action.WORK_ORDER_WORK, Body, do.WashVehicle, "Clean inside and outside (W-18, W-22)."),
    Step(
        "hand-back",
        Action.WORK_ORDER_RETURN,
        HandBack,
        do.ReturnVehicle,
        "Keys and papers go back to the advisor, who learns where the vehicle stands (W-19).",
    ),
)


def api(workshop: EventStore) -> CommandRouter:
    router = CommandRouter(prefix="/v1")
    waiting_area = WaitingArea(workshop)

    def add(step: Step) -> None:
        async def post(
            work_order_id: WorkOrderId,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            return await give(step, work_order_id, body, caller)

        async def post_about_line(
            work_order_id: WorkOrderId,
            line: Line,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            return await give(step, work_order_id, body, caller, line=line)

        handler = post_about_line if "{line}" in step.path else post
        handler.__doc__ = step.summary
        name = step.path.replace("{line}/", "").replace("-", " ").replace("/", " ")
        router.command(f"/work-orders/{{work_order_id}}/{step.path}", tags=["work orders"], name=name)(
            handler
        )

    for step in STEPS:
        add(step)

    async def give(step: Step, id: str, body: Body, caller: Caller, **fields: Any) -> Response:
        metadata = caller.metadata(id, body)
        fields |= body.model_dump(exclude={"occurred_at"})
        if step.command is do.DispatchWork:
            fields["mode"] = "own_team" if caller.principal.role is Role.ADVISOR else "to_team"
            fields["out_of_order"] = await waiting_area.another_before(work_order_stream(id))
        if step.command is do.StartLine:
            fields["technician"] = person = caller.principal.actor
            fields["licences"] = await licences_of(workshop, caller.site, person)
        if "at" in step.command.model_fields:
            fields["at"] = at = _at(body)
            # What is judged by a time carries that very time.
            metadata = replace(metadata, occurred_at=at)
        handled = await workshop.handle(
            work_order_decider(await rules_of(workshop, caller.site)),
            work_order_stream(id),
            step.command(work_order_id=id, **fields),
            metadata,
            expected_version=caller.expected_version,
        )
        return answer(workshop.source, id, handled)

    return router


def _at(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)

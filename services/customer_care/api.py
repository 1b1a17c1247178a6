"""What customer care does for people who are dissatisfied, or who want to be forgotten."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from access.keyring import Erased, Keyring
from access.problems import Problem, missing
from access.roles import Action
from eventlog.recorded import Recorded
from eventlog.store import EventStore, UnknownStream
from events import Event, Sealed
from events import customer_care as facts
from events.customer_care import (
    ComplaintRaised,
    ComplaintTakenOver,
    Outcome,
    Resolution,
    Satisfaction,
    Subject,
    Waiting,
)
from events.rulebook import Channel, Level, Severity
from events.rulebook import Step as RuleStep
from services.commands_over_http import Body, Caller, CommandRouter, Phone, Vin, answer, commanding
from services.customer_care import commands as do
from services.customer_care.complaint import complaint_decider, complaint_stream
from services.customer_care.data_subject import DATA_SUBJECT, subject_stream
from services.customer_care.published_rules import rules_of
from services.personal_data import seal

ComplaintId = Annotated[str, Path(pattern="^[0-9A-Za-z._-]{1,100}$")]
Reference = Annotated[str, Field(pattern="^[0-9a-f]{20}$")]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Severities = Annotated[tuple[Severity, ...], Field(min_length=1, max_length=3)]


class Raise(Body):
    channel: Channel
    subject: Subject
    severity: Severity
    further_severities: Annotated[tuple[Severity, ...], Field(min_length=1, max_length=2)] | None = None
    customer_name: Annotated[str, Field(min_length=1, max_length=200)]
    phone: Phone
    narrative: Text
    visit_id: Reference | None = None
    work_order_id: Reference | None = None
    vin: Vin | None = None


class HandOver(Body):
    to: Level = "department_manager"


class Contact(Body):
    channel: Channel = "phone"
    outcome: Outcome
    before_raised: bool = False
    """Says that a contact before the complaint is no slip of the pen."""


class Cause(Body):
    cause: Text


class Plan(Body):
    plan: Text


class Tell(Body):
    channel: Channel = "phone"


class Resolve(Body):
    resolution: Resolution


class Return(Body):
    result: Text
    improvement: Text | None = None


class CallBack(Body):
    outcome: Satisfaction
    opinion: Text | None = None


class SignOff(Body):
    instruction: Text | None = None


class Reclassify(Body):
    subject: Subject
    severities: Severities
    reason: Text


class Pause(Body):
    waiting: Waiting


class Blame(Body):
    person: Annotated[str, Field(min_length=1, max_length=100)]
    step: RuleStep | None = None


class Appeal(Body):
    reason: Text


class DecideAppeal(Body):
    granted: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A command about a complaint: where it is posted, who may, and what it becomes."""

    path: str
    action: Action
    body: type[Body]
    command: Callable[..., do.Command]
    summary: str
    sealed_in: type[Event] | None = None
    """The event that keeps what is typed here about people."""


STEPS = (
    Step(
        "hand-over",
        Action.COMPLAINT_FOLLOW,
        HandOver,
        do.HandOver,
        "The tracking form goes to the manager who answers for the complaint (C-20, C-39).",
    ),
    Step(
        "contact",
        Action.COMPLAINT_CONTACT,
        Contact,
        do.ContactCustomer,
        "Someone tried to reach the customer; attempts that failed count too (C-21 … C-24).",
    ),
    Step(
        "give-up-reaching",
        Action.COMPLAINT_FOLLOW,
        Body,
        do.GiveUpReaching,
        "The customer was tried as often as the rules ask; it goes on without them (K-24).",
    ),
    Step(
        "cause",
        Action.COMPLAINT_ANSWER,
        Cause,
        do.NoteCause,
        "Why it happened; sealed before it is stored (C-32, C-36).",
        facts.CauseFound,
    ),
    Step(
        "plan",
        Action.COMPLAINT_ANSWER,
        Plan,
        do.SignPlan,
        "Who answers for the complaint signs what is to be done (C-25).",
        facts.PlanSigned,
    ),
    Step(
        "tell", Action.COMPLAINT_ANSWER, Tell, do.TellCustomer, "The customer was told the plan (C-24, C-32)."
    ),
    Step("carry-out", Action.COMPLAINT_ANSWER, Body, do.CarryOutPlan, "What the plan says is done (C-32)."),
    Step("resolve", Action.COMPLAINT_RESOLVE, Resolve, do.ResolveComplaint, "Agreement was reached (C-22)."),
    Step(
        "return",
        Action.COMPLAINT_ANSWER,
        Return,
        do.ReturnForm,
        "The form goes back to care, with the result and what will be better (C-21, C-41).",
        facts.FormReturned,
    ),
    Step(
        "call-back",
        Action.COMPLAINT_FOLLOW,
        CallBack,
        do.CallBack,
        "Care asked whether it is settled; an objection begins a new, linked complaint (C-25, C-27).",
        facts.SatisfactionCallMade,
    ),
    Step(
        "sign-off",
        Action.COMPLAINT_DECIDE,
        SignOff,
        do.SignOff,
        "The general manager signs the form, and may leave an instruction (C-26, C-27).",
        facts.ComplaintSignedOff,
    ),
    Step("archive", Action.COMPLAINT_FOLLOW, Body, do.Archive, "The form is archived, twice (C-28)."),
    Step(
        "reclassify",
        Action.COMPLAINT_FOLLOW,
        Reclassify,
        do.Reclassify,
        "It is about something else, or more or less severe, than it seemed (C-31).",
        facts.ComplaintReclassified,
    ),
    Step(
        "pause",
        Action.COMPLAINT_FOLLOW,
        Pause,
        do.Pause,
        "Somebody else has to act first: the clocks stand still.",
    ),
    Step("resume", Action.COMPLAINT_FOLLOW, Body, do.Resume, "The clocks go on."),
    Step(
        "blame",
        Action.COMPLAINT_BLAME,
        Blame,
        do.Blame,
        "A member of staff is held responsible, by the name they sign in with (C-38, C-40).",
    ),
    Step(
        "appeal",
        Action.COMPLAINT_APPEAL,
        Appeal,
        do.Appeal,
        "Who is held responsible objects (C-40).",
        facts.AppealFiled,
    ),
    Step(
        "appeal/decide",
        Action.COMPLAINT_DECIDE,
        DecideAppeal,
        do.DecideAppeal,
        "The general manager decides; a granted appeal voids the complaint (C-40).",
    ),
    Step(
        "report-to-region",
        Action.COMPLAINT_FOLLOW,
        Body,
        do.ReportToRegion,
        "The regional office was told (C-26, X-07).",
    ),
)


def api(care: EventStore, keyring: Keyring) -> CommandRouter:
    router = CommandRouter(prefix="/v1")

    @router.command("/complaints", tags=["complaints"])
    async def raise_complaint(
        body: Raise, caller: Annotated[Caller, commanding(Action.COMPLAINT_RAISE)]
    ) -> Response:
        """A customer is dissatisfied; name, phone and narrative are sealed before they are stored."""
        complaint_id = caller.new_id()
        clear = body.model_dump(include={"customer_name", "phone", "narrative"})
        customer, sealed = await seal(keyring, ComplaintRaised, body.phone, clear)
        command = do.RaiseComplaint(
            complaint_id=complaint_id,
            at=_at(body),
            customer=customer,
            customer_name=sealed["customer_name"],
            phone=sealed["phone"],
            narrative=sealed["narrative"],
            **body.model_dump(exclude={*clear, "occurred_at"}),
        )
        return await give(command, body, caller, caller.site, new=True)

    def add(step: Step) -> None:
        async def post(
            complaint_id: ComplaintId,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            first = await beginning(complaint_id, caller)
            fields = body.model_dump(exclude={"occurred_at"})
            if step.sealed_in:
                fields |= await sealed_for(first.event, step.sealed_in, fields)
            command = step.command(complaint_id=complaint_id, at=_at(body), **fields)
            return await give(command, body, caller, first.metadata.site, new=False)

        router.command(
            f"/complaints/{{complaint_id}}/{step.path}",
            tags=["complaints"],
            name=step.path.replace("-", " ").replace("/", " "),
            description=step.summary,
        )(post)

    for step in STEPS:
        add(step)

    @router.command("/subjects/{customer}/erase", tags=["data subjects"])
    async def erase(
        customer: Annotated[str, Path(pattern="^c-[0-9a-f-]{8,60}$")],
        body: Body,
        caller: Annotated[Caller, commanding(Action.SUBJECT_ERASE)],
    ) -> Response:
        """A person asked to be forgotten, group-wide: their key is destroyed, nothing is rewritten."""
        if not await keyring.knows(customer):
            raise missing()
        handled = await care.handle(
            DATA_SUBJECT,
            subject_stream(customer),
            do.EraseSubject(customer=customer),
            caller.metadata(customer, body),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(care.source, customer, handled)

    async def give(command: do.Command, body: Body, caller: Caller, site: str, *, new: bool) -> Response:
        handled = await care.handle(
            complaint_decider(caller.principal.actor, await rules_of(care, site)),
            complaint_stream(command.complaint_id),
            command,
            # What is judged by a time carries that very time.
            replace(caller.metadata(command.complaint_id, body, site), occurred_at=command.at),
            new=new,
            expected_version=caller.expected_version,
        )
        return answer(care.source, command.complaint_id, handled)

    async def beginning(complaint_id: str, caller: Caller) -> Recorded:
        """How a complaint began, and where: there it goes on, also for who works at several sites."""
        stream = complaint_stream(complaint_id)
        history = await care.stream(stream)
        if not history or not caller.principal.at(history[0].metadata.site):
            raise UnknownStream(stream)
        return history[0]

    async def sealed_for(begun: Event, event: type[Event], fields: dict[str, Any]) -> dict[str, Sealed]:
        """What was typed about the complaint, under the key of the customer whom it is about."""
        context = event.type.rpartition(".")[0]
        personal = {
            f"{context}.{name}": fields[name]
            for name, field in event.model_fields.items()
            if fields.get(name) is not None and Sealed in (field.annotation, *get_args(field.annotation))
        }
        if not personal:
            return {}
        customer = begun.customer if isinstance(begun, ComplaintRaised | ComplaintTakenOver) else None
        if customer is None:
            raise Problem(
                409,
                "This complaint came from another system without its customer; nothing can be typed here.",
            )
        try:
            sealed = await keyring.seal_many(customer, personal)
        except Erased:
            raise Problem(
                409, "This customer's data were erased; nothing more can be noted about them."
            ) from None
        return {name.rpartition(".")[2]: value for name, value in sealed.items()}

    return router


def _at(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)

"""What the advisor agrees with the customer before the work begins: quote, work order, hand-over."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from starlette.responses import Response

from access.keyring import Keyring
from access.request_body import RequestBody
from access.roles import Action
from eventlog.store import EventStore
from events.lines import Fen, Minutes, OldParts, PartOrigin, Payer, PaymentMethod, Quantity, Trade
from events.reception import Verdict, WorkOrderSigned
from services.commands_over_http import Body, Caller, CommandRouter, Time, answer, commanding
from services.reception import pricing
from services.reception.about_customer import sealed_for
from services.reception.answers_api import Line
from services.reception.api import VisitId
from services.reception.attachments import Attachments
from services.reception.commands import (
    AssessWarranty,
    Command,
    HandOverCopies,
    HandToWorkshop,
    IssueQuote,
    ReceiveManufacturerApproval,
    RequestManufacturerApproval,
    SignWorkOrder,
    StaffChannel,
)
from services.reception.rules import price_lists_of, rules_of
from services.reception.visit import visit_decider, visit_stream
from services.versions import in_force

Code = Annotated[str, Field(pattern="^[A-Z0-9-]{2,20}$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _text_or_whole(quantity: object) -> object:
    """A quantity is exact: a fraction is sent as a text."""
    if isinstance(quantity, bool) or not isinstance(quantity, str | int):
        raise ValueError('a quantity is a whole number or a text, such as "4.5"')
    return quantity


class WantedPart(RequestBody):
    code: Code
    quantity: Annotated[Quantity, BeforeValidator(_text_or_whole)] = Decimal(1)
    name: Name | None = None
    """With origin and price, of a part that is in no list."""
    origin: PartOrigin | None = None
    unit_fen: Annotated[Fen, Field(strict=True)] | None = None
    in_stock: Annotated[bool, Field(strict=True)] | None = None
    """What the stock said (R-46)."""


class WantedLine(RequestBody):
    operation: Code | None = None
    """Of the price list; without it, the line needs a description, and may have a price of its own."""
    description: Text | None = None
    trade: Trade | None = None
    labour_minutes: Annotated[Minutes, Field(strict=True)] | None = None
    labour_fen: Annotated[Fen, Field(strict=True)] | None = None
    parts: Annotated[tuple[WantedPart, ...], Field(max_length=50)] = ()
    discount_fen: Annotated[Fen, Field(strict=True)] = 0
    payer: Payer = "customer"


class Quote(Body):
    lines: Annotated[tuple[WantedLine, ...], Field(min_length=1, max_length=100)]
    total_fen: Annotated[int, Field(ge=0, le=10**11, strict=True)] | None = None
    """What the customer was told; refused if the lines add up to something else."""
    promised_at: Time | None = None
    """Left out, it follows from the labour and what waits before it (R-49)."""
    queue_minutes: Annotated[Minutes, Field(strict=True)] = 0
    payment_method: PaymentMethod
    old_parts: OldParts
    check_first: Annotated[bool, Field(strict=True)] = False
    """The cause is not known; the detailed price follows after a full check (R-44)."""


class Sign(Body):
    hash: Digest
    """Of the revision that the customer was shown."""
    channel: StaffChannel = "in_person"
    signature: Annotated[str, Field(min_length=1, max_length=400_000)] | None = None
    """A PNG in base64, of who signs here."""
    answered_by: Text | None = None
    """Who agreed, unless somebody signs here; sealed before it is stored."""


class Copies(Body):
    how: Literal["paper", "link"] = "paper"


class Assessed(Body):
    verdict: Verdict


class Decided(Body):
    granted: Annotated[bool, Field(strict=True)]


class HandOver(Body):
    keys: Annotated[int, Field(ge=1, le=20, strict=True)] = 1
    papers: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10)] = ("work_order", "reception_form")
    notes: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None


def quote_api(reception: EventStore, keyring: Keyring, attachments: Attachments) -> CommandRouter:
    router = CommandRouter(prefix="/v1/visits/{visit_id}", tags=["visits"])

    @router.command("/quote")
    async def quote(
        visit_id: VisitId, body: Quote, caller: Annotated[Caller, commanding(Action.VISIT_QUOTE)]
    ) -> Response:
        """A revision of what is to be done, priced by the list in force (R-48 … R-50, R-55)."""
        at = _at(body)
        prices = in_force(await price_lists_of(reception, caller.site), at)
        wanted = [pricing.WantedLine.model_validate(line.model_dump()) for line in body.lines]
        command = IssueQuote(
            visit_id=visit_id,
            at=at,
            lines=pricing.priced(wanted, prices),
            price_list=prices.version,
            **body.model_dump(exclude={"lines", "occurred_at"}),
        )
        return await give(visit_id, command, body, caller, at)

    @router.command("/sign")
    async def sign(
        visit_id: VisitId, body: Sign, caller: Annotated[Caller, commanding(Action.VISIT_QUOTE)]
    ) -> Response:
        """The customer authorises the current revision, by its hash (R-50, R-52)."""
        sealed = await sealed_for(
            reception, keyring, visit_id, caller.site, WorkOrderSigned, answered_by=body.answered_by
        )
        if body.signature is not None:
            drawn = body.signature
            sealed["signature"] = await attachments.keep_signature(caller.site, visit_id, drawn)
        at = _at(body)
        command = SignWorkOrder(visit_id=visit_id, at=at, hash=body.hash, channel=body.channel, **sealed)
        return await give(visit_id, command, body, caller, at)

    @router.command("/copies")
    async def copies(
        visit_id: VisitId, body: Copies, caller: Annotated[Caller, commanding(Action.VISIT_QUOTE)]
    ) -> Response:
        """The customer has copies of reception form and work order (R-51)."""
        return await give(visit_id, HandOverCopies(visit_id=visit_id, how=body.how), body, caller)

    @router.command("/lines/{line}/warranty")
    async def warranty(
        visit_id: VisitId,
        line: Line,
        body: Assessed,
        caller: Annotated[Caller, commanding(Action.VISIT_CLAIM)],
    ) -> Response:
        """Whether a line is under warranty, as far as anybody here can say (R-43)."""
        command = AssessWarranty(visit_id=visit_id, line=line, verdict=body.verdict)
        return await give(visit_id, command, body, caller)

    @router.command("/lines/{line}/warranty/ask")
    async def ask(
        visit_id: VisitId, line: Line, body: Body, caller: Annotated[Caller, commanding(Action.VISIT_CLAIM)]
    ) -> Response:
        """It is unclear: the maker's service department was asked (R-43)."""
        return await give(visit_id, RequestManufacturerApproval(visit_id=visit_id, line=line), body, caller)

    @router.command("/lines/{line}/warranty/decide")
    async def decide(
        visit_id: VisitId,
        line: Line,
        body: Decided,
        caller: Annotated[Caller, commanding(Action.VISIT_CLAIM)],
    ) -> Response:
        """What the maker answered (R-43)."""
        command = ReceiveManufacturerApproval(visit_id=visit_id, line=line, granted=body.granted)
        return await give(visit_id, command, body, caller)

    @router.command("/hand-over")
    async def hand_over(
        visit_id: VisitId, body: HandOver, caller: Annotated[Caller, commanding(Action.VISIT_QUOTE)]
    ) -> Response:
        """Car, keys and papers go to the workshop's waiting area (W-04)."""
        command = HandToWorkshop(visit_id=visit_id, **body.model_dump(exclude={"occurred_at"}))
        return await give(visit_id, command, body, caller)

    async def give(
        visit_id: str, command: Command, body: Body, caller: Caller, at: datetime | None = None
    ) -> Response:
        metadata = caller.metadata(visit_id, body)
        handled = await reception.handle(
            visit_decider(caller.principal.actor, await rules_of(reception, caller.site)),
            visit_stream(visit_id),
            command,
            # What is judged by a time carries that very time.
            replace(metadata, occurred_at=at) if at else metadata,
            expected_version=caller.expected_version,
        )
        return answer(reception.source, visit_id, handled)

    return router


def _at(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)

"""Settlement, cashier and gate."""

from datetime import UTC, datetime
from typing import Annotated, Any

import segno
from fastapi import APIRouter
from pydantic import BaseModel, Field, field_validator
from starlette.responses import Response

from access.guard import needs, public
from access.problems import Problem
from access.roles import Action
from access.tokens import Principal
from eventlog.checkpoints import SigningKey
from eventlog.recorded import Recorded
from eventlog.store import EventStore, UnknownStream
from events.lines import Fen
from events.reception import VehicleReceived
from services.commands_over_http import Body, Caller, CommandRouter, commanding
from services.reception import commands as do
from services.reception import gate_pass
from services.reception.attachments import Attachments
from services.reception.delivery_api import Day, Sentence
from services.reception.gate_token import Forged, Token, make, read
from services.reception.rules import rules_of
from services.reception.steps import Step, VisitId, add_steps, at_of, give
from services.reception.visit import Visit, visit_decider, visit_stream

Amount = Annotated[Fen, Field(strict=True)]
Money = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Settle(Body):
    discounts: Annotated[dict[Annotated[int, Field(ge=1, le=1_000)], Amount], Field(max_length=100)] = Field(
        default_factory=dict
    )
    """Further ones, by line."""
    discount_fen: Amount = 0
    """Off the sum."""
    total_fen: Amount | None = None
    """As the customer was told; refused if the lines add up to something else."""

    @field_validator("discounts")
    @classmethod
    def _something(cls, discounts: dict[int, int]) -> dict[int, int]:
        return {line: off for line, off in discounts.items() if off}


class Sign(Body):
    hash: Digest
    """Of the settlement that was explained."""
    signature: Annotated[str, Field(min_length=1, max_length=400_000)]
    """A PNG in base64."""


class Pay(Body):
    amount_fen: Money
    method: do.CashierMethod
    invoice: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class Refund(Body):
    payment: Annotated[int, Field(ge=1, le=1_000, strict=True)]
    amount_fen: Money
    reason: Sentence


class Credit(Body):
    pay_by: Day
    reason: Sentence


class Scanned(Body):
    token: Annotated[str, Field(min_length=1, max_length=2_000)]


class Pem(Response):
    media_type = "application/x-pem-file"


class GatePassShown(BaseModel):
    pass_id: str | None
    state: str
    """none, prepared, released, expired, revoked or used."""
    valid_until: datetime | None = None
    used_at: datetime | None = None
    token: str | None = None
    """Only while it opens the gate."""
    qr: str | None = None
    """The token as a picture: SVG."""


STEPS = (
    Step(
        "settlement",
        Action.VISIT_DELIVER,
        Settle,
        do.PrepareSettlement,
        "What is to be paid, line by line; printed with its gate pass (R-76 … R-79, K-16).",
    ),
    Step(
        "payments",
        Action.VISIT_CASH,
        Pay,
        do.ReceivePayment,
        "Money of the customer; never more than is owed (R-80, X-19).",
    ),
    Step(
        "payments/refund",
        Action.VISIT_CASH,
        Refund,
        do.RefundPayment,
        "Money goes back; a gate pass that was released is revoked (K-24).",
    ),
    Step(
        "credit",
        Action.VISIT_MANAGE,
        Credit,
        do.ReleaseOnCredit,
        "A manager lets the vehicle go before it is paid (R-81).",
    ),
)


def settlement_api(reception: EventStore, attachments: Attachments, key: SigningKey) -> APIRouter:
    commands = CommandRouter(prefix="/v1/visits/{visit_id}", tags=["settlement"])
    add_steps(commands, reception, STEPS)

    @commands.command("/settlement/signature")
    async def sign_settlement(
        visit_id: VisitId, body: Sign, caller: Annotated[Caller, commanding(Action.VISIT_DELIVER)]
    ) -> Response:
        """The charges were explained line by line; the customer signed them on the screen (R-79)."""
        signature = await attachments.keep_signature(caller.site, visit_id, body.signature)
        command = do.SignSettlement(visit_id=visit_id, hash=body.hash, signature=signature)
        return await give(reception, command, body, caller)

    @commands.command("/gate-pass/release")
    async def release_gate_pass(
        visit_id: VisitId, body: Body, caller: Annotated[Caller, commanding(Action.VISIT_CASH)]
    ) -> Response:
        """The gate pass is handed over with change and invoice (R-81, K-20)."""
        history, visit = await visit_of(visit_id, caller.principal)
        received, at = history[0].event, at_of(body)
        assert isinstance(received, VehicleReceived)
        until = gate_pass.until(at, await rules_of(reception, caller.site))
        token = Token(caller.site, visit.gate_pass.id, visit_id, received.vin[-6:], until)
        command = do.ReleaseGatePass(visit_id=visit_id, at=at, pass_id=token.pass_id, token=make(key, token))
        return await give(reception, command, body, caller, at)

    gate = CommandRouter(prefix="/v1/gate-passes", tags=["gate"])

    @gate.command("/use")
    async def use_gate_pass(
        body: Scanned, caller: Annotated[Caller, commanding(Action.GATE_PASS_USE)]
    ) -> Response:
        """A gate pass was scanned at the gate: it opens once (R-81, R-82)."""
        try:
            token = read(key.public, body.token)
        except Forged:
            raise Problem(422, "This is no gate pass of this house: it is damaged or forged.") from None
        if token.site != caller.site:
            raise Problem(404, "This gate pass is of another site: it opens nothing here.")
        at = at_of(body)
        command = do.UseGatePass(
            visit_id=token.visit_id, at=at, pass_id=token.pass_id, valid_until=token.valid_until
        )
        return await give(reception, command, body, caller, at)

    router = APIRouter(prefix="/v1")

    @router.get("/visits/{visit_id}/gate-pass", tags=["settlement"], response_model=GatePassShown)
    async def show_gate_pass(visit_id: VisitId, who: Annotated[Principal, needs(Action.VISIT_CASH)]) -> Any:
        """The gate pass of a visit, with its token as a QR code while it opens the gate (R-76)."""
        _, visit = await visit_of(visit_id, who)
        now = visit.gate_pass
        expired = now.state == "released" and now.valid_until and datetime.now(UTC) > now.valid_until
        token = None if expired else now.token
        return GatePassShown(
            pass_id=now.id or None,
            state="expired" if expired else now.state,
            valid_until=now.valid_until,
            used_at=now.used_at,
            token=token,
            qr=token and segno.make(token, error="m", micro=False).svg_inline(omitsize=True),
        )

    @router.get("/gate-key", tags=["gate"], dependencies=[public], response_class=Pem)
    async def gate_key() -> Response:
        """The public key with which a gate checks a pass without a connection; PEM."""
        return Pem(key.public)

    async def visit_of(visit_id: str, who: Principal) -> tuple[list[Recorded], Visit]:
        stream = visit_stream(visit_id)
        history = await reception.stream(stream)
        if not history or not who.at(history[0].metadata.site):
            raise UnknownStream(stream)
        return history, visit_decider(who.actor, ()).fold(each.event for each in history)

    together = APIRouter()
    for each in (commands, gate, router):
        together.include_router(each)
    return together

"""What an advisor records while the customer stands beside the car, and the pictures that belong to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, Field, model_validator
from starlette.responses import Response

from access.guard import needs
from access.request_body import RequestBody
from access.roles import Action
from access.tokens import Principal
from eventlog.store import EventStore
from events.reception import CarView, DamageKind, PhotoOf
from events.walk_around import Item
from services.commands_over_http import HEADERS, Answer, Body, Caller, CommandRouter, answer, commanding
from services.reception import commands as do
from services.reception.attachments import Attachments
from services.reception.rules import rules_of
from services.reception.visit import visit_decider, visit_stream

LARGEST_PHOTO = 12 * 1024 * 1024
LARGER = {"/v1/visits/[0-9a-f]{20}/photos": LARGEST_PHOTO}
"""Bytes of a body, by path."""

VisitId = Annotated[str, Path(pattern="^[0-9a-f]{20}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Yes = Annotated[bool, Field(strict=True)]
Eighths = Annotated[int, Field(ge=0, le=8, strict=True)]
Thousandth = Annotated[int, Field(ge=0, le=1000, strict=True)]
Signature = Annotated[str, Field(min_length=1, max_length=400_000)]
"""A PNG in base64."""


def _printable(note: str) -> str:
    if "\0" in note:
        raise ValueError("the character NUL cannot be stored; please leave it out")
    return note


class Symptom(Body):
    description: Text
    kind: Literal["symptom", "maintenance"] = "symptom"


class Papers(Body):
    driving_licence: Yes
    maintenance_manual: Yes
    phone: Yes


class Found(Body):
    items: Annotated[tuple[Short, ...], Field(max_length=30)] = ()
    """None, if the vehicle was looked through and nothing was found."""


class Check(RequestBody):
    item: Item
    ok: Yes
    note: Short | None = None


class Mark(RequestBody):
    view: CarView
    x: Thousandth
    y: Thousandth
    kind: DamageKind
    note: Short | None = None


class WalkAround(Body):
    after: Annotated[int, Field(ge=0, le=1_000, strict=True)] = 0
    """The revision that was seen before; 0 for the first."""
    checks: Annotated[tuple[Check, ...], Field(max_length=50)]
    damages: Annotated[tuple[Mark, ...], Field(max_length=100)] = ()
    fuel_eighths: Eighths


class Sign(Body):
    hash: Digest
    signature: Signature | None = None
    paper: Digest | None = None
    """A photo of the signed paper, for who cannot sign on a screen."""

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.signature and self.paper:
            raise ValueError("send a signature or the photo of a signed paper, not both")
        return self


class Underbody(Body):
    findings: Annotated[tuple[Short, ...], Field(max_length=30)] = ()


class Mobility(Body):
    kind: Literal["loan_car", "subsidy"]
    vehicle: Short | None = None
    amount_fen: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A command of intake: where it is posted, who may, and what it becomes."""

    path: str
    body: type[Body]
    command: Callable[..., do.IntakeCommand]
    summary: str
    action: Action = Action.VISIT_INSPECT


STEPS = (
    Step("symptoms", Symptom, do.RecordSymptom, "One more symptom or request, by itself (R-41, R-42)."),
    Step("papers", Papers, do.VerifyPapers, "Driving licence, manual and phone were compared (R-45, R-52)."),
    Step("protective-set", Body, do.FitProtectiveSet, "Fitted in front of the customer (R-31)."),
    Step("valuables", Found, do.HandOverValuables, "What was found went to the customer at once (R-35)."),
    Step(
        "walk-around",
        WalkAround,
        do.RecordWalkAround,
        "What the vehicle looks like, item by item; makes an older signature void (R-33, R-37, R-38).",
    ),
    Step("underbody", Underbody, do.InspectUnderbody, "On the lift, at the first service (R-40)."),
    Step("mobility", Mobility, do.ProvideMobility, "A loan car, or money for the way (R-54)."),
    Step(
        "manager",
        Body,
        do.TakePart,
        "The manager is there, for an important customer or a large sum (R-58).",
        Action.VISIT_MANAGE,
    ),
)


def intake_api(reception: EventStore, attachments: Attachments) -> APIRouter:
    router = CommandRouter(prefix="/v1/visits/{visit_id}", tags=["intake"])

    def add(step: Step) -> None:
        async def post(
            visit_id: VisitId,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            fields = body.model_dump(exclude={"occurred_at"})
            return await give(step.command(visit_id=visit_id, **fields), body, caller)

        router.command(f"/{step.path}", name=step.path.replace("-", " "), description=step.summary)(post)

    for step in STEPS:
        add(step)

    @router.command("/walk-around/signature")
    async def sign(
        visit_id: VisitId, body: Sign, caller: Annotated[Caller, commanding(Action.VISIT_INSPECT)]
    ) -> Response:
        """The customer signs what was found, drawn on the screen or on paper (R-33)."""
        signature = body.paper or await attachments.keep_signature(
            caller.site, visit_id, body.signature or ""
        )
        on_paper = body.paper is not None
        command = do.SignWalkAround(visit_id=visit_id, hash=body.hash, signature=signature, on_paper=on_paper)
        return await give(command, body, caller)

    pictures = APIRouter(prefix="/v1/visits/{visit_id}", tags=["intake"])

    @pictures.post(
        "/photos",
        status_code=201,
        response_model=Answer,
        openapi_extra={
            "parameters": HEADERS,
            "requestBody": {
                "required": True,
                "content": {
                    kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in ("image/jpeg", "image/png", "image/webp")
                },
            },
        },
    )
    async def take_photo(
        request: Request,
        visit_id: VisitId,
        caller: Annotated[Caller, commanding(Action.VISIT_INSPECT)],
        of: PhotoOf = "vehicle",
        note: Annotated[str, Query(min_length=1, max_length=200), AfterValidator(_printable)] | None = None,
    ) -> Response:
        """A picture, kept sealed without what the camera wrote into it; the body is the picture (R-33)."""
        photo = await attachments.keep_photo(caller.site, visit_id, await request.body())
        command = do.TakePhoto(
            visit_id=visit_id, photo=photo.sha256, of=of, width=photo.width, height=photo.height, note=note
        )
        # What the address says of the picture belongs to the request as well.
        said = request.app.state.keyring.fingerprint(f"{caller.fingerprint} {of} {note}".encode())
        return await give(command, Body(), replace(caller, fingerprint=said))

    @pictures.get(
        "/attachments/{sha256}",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}},
    )
    async def attachment(
        visit_id: VisitId,
        sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
        who: Annotated[Principal, needs(Action.PERSONAL_DATA_SEE)],
    ) -> Response:
        """A photo or a signature of a visit at one's own site; 410 when its customer was erased (X-01)."""
        read = await attachments.read(who, visit_id, sha256)
        headers = {"Content-Disposition": "inline", "Cache-Control": "no-store"}
        return Response(read.content, headers=headers, media_type=read.media_type)

    async def give(command: do.IntakeCommand, body: Body, caller: Caller) -> Response:
        handled = await reception.handle(
            visit_decider(caller.principal.actor, await rules_of(reception, caller.site)),
            visit_stream(command.visit_id),
            command,
            caller.metadata(command.visit_id, body),
            expected_version=caller.expected_version,
        )
        return answer(reception.source, command.visit_id, handled)

    both = APIRouter()
    both.include_router(router)
    both.include_router(pictures)
    return both

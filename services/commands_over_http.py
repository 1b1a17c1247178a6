"""How a command comes in over HTTP and how its answer goes out; the same for every service.

A command carries an `Idempotency-Key`; sent again with the same body it gets the same answer, with another
body 422. `If-Match` makes it depend on the version the caller has seen. Nothing is recorded whenever the
answer is 4xx.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.types import DecoratedCallable
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from access.guard import Needs, needs
from access.keyring import Keyring
from access.normal_forms import normalise_phone
from access.problems import Problem, disk_full, missing
from access.request_body import RequestBody
from access.roles import SITE, Action
from access.tokens import Principal
from eventlog.decider import Rejected
from eventlog.recorded import Metadata
from eventlog.store import Full, Handled, KeyReused, StaleVersion, Unavailable, UnknownStream

CLOCKS_DIFFER = timedelta(minutes=2)
TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _sensible(at: datetime) -> datetime:
    if not 2000 <= at.year < 2100:
        raise ValueError("the year must be one between 2000 and 2099")
    return at


def _not_in_the_future(at: datetime) -> datetime:
    if at > datetime.now(UTC) + CLOCKS_DIFFER:
        raise ValueError("what has happened cannot lie in the future")
    return at


def _dialable(phone: str) -> str:
    if re.fullmatch(r"\+?[0-9 ()\-]+", phone) is None or not normalise_phone(phone):
        raise ValueError("a phone number has five digits or more, such as +86 138 1234 5678")
    return phone


def _vin(text: str) -> str:
    vin = text.upper()
    if re.fullmatch("[A-HJ-NPR-Z0-9]{17}", vin) is None:
        raise ValueError("a VIN has 17 letters and digits, without I, O and Q")
    return vin


Time = Annotated[AwareDatetime, AfterValidator(_sensible)]
Phone = Annotated[str, Field(max_length=20), AfterValidator(_dialable)]
Vin = Annotated[str, AfterValidator(_vin)]
SiteOf = Annotated[str, Field(pattern=f"^{SITE}$")]


def site_of(principal: Principal, named: str | None = None) -> str:
    """The site that is named, if it is one of the token's; its only one, if none is."""
    if named is not None:
        if not principal.at(named):
            raise missing()
        return named
    if principal.site is None:
        raise Problem(403, "This token covers several sites; use one of the site where this happens.")
    return principal.site


class Body(RequestBody):
    """Of a command."""

    occurred_at: Annotated[Time, AfterValidator(_not_in_the_future)] | None = None
    """When it happened, for a late entry; with a time zone."""


class BodyForSite(Body):
    site: SiteOf | None = None
    """For a token of several sites: the one whose version it is."""


class Event(BaseModel):
    type: str
    version: int


class Answer(BaseModel):
    """What a command recorded, now or when it first came."""

    id: str
    version: int
    position: str | None
    """`<source>:<position>`; give it to a read as `min_position` to see your own write."""
    events: list[Event]
    hash: str | None = None
    """Of the revision that it recorded: what an approval or a signature of it has to name."""
    warnings: list[str] = []


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, and what came with it."""

    principal: Principal
    command_id: str
    fingerprint: str
    expected_version: int | None
    traceparent: str | None

    @property
    def site(self) -> str:
        """Where a new thing begins. Site scope comes from the token, never from the request."""
        return site_of(self.principal)

    def new_id(self) -> str:
        """The id of the thing this command begins: the same when the command is repeated."""
        return hashlib.sha256(f"{self.site}|{self.command_id}".encode()).hexdigest()[:20]

    def metadata(self, correlation_id: str, body: Body, site: str | None = None) -> Metadata:
        return Metadata(
            site=site or self.site,
            actor=self.principal.actor,
            role=self.principal.role,
            correlation_id=correlation_id,
            command_id=self.command_id,
            fingerprint=self.fingerprint,
            occurred_at=body.occurred_at,
            traceparent=self.traceparent,
        )


class _Headers(BaseModel):
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(None, alias="Idempotency-Key")
    if_match: Annotated[str, Field(max_length=40)] | None = Field(None, alias="If-Match")
    traceparent: str | None = Field(
        None, description="W3C trace context; one that is malformed is passed over"
    )


HEADERS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "required": False, "schema": schema}
    for name, schema in _Headers.model_json_schema()["properties"].items()
]
"""For the document. We read them all at once: FastAPI takes longer over each than we over all."""


class _CommandRoute(APIRoute):
    """Takes the short way with a command that is in order, and leaves any other to FastAPI.

    FastAPI's way to the same arguments takes longer than all else that a command needs. What the short way
    does not understand at once goes FastAPI's way from the beginning, which finds the words for what is
    wrong; nothing has been done by then.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        long_way = super().get_route_handler()
        declared = self.dependant
        match [(each.name, each.call) for each in declared.dependencies]:
            case [(str() as caller, Needs() as gate)]:
                pass
            case _:
                raise TypeError(f"{self.path} must depend on its Caller, and on nothing else")
        knowing = replace(gate, made_of=_caller)
        types: dict[str, TypeAdapter[Any]] = {
            field.name: TypeAdapter(Annotated[field.field_info.annotation, field.field_info])  # type: ignore[arg-type]
            for field in (*declared.path_params, *declared.body_params)
        }

        async def handle(request: Request) -> Response:
            try:
                given = {field.name: await _read(request) for field in declared.body_params}
                given |= request.path_params
                arguments = {name: type.validate_python(given[name]) for name, type in types.items()}
            except (ValueError, RecursionError, ClientDisconnect):
                return await long_way(request)
            response: Response = await self.endpoint(**arguments, **{caller: await knowing(request)})
            return response

        return handle


async def _read(request: Request) -> Any:
    """The JSON of the body. Raises ValueError for what is not declared to be JSON, or is not."""
    if request.headers.get("content-type") != "application/json":
        raise ValueError("not declared to be JSON")
    return json.loads(await request.body(), object_pairs_hook=_once)


class CommandRouter(APIRouter):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given, route_class=_CommandRoute)

    def command(self, path: str, **given: Any) -> Callable[[DecoratedCallable], DecoratedCallable]:
        """Declares the route of a command, whose Caller is declared with `commanding`."""
        return self.post(
            path, status_code=201, response_model=Answer, openapi_extra={"parameters": HEADERS}, **given
        )


def commanding(action: Action) -> Dependency:
    """Declares what a command needs, and yields its Caller."""
    return needs(action, caller_of)


async def caller_of(request: Request, principal: Principal) -> Caller:
    """Who gives the command of a request. Raises the problem of a body or header that nobody can mean."""
    # What is no JSON at all is refused where the body is validated.
    with suppress(ValueError, RecursionError):
        try:
            json.loads(await request.body(), object_pairs_hook=_once)
        except _Twice:
            raise Problem(422, "The body names a field twice; please send each one once.") from None
    return await _caller(request, principal)


async def _caller(request: Request, principal: Principal) -> Caller:
    keyring: Keyring = request.app.state.keyring
    try:
        headers = _Headers.model_validate(
            {name: request.headers.get(name) for name in ("Idempotency-Key", "If-Match", "traceparent")}
        )
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("header", *each["loc"])} for each in error.errors()]
        ) from None
    said = f"{request.method} {request.scope['path']}\n".encode() + await request.body()
    return Caller(
        principal=principal,
        command_id=f"{quote(principal.actor, safe='')}/{headers.key or uuid.uuid4()}",
        fingerprint=keyring.fingerprint(said),
        expected_version=_version(headers.if_match),
        traceparent=headers.traceparent if TRACEPARENT.fullmatch(headers.traceparent or "") else None,
    )


def answer(source: str, id: str, handled: Handled, warnings: list[str] | None = None) -> Response:
    """201 for what this command recorded (also when it is only repeated), 200 if nothing was left to do."""
    body = Answer(
        id=id,
        version=handled.version,
        position=None if handled.position is None else f"{source}:{handled.position}",
        events=[Event(type=r.event.type, version=r.version) for r in handled.recorded],
        hash=next((r.event.hash for r in handled.recorded if hasattr(r.event, "hash")), None),
        warnings=warnings or [],
    )
    return Response(
        body.model_dump_json(),
        201 if handled.recorded else 200,
        {"ETag": f'"v{handled.version}"'},
        "application/json",
    )


def install_command_errors(app: FastAPI) -> None:
    """What a command may run into, as problem documents."""

    def on(error: type[Exception], problem: Callable[[Any], Problem]) -> None:
        async def respond(request: Request, why: Exception) -> Response:
            return problem(why).response(request.url.path)

        handler: Callable[[Request, Exception], Coroutine[Any, Any, Response]] = respond
        app.add_exception_handler(error, handler)

    on(Rejected, lambda why: Problem(409, _sentence(why)))
    on(UnknownStream, lambda _: missing())
    on(
        KeyReused,
        lambda _: Problem(422, "This Idempotency-Key was used before with another body; use a new one."),
    )
    on(Unavailable, lambda why: Problem(503, _sentence(why), headers={"Retry-After": "2"}))
    app.add_exception_handler(Full, disk_full)
    on(
        StaleVersion,
        lambda why: Problem(
            412,
            f"This has changed since you looked: it is now at version {why.current}. Read it again."
            if why.current
            else "This does not exist yet; send no If-Match with what begins it.",
            headers={"ETag": f'"v{why.current}"'},
            version=why.current,
        ),
    )


class _Twice(ValueError):
    """JSON lets a field stand twice and the last one win: the other would be lost."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Twice
    return fields


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    tag = re.fullmatch('"v([0-9]{1,18})"', if_match.strip())
    if tag is None:
        raise Problem(400, 'If-Match must be the ETag of an answer, such as "v7".')
    return int(tag[1])


def _sentence(why: Exception) -> str:
    text = str(why)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")

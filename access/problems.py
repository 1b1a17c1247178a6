"""How a request is refused: RFC 9457 problem documents with a sentence, never with the system's insides."""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from psycopg.errors import DiskFull
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from access.headers import SecurityHeaders
from access.openapi import document_refusals

log = logging.getLogger(__name__)

MAX_ADDRESS = 4_096
"""Bytes of path and query; a longer one is answered 414."""
MAX_PARAMETERS = 20
"""Parameters of a query; more are answered 400."""
MAX_HEADERS = 100
"""Header fields of a request; more are answered 431."""
MAX_HEADER_BYTES = 32 * 1024
"""Bytes of all header fields together; more are answered 431."""
MIB = 1024 * 1024
MAX_BODY = MIB
"""Bytes of a request body; the rest is answered 413."""
BODY_WITHIN = 30.0
"""Seconds in which a body must have arrived; a slower one is answered 408."""

SENTENCES = {
    400: "The body cannot be read as JSON in UTF-8; please correct it and send it again.",
    404: "There is nothing here by that name; please compare the address and the id in it.",
    405: "This cannot be done with this method; please compare it with /docs.",
    408: "The body did not arrive in time; please send it again.",
    414: f"The address is longer than {MAX_ADDRESS} bytes; please shorten it.",
    431: (
        f"The request has more than {MAX_HEADERS} header fields or {MAX_HEADER_BYTES} bytes of them;"
        " please send fewer, or delete the cookies of this site."
    ),
}


class Problem(Exception):
    """A request that is refused. `detail` is a sentence for the person who sent it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = dict(headers or {})
        self.members = members

    def response(self, instance: str) -> Response:
        document = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.members,
        }
        return Response(
            # A lone surrogate, sent as part of a name, is text that UTF-8 cannot carry.
            json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "replace"),
            self.status,
            self.headers,
            "application/problem+json",
        )


def missing() -> Problem:
    """The one answer for what does not exist and for what belongs to another site: they look the same."""
    return Problem(404, SENTENCES[404])


def install(app: FastAPI, larger: Mapping[str, int] = MappingProxyType({})) -> None:
    """Every refusal and every failure of `app` becomes a problem document with the security headers on it.

    `larger` gives paths, as regular expressions, whose bodies may have more than `MAX_BODY` bytes.
    """
    document_refusals(app)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(DiskFull, disk_full)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_body=MAX_BODY, within=BODY_WITHIN, larger=larger)
    app.add_middleware(HeadLimit)
    app.add_middleware(Unexpected)
    app.add_middleware(SecurityHeaders)


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response(request.url.path)


async def _malformed(request: Request, error: Exception) -> Response:
    """Names each field and why it was refused, and repeats nothing of what was sent."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        problem = Problem(
            400, f"The body is not valid JSON (character {found[0]['loc'][-1]}); please correct it there."
        )
    elif any(each["loc"] == ("body",) and each["type"] == "model_attributes_type" for each in found):
        problem = Problem(422, "The body must be a JSON object, sent as application/json.")
    else:
        errors = [{"field": _field(each["loc"]), "why": _why(each)} for each in found[:10]]
        sentence = "; ".join(f"{each['field']}: {each['why']}" for each in errors)
        problem = Problem(422, f"{sentence}.", errors=errors)
    return problem.response(request.url.path)


def _field(loc: tuple[int | str, ...]) -> str:
    where, *path = loc
    return ".".join(str(part)[:50] for part in path) or str(where)


def _why(error: Mapping[str, Any]) -> str:
    """What is wrong with a field, and so what to do; the validator's own words where we have none."""
    known = WHY.get(error["type"])
    return known.format(**error.get("ctx", {})) if known else error["msg"].removeprefix("Value error, ")[:200]


WHY = {
    "missing": "this is required",
    "extra_forbidden": "there is no such field; check its spelling or leave it out",
    "int_type": "this must be a whole number",
    "int_parsing": "this must be a whole number",
    "int_from_float": "this must be a whole number",
    "bool_parsing": "this must be true or false",
    "bool_type": "this must be true or false",
    "string_type": "this must be a text",
    "string_unicode": "half of a character, such as of an emoji, is missing here; please type the text again",
    "list_type": "this must be a list",
    "greater_than_equal": "this must be {ge} or more",
    "less_than_equal": "this must be {le} or less",
    "string_too_short": "this must have {min_length} or more characters",
    "string_too_long": "this must have {max_length} characters at most",
    "too_short": "this must have {min_length} or more entries",
    "too_long": "this must have {max_length} entries at most",
    "literal_error": "this must be {expected}",
    "string_pattern_mismatch": "this does not look like such a value; please compare it",
    "timezone_aware": "add a time zone, such as +08:00",
    "datetime_parsing": "this must be a time, such as 2026-01-31T14:00:00+08:00",
    "datetime_from_date_parsing": "this must be a time, such as 2026-01-31T14:00:00+08:00",
}
"""By the validator's kind of error."""


async def http_problem(request: Request, error: Exception) -> Response:
    """A refusal of the framework's own, such as a route that is not there."""
    assert isinstance(error, HTTPException)
    if error.status_code < 400 or error.status_code == 204:
        return Response(status_code=error.status_code, headers=error.headers)
    detail = SENTENCES.get(error.status_code, str(error.detail))
    return Problem(error.status_code, detail, headers=error.headers).response(request.url.path)


async def _database_away(request: Request, error: Exception) -> Response:
    log.warning("%s %s: the database did not answer: %s", request.method, request.url.path, error)
    problem = Problem(503, "The database is not available; please try again.", headers={"Retry-After": "2"})
    return problem.response(request.url.path)


async def disk_full(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.url.path, error)
    problem = Problem(
        507,
        "The disk of the database is full, so nothing was recorded; please tell the operator.",
        headers={"Retry-After": "60"},
    )
    return problem.response(request.url.path)


class Unexpected:
    """An error nobody expected is logged under a number, and the client sees that number only."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting_start)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            incident = str(uuid.uuid4())
            log.exception("incident %s: %s %s", incident, scope["method"], scope["path"])
            detail = "Something went wrong here. Please tell the operator the incident number."
            await Problem(500, detail, incident=incident).response(scope["path"])(scope, receive, send)


class HeadLimit:
    """Refuses, before anything else looks at it, a request whose address or headers are too long or too many,
    or whose address has NUL in it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := _head_problem(scope)):
            await problem.response(scope["path"][:MAX_ADDRESS])(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _head_problem(scope: Scope) -> Problem | None:
    query, headers = scope["query_string"], scope["headers"]
    if len(scope.get("raw_path") or scope["path"].encode()) + bool(query) + len(query) > MAX_ADDRESS:
        return Problem(414, SENTENCES[414])
    if (
        len(headers) > MAX_HEADERS
        or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES
    ):
        return Problem(431, SENTENCES[431])
    if query.count(b"&") >= MAX_PARAMETERS:
        return Problem(400, f"The address has more than {MAX_PARAMETERS} parameters; please send fewer.")
    if "\0" in scope["path"] or b"%00" in query:
        # PostgreSQL has no NUL in its texts, and no name of ours has one.
        return Problem(400, "The address holds the character NUL; please leave it out.")
    return None


class BodyLimit:
    """Refuses a body over the limit with 413: before anything runs when its length is announced, and at the
    byte where it becomes too long when it is sent in chunks. A body that trickles in for longer than `within`
    seconds is given up with 408."""

    def __init__(
        self, app: ASGIApp, max_body: int, within: float, larger: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.app = app
        self.max_body = max_body
        self.within = within
        self.larger = [(re.compile(path), most) for path, most in larger.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        most = next((most for each, most in self.larger if each.fullmatch(path)), self.max_body)
        too_large = f"The body is larger than {most} bytes; please send {most / MIB:g} MiB at most."
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > most:
            await Problem(413, too_large).response(scope["path"])(scope, receive, send)
            return
        taken = 0
        until: float | None = asyncio.get_running_loop().time() + self.within

        # FastAPI passes an HTTPException on while it reads a body, and hides any other as a 400.
        async def counting() -> Message:
            nonlocal taken, until
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, too_large)
            if not message.get("more_body"):
                until = None  # what comes now is the end of the connection
            return message

        await self.app(scope, counting, send)

"""Refusals in the reader's language, and as a page for whoever reads them in a browser."""

import json
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.web.i18n import language_of, translate_sentence
from projections.web.rendering import page


class ProblemPages:
    """Turns each problem document on its way out: its sentence is translated; a browser gets a page, and the
    sign-in page when nobody is signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def turning(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                if Headers(raw=message["headers"]).get("content-type") == "application/problem+json":
                    start = message
                    return
            elif start is not None:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await self.answer(scope, start, body)(scope, receive, send)
                return
            await send(message)

        await self.app(scope, receive, turning)

    def answer(self, scope: Scope, start: Message, body: bytes) -> Response:
        connection = HTTPConnection(scope)
        problem: dict[str, Any] = json.loads(body)
        language = language_of(connection)
        problem["detail"] = translate_sentence(language, problem["detail"])
        if errors := problem.get("errors"):
            for error in errors:
                error["why"] = translate_sentence(language, error["why"])
            problem["detail"] = "; ".join(f"{error['field']}: {error['why']}" for error in errors) + "."
        kept = {
            name: value
            for name, value in Headers(raw=start["headers"]).items()
            if name not in ("content-type", "content-length")
        }
        if "text/html" not in connection.headers.get("accept", ""):
            text = json.dumps(problem, ensure_ascii=False)
            return Response(text, start["status"], kept, "application/problem+json")
        if start["status"] == 401 and scope["method"] == "GET":
            query = scope["query_string"].decode()
            here = scope["path"] + (f"?{query}" if query else "")
            return RedirectResponse(f"/sign-in?next={quote(here)}", 303, kept)
        return page(connection, "problem.html", None, problem["status"], kept, problem=problem)

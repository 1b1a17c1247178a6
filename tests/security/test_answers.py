"""What every answer tells the browser, and how long the system listens to a request."""

import asyncio
import re
from collections import defaultdict

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from access.guard import SESSION_COOKIE
from access.problems import BodyLimit, install
from access.roles import MAY, Role
from tests.api.test_access import BODIES, NEEDS
from tests.journeys.story import Visit
from tests.system import Running

POLICY = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PAGES = {
    "department_manager": (
        "/",
        "/sites/sh01/board",
        "/work-orders/{order}",
        "/work-orders/{order}?as_of=1",
        "/complaints?show=all",
        "/complaints/new",
        "/complaints/statistics",
        "/appointments",
        "/sites/sh01/days/2031-05-06",
        "/sites/sh01/days/2031-05-06/load",
        "/sites/sh01/days/2031-05-06/welcome",
        "/sites/sh01/appointments/statistics",
        "/complaints/{complaint}",
        "/visits/new",
        "/sites/sh02/board",
        "/nowhere",
        "/%0Ax",
        "/%00",
    ),
    "operator": ("/", "/status", "/parked", "/sites/sh01/board"),
    "": ("/", "/sign-in", "/status", "/language/zh-CN", "/static/pages.js", "/openapi.json"),
}
INLINE = re.compile(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
"""What the policy forbids a page to hold."""


@pytest.fixture(scope="module")
async def complaint(running: Running) -> str:
    raised = await running.post("/customer-care/v1/complaints", BODIES["complaints"], "care_agent")
    path = f"/v1/complaints/{raised['id']}/timeline"
    await running.get(path, "care_agent", min_position=raised["position"])
    return str(raised["id"])


def missing_policy(answer: httpx2.Response) -> list[str]:
    """What an answer lacks of the policy."""
    # Forms of our own pages say that they are ours.
    policy = POLICY | ({"referrer-policy": "same-origin"} if "text/html" in content_type(answer) else {})
    lacking = [name for name, value in policy.items() if answer.headers.get(name) != value]
    fresh = answer.headers.get("cache-control", "")
    if not ({"no-store", "no-cache"} & set(fresh.split(", ")) or "last-modified" in answer.headers):
        lacking.append("cache-control")
    return lacking


def content_type(answer: httpx2.Response) -> str:
    return answer.headers.get("content-type", "")


async def test_every_page_runs_our_own_files_only(running: Running, order: Visit, complaint: str) -> None:
    wrong = {}
    for role, paths in PAGES.items():
        cookies = {"Cookie": f"{SESSION_COOKIE}={running.token(role, 'sh01')}"} if role else {}
        for path in paths:
            url = path.format(order=order.id, complaint=complaint)
            answer = await running.client.get(url, headers={"Accept": "text/html", **cookies})
            running.client.cookies.clear()  # such as the language, for the tests that follow
            found = missing_policy(answer)
            if "text/html" in content_type(answer):
                found += INLINE.findall(answer.text)
            if found or answer.status_code >= 500:
                wrong[f"{role} {url}"] = answer.status_code, found
    assert wrong == {}


async def test_every_route_tells_the_policy(running: Running, order: Visit, complaint: str) -> None:
    wrong = {}
    for app, routes in NEEDS.items():
        for route, action in routes.items():
            method, path = route.split(" ")
            role = next((role for role in Role if action in MAY[role]), None)
            id = complaint if "/complaints/" in path else order.id
            url = ("" if app == "projections" else f"/{app}") + re.sub("{.*?id}", id, path)
            named = {"site": "sh01", "date": "2031-05-06", "customer": "c-unknown", "link": "forged"}
            url = url.format_map(defaultdict(lambda: "1", named))
            headers = {"Authorization": f"Bearer {running.token(role, 'sh01')}"} if role else {}
            async with running.client.stream(method, url, headers=headers) as answer:
                if found := missing_policy(answer):
                    wrong[f"{route} {answer.status_code}"] = found
    assert wrong == {}


async def test_an_address_with_a_line_break_is_refused_like_any_other(running: Running) -> None:
    answer = await running.client.get("/%0Ax")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_body_that_trickles_is_given_up() -> None:
    """The first byte came; of the rest there is no sign."""
    app = FastAPI()
    install(app)

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    parts: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]
    sent: list[Message] = []

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    async with asyncio.timeout(5):
        await BodyLimit(app, max_body=100, within=0.05)(scope, receive, send)
    assert sent[0]["status"] == 408
    assert b"The body did not arrive in time; please send it again." in sent[1]["body"]

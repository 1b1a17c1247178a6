"""How requests are refused, and what the answers do not say."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.types import Message

from access.issuer import Issuer
from access.problems import MAX_BODY
from access.roles import Role

VISITS = "/sites/sh01/visits"


@pytest.fixture
def advisor(issuer: Issuer) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token('wang.li', Role.ADVISOR, ['sh01'], 60)}"}


async def test_a_refusal_is_a_problem_document(client: AsyncClient) -> None:
    answer = await client.get("/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here by that name; please compare the address and the id in it.",
        "instance": "/nowhere",
    }


async def test_a_wrong_method_is_told_the_right_ones(client: AsyncClient) -> None:
    answer = await client.delete("/healthz")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["detail"] == "This cannot be done with this method; please compare it with /docs."


async def test_each_wrong_field_is_named_with_its_reason(
    client: AsyncClient, advisor: dict[str, str]
) -> None:
    answer = await client.post(VISITS, json={"kilometres": -1, "phone": "1381234567" * 9}, headers=advisor)
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "kilometres: this must be 0 or more; phone: this must have 20 characters at most."
    )
    assert answer.json()["errors"][0] == {
        "field": "kilometres",
        "why": "this must be 0 or more",
    }


async def test_what_was_sent_is_not_repeated(client: AsyncClient, advisor: dict[str, str]) -> None:
    answer = await client.post(VISITS, json={"kilometres": "13812345678x"}, headers=advisor)
    assert answer.status_code == 422
    assert "13812345678" not in answer.text


async def test_a_missing_body_is_named(client: AsyncClient, advisor: dict[str, str]) -> None:
    answer = await client.post(VISITS, headers=advisor)
    assert (answer.status_code, answer.json()["detail"]) == (422, "body: this is required.")


@pytest.mark.parametrize("body", [b'{"kilometres": ', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_malformed(
    client: AsyncClient, advisor: dict[str, str], body: bytes
) -> None:
    answer = await client.post(VISITS, content=body, headers=advisor | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_a_body_too_large_by_its_own_account_is_not_even_read(
    client: AsyncClient, advisor: dict[str, str]
) -> None:
    async def never_asked_for() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    answer = await client.post(
        VISITS, content=never_asked_for(), headers=advisor | {"Content-Length": str(MAX_BODY + 1)}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_a_body_that_grows_too_large_in_chunks_is_refused(
    client: AsyncClient, advisor: dict[str, str]
) -> None:
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 64 * 1024
            yield b" " * (64 * 1024)

    answer = await client.post(
        VISITS, content=chunks(), headers=advisor | {"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["detail"] == f"The body is larger than {MAX_BODY} bytes; please send 1 MiB at most."
    assert taken <= MAX_BODY + 2 * 64 * 1024


async def test_a_path_may_have_a_limit_of_its_own(client: AsyncClient, advisor: dict[str, str]) -> None:
    """And no other path beside it."""
    large = b" " * (2 * MAX_BODY)
    assert (await client.post("/pictures/7", content=large)).json() == len(large)
    for path, most in (("/pictures/7", 2 * MAX_BODY), ("/pictures/7/x", MAX_BODY), (VISITS, MAX_BODY)):
        answer = await client.post(path, content=large + b" ", headers=advisor)
        assert answer.status_code == 413, path
        assert answer.json()["detail"] == (
            f"The body is larger than {most} bytes; please send {most // MAX_BODY} MiB at most."
        )


async def test_a_body_just_small_enough_is_read(client: AsyncClient, advisor: dict[str, str]) -> None:
    body = b'{"kilometres": 7}'.ljust(MAX_BODY)
    answer = await client.post(VISITS, content=body, headers=advisor | {"Content-Type": "application/json"})
    assert answer.status_code == 200


async def test_an_unexpected_error_shows_its_number_only(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "access.problems"):
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert "13812345678" not in answer.text
    assert "RuntimeError" not in answer.text
    assert f"incident {answer.json()['incident']}" in caplog.text
    assert "RuntimeError" in caplog.text


async def test_a_full_disk_is_told_from_a_database_that_is_away(client: AsyncClient) -> None:
    answer = await client.get("/full")
    assert (answer.status_code, answer.headers["content-type"]) == (507, "application/problem+json")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["title"] == "Insufficient Storage"
    assert "13812345678" not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/broken", "/sites/sh01/board"])
async def test_every_answer_tells_the_browser_the_policy(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_a_stream_arrives_piece_by_piece(app: FastAPI) -> None:
    """An endless stream that anything collected first would never answer."""
    pieces: list[bytes] = []

    class Enough(Exception):
        pass

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message["body"])
        if len(pieces) == 3:
            raise Enough

    scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"", "headers": []}
    with pytest.raises((Enough, ExceptionGroup)):
        await app(scope, receive, send)
    assert pieces == [b"data: still here\n\n"] * 3

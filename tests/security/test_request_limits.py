"""How much of a request the servers read before they refuse it, and how long they wait for it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from access.problems import MAX_ADDRESS, MAX_HEADER_BYTES, MAX_HEADERS, MAX_PARAMETERS, install
from access.request_body import MAX_DEPTH
from ops.http_protocol import MAX_HEAD, Protocol
from tests.api.conftest import Somebody
from tests.api.test_bad_input import INSIDES, VISIT, VISITS, refused
from tests.system import Running

APPS = ("", "/reception", "/workshop", "/customer-care")
LONG = "x" * MAX_ADDRESS


async def ask(running: Running, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    """With exactly these headers, and nothing of the client's own."""
    request = httpx2.Request("GET", running.url + path, headers=headers)
    return await running.client.send(request)


def of_length(path: str, length: int) -> str:
    return f"{path}?q=".ljust(length, "x")


def of_bytes(total: int) -> dict[str, str]:
    """A header that, with the host's, has so many bytes in all."""
    return {"X-Much": "x" * (total - len("X-Much") - len("host") - len("127.0.0.1:00000"))}


@pytest.mark.parametrize("app", APPS)
async def test_an_address_has_a_length(running: Running, app: str) -> None:
    longest = await ask(running, of_length(f"{app}/healthz", MAX_ADDRESS))
    assert longest.status_code == 200
    for path in (
        of_length(f"{app}/healthz", MAX_ADDRESS + 1),
        f"{app}/{LONG}",
        of_length(f"{app}/healthz", 60_000),
    ):
        problem = refused(await ask(running, path), 414, f"longer than {MAX_ADDRESS} bytes")
        assert len(problem["instance"]) <= MAX_ADDRESS


async def test_one_that_the_parser_gives_up_is_told_the_same() -> None:
    async with serving(Protocol) as port:
        longer = f"GET {of_length('/', 70_000)} HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (
            problem_in(await said(port, longer.encode()), 414)
            == f"The address is longer than {MAX_ADDRESS} bytes; please shorten it."
        )


@pytest.mark.parametrize("app", APPS)
async def test_a_query_has_so_many_parameters(running: Running, app: str) -> None:
    most = await ask(running, f"{app}/healthz?" + "&".join(["a=1"] * MAX_PARAMETERS))
    assert most.status_code == 200
    more = await ask(running, f"{app}/healthz?" + "&".join(["a=1"] * (MAX_PARAMETERS + 1)))
    refused(more, 400, f"more than {MAX_PARAMETERS} parameters")


@pytest.mark.parametrize("app", APPS)
async def test_headers_have_a_number_and_a_size(running: Running, app: str) -> None:
    many = {f"X-{number}": "x" for number in range(MAX_HEADERS - 1)}  # and that of the host
    assert (await ask(running, f"{app}/healthz", many)).status_code == 200
    refused(await ask(running, f"{app}/healthz", many | {"X-More": "x"}), 431, f"{MAX_HEADERS} header fields")
    assert (await ask(running, f"{app}/healthz", of_bytes(MAX_HEADER_BYTES))).status_code == 200
    refused(await ask(running, f"{app}/healthz", of_bytes(MAX_HEADER_BYTES + 1)), 431, "bytes of them")


async def test_what_is_too_much_is_refused_before_anybody_is_recognised(running: Running) -> None:
    """The answer to a good token and to none is the same."""
    advisor = Somebody(running, "advisor", "sh01")
    path = of_length("/v1/sites/sh01/board", MAX_ADDRESS + 1)
    known, unknown = await advisor.send(path, method="GET"), await ask(running, path)
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert (await ask(running, "/v1/sites/sh01/board")).status_code == 401


@pytest.mark.parametrize("header", [{"Accept-Language": "zh-CN"}, {"Cookie": "bayledger_language=zh-CN"}])
async def test_it_is_said_in_the_readers_language(running: Running, header: dict[str, str]) -> None:
    for answer, words in (
        (await ask(running, of_length("/healthz", MAX_ADDRESS + 1), header), "地址超过"),
        (await ask(running, "/healthz?" + "&" * MAX_PARAMETERS, header), "请减少参数"),
        (await ask(running, "/healthz", header | of_bytes(MAX_HEADER_BYTES)), "请求头超过"),
    ):
        assert words in answer.json()["detail"]


def nested(levels: int) -> str:
    """A visit whose symptoms lie so deep."""
    return json.dumps(VISIT | {"symptoms": 0}).replace(
        '"symptoms": 0', '"symptoms": ' + "[" * levels + "]" * levels
    )


async def test_a_body_has_so_many_levels(running: Running) -> None:
    advisor = Somebody(running, "advisor", "sh01")
    within = await advisor.send(VISITS, nested(MAX_DEPTH - 1))
    refused(within, 422, "symptoms.0: this must be a text")
    for levels in (MAX_DEPTH, 900):
        refused(await advisor.send(VISITS, nested(levels)), 422, f"at most {MAX_DEPTH} levels")
    refused(await advisor.send(VISITS, nested(100_000)), 400, "cannot be read")
    assert await advisor.recorded() == []


class Hasty(Protocol):
    head_within = 0.2


@asynccontextmanager
async def serving(protocol: type[Protocol]) -> AsyncIterator[int]:
    """The port of a server with that protocol."""
    app = FastAPI()
    install(app)
    app.get("/")(lambda: "here")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=protocol, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def said(port: int, *parts: bytes) -> bytes:
    """What a server answers to these bytes, each sent when the one before has left, and to silence then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


def problem_in(answer: bytes, status: int) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert line.startswith(f"HTTP/1.1 {status} ")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["content-security-policy"]
    assert not [inside for inside in INSIDES if inside in body.decode()]
    detail: str = json.loads(body)["detail"]
    return detail


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", REQUEST, REQUEST + b"X-Slow: "])
async def test_a_head_that_does_not_come_to_its_end_is_given_up(begun: bytes) -> None:
    async with serving(Hasty) as port:
        answer = problem_in(await said(port, begun), 408)
        assert answer == "The head of the request did not arrive in time; please send it again."


async def test_who_says_nothing_is_not_kept() -> None:
    async with serving(Hasty) as port:
        assert await said(port) == b""


async def test_a_further_head_has_its_time_as_well() -> None:
    async with serving(Hasty) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"\r\n")
        assert (await reader.readuntil(b'"here"')).startswith(b"HTTP/1.1 200")
        writer.write(REQUEST)
        async with asyncio.timeout(30):
            assert problem_in(await reader.read(), 408)
        writer.close()


async def test_a_head_in_time_is_answered_however_it_is_cut() -> None:
    class Patient(Protocol):
        head_within = 60.0

    whole = REQUEST + b"Connection: close\r\n\r\n"
    async with serving(Patient) as port:
        answer = await said(port, *(whole[at : at + 1] for at in range(len(whole))))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'"here"')


async def test_the_time_of_a_head_does_not_count_for_what_comes_after_it() -> None:
    """A stream may go on for as long as it likes."""
    app = FastAPI()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def wait() -> str:
        begun.set()
        await go_on.wait()
        return "at last"

    install(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=Hasty, log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        port = listening.getsockname()[1]
        patient = asyncio.create_task(said(port, REQUEST + b"Connection: close\r\n\r\n"))
        await begun.wait()
        assert await said(port, REQUEST)  # another's time is over meanwhile
        go_on.set()
        assert b"at last" in await patient
        server.should_exit = True
        await running


async def test_a_head_without_end_is_not_kept_in_memory() -> None:
    async with serving(Protocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"X-Endless: " + b"x" * MAX_HEAD)
        async with asyncio.timeout(30):
            assert "header fields" in problem_in(await reader.read(), 431)
        writer.close()
        held = REQUEST + b"Connection: close\r\nX-Long: " + b"x" * (MAX_HEADER_BYTES - 100)
        assert (await said(port, held, b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\x00\r\n", b"HELO x\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_not_http_is_told_so(nonsense: bytes) -> None:
    async with serving(Protocol) as port:
        assert (
            problem_in(await said(port, nonsense), 400)
            == "This is not an HTTP request; please compare the address and the port."
        )

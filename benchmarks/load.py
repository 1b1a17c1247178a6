"""Many clients in a process of their own, each with one connection that stays open, never pausing.

What they send is made before the clock starts, and whatever is compared is loaded by these same clients. They
do as little as they can: of an answer they look at the status and the length.
"""

import asyncio
import gc
import math
import pickle
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import uvloop

from ops.processes import LOOPBACK

MOST = 40_000
"""Requests a second that are made ready."""
WARM_UP = 0.2
"""Of the time, in which what is answered does not count yet."""


@dataclass(frozen=True, slots=True)
class Load:
    rate: float
    seconds: list[float]
    """Of each request, sorted."""

    def milliseconds(self, percentile: float) -> float:
        """What this share of the requests took at most."""
        return self.seconds[math.ceil(percentile * len(self.seconds)) - 1] * 1000


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    given = {"Host": LOOPBACK, "Content-Length": str(len(body)), **headers}
    if body:
        given["Content-Type"] = "application/json"
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2]
    body = await reader.readexactly(int(length.partition(b"\r")[0])) if length else b""
    return int(head[9:12]), head, body


async def answer(port: int, request: bytes, status: int) -> tuple[bytes, bytes]:
    """Head and body of one answer that has this status."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        found, head, body = await exchange(reader, writer, request)
        if found != status:
            raise AssertionError(f"{found}: {body.decode()}")
        return head, body
    finally:
        writer.close()


async def load(port: int, requests: Iterator[bytes], clients: int, seconds: float, status: int) -> Load:
    """What so many clients get done in so many seconds; every answer must have this status."""
    given = list(islice(requests, int(MOST * seconds)))
    rate, taken = await in_own_process("benchmarks.load", port, given, clients, seconds, status)
    return Load(rate, sorted(taken))


async def in_own_process(module: str, *given: object) -> Any:
    """What a module of clients measured: it finds what it is given at its standard input."""
    command = [sys.executable, "-m", module]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    said, _ = await process.communicate(pickle.dumps(given))
    if process.returncode:
        raise AssertionError(f"{module} failed")
    return pickle.loads(said)


class _Client(asyncio.Protocol):
    def __init__(self, clients: "_Clients") -> None:
        self._clients = clients
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        request = next(self._clients.requests, None)
        if request is None:
            raise AssertionError("too few requests were made ready")
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer = self._answer + data
        end = answer.find(b"\r\n\r\n")
        if end < 0 or len(answer) < end + 4 + _length(answer, end):
            return
        self._answer = b""
        if not answer.startswith(self._clients.status):
            raise AssertionError(answer.decode())
        now = time.perf_counter()
        if now > self._clients.counts_from:
            self._clients.taken.append(now - self._began)
        if now < self._clients.until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self._clients.until:
            raise AssertionError("a connection was lost")
        self._clients.left -= 1
        if not self._clients.left:
            self._clients.done.set()


def _length(answer: bytes, end: int) -> int:
    start = answer.find(b"content-length: ", 0, end)
    return int(answer[start + 16 : answer.find(b"\r", start)]) if start >= 0 else 0


class _Clients:
    def __init__(self, requests: Iterator[bytes], clients: int, seconds: float, status: int) -> None:
        self.requests = requests
        self.status = f"HTTP/1.1 {status}".encode()
        self.taken: list[float] = []
        self.left = clients
        self.done = asyncio.Event()
        began = time.perf_counter()
        self.counts_from, self.until = began + seconds * WARM_UP, began + seconds

    async def run(self, port: int) -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        failed = loop.create_future()

        def fail(_: object, context: dict[str, Any]) -> None:
            if not failed.done():
                failed.set_exception(context["exception"])

        loop.set_exception_handler(fail)
        for _ in range(self.left):
            await loop.create_connection(lambda: _Client(self), LOOPBACK, port)
        waiting = asyncio.create_task(self.done.wait())
        await asyncio.wait({waiting, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
        return len(self.taken) / (time.perf_counter() - self.counts_from), self.taken


async def _main() -> None:
    port, requests, clients, seconds, status = pickle.load(sys.stdin.buffer)
    gc.disable()
    found = await _Clients(iter(requests), clients, seconds, status).run(port)
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    uvloop.run(_main())

"""Many clients, each with one connection that stays open: what they send is made before the clock starts."""

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ops.processes import LOOPBACK


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
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            while (began := time.perf_counter()) < until:
                found, _, body = await exchange(reader, writer, next(requests))
                if found != status:
                    raise AssertionError(f"{found}: {body.decode()}")
                taken.append(time.perf_counter() - began)
        finally:
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(len(taken) / (time.perf_counter() - began), sorted(taken))

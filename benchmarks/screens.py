"""Many screens in a process of their own: how long after its answer a change takes to each of them."""

import asyncio
import gc
import pickle
import sys
import time
from typing import cast

import uvloop

from ops.processes import LOOPBACK

WARM_UP = 2
"""Changes that do not count."""


class _Screen(asyncio.Protocol):
    def __init__(self, request: bytes, screens: "_Screens") -> None:
        self._request = request
        self._screens = screens

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if b"\ndata:" in data:
            self._screens.see()
        elif b"connected" in data:
            self._screens.connect()

    def connection_lost(self, error: Exception | None) -> None:
        self._screens.lost = True
        self._screens.all.set()


class _Desk(asyncio.Protocol):
    """Where changes are made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():  # the rest of an answer may come by itself
            self.answered.set_result((data[9:12], time.perf_counter()))

    async def change(self, request: bytes) -> float:
        """When it was answered."""
        self.answered: asyncio.Future[tuple[bytes, float]] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        status, at = await self.answered
        if status != b"201":
            raise AssertionError(f"a change was answered {status.decode()}")
        return at


class _Screens:
    def __init__(self, number: int) -> None:
        self.number = number
        self.connected = 0
        self.seen: list[float] = []
        self.all = asyncio.Event()
        self.lost = False

    def connect(self) -> None:
        self.connected += 1
        if self.connected == self.number:
            self.all.set()

    def see(self) -> None:
        self.seen.append(time.perf_counter())
        if len(self.seen) == self.number:
            self.all.set()

    async def wait(self) -> list[float]:
        """When each has seen the change; until then none may have seen another, or be lost."""
        async with asyncio.timeout(60):
            await self.all.wait()
        self.all.clear()
        if self.lost or len(self.seen) > self.number:
            raise AssertionError("a screen was lost, or saw a change that nobody made")
        seen, self.seen = self.seen, []
        return seen


async def _main() -> None:
    number, port, request, desk_port, changes = pickle.load(sys.stdin.buffer)
    gc.disable()
    loop = asyncio.get_running_loop()
    screens, taken = _Screens(number), []
    for _ in range(number):
        await loop.create_connection(lambda: _Screen(request, screens), LOOPBACK, port)
    await screens.wait()
    _, desk = await loop.create_connection(_Desk, LOOPBACK, desk_port)
    for n, change in enumerate(changes):
        answered = await desk.change(change)
        seen = await screens.wait()
        if n >= WARM_UP:
            taken += [max(0.0, at - answered) for at in seen]
    sys.stdout.buffer.write(pickle.dumps(taken))


if __name__ == "__main__":
    uvloop.run(_main())

"""One reading for all who ask for the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

A = TypeVar("A")


class Shared(Generic[A]):
    """Reads by name. Nobody gets what began to be read before they asked: who comes while something is being
    read waits for the next reading, together with all who come meanwhile."""

    def __init__(self, read: Callable[[str], Awaitable[A]], within: float) -> None:
        """`within` so many seconds the reading before must have ended."""
        self._read = read
        self._within = within
        self._next: dict[str, asyncio.Task[A]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, name: str) -> A:
        """Raises what the reading raises, and TimeoutError when it cannot begin."""
        if name not in self._next:
            self._next[name] = asyncio.create_task(self._turn(name))
        return await asyncio.shield(self._next[name])

    async def _turn(self, name: str) -> A:
        turn = self._turns.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(self._within):
                await turn.acquire()
        finally:
            del self._next[name]  # whoever asks from now on needs another one
        try:
            return await self._read(name)
        finally:
            turn.release()

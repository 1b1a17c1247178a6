"""One reading for all who ask for the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

A = TypeVar("A")


class Shared(Generic[A]):
    """Reads by name. Nobody gets what began to be read before they asked: who comes while something is being
    read waits for the next reading, together with all who come meanwhile."""

    def __init__(self, read: Callable[[str], Awaitable[A]], within: float) -> None:
        """Who has waited for so many seconds `within` waits no longer."""
        self._read = read
        self._within = within
        self._next: dict[str, asyncio.Task[A]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, name: str) -> A:
        """Raises what the reading raises, and TimeoutError for who waits too long for it."""
        if name not in self._next:
            self._next[name] = asyncio.create_task(self._turn(name))
            self._next[name].add_done_callback(_heard)
        async with asyncio.timeout(self._within):
            return await asyncio.shield(self._next[name])

    async def _turn(self, name: str) -> A:
        async with self._turns.setdefault(name, asyncio.Lock()):
            del self._next[name]  # whoever asks from now on needs another one
            return await self._read(name)


def _heard(reading: "asyncio.Task[Any]") -> None:
    """Also if all who waited for it have given up."""
    if not reading.cancelled():
        reading.exception()

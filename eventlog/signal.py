"""A wake-up for one waiting loop: hints only, whoever waits looks again by itself after a while."""

import asyncio
from contextlib import suppress


class Signal:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, at_most: float) -> bool:
        """Whether it was set since the last wait, or within so many seconds."""
        # Not `wait_for`: it loses a cancellation that comes together with the signal (Python 3.11).
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await self._event.wait()
        was_set = self._event.is_set()
        self._event.clear()
        return was_set

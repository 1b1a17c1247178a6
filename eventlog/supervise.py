"""Keeps a long-running task going: a broken connection is a pause, never an end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()

LONGEST_PAUSE = 5.0
CLEANING_UP = 6.0
"""Longer than any task takes for it after it was cancelled, in seconds."""


async def supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    """Run the task again whenever it fails or returns, with growing pauses, until cancelled.

    The NATS client mixes both up: it cancels readers of a connection it closes, and turns the cancellation of
    a publish into an error. So only a cancellation of our own task counts, and it counts whatever is raised.
    """
    ours = asyncio.current_task()
    assert ours is not None
    pause = 0.1
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await task()
        except (Exception, asyncio.CancelledError) as why:
            if ours.cancelling():
                raise asyncio.CancelledError from why
            log.warning("restarting", task=name, error=f"{type(why).__name__}: {why}")
        if ours.cancelling():
            raise asyncio.CancelledError
        if asyncio.get_running_loop().time() - started > 2 * LONGEST_PAUSE:
            pause = 0.1
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks until each has ended.

    Before Python 3.12, `asyncio.wait_for` forgets a cancellation that comes together with the answer it waits
    for, and so does whoever asks NATS something: the task goes on as if nobody had cancelled it.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=CLEANING_UP)

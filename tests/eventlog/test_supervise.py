"""A long-running task goes on until it is cancelled, and only until then."""

import asyncio

import pytest

from eventlog import supervise as supervising
from eventlog.supervise import end, supervise


async def test_a_task_that_fails_or_returns_is_started_again() -> None:
    starts = asyncio.Queue[None]()

    async def works() -> None:
        await starts.put(None)
        if starts.qsize() == 1:
            raise OSError("the line broke")

    running = asyncio.create_task(supervise("test", works))
    for _ in range(3):
        await asyncio.wait_for(starts.get(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_reader_cancelled_by_its_closing_connection_is_started_again() -> None:
    starts = asyncio.Queue[None]()

    async def reads() -> None:
        await starts.put(None)
        answer = asyncio.get_running_loop().create_future()
        answer.cancel()  # as the NATS client does with whoever waits when it closes
        await answer

    running = asyncio.create_task(supervise("test", reads))
    for _ in range(3):
        await asyncio.wait_for(starts.get(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_cancellation_that_a_library_turns_into_an_error_still_ends_the_task() -> None:
    waiting = asyncio.Event()

    async def publishes() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("too many stalled messages") from None  # as the NATS client does

    running = asyncio.create_task(supervise("test", publishes))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)


async def test_a_cancellation_that_a_library_forgets_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "CLEANING_UP", 0.01)
    waiting, forgotten = asyncio.Event(), 0

    async def asks() -> None:
        nonlocal forgotten
        while True:
            try:
                waiting.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if forgotten == 2:
                    raise
                forgotten += 1  # as `asyncio.wait_for` when the answer comes at the same moment

    running = asyncio.create_task(supervise("test", asks))
    await waiting.wait()
    await asyncio.wait_for(end(running), 5)
    assert running.cancelled()
    assert forgotten == 2


async def test_a_task_that_returns_when_it_is_cancelled_is_not_started_again() -> None:
    waiting, starts = asyncio.Event(), 0

    async def returns() -> None:
        nonlocal starts
        starts += 1
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    running = asyncio.create_task(supervise("test", returns))
    await waiting.wait()
    await asyncio.wait_for(end(running), 5)
    assert (running.cancelled(), starts) == (True, 1)

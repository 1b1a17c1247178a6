"""What is asked at the same time is answered together: one round trip, and one commit, for all who wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Batches(Generic[Q, A]):
    """Hands all waiting questions to `answer`, at most so many at once; later ones wait for the next batch.

    A question is never answered from what was read before it was asked. When `answer` fails, so does every
    question of its batch.
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], most: int) -> None:
        self._answer = answer
        self._most = most
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        reply: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, reply))
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer_all())
        return await reply

    async def _answer_all(self) -> None:
        batch: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                await self._answer_batch([each for each in batch if not each[1].done()])  # others gave up
        finally:
            self._answering = None
            for _, reply in (*batch, *self._waiting):
                reply.cancel()  # only if this task was cancelled is any still open
            self._waiting.clear()

    async def _answer_batch(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in batch])
        except Exception as why:
            for _, reply in batch:
                if not reply.done():
                    reply.set_exception(why)
            return
        for (_, reply), answer in zip(batch, answers, strict=True):
            if not reply.done():
                reply.set_result(answer)

"""What is asked at the same time is answered together."""

import asyncio
from collections.abc import Sequence

import pytest

from access.batches import Batches


class Doubling:
    """Answers when it is let; remembers what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, questions: Sequence[int]) -> list[int]:
        self.asked.append(list(questions))
        self.was_asked.set()
        await self.may_answer.wait()
        if 13 in questions:
            raise ConnectionError("the database went away")
        return [2 * question for question in questions]


async def test_those_who_come_meanwhile_are_answered_together_next() -> None:
    doubling = Doubling()
    batches = Batches(doubling, 10)
    first = asyncio.create_task(batches.ask(1))
    await doubling.was_asked.wait()
    later = asyncio.gather(*(batches.ask(n) for n in (2, 3)))
    doubling.may_answer.set()
    assert (await first, await later) == (2, [4, 6])
    assert doubling.asked == [[1], [2, 3]]
    assert await batches.ask(4) == 8


async def test_a_batch_is_never_larger_than_allowed() -> None:
    doubling = Doubling()
    doubling.may_answer.set()
    batches = Batches(doubling, 3)
    assert await asyncio.gather(*(batches.ask(n) for n in range(7))) == [0, 2, 4, 6, 8, 10, 12]
    assert doubling.asked == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_failure_reaches_all_of_its_batch_and_nobody_else() -> None:
    doubling = Doubling()
    doubling.may_answer.set()
    batches = Batches(doubling, 2)
    outcomes = await asyncio.gather(*(batches.ask(n) for n in (12, 13, 14)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError, int]


async def test_who_gives_up_keeps_nobody_waiting() -> None:
    doubling = Doubling()
    batches = Batches(doubling, 10)
    patient, impatient = [asyncio.create_task(batches.ask(n)) for n in (1, 2)]
    await doubling.was_asked.wait()
    impatient.cancel()
    doubling.may_answer.set()
    assert await patient == 2
    with pytest.raises(asyncio.CancelledError):
        await impatient

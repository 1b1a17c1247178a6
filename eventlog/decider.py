"""The shape of all write-side logic: three pure functions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

from events import Event

S = TypeVar("S")
C = TypeVar("C")


class Rejected(Exception):
    """The command breaks a business rule; the text is for the person who gave it. Nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Decider(Generic[S, C]):
    initial: S
    decide: Callable[[C, S], Sequence[Event]]
    evolve: Callable[[S, Event], S]

    def fold(self, events: Iterable[Event]) -> S:
        return reduce(self.evolve, events, self.initial)

"""A B A B, medians, one ratio."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Timed = Callable[[], Awaitable[float]]
"""One round; what it measured, in the row's unit."""


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    what: str
    unit: str
    ours: float
    baseline: float
    target: float
    at_most: bool = False
    """The target is an upper bound (latencies), not a lower one (rates)."""

    @property
    def ratio(self) -> float:
        return self.ours / self.baseline

    @property
    def reached(self) -> bool:
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def __str__(self) -> str:
        return f"{self.key} {self.ratio:.2f}"


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold with every figure."""

    key: str
    what: str
    found: str
    held: bool

    def __str__(self) -> str:
        return f"{self.key}: {self.what}: {self.found}: {'held' if self.held else 'BROKEN'}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows and gates to measure: those whose keys begin with one of the names; without names, all."""

    names: tuple[str, ...] = ()

    def __call__(self, *keys: str) -> bool:
        return not self.names or any(key.startswith(self.names) for key in keys)


async def interleaved(rounds: int, **contenders: Timed) -> dict[str, float]:
    """The median of each contender; they take turns, so that the machine's moods hit all alike."""
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            seen[name].append(await contender())
    return {name: statistics.median(values) for name, values in seen.items()}

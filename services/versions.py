"""Rules as versioned data: which version holds, and how a site publishes the next one (X-14, X-15).

A version never changes what was decided under an earlier one: whoever decides notes the version they went by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from eventlog.decider import Decider, Rejected
from eventlog.recorded import Recorded
from events import Event


class Versioned(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def effective(self) -> datetime: ...


class Log(Protocol):
    """An event store, as far as it is read here; deciders know the versions and no database."""

    async def shared_stream(self, name: str) -> Sequence[Recorded]: ...


V = TypeVar("V", bound=Versioned)


@dataclass(frozen=True, slots=True)
class Publish(Generic[V]):
    """Publish the next version; `at` is when."""

    new: V
    at: datetime


def in_force(versions: Sequence[V], at: datetime) -> V:
    """The latest that is effective; the first one holds for everything before it."""
    effective = [each for each in versions if each.effective <= at]
    return max(effective, key=lambda each: (each.effective, each.version), default=versions[0])


def must_follow(versions: Sequence[Versioned], new: Versioned, at: datetime) -> None:
    """A version that held before it was known would change what was judged already. Raises Rejected."""
    following = max(each.version for each in versions) + 1
    if new.version != following:
        raise Rejected(f"the next version is {following}")
    if new.effective < at:
        raise Rejected("a new version holds from now on at the earliest")


def publishing(
    shipped: Sequence[V], to_event: Callable[[V], Event], of_event: Callable[[Event], V | None]
) -> Decider[Sequence[V], Publish[V]]:
    """Decides about the versions of one kind at one site; the state is all versions, never empty."""

    def evolve(versions: Sequence[V], event: Event) -> Sequence[V]:
        new = of_event(event)
        return versions if new is None else [*versions, new]

    return Decider(shipped, partial(_decide, to_event), evolve)


def _decide(to_event: Callable[[V], Event], command: Publish[V], versions: Sequence[V]) -> list[Event]:
    must_follow(versions, command.new, command.at)
    return [to_event(command.new)]


async def published(store: Log, decider: Decider[Sequence[V], Publish[V]], stream: str) -> Sequence[V]:
    """All versions of a site, with what it published last. Raises Unavailable."""
    return decider.fold(recorded.event for recorded in await store.shared_stream(stream))

"""Messages that a policy could not handle, and what an operator decided about them."""

from collections.abc import Callable

from msgspec.structs import asdict

from events import Event
from events.policies import MessageDiscarded, MessageParked, MessageRetried
from projections.facts import Fact
from projections.projection import Document, Projection


def evolve(parked: Document | None, fact: Fact) -> Document:
    parked = {**(parked or {"status": "parked", "retries": 0}), "last_at": fact.occurred_at}
    return parked | _CHANGES[fact.event](parked, fact)


def _parked(parked: Document, fact: Fact) -> Document:
    return asdict(fact.data) | {"parked_at": fact.occurred_at, "site": fact.site}


def _retried(parked: Document, fact: Fact) -> Document:
    outcome = {"status": "handled"} if fact.data.handled else {"reason": fact.data.reason}
    return {"retries": parked["retries"] + 1} | outcome


def _discarded(parked: Document, fact: Fact) -> Document:
    return {"status": "discarded", "discarded_because": fact.data.reason}


_CHANGES: dict[type[Event], Callable[[Document, Fact], Document]] = {
    MessageParked: _parked,
    MessageRetried: _retried,
    MessageDiscarded: _discarded,
}

PARKED_MESSAGES = Projection(
    name="parked_messages",
    version=2,
    handles=tuple(_CHANGES),
    key="parked_id",
    evolve=evolve,
    begins=lambda fact: fact.event is MessageParked,
    columns={"waiting": ("boolean", lambda parked: parked["status"] == "parked")},
)

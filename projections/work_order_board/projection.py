"""The board: one card per work order, showing what it waits for and since when.

Events of one service come in order, those of two services need not: in whichever order the services are
heard, the card is the same in the end.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from events import Event
from events.reception import (
    ApprovalRequested,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReadied,
    VehicleReceived,
)
from events.workshop import (
    CustomerInformed,
    DiagnosisCompleted,
    DiagnosisStarted,
    QualityCheckStarted,
    QualityFailed,
    QualityPassed,
    RepairAdded,
    RepairCompleted,
    RepairDropped,
    RepairReleased,
    RepairStarted,
    ReworkOrdered,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from projections.facts import Fact, values
from projections.projection import Document, Projection

Change: TypeAlias = Callable[[Document, Any, str], None]
"""Writes on a new card what an event changes: (card, the event's fields, when it happened)."""

COLUMNS: Final = ("waiting", "in_work", "waiting_for_customer", "in_check", "ready", "delivered")

_LINE_STATES: Final = ("added", "asked", "approved", "declined", "released", "dropped")
"""In the order in which they can follow each other; a late event never takes a line back."""
_DESCRIBED: Final = frozenset(_LINE_STATES[:2])
_ANSWERED: Final = frozenset(_LINE_STATES[2:])


def evolve(card: Document | None, fact: Fact) -> Document:
    at = fact.occurred_at
    if card is None:
        card = _blank(fact)
    else:
        card = {**card}  # from here on it is a new card, and is written on
        if at < card["first_at"]:
            card["first_at"] = at
    if at >= card["last_at"]:
        card["last_event"], card["last_at"] = fact.event.type, at
    _CHANGES[fact.event](card, fact.data, at)
    card["waits_for"], card["column"], card["since"] = _waits(card)
    return card


def _blank(fact: Fact) -> Document:
    return {
        "work_order_id": fact.data.work_order_id,
        "site": fact.site,
        "stage": "waiting",
        "symptoms": [],
        "lines": [],
        "reworks": 0,
        "first_at": fact.occurred_at,
        "last_at": fact.occurred_at,
    }


def _received(card: Document, received: Any, at: str) -> None:
    symptoms = received.symptoms or card["symptoms"]
    card |= {**values(received), "symptoms": symptoms, "received_at": at}


def _opened(card: Document, opened: Any, at: str) -> None:
    card["visit_id"] = opened.visit_id or card.get("visit_id")
    if opened.symptoms:
        card["symptoms"] = opened.symptoms
    if opened.promised_at:
        card["promised_at"] = opened.promised_at


def _dispatched(card: Document, dispatched: Any, at: str) -> None:
    card["team"] = dispatched.team
    _in_work(card, dispatched, at)


def _ordered_again(card: Document, ordered: Any, at: str) -> None:
    card["reworks"] += 1
    _in_work(card, ordered, at)


def _failed(card: Document, failed: Any, at: str) -> None:
    card["cause"] = failed.cause
    _check_failed(card, failed, at)


def _delivered(card: Document, delivered: Any, at: str) -> None:
    card["delivered_at"] = at


def _closed(card: Document, closed: Any, at: str) -> None:
    card["delivered_at"] = card.get("delivered_at") or at


def _informed(card: Document, informed: Any, at: str) -> None:
    """Nothing else changes."""


def _stage(stage: str) -> Change:
    """A stage that is reported again began when it was reached first."""

    def change(card: Document, event: Any, at: str) -> None:
        card["stage_at"] = min(at, card["stage_at"]) if card["stage"] == stage else at
        card["stage"] = stage

    return change


_in_work, _check_failed = _stage("in_work"), _stage("check_failed")


def _line(state: str) -> Change:
    """An event takes a line of the order to a state."""
    rank = _LINE_STATES.index(state)

    def change(card: Document, event: Any, at: str) -> None:
        lines: dict[int, Document] = {line["line"]: line for line in card["lines"]}
        line = {"state": state, "since": at} | lines.get(event.line, {"line": event.line})
        if state in _DESCRIBED:
            line |= {name: getattr(event, name) for name in ("description", "price_fen", "delay_minutes")}
        follows = rank > _LINE_STATES.index(line["state"])
        if {state, line["state"]} <= _ANSWERED:
            line["since"] = min(at, line["since"])
        elif follows:
            line["since"] = at
        if follows:
            line["state"] = state
        lines[event.line] = line
        card["lines"] = [lines[n] for n in sorted(lines)]

    return change


def _waits(card: Document) -> tuple[str, str, str]:
    """Who is to act next, in which column the card stands, and since when."""
    if "delivered_at" in card:
        return "nobody", "delivered", card["delivered_at"]
    stage = card["stage"]
    if stage == "ready":
        return "advisor", "ready", card["stage_at"]
    asked: list[str] = []
    added: list[str] = []
    answered: list[str] = []
    for line in card["lines"]:
        state = line["state"]
        (answered if state in _ANSWERED else asked if state == "asked" else added).append(line["since"])
    if asked:
        return "customer", "waiting_for_customer", min(asked)
    if added:
        return "reception", "waiting_for_customer", min(added)
    if stage == "waiting":
        return "supervisor", "waiting", card["first_at"]
    # Work also begins anew when the customer has answered.
    return *_AT_WORK[stage], max([card["stage_at"], *answered])


_AT_WORK: Final = {
    "in_work": ("technician", "in_work"),
    "in_check": ("inspector", "in_check"),
    "check_failed": ("supervisor", "in_check"),
}

_CHANGES: dict[type[Event], Change] = {
    VehicleReceived: _received,
    WorkOrderOpened: _opened,
    WorkDispatched: _dispatched,
    DiagnosisStarted: _in_work,
    DiagnosisCompleted: _in_work,
    RepairStarted: _in_work,
    ReworkOrdered: _ordered_again,
    RepairAdded: _line("added"),
    ApprovalRequested: _line("asked"),
    RepairApproved: _line("approved"),
    RepairDeclined: _line("declined"),
    RepairReleased: _line("released"),
    RepairDropped: _line("dropped"),
    RepairCompleted: _stage("in_check"),
    QualityCheckStarted: _stage("in_check"),
    QualityFailed: _failed,
    QualityPassed: _stage("ready"),
    VehicleReadied: _stage("ready"),
    VehicleDelivered: _delivered,
    WorkOrderClosed: _closed,
    CustomerInformed: _informed,
}

WORK_ORDER_BOARD = Projection(
    name="work_order_board",
    version=3,
    handles=tuple(_CHANGES),
    key="work_order_id",
    evolve=evolve,
    columns={
        "open": ("boolean", lambda card: "delivered_at" not in card),
        "delivered_at": ("timestamptz", lambda card: card.get("delivered_at")),
    },
)

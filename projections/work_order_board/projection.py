"""The board: one card per work order, showing what it waits for and since when.

Events of one service come in order, those of two services need not: in whichever order the services are
heard, the card is the same in the end.
"""

from typing import Any, Final

from eventlog.recorded import Recorded, to_text
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
from projections.projection import Document, Projection

COLUMNS: Final = ("waiting", "in_work", "waiting_for_customer", "in_check", "ready", "delivered")

_LINE_STATES: Final = ("added", "asked", "approved", "declined", "released", "dropped")
"""In the order in which they can follow each other; a late event never takes a line back."""
_ANSWERED: Final = frozenset(_LINE_STATES[2:])


def evolve(card: Document | None, recorded: Recorded) -> Document:
    event = recorded.event
    at = to_text(recorded.occurred_at)
    card = _heard(card or _blank(recorded), event.type, at)
    match event:
        case VehicleReceived():
            facts = event.model_dump(mode="json", exclude={"symptoms", "promised_at"}, exclude_none=True)
            card |= facts | {"received_at": at, **_promise(event)}
        case WorkOrderOpened():
            card |= _promise(event) | {"visit_id": event.visit_id or card.get("visit_id")}
        case WorkDispatched(team=team):
            card |= {"team": team} | _stage(card, "in_work", at)
        case DiagnosisStarted() | DiagnosisCompleted() | RepairStarted():
            card |= _stage(card, "in_work", at)
        case ReworkOrdered():
            card |= {"reworks": card["reworks"] + 1} | _stage(card, "in_work", at)
        case RepairAdded():
            card |= _line(card, event.line, "added", at, event.model_dump(mode="json"))
        case ApprovalRequested():
            card |= _line(card, event.line, "asked", at, event.model_dump(mode="json"))
        case RepairApproved(line=line):
            card |= _line(card, line, "approved", at)
        case RepairDeclined(line=line):
            card |= _line(card, line, "declined", at)
        case RepairReleased(line=line):
            card |= _line(card, line, "released", at)
        case RepairDropped(line=line):
            card |= _line(card, line, "dropped", at)
        case RepairCompleted() | QualityCheckStarted():
            card |= _stage(card, "in_check", at)
        case QualityFailed(cause=cause):
            card |= {"cause": cause} | _stage(card, "check_failed", at)
        case QualityPassed() | VehicleReadied():
            card |= _stage(card, "ready", at)
        case VehicleDelivered():
            card |= {"delivered_at": at}
        case WorkOrderClosed():
            card |= {"delivered_at": card.get("delivered_at") or at}
    return card | _waits(card)


def _heard(card: Document, type: str, at: str) -> Document:
    latest = {"last_event": type, "last_at": at} if at >= card["last_at"] else {}
    return {**card, "first_at": min(at, card["first_at"]), **latest}


def _blank(recorded: Recorded) -> Document:
    at = to_text(recorded.occurred_at)
    return {
        "work_order_id": recorded.event.model_dump()["work_order_id"],
        "site": recorded.metadata.site,
        "stage": "waiting",
        "symptoms": [],
        "lines": [],
        "reworks": 0,
        "first_at": at,
        "last_at": at,
    }


def _promise(event: VehicleReceived | WorkOrderOpened) -> Document:
    facts: Document = {"symptoms": list(event.symptoms)} if event.symptoms else {}
    return facts | ({"promised_at": to_text(event.promised_at)} if event.promised_at else {})


def _stage(card: Document, stage: str, at: str) -> Document:
    """A stage that is reported again began when it was reached first."""
    return {"stage": stage, "stage_at": min(at, card["stage_at"]) if card["stage"] == stage else at}


def _line(card: Document, number: int, state: str, at: str, facts: Document | None = None) -> Document:
    lines: dict[int, dict[str, Any]] = {line["line"]: line for line in card["lines"]}
    before = lines.get(number, {"line": number, "state": state, "since": at})
    wanted = ("description", "price_fen", "delay_minutes")
    line = {**before, **{name: value for name, value in (facts or {}).items() if name in wanted}}
    follows = _LINE_STATES.index(state) > _LINE_STATES.index(before["state"])
    if {state, before["state"]} <= _ANSWERED:
        line["since"] = min(at, before["since"])
    elif follows:
        line["since"] = at
    if follows:
        line["state"] = state
    lines[number] = line
    return {"lines": [lines[n] for n in sorted(lines)]}


def _waits(card: Document) -> Document:
    """Who is to act next and since when, and in which column the card stands."""
    since: dict[str, list[str]] = {"added": [], "asked": [], "answered": []}
    for line in card["lines"]:
        since["answered" if line["state"] in _ANSWERED else line["state"]].append(line["since"])
    if "delivered_at" in card:
        return {"waits_for": "nobody", "column": "delivered", "since": card["delivered_at"]}
    if card["stage"] == "ready":
        return {"waits_for": "advisor", "column": "ready", "since": card["stage_at"]}
    if since["asked"]:
        return {"waits_for": "customer", "column": "waiting_for_customer", "since": min(since["asked"])}
    if since["added"]:
        return {"waits_for": "reception", "column": "waiting_for_customer", "since": min(since["added"])}
    if card["stage"] == "waiting":
        return {"waits_for": "supervisor", "column": "waiting", "since": card["first_at"]}
    who, column = {
        "in_work": ("technician", "in_work"),
        "in_check": ("inspector", "in_check"),
        "check_failed": ("supervisor", "in_check"),
    }[card["stage"]]
    # Work also begins anew when the customer has answered.
    return {"waits_for": who, "column": column, "since": max([card["stage_at"], *since["answered"]])}


def _work_order(recorded: Recorded) -> str | None:
    return getattr(recorded.event, "work_order_id", None)


WORK_ORDER_BOARD = Projection(
    name="work_order_board",
    version=2,
    handles=(
        VehicleReceived,
        ApprovalRequested,
        RepairApproved,
        RepairDeclined,
        VehicleReadied,
        VehicleDelivered,
        WorkOrderOpened,
        WorkDispatched,
        DiagnosisStarted,
        DiagnosisCompleted,
        RepairAdded,
        RepairReleased,
        RepairDropped,
        RepairStarted,
        RepairCompleted,
        QualityCheckStarted,
        QualityPassed,
        QualityFailed,
        ReworkOrdered,
        CustomerInformed,
        WorkOrderClosed,
    ),
    key=_work_order,
    evolve=evolve,
    columns={
        "open": ("boolean", lambda card: "delivered_at" not in card),
        "delivered_at": ("timestamptz", lambda card: card.get("delivered_at")),
    },
)

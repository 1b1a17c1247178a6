"""The board: one card per visit from the booking to the gate, what it waits for and since when (P-01).

Events of one service come in order, those of two services need not: in whichever order the services are
heard, the card is the same in the end. What moves a card is kept on it in short, so that how long it stood
in each column can be told again when something is heard late.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeAlias

from events import Event
from events.reception import (
    AppointmentCancelled,
    AppointmentConfirmed,
    AppointmentKept,
    AppointmentMissed,
    AppointmentRequested,
    AppointmentRescheduled,
    ApprovalRequested,
    BelongingsConsentGiven,
    CustomerToldOfDelay,
    DeliveryCheckFailed,
    MileageCorrected,
    QuoteIssued,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleReadied,
    VehicleReceived,
    WorkOrderSigned,
)
from events.workshop import (
    BelongingsInTheWay,
    CustomerInformed,
    DelayReported,
    DiagnosisCompleted,
    DiagnosisStarted,
    PartsAwaited,
    PartsPicked,
    PrioritySet,
    ProgressAlarmRaised,
    ProgressCheckDue,
    ProgressRecorded,
    ProgressWatchSet,
    QualityCheckStarted,
    QualityFailed,
    QualityPassed,
    RepairAdded,
    RepairCompleted,
    RepairDropped,
    RepairReleased,
    RepairRevised,
    RepairStarted,
    ReworkOrdered,
    VehicleReturned,
    VehicleTakenIn,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from projections.facts import Fact, values
from projections.projection import Document, Projection

COLUMNS: Final = (
    "booked",
    "waiting",
    "in_work",
    "waiting_for_customer",
    "waiting_for_parts",
    "in_check",
    "ready",
    "delivered",
)
"""Of the board. A card that is `gone`, its appointment cancelled, missed or moved away, stands in none."""

Said: TypeAlias = Callable[[Any], tuple[Any, ...]]
"""What of an event's fields moves a card."""
Move: TypeAlias = Callable[..., None]
"""Writes on a new card where it stands after an event: (card, when it happened, what the event said)."""
Tell: TypeAlias = Callable[[Document, Any, str], None]
"""Writes on a new card what else there is to know: (card, the event's fields, when it happened)."""

_LINE_STATES: Final = ("added", "asked", "approved", "declined", "released", "dropped")
"""In the order in which they can follow each other; a late event never takes a line back."""
_DESCRIBED: Final = frozenset(_LINE_STATES[:2])
_ANSWERED: Final = frozenset(_LINE_STATES[2:])


def evolve(card: Document | None, fact: Fact) -> Document:
    at, event, data = fact.occurred_at, fact.event, fact.data
    of_vehicle, code, moves, tell = _STEPS.get(event, _NO_STEP)
    card = _blank(fact) if card is None else card.copy()  # from here on it is a new card, and is written on
    moved: tuple[Any, ...] | None = None
    came = of_vehicle and at < card.get("first_at", "~")
    if came:
        card["first_at"] = at
    if at >= card["last_at"]:
        card["last_event"], card["last_at"] = event.type, at
    if moves:
        said, move = moves
        moved = said(data)
        move(card, at, *moved)
    if tell:
        tell(card, data, at)
    if moved is not None or came or "first_at" not in card:  # else it waits as it waited
        stood = card.get("column")
        card["waits_for"], card["column"], card["since"], card["stage"] = _waits(card)
        if moved is not None:
            _count(card, stood, [at[:19], code, *moved])
    return card


def _blank(fact: Fact) -> Document:
    of_order = {"work_order_id": fact.data.work_order_id, "site": fact.site, "last_at": fact.occurred_at}
    return of_order | {"symptoms": [], "reworks": 0, "past": [], "dwell": {}} | _NOWHERE


# Where it stands

_NOWHERE: Final[Document] = {
    "shop": "waiting",
    "passes": 0,
    "readied": 0,
    "sent_back": 0,
    "lines": [],
    "parts": {},
}


def _booked(card: Document, at: str, book: str) -> None:
    card.pop("gone", None)
    card["booked_in"], card["booked_at"] = book, at


def _gone(card: Document, at: str, book: str) -> None:
    """An appointment that was moved stands in another book by now, or soon."""
    if card.get("booked_in", book) == book:
        card["gone"] = at


def _came(card: Document, at: str) -> None:
    """From here on it is no appointment."""


def _taken_in(card: Document, at: str) -> None:
    card["taken_in_at"] = at


def _shop(stage: str) -> Move:
    """A stage that is reported again began when it was reached first."""

    def move(card: Document, at: str) -> None:
        card["shop_at"] = min(at, card["shop_at"]) if card["shop"] == stage else at
        card["shop"] = stage

    return move


_in_work, _in_check, _passed = map(_shop, ("in_work", "in_check", "ready"))


def _completed(card: Document, at: str) -> None:
    _in_check(card, at)
    card["parts"] = {}


def _quality_passed(card: Document, at: str) -> None:
    _passed(card, at)
    card["passes"] += 1


def _readied(card: Document, at: str) -> None:
    """Reception heard of one more passed check."""
    card["readied"], card["readied_at"] = card["readied"] + 1, at


def _sent_back(card: Document, at: str) -> None:
    card["sent_back"], card["sent_back_at"] = card["sent_back"] + 1, at


def _delivered(card: Document, at: str) -> None:
    card["delivered_at"] = at


def _closed(card: Document, at: str) -> None:
    card["delivered_at"] = card.get("delivered_at") or at


def _line(state: str) -> Move:
    """An event takes one revision of a line of the order to a state."""
    rank = _LINE_STATES.index(state)

    def move(card: Document, at: str, line: int, revision: int | None) -> None:
        lines: dict[int, Document] = {each["line"]: each for each in card["lines"]}
        before = lines.get(line, {"revision": 0})
        revision = revision or before["revision"] or 1
        if revision < before["revision"]:
            return
        if revision > before["revision"]:
            lines[line] = {"line": line, "revision": revision, "state": state, "since": at}
        else:
            follows = rank > _LINE_STATES.index(before["state"])
            since = before["since"]
            if {state, before["state"]} <= _ANSWERED:
                since = min(at, since)
            elif follows:
                since = at
            lines[line] = {**before, "since": since, "state": state if follows else before["state"]}
        card["lines"] = [lines[n] for n in sorted(lines)]

    return move


def _parts_awaited(card: Document, at: str, line: int) -> None:
    card["parts"] = {**card["parts"], str(line): at}


def _parts_came(card: Document, at: str, lines: list[int]) -> None:
    came = {str(line) for line in lines}
    card["parts"] = {line: since for line, since in card["parts"].items() if line not in came}


def _waits(card: Document) -> tuple[str, str, str, str]:
    """Who is to act next, in which column the card stands, since when, and the stage of the work."""
    stage, stage_at = _stage(card)
    if "delivered_at" in card:
        return "nobody", "delivered", card["delivered_at"], stage
    if "first_at" not in card:
        if "gone" in card:
            return "nobody", "gone", card["gone"], "booked"
        return "customer", "booked", card.get("slot_at") or card.get("booked_at") or card["last_at"], "booked"
    if stage == "ready":
        return "advisor", "ready", stage_at, stage
    answered: list[str] = []
    if lines := card["lines"]:
        asked: list[str] = []
        added: list[str] = []
        for line in lines:
            state = line["state"]
            (answered if state in _ANSWERED else asked if state == "asked" else added).append(line["since"])
        if asked:
            return "customer", "waiting_for_customer", min(asked), stage
        if added:
            return "reception", "waiting_for_customer", min(added), stage
    if card["parts"]:
        return "parts_clerk", "waiting_for_parts", min(card["parts"].values()), stage
    if stage == "waiting":
        if "taken_in_at" in card:
            return "supervisor", "waiting", card["taken_in_at"], stage
        return "advisor", "waiting", card["first_at"], stage
    # Work also begins anew when the customer has answered.
    who, column = _AT_WORK[stage]
    return who, column, max(stage_at, *answered) if answered else stage_at, stage


def _stage(card: Document) -> tuple[str, str]:
    """Each passed check of the workshop is followed by the advisor's own, which may send the vehicle back;
    what reception has heard of the workshop counts, too."""
    passes, readied, stage = card["passes"], card["readied"], card["shop"]
    if stage != "ready" and readied <= passes:
        return stage, card.get("shop_at", "")
    if card["sent_back"] >= max(passes, readied):
        return "check_failed", card.get("sent_back_at", "")
    passed = [card["shop_at"]] if stage == "ready" and passes >= readied else []
    return "ready", min(passed + ([card["readied_at"]] if readied >= passes else []))


_AT_WORK: Final = {
    "in_work": ("technician", "in_work"),
    "in_check": ("inspector", "in_check"),
    "check_failed": ("supervisor", "in_check"),
}

_OF_BOOK: Final[Said] = lambda data: (data.book,)  # noqa: E731
_OF_LINE: Final[Said] = lambda data: (data.line, getattr(data, "revision", None))  # noqa: E731
_ALONE: Final[Said] = lambda data: ()  # noqa: E731

MOVES: Final[dict[type[Event], tuple[Said, Move]]] = {
    AppointmentRequested: (_OF_BOOK, _booked),
    AppointmentRescheduled: (_OF_BOOK, _gone),
    AppointmentCancelled: (_OF_BOOK, _gone),
    AppointmentMissed: (_OF_BOOK, _gone),
    VehicleReceived: (_ALONE, _came),
    WorkOrderOpened: (_ALONE, _came),
    VehicleTakenIn: (_ALONE, _taken_in),
    WorkDispatched: (_ALONE, _in_work),
    DiagnosisStarted: (_ALONE, _in_work),
    DiagnosisCompleted: (_ALONE, _in_work),
    RepairStarted: (_ALONE, _in_work),
    ReworkOrdered: (_ALONE, _in_work),
    PartsAwaited: (lambda data: (data.line,), _parts_awaited),
    PartsPicked: (lambda data: ([part["line"] for part in data.parts],), _parts_came),
    RepairAdded: (_OF_LINE, _line("added")),
    RepairRevised: (_OF_LINE, _line("added")),
    ApprovalRequested: (_OF_LINE, _line("asked")),
    RepairApproved: (_OF_LINE, _line("approved")),
    RepairDeclined: (_OF_LINE, _line("declined")),
    RepairReleased: (_OF_LINE, _line("released")),
    RepairDropped: (_OF_LINE, _line("dropped")),
    RepairCompleted: (_ALONE, _completed),
    QualityCheckStarted: (_ALONE, _in_check),
    QualityFailed: (_ALONE, _shop("check_failed")),
    QualityPassed: (_ALONE, _quality_passed),
    VehicleReadied: (_ALONE, _readied),
    DeliveryCheckFailed: (_ALONE, _sent_back),
    VehicleDelivered: (_ALONE, _delivered),
    WorkOrderClosed: (_ALONE, _closed),
}


# How long it stood in each column


def _count(card: Document, stood: str | None, entry: list[Any]) -> None:
    """Where the card stood until it was moved, in seconds. What is heard late counts from when it happened,
    but not from before what its own service said earlier."""
    past, at, code = card["past"], entry[0], entry[1]
    if not past:
        stood = None  # what was heard before moved nothing
    if not past or at >= past[-1][0]:
        card["past"] = [*past, entry]
        if stood != card["column"]:
            if stood in _STANDS and (seconds := _seconds(card["entered"], at)):
                card["dwell"] = {**card["dwell"], stood: card["dwell"].get(stood, 0) + seconds}
            card["entered"] = at
        return
    service = _EVENTS[code].type.partition(".")[0]
    entry[0] = max([at, *(then for then, other, *_ in past if _EVENTS[other].type.startswith(service))])
    card["past"] = sorted([*past, entry], key=itemgetter(0))
    card["dwell"], card["entered"] = _told_again(card["past"])


def _told_again(past: list[list[Any]]) -> tuple[dict[str, int], str]:
    state, dwell = {**_NOWHERE, "last_at": ""}, dict[str, int]()
    stood = entered = ""
    for at, code, *said in past:
        event = _EVENTS[code]
        if event not in _BOOKING:
            state.setdefault("first_at", at)
        MOVES[event][1](state, at, *said)
        column = _waits(state)[1]
        if column != stood:
            if stood in _STANDS and (seconds := _seconds(entered, at)):
                dwell[stood] = dwell.get(stood, 0) + seconds
            stood, entered = column, at
    return dwell, entered


def _seconds(began: str, ended: str) -> int:
    stood = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    return stood.days * 86_400 + stood.seconds


_STANDS: Final = frozenset(COLUMNS) - {"delivered"}
_EVENTS: Final = tuple(MOVES)
_CODES: Final = {event: code for code, event in enumerate(_EVENTS)}
"""By which a card keeps what moved it."""


# What else there is to know


def _requested(card: Document, requested: Any, at: str) -> None:
    known = ("customer", "customer_name", "phone", "plate", "vin", "model", "member", "need")
    card |= {name: value for name, value in values(requested).items() if name in known}


def _confirmed(card: Document, confirmed: Any, at: str) -> None:
    card["slot_at"], card["number"] = confirmed.slot_at, confirmed.number


def _arrived(card: Document, kept: Any, at: str) -> None:
    card["arrived_at"] = at


def _received(card: Document, received: Any, at: str) -> None:
    symptoms = received.symptoms or card["symptoms"]
    card |= {**values(received), "symptoms": symptoms, "received_at": at}


def _opened(card: Document, opened: Any, at: str) -> None:
    """What reception promises is newer than what it told the workshop at first."""
    card["visit_id"] = opened.visit_id or card.get("visit_id")
    if opened.symptoms:
        card["symptoms"] = opened.symptoms
    if opened.promised_at:
        card.setdefault("promised_at", opened.promised_at)


def _promised(card: Document, said: Any, at: str) -> None:
    card["promised_at"] = said.promised_at


def _corrected(card: Document, corrected: Any, at: str) -> None:
    card["mileage_km"] = corrected.mileage_km


def _described(card: Document, repair: Any, at: str) -> None:
    said = {name: getattr(repair, name) for name in ("description", "price_fen", "delay_minutes")}
    if repair.hash is not None:  # of a revision, which an answer has to name
        said["hash"] = repair.hash
    card["lines"] = [
        {**line, **said}
        if line["line"] == repair.line and line["revision"] == (repair.revision or 1)
        else line
        for line in card["lines"]
    ]


def _dispatched(card: Document, dispatched: Any, at: str) -> None:
    card["team"] = dispatched.team


def _ordered_again(card: Document, ordered: Any, at: str) -> None:
    card["reworks"] += 1
    card.pop("completed_at", None)


def _work_done(card: Document, completed: Any, at: str) -> None:
    card["completed_at"] = at
    card.pop("progress", None)


def _failed(card: Document, failed: Any, at: str) -> None:
    card["cause"] = failed.cause


def _returned(card: Document, failed: Any, at: str) -> None:
    card["sent_back_cause"] = failed.cause


def _priority(card: Document, decided: Any, at: str) -> None:
    card["priority"] = decided.priority


def _progress(state: str | None) -> Tell:
    """Whether somebody is to ask how far the work is (W-13)."""

    def tell(card: Document, said: Any, at: str) -> None:
        if state:
            card["progress"] = state
        else:
            card.pop("progress", None)

    return tell


def _in_the_way(card: Document, asked: Any, at: str) -> None:
    _ask_about(card, dict.fromkeys(asked.items, at), ())


def _consent(card: Document, consent: Any, at: str) -> None:
    _ask_about(card, {}, consent.items)


def _ask_about(card: Document, asked: dict[str, str], agreed: Sequence[str]) -> None:
    """The customer agrees to one thing and not to another (W-10), perhaps before the question is heard."""
    before = card.get("belongings", {})
    may = sorted({*before.get("agreed", ()), *agreed})
    waiting = {item: at for item, at in (before.get("since", {}) | asked).items() if item not in may}
    card["belongings"] = {"agreed": may}
    if waiting:
        asked_at = min(waiting.values())
        card["belongings"] |= {"items": sorted(waiting), "since": waiting, "asked_at": asked_at}


def _delayed(card: Document, delay: Any, at: str) -> None:
    delays = card.get("delays", {})
    said = {"cause": delay.cause, "minutes": delay.minutes}
    card["delays"] = {**delays, str(delay.delay): delays.get(str(delay.delay), {}) | said}


def _told_of_delay(card: Document, told: Any, at: str) -> None:
    delays = card.get("delays", {})
    card["delays"] = {**delays, str(told.delay): delays.get(str(told.delay), {}) | {"told_at": at}}
    _promised(card, told, at)


def _parked(card: Document, returned: Any, at: str) -> None:
    card["parking_place"] = returned.parking_place


def _nothing(card: Document, said: Any, at: str) -> None:
    """That it happened is all."""


_TELLS: Final[dict[type[Event], Tell]] = {
    AppointmentRequested: _requested,
    AppointmentConfirmed: _confirmed,
    AppointmentKept: _arrived,
    VehicleReceived: _received,
    MileageCorrected: _corrected,
    QuoteIssued: _promised,
    WorkOrderSigned: _promised,
    WorkOrderOpened: _opened,
    RepairAdded: _described,
    RepairRevised: _described,
    ApprovalRequested: _described,
    PrioritySet: _priority,
    WorkDispatched: _dispatched,
    ProgressWatchSet: _progress(None),
    ProgressCheckDue: _progress("check_due"),
    ProgressAlarmRaised: _progress("alarm"),
    ProgressRecorded: _progress(None),
    DelayReported: _delayed,
    CustomerToldOfDelay: _told_of_delay,
    BelongingsInTheWay: _in_the_way,
    BelongingsConsentGiven: _consent,
    RepairCompleted: _work_done,
    QualityFailed: _failed,
    DeliveryCheckFailed: _returned,
    ReworkOrdered: _ordered_again,
    VehicleReturned: _parked,
    CustomerInformed: _nothing,
}

_BOOKING: Final = frozenset(
    {
        *(AppointmentRequested, AppointmentConfirmed, AppointmentKept),
        *(AppointmentRescheduled, AppointmentCancelled, AppointmentMissed),
    }
)
"""Of a vehicle that has not come yet."""

_STEPS: Final = {
    event: (event not in _BOOKING, _CODES.get(event, -1), MOVES.get(event), _TELLS.get(event))
    for event in {**MOVES, **_TELLS}
}
"""All that an event leads to, found at once."""
_NO_STEP: Final = (True, -1, None, None)

WORK_ORDER_BOARD = Projection(
    name="work_order_board",
    version=5,
    handles=tuple(_STEPS),
    key="work_order_id",
    evolve=evolve,
    begins=lambda fact: fact.event is VehicleReceived and fact.data.appointment_id is None,
    columns={
        "open": ("boolean", lambda card: card["column"] not in ("delivered", "gone")),
        "expected_at": (
            "timestamptz",
            lambda card: card["since"] if card["column"] == "booked" else None,
        ),
        "delivered_at": ("timestamptz", lambda card: card.get("delivered_at")),
    },
)

"""The file of a visit: all that is known of it, from the appointment to the gate (P-03, R-15, R-56).

It has a section for each part of the visit, in the words of those who did it; what has not happened is not
there. Events of one service come in order, those of two services need not: in whichever order the services
are heard, the file is the same in the end. Each part is written by one service; what both of them write is
kept by its number, and a later step of it is never taken back by an earlier one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from events import Event
from events.reception import (
    AppointmentCancelled,
    AppointmentConfirmed,
    AppointmentKept,
    AppointmentMissed,
    AppointmentReminded,
    AppointmentReminderDue,
    AppointmentRequested,
    AppointmentRescheduled,
    ApprovalRequested,
    BayReserved,
    BelongingsConsentGiven,
    CopiesHandedOver,
    CreditReleased,
    CustomerToldOfDelay,
    DeliveryAgreed,
    DeliveryCheckFailed,
    DeliveryCheckPassed,
    FollowUpAgreed,
    GatePassPrepared,
    GatePassReleased,
    GatePassRevoked,
    GatePassUsed,
    JointInspectionHeld,
    ManagerTookPart,
    ManufacturerApprovalReceived,
    ManufacturerApprovalRequested,
    MileageCorrected,
    MobilityProvided,
    NewAppointmentOffered,
    NextServiceSet,
    PapersVerified,
    PaymentReceived,
    PaymentRefunded,
    PhotoTaken,
    ProtectiveSetFitted,
    ProtectiveSetRemoved,
    QuoteIssued,
    RepairApproved,
    RepairDeclined,
    SettlementPrepared,
    SettlementSigned,
    SymptomRecorded,
    UnderbodyInspected,
    ValuablesHandedOver,
    VehicleDelivered,
    VehicleHandedToWorkshop,
    VehicleReadied,
    VehicleReceived,
    WalkAroundRecorded,
    WalkAroundSigned,
    WarrantyAssessed,
    WorkOrderSigned,
)
from events.workshop import (
    BelongingsInTheWay,
    BelongingsReleased,
    CustomerInformed,
    DelayReported,
    DiagnosisCompleted,
    DiagnosisStarted,
    LineCompleted,
    LineStarted,
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
    ReworkCostSplit,
    ReworkOrdered,
    TestDriveRecorded,
    VehicleAcceptedByTeam,
    VehicleReturned,
    VehicleTakenIn,
    VehicleWashed,
    WorkAuthorised,
    WorkDispatched,
    WorkOrderClosed,
    WorkOrderOpened,
)
from projections.facts import Fact, values
from projections.projection import Document, Projection
from projections.visit_file.cashier import at_cashier

Change: TypeAlias = Callable[[Document, Any, str], Document]
"""The file after an event, or a section of it: (what it was, the event's fields, when it happened)."""

LINE_STATES = ("added", "asked", "approved", "declined", "released", "dropped")
"""Of an added repair, in the order in which they can follow each other for one revision."""
_ANSWERED = LINE_STATES[2:]
_IDS = ("visit_id", "work_order_id")
_OF_TASK = ("description", "trade", "labour_minutes")


def evolve(file: Document | None, fact: Fact) -> Document:
    file = file or {"work_order_id": fact.data.work_order_id, "site": fact.site}
    return _CHANGES[fact.event](file, fact.data, fact.occurred_at)


def _said(data: Any, *without: str) -> Document:
    return _without(values(data), *_IDS, *without)


def _without(section: Document, *names: str) -> Document:
    return {name: value for name, value in section.items() if name not in names}


# Kinds of changes


def _nothing(section: Document, data: Any, at: str) -> Document:
    return section


def _within(name: str, inner: Change) -> Change:
    return lambda file, data, at: {**file, name: inner(file.get(name, {}), data, at)}


def _section(name: str, time: str = "at", **more: Any) -> Change:
    """What is said goes into a section, with when."""
    return _within(name, _values(time, **more))


def _values(time: str, **more: Any) -> Change:
    return lambda section, data, at: section | _said(data) | {time: at} | more


def _time(name: str) -> Change:
    return lambda section, data, at: {**section, name: at}


def _one_more(name: str, **more: Any) -> Change:
    """One more entry of a list."""
    return lambda section, data, at: {
        **section,
        name: [*section.get(name, []), _said(data) | more | {"at": at}],
    }


def _numbered(name: str, number: str, time: str = "at") -> Change:
    """The entry of a list that has this number; entries are in the order of their numbers."""

    def change(section: Document, data: Any, at: str) -> Document:
        n = getattr(data, number)
        entries = {each[number]: each for each in section.get(name, [])}
        entries[n] = entries.get(n, {}) | _said(data) | {time: at}
        return {**section, name: [entries[each] for each in sorted(entries)]}

    return change


def _of_line(name: str, time: str = "at") -> Change:
    """What is said of one line of the order."""

    def change(section: Document, data: Any, at: str) -> Document:
        lines, line = section.get(name, {}), str(data.line)
        return {**section, name: {**lines, line: lines.get(line, {}) | _said(data, "line") | {time: at}}}

    return change


# The appointment

_BOOKED = ("customer", "customer_name", "phone", "plate", "member", "model", "vin")


def _requested(file: Document, data: Any, at: str) -> Document:
    known = {name: value for name, value in values(data).items() if name in _BOOKED}
    return file | known | {"appointment": _said(data, *_BOOKED) | {"state": "requested"}}


def _appointment(**more: Any) -> Change:
    """An event of the book in which the appointment stands; in a book that it has left, it is past."""

    def change(file: Document, data: Any, at: str) -> Document:
        appointment = file.get("appointment", {})
        if data.book != appointment.get("book", data.book):
            return file
        return {**file, "appointment": appointment | _said(data) | more}

    return change


# Intake


def _received(file: Document, data: Any, at: str) -> Document:
    symptoms = [{"description": each, "kind": "symptom"} for each in data.symptoms]
    said = _without(values(data), "symptoms", "appointment_id", "appointment_book", "book", "arrival_id")
    return file | said | {"symptoms": symptoms or file.get("symptoms", []), "received_at": at}


def _corrected(file: Document, data: Any, at: str) -> Document:
    """The reasons are those of the reading that holds."""
    return _without(file, "mileage_less_because") | _said(data, "reason")


def _opened(file: Document, data: Any, at: str) -> Document:
    """What reception told the workshop is known already; of an order of another system it is news."""
    symptoms = [{"description": each, "kind": "symptom"} for each in data.symptoms]
    told = {"visit_id": data.visit_id, "promised_at": data.promised_at, "symptoms": symptoms}
    new = {name: value for name, value in told.items() if value and not file.get(name)}
    return file | new | {"workshop": file.get("workshop", {}) | {"opened_at": at}}


# Quote and work order


def _quoted(file: Document, data: Any, at: str) -> Document:
    return file | {"quote": _said(data) | {"at": at}, "promised_at": data.promised_at}


def _signed(file: Document, data: Any, at: str) -> Document:
    """Who agreed, if it was somebody else, is in the timeline, sealed."""
    signed = file.get("quote", {}) | _said(data, "answered_by") | {"signed_at": at}
    return file | {"quote": signed, "promised_at": data.promised_at}


def _told_of_delay(file: Document, data: Any, at: str) -> Document:
    told = _within("workshop", _numbered("delays", "delay", "told_at"))(file, data, at)
    return told | {"promised_at": data.promised_at}


# Added repairs


def _line(state: str) -> Change:
    """An added repair comes to a state, unless it has come further, or to another revision."""
    rank = LINE_STATES.index(state)

    def change(file: Document, data: Any, at: str) -> Document:
        added, number = file.get("added", {}), str(data.line)
        line: Document = added.get(number, {})
        known = line.get("revision", 0)
        revision = getattr(data, "revision", None) or known or 1
        if revision < known:
            return file
        if revision > known:
            line = {}
        said = _said(data, "answered_by")
        if state in _ANSWERED and "delay_minutes" in said:
            said["delay_told"] = said.pop("delay_minutes")
        if rank >= LINE_STATES.index(line.get("state", "added")):
            said["state"] = state
        if state in ("approved", "declined"):
            said["at"] = at
        return {**file, "added": {**added, number: line | said | {"revision": revision}}}

    return change


def _found(file: Document, data: Any, at: str) -> Document:
    """The workshop keeps what it will be to work on; it is a task once the customer has agreed."""
    task = {name: value for name, value in values(data).items() if name in _OF_TASK}
    found = _within("found", lambda lines, data, at: {**lines, str(data.line): task})
    return _within("workshop", found)(_line("added")(file, data, at), data, at)


def _released(file: Document, data: Any, at: str) -> Document:
    """It is work like any other now."""
    file, number = _line("released")(file, data, at), str(data.line)
    workshop = file.get("workshop", {})
    tasks, task = workshop.get("tasks", {}), workshop.get("found", {}).get(number, {})
    return {**file, "workshop": {**workshop, "tasks": {**tasks, number: tasks.get(number, {}) | task}}}


# The workshop


def _authorised(workshop: Document, data: Any, at: str) -> Document:
    """Another revision stands in the place of the one before; what was found since stays."""
    found = workshop.get("found", {})
    tasks = {n: task for n, task in workshop.get("tasks", {}).items() if n in found}
    authorised = {str(each["line"]): _without(each, "line") for each in data.tasks}
    return {**workshop, "tasks": tasks | {n: tasks.get(n, {}) | task for n, task in authorised.items()}}


def _watched(workshop: Document, data: Any, at: str) -> Document:
    """What was due and said of the work before is past."""
    return _without(workshop, "check_due_at", "alarm_at", "progress") | {"watch": _said(data)}


def _due(name: str) -> Change:
    return lambda workshop, data, at: {**workshop, name: data.due_at}


def _picked(workshop: Document, data: Any, at: str) -> Document:
    """What has come is awaited no longer."""
    came = {str(part["line"]) for part in data.parts}
    awaited = {line: each for line, each in workshop.get("parts_awaited", {}).items() if line not in came}
    picked = _one_more("slips")(_without(workshop, "parts_awaited"), data, at)
    return picked | ({"parts_awaited": awaited} if awaited else {})


def _completed(workshop: Document, data: Any, at: str) -> Document:
    """What has not come by then is awaited no longer."""
    return _without(workshop, "parts_awaited") | {"completed_at": at}


def _belongings(time: str) -> Change:
    return _within("belongings", lambda belongings, data, at: belongings | _said(data, "items") | {time: at})


def _in_the_way(belongings: Document, data: Any, at: str) -> Document:
    """Beside what was in the way before."""
    items = [*dict.fromkeys([*belongings.get("items", []), *data.items])]
    return belongings | _said(data) | {"items": items, "asked_at": at}


def _ordered_again(workshop: Document, data: Any, at: str) -> Document:
    reworks = workshop.get("reworks", [])
    rework = {"rework": len(reworks) + 1} | _said(data) | {"at": at}
    again = _without(workshop, "completed_at", "washed_at", "returned")
    return again | {"reworks": [*reworks, rework]}


def _shared(workshop: Document, data: Any, at: str) -> Document:
    """Who bears what a rework costs."""
    cost = _said(data, "rework")
    reworks = [each | cost if each["rework"] == data.rework else each for each in workshop.get("reworks", [])]
    return {**workshop, "reworks": reworks}


# Delivery, settlement, gate pass


def _sent_back(delivery: Document, data: Any, at: str) -> Document:
    return _one_more("sent_back")(_without(delivery, "readied_at", "checked_at"), data, at)


def _settled_anew(settlement: Document, data: Any, at: str) -> Document:
    """What was paid for the revision before is still paid."""
    paid = {name: settlement[name] for name in ("payments", "refunds", "credit") if name in settlement}
    return paid | _said(data) | {"at": at}


def _pass(state: str) -> Change:
    """Its token is for the gate alone, and is not in the file."""
    return _within(
        "gate_pass", lambda gate_pass, data, at: gate_pass | _said(data, "token") | {"state": state, "at": at}
    )


_workshop, _delivery, _settlement = (
    partial(_within, name) for name in ("workshop", "delivery", "settlement")
)
_CHANGES: dict[type[Event], Change] = {
    AppointmentRequested: _requested,
    BayReserved: _appointment(),
    AppointmentConfirmed: _appointment(state="booked"),
    AppointmentReminderDue: _nothing,
    AppointmentReminded: _appointment(),
    AppointmentRescheduled: _appointment(state="moved"),
    AppointmentCancelled: _appointment(state="cancelled"),
    AppointmentMissed: _appointment(state="missed"),
    AppointmentKept: _appointment(state="kept"),
    VehicleReceived: _received,
    MileageCorrected: _corrected,
    SymptomRecorded: _one_more("symptoms"),
    PapersVerified: _section("papers"),
    ProtectiveSetFitted: _section("protective_set", "fitted_at"),
    ProtectiveSetRemoved: _section("protective_set", "removed_at"),
    ValuablesHandedOver: _section("valuables"),
    PhotoTaken: _one_more("photos"),
    WalkAroundRecorded: lambda file, data, at: (
        {**file, "walk_around": _said(data) | {"at": at}} | {"fuel_eighths": data.fuel_eighths}
    ),
    WalkAroundSigned: _section("walk_around", "signed_at"),
    UnderbodyInspected: _section("underbody"),
    MobilityProvided: _one_more("mobility"),
    ManagerTookPart: _time("manager_at"),
    QuoteIssued: _quoted,
    WarrantyAssessed: _of_line("warranty"),
    ManufacturerApprovalRequested: _of_line("warranty", "asked_at"),
    ManufacturerApprovalReceived: _of_line("warranty", "answered_at"),
    WorkOrderSigned: _signed,
    CopiesHandedOver: _time("copies_at"),
    VehicleHandedToWorkshop: _section("handed_over"),
    RepairAdded: _found,
    RepairRevised: _found,
    ApprovalRequested: _line("asked"),
    RepairApproved: _line("approved"),
    RepairDeclined: _line("declined"),
    RepairReleased: _released,
    RepairDropped: _line("dropped"),
    CustomerToldOfDelay: _told_of_delay,
    WorkOrderOpened: _opened,
    WorkAuthorised: _workshop(_authorised),
    VehicleTakenIn: _workshop(_time("taken_in_at")),
    PrioritySet: _workshop(lambda workshop, data, at: {**workshop, "priority": data.priority}),
    WorkDispatched: _workshop(_values("dispatched_at")),
    VehicleAcceptedByTeam: _workshop(_section("accepted")),
    ProgressWatchSet: _workshop(_watched),
    ProgressCheckDue: _workshop(_due("check_due_at")),
    ProgressAlarmRaised: _workshop(_due("alarm_at")),
    ProgressRecorded: _workshop(_section("progress")),
    DelayReported: _workshop(_numbered("delays", "delay")),
    BelongingsInTheWay: _workshop(_within("belongings", _in_the_way)),
    BelongingsConsentGiven: _workshop(_belongings("agreed_at")),
    BelongingsReleased: _workshop(_belongings("released_at")),
    PartsAwaited: _workshop(_of_line("parts_awaited")),
    PartsPicked: _workshop(_picked),
    LineStarted: _workshop(_of_line("tasks", "started_at")),
    LineCompleted: _workshop(_of_line("tasks", "completed_at")),
    DiagnosisStarted: _workshop(_section("diagnosis", "started_at")),
    DiagnosisCompleted: _workshop(_section("diagnosis", "completed_at")),
    RepairStarted: _workshop(_time("started_at")),
    RepairCompleted: _workshop(_completed),
    QualityCheckStarted: _workshop(_time("check_started_at")),
    TestDriveRecorded: _workshop(_one_more("test_drives")),
    QualityPassed: _workshop(_one_more("checks", passed=True)),
    QualityFailed: _workshop(_one_more("checks", passed=False)),
    ReworkOrdered: _workshop(_ordered_again),
    ReworkCostSplit: _workshop(_shared),
    VehicleWashed: _workshop(_time("washed_at")),
    VehicleReturned: _workshop(_section("returned")),
    CustomerInformed: _workshop(_time("customer_informed_at")),
    WorkOrderClosed: _workshop(_values("closed_at")),
    VehicleReadied: _delivery(_time("readied_at")),
    DeliveryCheckPassed: _delivery(_values("checked_at")),
    DeliveryCheckFailed: _delivery(_sent_back),
    DeliveryAgreed: _delivery(_section("agreed")),
    JointInspectionHeld: _delivery(_section("inspection")),
    NextServiceSet: _delivery(_section("next_service")),
    FollowUpAgreed: _delivery(_section("follow_up")),
    NewAppointmentOffered: _delivery(_section("offered")),
    VehicleDelivered: _delivery(_values("delivered_at")),
    SettlementPrepared: _within("settlement", _settled_anew),
    SettlementSigned: _section("settlement", "signed_at"),
    PaymentReceived: _settlement(_one_more("payments")),
    PaymentRefunded: _settlement(_one_more("refunds")),
    CreditReleased: _settlement(_section("credit")),
    GatePassPrepared: _pass("prepared"),
    GatePassReleased: _pass("released"),
    GatePassRevoked: _pass("revoked"),
    GatePassUsed: _within(
        "gate_pass", lambda gate_pass, data, at: gate_pass | {"state": "used", "used_at": data.used_at}
    ),
}


def is_open(file: Document) -> bool:
    """Whether something is still to be done: the vehicle is expected, or here."""
    if "received_at" not in file and "workshop" not in file:
        return file.get("appointment", {}).get("state") in ("requested", "booked", "kept")
    return "delivered_at" not in file.get("delivery", {}) and "closed_at" not in file.get("workshop", {})


VISIT_FILE = Projection(
    name="visit_file",
    version=5,
    handles=tuple(_CHANGES),
    key="work_order_id",
    evolve=evolve,
    begins=lambda fact: fact.event is VehicleReceived and fact.data.appointment_id is None,
    columns={
        "open": ("boolean", is_open),
        "vin": ("text", lambda file: file.get("vin")),
        "customer": ("text", lambda file: file.get("customer")),
        "received_at": ("timestamptz", lambda file: file.get("received_at")),
        "at_cashier": ("boolean", at_cashier),
    },
)

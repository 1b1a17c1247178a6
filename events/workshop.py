"""What happens to a work order in the workshop."""

from datetime import date, datetime
from typing import Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict

from events.event import Event
from events.lines import Part, Trade
from events.shop_rules import WorkshopRules

RepairKind: TypeAlias = Literal["simple", "complex"]
Priority: TypeAlias = Literal["urgent", "high", "normal", "low"]
DelayCause: TypeAlias = Literal["progress", "added_repair", "rework", "parts", "other"]
"""What a customer can be told (W-34)."""
Digest: TypeAlias = str
"""SHA-256 in hexadecimal."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Task(_Data):
    """A line of the work order as the workshop needs it: without prices."""

    line: int
    description: str
    trade: Trade
    labour_minutes: int


class PickedPart(_Data):
    line: int
    code: str
    name: str
    quantity: str


class Share(_Data):
    """Of the cost of a rework."""

    person: str
    percent: int
    amount_fen: int


# Bays kept free for appointments


class BayKeptFree(Event, type="workshop.bay_kept_free.v1"):
    """The workshop knows of an appointment on the day it was made, and what to prepare (R-08, R-10)."""

    book: str
    appointment_id: str
    bay: int
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    parts: tuple[str, ...] = ()
    follows: int
    """The version of reception's book that is known here: what is older is heard too late to matter."""


class BayFreed(Event, type="workshop.bay_freed.v1"):
    """The appointment was moved, cancelled or missed."""

    book: str
    appointment_id: str
    follows: int


# Work orders


class WorkOrderOpened(Event, type="workshop.work_order_opened.v1"):
    """The workshop has a vehicle to work on."""

    work_order_id: str
    visit_id: str | None = None
    symptoms: tuple[str, ...] = ()
    promised_at: datetime | None = None


class WorkAuthorised(Event, type="workshop.work_authorised.v1"):
    """The customer signed these lines: they may be worked on (R-65)."""

    work_order_id: str
    revision: int
    hash: Digest
    tasks: tuple[Task, ...]
    labour_minutes: int
    promised_at: AwareDatetime


class VehicleTakenIn(Event, type="workshop.vehicle_taken_in.v1"):
    """Car, keys and papers are in the workshop's waiting area (W-02, W-04)."""

    work_order_id: str
    keys: int
    papers: tuple[str, ...]
    notes: str | None = None
    revision: int | None = None
    """Of the work order that came with it: an older one is not worked on."""


class PrioritySet(Event, type="workshop.priority_set.v1"):
    """The director decides what is dispatched first (W-05)."""

    work_order_id: str
    priority: Priority


class WorkDispatched(Event, type="workshop.work_dispatched.v1"):
    """A team was given the work order (W-03, W-06, W-20)."""

    work_order_id: str
    team: str
    mode: Literal["to_team", "own_team"] | None = None
    out_of_order: bool | None = None
    """Another order stood before it on the board (W-03)."""


class VehicleAcceptedByTeam(Event, type="workshop.vehicle_accepted_by_team.v1"):
    """The team took the vehicle over against the reception form (W-07); tools were checked (W-29)."""

    work_order_id: str
    fault_confirmed: bool
    test_driven: bool
    tools_checked: bool


class ProgressWatchSet(Event, type="workshop.progress_watch_set.v1"):
    """When somebody asks how it goes, and when the alarm rings, by the rules in force then (W-13)."""

    work_order_id: str
    started_at: AwareDatetime
    expected_minutes: int
    check_at: AwareDatetime
    alarm_at: AwareDatetime
    rules: int


class ProgressCheckDue(Event, type="workshop.progress_check_due.v1"):
    """Most of the expected time has passed: the desk asks (W-13); rung by a timer."""

    work_order_id: str
    due_at: AwareDatetime


class ProgressAlarmRaised(Event, type="workshop.progress_alarm_raised.v1"):
    """Nobody knows whether it will be ready (W-13, W-14); rung by a timer."""

    work_order_id: str
    due_at: AwareDatetime


class ProgressRecorded(Event, type="workshop.progress_recorded.v1"):
    """When it will be done; with an anomaly, what is done about it (W-13, W-14)."""

    work_order_id: str
    done_at: AwareDatetime
    anomaly: bool
    measures: str | None = None


class DelayReported(Event, type="workshop.delay_reported.v1"):
    """It takes longer, for a cause that the customer can be told (W-11, W-34)."""

    work_order_id: str
    visit_id: str | None = None
    delay: int
    """The first is 1."""
    minutes: int
    cause: DelayCause
    explanation: str


class BelongingsInTheWay(Event, type="workshop.belongings_in_the_way.v1"):
    """The customer's belongings have to be touched: the advisor asks first (W-10)."""

    work_order_id: str
    visit_id: str | None = None
    items: tuple[str, ...]


class BelongingsReleased(Event, type="workshop.belongings_released.v1"):
    """The customer agreed (W-10)."""

    work_order_id: str
    items: tuple[str, ...]


class PartsAwaited(Event, type="workshop.parts_awaited.v1"):
    """The work waits for parts."""

    work_order_id: str
    line: int
    parts: tuple[str, ...]
    expected_at: AwareDatetime | None = None


class PartsPicked(Event, type="workshop.parts_picked.v1"):
    """Parts were drawn on the work order, and the technician signed the issue slip (W-09)."""

    work_order_id: str
    slip: int
    """The first is 1."""
    parts: tuple[PickedPart, ...]
    technician: str
    signature: Digest
    """SHA-256 of slip and signer: who signed for what."""


class LineStarted(Event, type="workshop.line_started.v1"):
    """Somebody works on a released line (W-08)."""

    work_order_id: str
    line: int
    technician: str


class LineCompleted(Event, type="workshop.line_completed.v1"):
    work_order_id: str
    line: int


class DiagnosisStarted(Event, type="workshop.diagnosis_started.v1"):
    work_order_id: str


class DiagnosisCompleted(Event, type="workshop.diagnosis_completed.v1"):
    work_order_id: str
    defect: str | None = None


class RepairAdded(Event, type="workshop.repair_added.v1"):
    """A technician found work that was not on the order (W-12, R-60)."""

    work_order_id: str
    visit_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int
    revision: int | None = None
    hash: Digest | None = None
    """Of what the customer is asked about; None before there were revisions."""
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[Part, ...] | None = None
    why: str | None = None
    """What the technician says to the customer (R-66)."""


class RepairRevised(Event, type="workshop.repair_revised.v1"):
    """Price, part or time of an added repair changed: what the customer said holds no longer (R-65)."""

    work_order_id: str
    visit_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int
    revision: int
    hash: Digest
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[Part, ...] | None = None
    why: str | None = None


class RepairReleased(Event, type="workshop.repair_released.v1"):
    """The customer agreed; the line may be worked on."""

    work_order_id: str
    line: int
    revision: int | None = None


class RepairDropped(Event, type="workshop.repair_dropped.v1"):
    """The customer said no; the line will not be worked on."""

    work_order_id: str
    line: int


class RepairStarted(Event, type="workshop.repair_started.v1"):
    work_order_id: str
    kind: RepairKind | None = None


class RepairCompleted(Event, type="workshop.repair_completed.v1"):
    """All released work is done; the vehicle waits for its quality check."""

    work_order_id: str
    kind: RepairKind | None = None


class QualityCheckStarted(Event, type="workshop.quality_check_started.v1"):
    work_order_id: str


class TestDriveRecorded(Event, type="workshop.test_drive_recorded.v1"):
    """How the vehicle drives after the work (W-18)."""

    work_order_id: str
    passed: bool
    remarks: str | None = None


class QualityPassed(Event, type="workshop.quality_passed.v1"):
    """The check found the fault gone (W-17)."""

    work_order_id: str
    visit_id: str | None = None


class QualityFailed(Event, type="workshop.quality_failed.v1"):
    """The check found the fault still there, or a new one (W-15)."""

    work_order_id: str
    cause: str | None = None
    visit_id: str | None = None


class ReworkOrdered(Event, type="workshop.rework_ordered.v1"):
    """The vehicle goes back to the technicians after a failed check (W-15)."""

    work_order_id: str
    rework: int | None = None
    """The first is 1."""
    cause: str | None = None


class ReworkCostSplit(Event, type="workshop.rework_cost_split.v1"):
    """Who bears what a rework costs, by the rules in force (W-31)."""

    work_order_id: str
    rework: int
    cost_fen: int
    shares: tuple[Share, ...]
    rules: int


class VehicleWashed(Event, type="workshop.vehicle_washed.v1"):
    """Clean inside and outside (W-18, W-22)."""

    work_order_id: str


class VehicleReturned(Event, type="workshop.vehicle_returned.v1"):
    """Keys and papers go back through the director; the advisor knows where it stands (W-19, K-23)."""

    work_order_id: str
    visit_id: str | None = None
    parking_place: str
    keys: int
    papers: tuple[str, ...]


class CustomerInformed(Event, type="workshop.customer_informed.v1"):
    """The customer was told how the repair stands (W-16)."""

    work_order_id: str


class WorkOrderClosed(Event, type="workshop.work_order_closed.v1"):
    """Nothing is left to do on the work order; it is archived."""

    work_order_id: str
    defect_fixed: bool | None = None


# People and rules


class TechnicianLicensed(Event, type="workshop.technician_licensed.v1"):
    """Somebody passed the practical test of a trade (W-30)."""

    person: str
    trade: Trade
    test_percent: int
    valid_until: date


class WorkshopRulesPublished(Event, type="workshop.workshop_rules_published.v1"):
    """A new version of the site's rules for the workshop (X-14, X-15)."""

    rules: WorkshopRules

"""What happens to a work order in the workshop."""

from datetime import datetime
from typing import Literal, TypeAlias

from events.event import Event

RepairKind: TypeAlias = Literal["simple", "complex"]


class WorkOrderOpened(Event, type="workshop.work_order_opened.v1"):
    """The workshop has a vehicle to work on."""

    work_order_id: str
    visit_id: str | None = None
    symptoms: tuple[str, ...] = ()
    promised_at: datetime | None = None


class WorkDispatched(Event, type="workshop.work_dispatched.v1"):
    """A team was given the work order (W-03, W-06)."""

    work_order_id: str
    team: str


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


class RepairReleased(Event, type="workshop.repair_released.v1"):
    """The customer agreed; the line may be worked on."""

    work_order_id: str
    line: int


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


class QualityPassed(Event, type="workshop.quality_passed.v1"):
    """The check found the fault gone (W-17)."""

    work_order_id: str
    visit_id: str | None = None


class QualityFailed(Event, type="workshop.quality_failed.v1"):
    """The check found the fault still there, or a new one (W-15)."""

    work_order_id: str
    cause: str | None = None


class ReworkOrdered(Event, type="workshop.rework_ordered.v1"):
    """The vehicle goes back to the technicians after a failed check (W-15)."""

    work_order_id: str


class CustomerInformed(Event, type="workshop.customer_informed.v1"):
    """The customer was told how the repair stands (W-16)."""

    work_order_id: str


class WorkOrderClosed(Event, type="workshop.work_order_closed.v1"):
    """Nothing is left to do on the work order; it is archived."""

    work_order_id: str
    defect_fixed: bool | None = None

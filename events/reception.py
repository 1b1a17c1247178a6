"""What happens between reception and the customer during a visit."""

from datetime import datetime
from typing import Literal, TypeAlias

from events.event import Event, Sealed

AnswerChannel: TypeAlias = Literal["phone", "in_person", "message", "signed_link"]
DeclineReason: TypeAlias = Literal["too_expensive", "later", "elsewhere", "not_needed", "other"]


class VehicleReceived(Event, type="reception.vehicle_received.v2"):
    """A customer handed over a vehicle at the desk and said what is wrong with it (R-32 … R-42)."""

    visit_id: str
    work_order_id: str
    vin: str
    vin_check_digit: Literal["ok", "mismatch"]
    customer: str
    customer_name: Sealed
    phone: Sealed
    plate: Sealed
    mileage_km: int
    symptoms: tuple[str, ...]
    promised_at: datetime | None = None


class ApprovalRequested(Event, type="reception.approval_requested.v1"):
    """The customer is to decide about an added repair, knowing its price and delay (R-60, R-61)."""

    visit_id: str
    work_order_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int


class RepairApproved(Event, type="reception.repair_approved.v1"):
    """The customer agreed to an added repair (R-62, R-64)."""

    visit_id: str
    work_order_id: str
    line: int
    channel: AnswerChannel


class RepairDeclined(Event, type="reception.repair_declined.v1"):
    """The customer refused an added repair (R-62, R-63)."""

    visit_id: str
    work_order_id: str
    line: int
    channel: AnswerChannel
    reason: DeclineReason


class VehicleReadied(Event, type="reception.vehicle_readied.v1"):
    """The workshop's quality check passed: the vehicle can be handed over."""

    visit_id: str
    work_order_id: str


class VehicleDelivered(Event, type="reception.vehicle_delivered.v1"):
    """The customer has the vehicle back."""

    visit_id: str
    work_order_id: str
    mileage_km: int | None = None

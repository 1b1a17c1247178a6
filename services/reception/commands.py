"""What reception can be asked to do."""

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from events import Sealed
from events.reception import AnswerChannel, DeclineReason


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReceiveVehicle(_Command):
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


class RequestApproval(_Command):
    visit_id: str
    work_order_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int


class ApproveRepair(_Command):
    visit_id: str
    line: int
    channel: AnswerChannel


class DeclineRepair(_Command):
    visit_id: str
    line: int
    channel: AnswerChannel
    reason: DeclineReason


class ReadyVehicle(_Command):
    visit_id: str


class DeliverVehicle(_Command):
    visit_id: str
    mileage_km: int | None = None


Command: TypeAlias = (
    ReceiveVehicle | RequestApproval | ApproveRepair | DeclineRepair | ReadyVehicle | DeliverVehicle
)

"""What the workshop can be asked to do."""

from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    work_order_id: str


class OpenWorkOrder(_Command):
    visit_id: str
    symptoms: tuple[str, ...] = ()
    promised_at: datetime | None = None


class DispatchWork(_Command):
    team: str


class AddRepair(_Command):
    description: str
    price_fen: int
    delay_minutes: int


class ReleaseRepair(_Command):
    line: int


class DropRepair(_Command):
    line: int


class CompleteRepair(_Command):
    pass


class PassQuality(_Command):
    pass


class FailQuality(_Command):
    cause: str


class OrderRework(_Command):
    pass


class CloseWorkOrder(_Command):
    pass


Command: TypeAlias = (
    OpenWorkOrder
    | DispatchWork
    | AddRepair
    | ReleaseRepair
    | DropRepair
    | CompleteRepair
    | PassQuality
    | FailQuality
    | OrderRework
    | CloseWorkOrder
)

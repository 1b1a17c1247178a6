"""What the workshop can be asked to do. The time at which something happened comes with a command that is
judged by it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from events.lines import Part, Trade
from events.shop_rules import DispatchMode
from events.workshop import DelayCause, PickedPart, Priority, Task


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    work_order_id: str


# The order


class OpenWorkOrder(_Command):
    visit_id: str
    symptoms: tuple[str, ...] = ()
    promised_at: datetime | None = None


class AuthoriseWork(_Command):
    visit_id: str
    revision: int
    hash: str
    tasks: tuple[Task, ...]
    promised_at: datetime


class TakeIn(_Command):
    visit_id: str
    keys: int
    papers: tuple[str, ...]
    notes: str | None = None
    revision: int | None = None


class SetPriority(_Command):
    priority: Priority


class DispatchWork(_Command):
    team: str
    mode: DispatchMode
    out_of_order: bool = False
    at: datetime


class AcceptVehicle(_Command):
    fault_confirmed: bool
    test_driven: bool
    tools_checked: bool
    at: datetime


class CompleteRepair(_Command):
    pass


class CloseWorkOrder(_Command):
    pass


# Its lines


class _Repair(_Command):
    description: str
    price_fen: int
    delay_minutes: int
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[Part, ...] | None = None
    why: str | None = None


class AddRepair(_Repair):
    pass


class ReviseRepair(_Repair):
    line: int


class ReleaseRepair(_Command):
    line: int
    hash: str | None = None


class DropRepair(_Command):
    line: int
    hash: str | None = None


class StartLine(_Command):
    line: int
    technician: str
    licences: Mapping[Trade, date]
    """Until when the technician is licensed for what; empty if the register does not know them."""
    at: datetime


class CompleteLine(_Command):
    line: int


class AwaitParts(_Command):
    line: int
    parts: tuple[str, ...]
    expected_at: datetime | None = None


class PickParts(_Command):
    parts: tuple[PickedPart, ...]
    technician: str


# How it goes


class CheckProgress(_Command):
    """Rung by a timer."""

    at: datetime


class RaiseProgressAlarm(_Command):
    """Rung by a timer."""

    at: datetime


class RecordProgress(_Command):
    done_at: datetime
    anomaly: bool
    measures: str | None = None


class ReportDelay(_Command):
    minutes: int
    cause: DelayCause
    explanation: str
    at: datetime


class AskForBelongings(_Command):
    items: tuple[str, ...]


class ReleaseBelongings(_Command):
    items: tuple[str, ...]


# Its checks, and the way back


class RecordTestDrive(_Command):
    passed: bool
    remarks: str | None = None


class PassQuality(_Command):
    at: datetime


class FailQuality(_Command):
    cause: str


class OrderRework(_Command):
    cause: str | None = None


class SendBack(_Command):
    """The advisor's own check failed."""

    cause: str


class SplitReworkCost(_Command):
    rework: int
    cost_fen: int
    leader: str
    responsible: str
    at: datetime


class WashVehicle(_Command):
    pass


class ReturnVehicle(_Command):
    parking_place: str
    keys: int
    papers: tuple[str, ...]
    at: datetime


OrderCommand: TypeAlias = (
    OpenWorkOrder
    | AuthoriseWork
    | TakeIn
    | SetPriority
    | DispatchWork
    | AcceptVehicle
    | CompleteRepair
    | CloseWorkOrder
)
LineCommand: TypeAlias = (
    AddRepair | ReviseRepair | ReleaseRepair | DropRepair | StartLine | CompleteLine | AwaitParts | PickParts
)
ProgressCommand: TypeAlias = (
    CheckProgress | RaiseProgressAlarm | RecordProgress | ReportDelay | AskForBelongings | ReleaseBelongings
)
CheckCommand: TypeAlias = (
    RecordTestDrive
    | PassQuality
    | FailQuality
    | OrderRework
    | SendBack
    | SplitReworkCost
    | WashVehicle
    | ReturnVehicle
)
Command: TypeAlias = OrderCommand | LineCommand | ProgressCommand | CheckCommand

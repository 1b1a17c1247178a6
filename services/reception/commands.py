"""What reception can be asked to do. The time at which something happened comes with each command."""

from datetime import date, datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from events import Sealed
from events.lines import Line, OldParts, Part, Payer, PaymentMethod, Trade
from events.reception import AnswerChannel, Checked, Damage, DeclineReason, Digest, PhotoOf, Verdict

CashierMethod: TypeAlias = Literal["cash", "card", "wechat", "alipay", "transfer"]
"""How money comes; to pay on account is a manager's to grant (R-81)."""
StaffChannel: TypeAlias = Literal["phone", "in_person", "message"]
"""How staff hear what a customer says; by a signed link the customer says it without them (R-63)."""


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AboutVisit(_Command):
    visit_id: str


class Reading(BaseModel):
    """What the odometer showed at an earlier visit, and on which day."""

    model_config = ConfigDict(frozen=True)

    km: int
    on: date


class ReceiveVehicle(AboutVisit):
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
    appointment_id: str | None = None
    appointment_book: str | None = None
    book: str | None = None
    arrival_id: str | None = None
    model: str | None = None
    member: bool | None = None
    first_service: bool | None = None
    fuel_eighths: int | None = None
    earlier: Reading | None = None
    mileage_less_because: str | None = None


class CorrectMileage(AboutVisit):
    mileage_km: int
    reason: str
    earlier: Reading | None = None
    mileage_less_because: str | None = None


# Intake


class RecordSymptom(AboutVisit):
    description: str
    kind: Literal["symptom", "maintenance"]


class VerifyPapers(AboutVisit):
    driving_licence: bool
    maintenance_manual: bool
    phone: bool


class FitProtectiveSet(AboutVisit):
    pass


class HandOverValuables(AboutVisit):
    items: tuple[str, ...]


class TakePhoto(AboutVisit):
    """The picture is kept already."""

    photo: Digest
    of: PhotoOf
    width: int
    height: int
    note: str | None = None


class RecordWalkAround(AboutVisit):
    after: int
    """The revision that was seen before; 0 for the first."""
    checks: tuple[Checked, ...]
    damages: tuple[Damage, ...]
    fuel_eighths: int


class SignWalkAround(AboutVisit):
    hash: Digest
    signature: Digest
    """An attachment: what was drawn, or the photo of a signed paper."""
    on_paper: bool = False


class InspectUnderbody(AboutVisit):
    findings: tuple[str, ...]


class ProvideMobility(AboutVisit):
    kind: Literal["loan_car", "subsidy"]
    vehicle: str | None = None
    amount_fen: int | None = None


class TakePart(AboutVisit):
    """The manager is there."""


# Quote and work order


class IssueQuote(AboutVisit):
    """The lines come with prices of the list in force."""

    at: datetime
    lines: tuple[Line, ...]
    total_fen: int | None = None
    """As somebody else added it up."""
    promised_at: datetime | None = None
    """None: after the work that is needed, and what waits before it (R-49)."""
    queue_minutes: int = 0
    payment_method: PaymentMethod
    old_parts: OldParts
    price_list: int
    check_first: bool = False


class SignWorkOrder(AboutVisit):
    at: datetime
    hash: str
    channel: AnswerChannel
    signature: str | None = None
    answered_by: Sealed | None = None


class HandOverCopies(AboutVisit):
    how: Literal["paper", "link"]


class AssessWarranty(AboutVisit):
    line: int
    verdict: Verdict


class RequestManufacturerApproval(AboutVisit):
    line: int


class ReceiveManufacturerApproval(AboutVisit):
    line: int
    granted: bool


class HandToWorkshop(AboutVisit):
    keys: int
    papers: tuple[str, ...]
    notes: str | None = None


# Added repairs


class RequestApproval(AboutVisit):
    work_order_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int
    revision: int | None = None
    hash: str | None = None
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[Part, ...] | None = None
    why: str | None = None


class ApproveRepair(AboutVisit):
    line: int
    channel: AnswerChannel
    hash: str | None = None
    """Of the revision that the customer was told about; None for a question that had none."""
    delay_minutes: int | None = None
    """That the customer was told (R-61)."""
    answered_by: Sealed | None = None
    payer: Payer | None = None


class DeclineRepair(AboutVisit):
    line: int
    channel: AnswerChannel
    reason: DeclineReason
    hash: str | None = None
    delay_minutes: int | None = None
    answered_by: Sealed | None = None
    told_to: str | None = None
    """Who in the workshop took the notice (R-63)."""
    told_at: datetime | None = None


class TellOfDelay(AboutVisit):
    delay: int
    channel: AnswerChannel
    promised_at: datetime
    understood: bool
    at: datetime


class ConsentToBelongings(AboutVisit):
    items: tuple[str, ...]
    channel: AnswerChannel


# Delivery


class ReadyVehicle(AboutVisit):
    pass


class PassDeliveryCheck(AboutVisit):
    """Each item is confirmed, or the check has not passed (R-70)."""

    fault_gone: bool
    old_parts_there: bool
    clean_inside: bool
    clean_outside: bool
    nothing_left_behind: bool
    test_driven: bool = False


class FailDeliveryCheck(AboutVisit):
    cause: str


class AgreeDelivery(AboutVisit):
    at: datetime
    deliver_at: datetime
    channel: AnswerChannel


class HoldJointInspection(AboutVisit):
    old_parts_shown: bool
    spare_wheel_and_tools: bool
    cleanliness_shown: bool
    advice: str | None = None


class RemoveProtectiveSet(AboutVisit):
    pass


class SetNextService(AboutVisit):
    at: datetime
    due_on: date
    due_km: int


class AgreeFollowUp(AboutVisit):
    at: datetime
    call_from: datetime
    call_until: datetime


class OfferNewAppointment(AboutVisit):
    accepted: bool


class DeliverVehicle(AboutVisit):
    at: datetime
    mileage_km: int | None = None


# Settlement


class PrepareSettlement(AboutVisit):
    """`discounts` are further ones, by line; `total_fen` is what the caller makes of it."""

    discounts: dict[int, int] = {}
    discount_fen: int = 0
    total_fen: int | None = None


class SignSettlement(AboutVisit):
    hash: str
    signature: str


class ReceivePayment(AboutVisit):
    amount_fen: int
    method: CashierMethod
    invoice: str | None = None


class RefundPayment(AboutVisit):
    payment: int
    amount_fen: int
    reason: str


class ReleaseOnCredit(AboutVisit):
    at: datetime
    pay_by: date
    reason: str


# Gate pass


class ReleaseGatePass(AboutVisit):
    """The token was signed for this pass, to be valid from `at`."""

    at: datetime
    pass_id: str
    token: str


class UseGatePass(AboutVisit):
    """With what the token says."""

    at: datetime
    pass_id: str
    valid_until: datetime


IntakeCommand: TypeAlias = (
    RecordSymptom
    | VerifyPapers
    | FitProtectiveSet
    | HandOverValuables
    | TakePhoto
    | RecordWalkAround
    | SignWalkAround
    | InspectUnderbody
    | ProvideMobility
    | TakePart
)
QuoteCommand: TypeAlias = (
    IssueQuote
    | AssessWarranty
    | RequestManufacturerApproval
    | ReceiveManufacturerApproval
    | SignWorkOrder
    | HandOverCopies
    | HandToWorkshop
)
AddedRepairCommand: TypeAlias = (
    RequestApproval | ApproveRepair | DeclineRepair | TellOfDelay | ConsentToBelongings
)
DeliveryCommand: TypeAlias = (
    ReadyVehicle
    | PassDeliveryCheck
    | FailDeliveryCheck
    | AgreeDelivery
    | HoldJointInspection
    | RemoveProtectiveSet
    | SetNextService
    | AgreeFollowUp
    | OfferNewAppointment
    | DeliverVehicle
)
SettlementCommand: TypeAlias = (
    PrepareSettlement | SignSettlement | ReceivePayment | RefundPayment | ReleaseOnCredit
)
GatePassCommand: TypeAlias = ReleaseGatePass | UseGatePass
Command: TypeAlias = (
    ReceiveVehicle
    | CorrectMileage
    | IntakeCommand
    | QuoteCommand
    | AddedRepairCommand
    | DeliveryCommand
    | SettlementCommand
    | GatePassCommand
)

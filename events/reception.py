"""What happens between reception and the customer, from the appointment to the gate."""

from datetime import date, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from events.event import Event, Sealed
from events.lines import Line, OldParts, Part, Payer, PaymentMethod, Trade
from events.shop_rules import PriceList, ReceptionRules

AnswerChannel: TypeAlias = Literal["phone", "in_person", "message", "signed_link"]
DeclineReason: TypeAlias = Literal["too_expensive", "later", "elsewhere", "not_needed", "other"]
BookingKind: TypeAlias = Literal["proactive", "passive"]
"""The dealer called the customer, or the customer called (R-17)."""
BookingChannel: TypeAlias = Literal["phone", "website", "app", "in_person"]
ServiceKind: TypeAlias = Literal["simple", "problem"]
"""Simple maintenance, or a car that needs a diagnosis (R-23)."""
Welcome: TypeAlias = Literal["full", "surname", "plate", "nothing"]
"""What the welcome board may show of a customer (R-16)."""
ReminderOutcome: TypeAlias = Literal["comes", "cannot_come", "not_reached"]
CancelReason: TypeAlias = Literal["customer", "dealer", "parts_missing", "other"]
Verdict: TypeAlias = Literal["covered", "not_covered", "unclear"]
"""Whether a line is under warranty (R-43)."""
CarView: TypeAlias = Literal["left", "right", "front", "rear", "top", "inside"]
DamageKind: TypeAlias = Literal["scratch", "dent", "crack", "chip", "missing", "other"]
PhotoOf: TypeAlias = Literal["damage", "underbody", "old_part", "vehicle", "paper"]
Digest: TypeAlias = str
"""SHA-256 in hexadecimal: of what was said, or of an attachment, which is kept sealed outside the log."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PartWanted(_Data):
    """A part to have ready before the vehicle comes (R-08)."""

    code: str
    name: str
    quantity: int
    unit_fen: int


class Damage(_Data):
    """Where on the picture of the car, in thousandths of its width and height."""

    view: CarView
    x: Annotated[int, Field(ge=0, le=1000)]
    y: Annotated[int, Field(ge=0, le=1000)]
    kind: DamageKind
    note: str | None = None


class Checked(_Data):
    """One item of the walk-around, in its order (R-38)."""

    item: str
    ok: bool
    note: str | None = None


class Hours(_Data):
    """From opening to closing."""

    opens: AwareDatetime
    closes: AwareDatetime


# Appointments


class AppointmentDayOpened(Event, type="reception.appointment_day_opened.v1"):
    """When customers are received on a day, and what is kept free between them; again whenever the rules for
    the day have changed (R-18, R-19, R-22, R-23)."""

    book: str
    rules: int
    """The version of the reception rules for this day."""
    hours: tuple[Hours, ...]
    slot_minutes: int
    gap_minutes: int
    slots: tuple[AwareDatetime, ...]
    buffers: tuple[AwareDatetime, ...]
    gaps: tuple[AwareDatetime, ...]
    advisors: int
    bays: int


class AppointmentRequested(Event, type="reception.appointment_requested.v1"):
    """A customer wants to come, and agreed to what is booked (R-03, R-08)."""

    book: str
    """The day's book of the site: `<site>.<yyyy-mm-dd>`."""
    appointment_id: str
    work_order_id: str
    """Under which the visit will go on: one card from the booking to the gate (R-13, R-14)."""
    kind: BookingKind
    channel: BookingChannel
    need: str
    service: ServiceKind
    operations: tuple[str, ...] = ()
    labour_minutes: int
    high_value_parts: tuple[PartWanted, ...] = ()
    member: bool = False
    welcome: Welcome = "surname"
    model: str | None = None
    vin: str | None = None
    customer: str
    customer_name: Sealed
    phone: Sealed
    plate: Sealed


class BayReserved(Event, type="reception.bay_reserved.v1"):
    """A repair bay is kept for an appointment (R-04)."""

    book: str
    appointment_id: str
    work_order_id: str
    bay: int
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    high_value_parts: tuple[PartWanted, ...] = ()


class AppointmentConfirmed(Event, type="reception.appointment_confirmed.v1"):
    """The customer has a number, a time and an advisor (R-05)."""

    book: str
    appointment_id: str
    work_order_id: str
    number: str
    slot_at: AwareDatetime
    advisor: int
    """Which of the site's advisors, counted from 1."""
    reminders_at: tuple[AwareDatetime, ...] = ()
    """When the customer is to be reminded (R-11)."""
    missed_at: AwareDatetime
    """Who has not come by then has missed it."""
    rules: int
    """The version of the reception rules under which it was booked."""
    moved_from: date | None = None
    """The day whose slot becomes free for this one (R-12)."""
    moved_from_slot: AwareDatetime | None = None
    """The time there, as it stood."""


class AppointmentReminderDue(Event, type="reception.appointment_reminder_due.v1"):
    """The customer is to be called (R-11); rung by a timer."""

    book: str
    appointment_id: str
    work_order_id: str
    reminder: int
    """Which of them, counted from 1."""
    due_at: AwareDatetime


class AppointmentReminded(Event, type="reception.appointment_reminded.v1"):
    """The customer was asked whether they can make it (R-11, R-12)."""

    book: str
    appointment_id: str
    work_order_id: str
    channel: AnswerChannel
    outcome: ReminderOutcome


class AppointmentRescheduled(Event, type="reception.appointment_rescheduled.v1"):
    """The time here is free again: the customer comes at another (R-12)."""

    book: str
    appointment_id: str
    work_order_id: str
    to: AwareDatetime
    to_book: str


class AppointmentCancelled(Event, type="reception.appointment_cancelled.v1"):
    """The customer does not come (K-24)."""

    book: str
    appointment_id: str
    work_order_id: str
    reason: CancelReason


class AppointmentMissed(Event, type="reception.appointment_missed.v1"):
    """The customer did not come and did not say so (K-24)."""

    book: str
    appointment_id: str
    work_order_id: str


class AppointmentKept(Event, type="reception.appointment_kept.v1"):
    """The customer came, with number and papers (R-06)."""

    book: str
    appointment_id: str
    work_order_id: str


class CustomerArrived(Event, type="reception.customer_arrived.v1"):
    """Somebody stands at the desk and waits to be received (R-10, R-26, R-27, K-10)."""

    book: str
    arrival_id: str
    appointment_id: str | None = None
    slot_at: AwareDatetime | None = None
    """Of the appointment, for who came in time for it."""
    member: bool = False
    service: ServiceKind
    welcome: Welcome = "surname"
    customer: str | None = None
    plate: Sealed | None = None
    arrived_at: AwareDatetime
    patience_until: AwareDatetime


class BufferConsumed(Event, type="reception.buffer_consumed.v1"):
    """A walk-in is received in a gap or in a buffer, which helps nobody else any more (R-23, K-21)."""

    book: str
    arrival_id: str
    place: Literal["gap", "buffer"]
    at: AwareDatetime
    minutes: int


class CustomerWaitedTooLong(Event, type="reception.customer_waited_too_long.v1"):
    """Longer than customers wait at ease, and still not received (R-21); rung by a timer."""

    book: str
    arrival_id: str
    since: AwareDatetime
    minutes: int
    rules: int


class CustomerCalledIn(Event, type="reception.customer_called_in.v1"):
    """An advisor receives who waited (R-21)."""

    book: str
    arrival_id: str
    waited_seconds: int
    too_long: bool


class CustomerLeft(Event, type="reception.customer_left.v1"):
    """Somebody left without having been received (R-21)."""

    book: str
    arrival_id: str
    waited_seconds: int


class ReceptionRulesPublished(Event, type="reception.reception_rules_published.v1"):
    """A new version of the site's rules for reception (X-14, X-15)."""

    rules: ReceptionRules


class PriceListPublished(Event, type="reception.price_list_published.v1"):
    """New prices, announced to everybody (R-59)."""

    price_list: PriceList


# Intake


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
    appointment_id: str | None = None
    appointment_book: str | None = None
    book: str | None = None
    """Of the day on which it came: the share that has an appointment is managed (R-29)."""
    arrival_id: str | None = None
    model: str | None = None
    member: bool | None = None
    first_service: bool | None = None
    """The underbody is to be looked at (R-40)."""
    fuel_eighths: int | None = None
    """Of a full tank (R-37)."""
    mileage_less_because: str | None = None
    """Why it shows less than at an earlier visit; None if it does not."""


class MileageCorrected(Event, type="reception.mileage_corrected.v1"):
    """What was read wrongly at the desk; the reading before stays on record."""

    visit_id: str
    work_order_id: str
    mileage_km: int
    reason: str
    mileage_less_because: str | None = None
    """Why it shows less than at an earlier visit, also when it was read rightly; None if it does not."""


class SymptomRecorded(Event, type="reception.symptom_recorded.v1"):
    """One more symptom or maintenance request, written down by itself (R-42)."""

    visit_id: str
    work_order_id: str
    description: str
    kind: Literal["symptom", "maintenance"]


class PapersVerified(Event, type="reception.papers_verified.v1"):
    """Driving licence of the vehicle, maintenance manual and phone number were compared (R-45, R-52)."""

    visit_id: str
    work_order_id: str
    driving_licence: bool
    maintenance_manual: bool
    phone: bool


class ProtectiveSetFitted(Event, type="reception.protective_set_fitted.v1"):
    """In front of the customer (R-31)."""

    visit_id: str
    work_order_id: str


class ValuablesHandedOver(Event, type="reception.valuables_handed_over.v1"):
    """The vehicle was looked through; what was found was given to the customer on the spot (R-35)."""

    visit_id: str
    work_order_id: str
    items: tuple[str, ...]


class PhotoTaken(Event, type="reception.photo_taken.v1"):
    """A picture, re-encoded and without what the camera wrote into it; kept sealed outside the log (R-33)."""

    visit_id: str
    work_order_id: str
    photo: Digest
    of: PhotoOf
    width: int
    height: int
    note: str | None = None


class WalkAroundRecorded(Event, type="reception.walk_around_recorded.v1"):
    """What the vehicle looked like, item by item and damage by damage (R-33, R-37, R-38)."""

    visit_id: str
    work_order_id: str
    revision: int
    hash: Digest
    """Of what the customer signs."""
    checks: tuple[Checked, ...]
    damages: tuple[Damage, ...]
    fuel_eighths: int


class WalkAroundSigned(Event, type="reception.walk_around_signed.v1"):
    """The customer signed what was found, as it stands (R-33)."""

    visit_id: str
    work_order_id: str
    hash: Digest
    signature: Digest


class UnderbodyInspected(Event, type="reception.underbody_inspected.v1"):
    """On the lift, at the first service (R-40)."""

    visit_id: str
    work_order_id: str
    findings: tuple[str, ...]


class MobilityProvided(Event, type="reception.mobility_provided.v1"):
    """A loan car or money for the way (R-54)."""

    visit_id: str
    work_order_id: str
    kind: Literal["loan_car", "subsidy"]
    vehicle: str | None = None
    amount_fen: int | None = None


class ManagerTookPart(Event, type="reception.manager_took_part.v1"):
    """The manager was there for an important customer or a large sum (R-58)."""

    visit_id: str
    work_order_id: str


# Quote and work order


class QuoteIssued(Event, type="reception.quote_issued.v1"):
    """A revision of what is to be done, for how much and until when; the hash is what the customer signs
    (R-48 … R-50, R-55)."""

    visit_id: str
    work_order_id: str
    revision: int
    hash: Digest
    lines: tuple[Line, ...]
    total_fen: int
    labour_minutes: int
    promised_at: AwareDatetime
    payment_method: PaymentMethod
    old_parts: OldParts
    price_list: int
    """The version of the price list."""
    check_first: bool = False
    """The cause is not known: the detailed price follows after a full check (R-44)."""


class WarrantyAssessed(Event, type="reception.warranty_assessed.v1"):
    """Whether a line of the quote is under warranty (R-43)."""

    visit_id: str
    work_order_id: str
    line: int
    verdict: Verdict


class ManufacturerApprovalRequested(Event, type="reception.manufacturer_approval_requested.v1"):
    """It is not clear whether the maker pays: it was asked (R-43)."""

    visit_id: str
    work_order_id: str
    line: int


class ManufacturerApprovalReceived(Event, type="reception.manufacturer_approval_received.v1"):
    visit_id: str
    work_order_id: str
    line: int
    granted: bool


class WorkOrderSigned(Event, type="reception.work_order_signed.v1"):
    """The customer authorised one revision, by its hash (R-50, R-52)."""

    visit_id: str
    work_order_id: str
    revision: int
    hash: Digest
    channel: AnswerChannel
    signature: Digest | None = None
    """None for an agreement given otherwise than with a pen."""
    answered_by: Sealed | None = None
    """Who, if not the customer."""
    lines: tuple[Line, ...]
    """What may be worked on: the workshop asks nobody."""
    promised_at: AwareDatetime


class CopiesHandedOver(Event, type="reception.copies_handed_over.v1"):
    """The customer has copies of the reception form and the work order (R-51)."""

    visit_id: str
    work_order_id: str
    how: Literal["paper", "link"]


class VehicleHandedToWorkshop(Event, type="reception.vehicle_handed_to_workshop.v1"):
    """Car, keys and papers go to the waiting area (W-04)."""

    visit_id: str
    work_order_id: str
    keys: int
    papers: tuple[str, ...]
    notes: str | None = None
    revision: int | None = None
    """Of the work order that goes with it."""


# Added repairs


class ApprovalRequested(Event, type="reception.approval_requested.v1"):
    """The customer is to decide about an added repair, knowing its price and delay (R-60, R-61)."""

    visit_id: str
    work_order_id: str
    line: int
    description: str
    price_fen: int
    delay_minutes: int
    revision: int | None = None
    hash: Digest | None = None
    """Of the revision that is asked about; another one is another question. None before there were any."""
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[Part, ...] | None = None
    why: str | None = None
    """In the technician's words (R-66)."""


class RepairApproved(Event, type="reception.repair_approved.v1"):
    """The customer agreed to one revision of an added repair, knowing the delay (R-61, R-62, R-64)."""

    visit_id: str
    work_order_id: str
    line: int
    channel: AnswerChannel
    revision: int | None = None
    hash: Digest | None = None
    delay_minutes: int | None = None
    """That the customer was told."""
    answered_by: Sealed | None = None
    """Who, if not the customer."""
    payer: Payer | None = None


class RepairDeclined(Event, type="reception.repair_declined.v1"):
    """The customer refused an added repair; who in the workshop was told, and when (R-62, R-63, K-14)."""

    visit_id: str
    work_order_id: str
    line: int
    channel: AnswerChannel
    reason: DeclineReason
    revision: int | None = None
    hash: Digest | None = None
    delay_minutes: int | None = None
    answered_by: Sealed | None = None
    told_to: str | None = None
    told_at: AwareDatetime | None = None


class CustomerToldOfDelay(Event, type="reception.customer_told_of_delay.v1"):
    """The customer knows of a delay, its cause and the new time (W-11, W-16, W-34)."""

    visit_id: str
    work_order_id: str
    delay: int
    """Which of the delays that the workshop reported."""
    channel: AnswerChannel
    promised_at: AwareDatetime
    understood: bool


class BelongingsConsentGiven(Event, type="reception.belongings_consent_given.v1"):
    """The customer agreed that belongings in the way are touched (W-10)."""

    visit_id: str
    work_order_id: str
    items: tuple[str, ...]
    channel: AnswerChannel


# Delivery


class VehicleReadied(Event, type="reception.vehicle_readied.v1"):
    """The workshop's quality check passed: the vehicle can be handed over."""

    visit_id: str
    work_order_id: str


class DeliveryCheckPassed(Event, type="reception.delivery_check_passed.v1"):
    """The advisor's own check: fault gone, old parts there, clean, nothing left behind (R-70, W-18, K-11)."""

    visit_id: str
    work_order_id: str
    test_driven: bool


class DeliveryCheckFailed(Event, type="reception.delivery_check_failed.v1"):
    """The advisor sends the vehicle back to the workshop (W-18)."""

    visit_id: str
    work_order_id: str
    cause: str


class DeliveryAgreed(Event, type="reception.delivery_agreed.v1"):
    """When the customer comes for the vehicle (R-71, R-72)."""

    visit_id: str
    work_order_id: str
    deliver_at: AwareDatetime
    channel: AnswerChannel


class JointInspectionHeld(Event, type="reception.joint_inspection_held.v1"):
    """With the customer, against work order and reception form (R-73)."""

    visit_id: str
    work_order_id: str
    old_parts_shown: bool
    spare_wheel_and_tools: bool
    cleanliness_shown: bool
    advice: str | None = None


class ProtectiveSetRemoved(Event, type="reception.protective_set_removed.v1"):
    """In front of the customer, into the recycling box (R-75)."""

    visit_id: str
    work_order_id: str


class NextServiceSet(Event, type="reception.next_service_set.v1"):
    """When the vehicle is due again, by date or mileage (R-73, R-77)."""

    visit_id: str
    work_order_id: str
    due_on: date
    due_km: int


class FollowUpAgreed(Event, type="reception.follow_up_agreed.v1"):
    """When the customer likes to be called about the quality (R-74, R-78, K-01)."""

    visit_id: str
    work_order_id: str
    call_from: AwareDatetime
    call_until: AwareDatetime


class SettlementPrepared(Event, type="reception.settlement_prepared.v1"):
    """What is to be paid, line by line; the hash is what the customer signs (R-76 … R-79)."""

    visit_id: str
    work_order_id: str
    revision: int
    hash: Digest
    lines: tuple[Line, ...]
    discount_fen: int
    total_fen: int
    customer_fen: int
    """What of it the customer pays; the maker or an insurer the rest (R-80)."""
    next_service_on: date | None = None
    next_service_km: int | None = None
    call_from: AwareDatetime | None = None


class SettlementSigned(Event, type="reception.settlement_signed.v1"):
    """The charges were explained line by line, and the customer signed them (R-79)."""

    visit_id: str
    work_order_id: str
    hash: Digest
    signature: Digest


class PaymentReceived(Event, type="reception.payment_received.v1"):
    """Money of the customer (R-80)."""

    visit_id: str
    work_order_id: str
    payment: int
    """The first is 1."""
    amount_fen: int
    method: PaymentMethod
    invoice: str | None = None


class PaymentRefunded(Event, type="reception.payment_refunded.v1"):
    """Money went back to the customer (K-24)."""

    visit_id: str
    work_order_id: str
    payment: int
    amount_fen: int
    reason: str


class CreditReleased(Event, type="reception.credit_released.v1"):
    """A manager lets the vehicle go before it is paid (R-81)."""

    visit_id: str
    work_order_id: str
    amount_fen: int
    pay_by: date
    reason: str


class GatePassPrepared(Event, type="reception.gate_pass_prepared.v1"):
    """Printed with the settlement, and of no use until it is released (R-76, K-20)."""

    visit_id: str
    work_order_id: str
    pass_id: str


class GatePassReleased(Event, type="reception.gate_pass_released.v1"):
    """Handed over with change and invoice (R-81): from now on it opens the gate, once."""

    visit_id: str
    work_order_id: str
    pass_id: str
    valid_until: AwareDatetime
    token: str
    """What its QR code says: signed by the site's key, so that a gate can check it without a connection."""


class GatePassRevoked(Event, type="reception.gate_pass_revoked.v1"):
    """What it was released for no longer holds: another settlement, money paid back, time run out."""

    visit_id: str
    work_order_id: str
    pass_id: str
    reason: Literal["settlement_changed", "refunded", "sent_back", "expired"]


class GatePassUsed(Event, type="reception.gate_pass_used.v1"):
    """The vehicle left through the gate."""

    visit_id: str
    work_order_id: str
    pass_id: str
    used_at: AwareDatetime


class NewAppointmentOffered(Event, type="reception.new_appointment_offered.v1"):
    """Every contact should lead to the next one (R-83, R-84)."""

    visit_id: str
    work_order_id: str
    accepted: bool


class VehicleDelivered(Event, type="reception.vehicle_delivered.v1"):
    """The customer has the vehicle back, with keys and papers (R-82)."""

    visit_id: str
    work_order_id: str
    mileage_km: int | None = None

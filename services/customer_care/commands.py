"""What customer care can be asked to do. The time at which something happened comes with each command."""

from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from events import Sealed
from events.customer_care import Outcome, Resolution, Satisfaction, Subject, Waiting
from events.rulebook import Channel, Level, Severity, Step


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AboutComplaint(_Command):
    complaint_id: str
    at: datetime
    """When it happened."""


class RaiseComplaint(AboutComplaint):
    visit_id: str | None = None
    work_order_id: str | None = None
    vin: str | None = None
    channel: Channel
    subject: Subject
    severity: Severity
    further_severities: tuple[Severity, ...] | None = None
    customer: str
    customer_name: Sealed
    phone: Sealed
    narrative: Sealed
    follows: str | None = None


class HandOver(AboutComplaint):
    to: Level


class ContactCustomer(AboutComplaint):
    channel: Channel
    outcome: Outcome
    before_raised: bool = False
    """That it happened before the complaint was raised is no slip of the pen."""


class GiveUpReaching(AboutComplaint):
    pass


class NoteCause(AboutComplaint):
    cause: Sealed


class SignPlan(AboutComplaint):
    plan: Sealed


class TellCustomer(AboutComplaint):
    channel: Channel


class CarryOutPlan(AboutComplaint):
    pass


class ResolveComplaint(AboutComplaint):
    resolution: Resolution


class ReturnForm(AboutComplaint):
    result: Sealed
    improvement: Sealed | None = None


class CallBack(AboutComplaint):
    outcome: Satisfaction
    opinion: Sealed | None = None


class SignOff(AboutComplaint):
    instruction: Sealed | None = None


class Archive(AboutComplaint):
    pass


class Reclassify(AboutComplaint):
    subject: Subject
    severities: tuple[Severity, ...]
    reason: Sealed


class Pause(AboutComplaint):
    waiting: Waiting


class Resume(AboutComplaint):
    pass


class Blame(AboutComplaint):
    person: str
    step: Step | None = None


class Appeal(AboutComplaint):
    reason: Sealed


class DecideAppeal(AboutComplaint):
    granted: bool


class ReportToRegion(AboutComplaint):
    pass


class TimeIsUp(AboutComplaint):
    """The clock task noticed that something about a rule's deadline is due at `at`."""

    rule: str


class NoteNotification(AboutComplaint):
    escalation: str
    level: Level
    channel: str


class EraseSubject(_Command):
    customer: str


Command: TypeAlias = (
    RaiseComplaint
    | HandOver
    | ContactCustomer
    | GiveUpReaching
    | NoteCause
    | SignPlan
    | TellCustomer
    | CarryOutPlan
    | ResolveComplaint
    | ReturnForm
    | CallBack
    | SignOff
    | Archive
    | Reclassify
    | Pause
    | Resume
    | Blame
    | Appeal
    | DecideAppeal
    | ReportToRegion
    | TimeIsUp
    | NoteNotification
)

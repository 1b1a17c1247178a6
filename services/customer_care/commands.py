"""What customer care can be asked to do."""

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from events import Sealed
from events.customer_care import Channel, Outcome, Resolution, Severity, Subject


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RaiseComplaint(_Command):
    complaint_id: str
    visit_id: str | None = None
    work_order_id: str | None = None
    channel: Channel
    subject: Subject
    severity: Severity
    customer: str
    customer_name: Sealed
    phone: Sealed
    narrative: Sealed


class ContactCustomer(_Command):
    complaint_id: str
    channel: Channel
    outcome: Outcome


class ResolveComplaint(_Command):
    complaint_id: str
    resolution: Resolution


class EraseSubject(_Command):
    customer: str


Command: TypeAlias = RaiseComplaint | ContactCustomer | ResolveComplaint

"""What happens between customer care and a customer who complains."""

from typing import Literal, TypeAlias

from events.event import Event, Sealed

Channel: TypeAlias = Literal["phone", "in_person", "letter", "message", "website", "follow_up_call"]
Subject: TypeAlias = Literal[
    "product_quality", "repair_service", "parts_supply", "after_sales_service", "other"
]
Severity: TypeAlias = Literal["grievance", "ordinary", "major"]
Outcome: TypeAlias = Literal["reached", "not_reached"]
Resolution: TypeAlias = Literal["explained", "apology", "repaired_again", "refund", "goodwill", "withdrawn"]


class ComplaintRaised(Event, type="customer_care.complaint_raised.v1"):
    """A customer is dissatisfied and said so (C-20, C-30, C-31)."""

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


class CustomerContacted(Event, type="customer_care.customer_contacted.v1"):
    """Care tried to reach the customer about the complaint (C-21 … C-24)."""

    complaint_id: str
    channel: Channel
    outcome: Outcome


class ComplaintResolved(Event, type="customer_care.complaint_resolved.v1"):
    """Agreement was reached with the customer."""

    complaint_id: str
    resolution: Resolution


class SubjectErased(Event, type="customer_care.subject_erased.v1"):
    """A person asked to be forgotten: their key is destroyed, their values can never be read again."""

    customer: str

"""What happens between customer care and a customer who complains."""

from typing import Literal, TypeAlias

from pydantic import AwareDatetime

from events.event import Event, Sealed
from events.rulebook import Calendar, Channel, Level, Rulebook, Severity, Step

Subject: TypeAlias = Literal[
    "product_quality", "repair_service", "parts_supply", "after_sales_service", "other"
]
Outcome: TypeAlias = Literal["reached", "not_reached"]
Waiting: TypeAlias = Literal["for_customer", "for_parts", "for_manufacturer", "for_authority"]
Satisfaction: TypeAlias = Literal["accepted", "objecting", "not_reached"]
Resolution: TypeAlias = Literal["explained", "apology", "repaired_again", "refund", "goodwill", "withdrawn"]
Meaning: TypeAlias = Literal["open", "waiting", "resolved", "closed", "cancelled"]
ENDED: frozenset[Meaning] = frozenset({"resolved", "closed", "cancelled"})


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
    raised_at: AwareDatetime | None = None
    """When the customer said so: from then on the clocks run. None before there were clocks."""
    further_severities: tuple[Severity, ...] | None = None
    """A complaint about several things may be of several severities; the rules of all of them hold."""
    vin: str | None = None
    """The vehicle it is about, if it is not about a visit, or has none yet."""
    follows: str | None = None
    """The complaint whose solution the customer did not accept (C-27)."""


class CustomerContacted(Event, type="customer_care.customer_contacted.v1"):
    """Care tried to reach the customer about the complaint (C-21 … C-24)."""

    complaint_id: str
    channel: Channel
    outcome: Outcome
    at: AwareDatetime | None = None
    """When it happened, which may be before it was recorded: what depends on it comes later."""


class ComplaintResolved(Event, type="customer_care.complaint_resolved.v1"):
    """Agreement was reached with the customer."""

    complaint_id: str
    resolution: Resolution
    at: AwareDatetime | None = None


class ComplaintHandedOver(Event, type="customer_care.complaint_handed_over.v1"):
    """The tracking form is with the manager who answers for it (C-20, C-25, C-39)."""

    complaint_id: str
    to: Level


class CustomerUnreachable(Event, type="customer_care.customer_unreachable.v1"):
    """Care gave up trying to reach the customer, after so many attempts (K-24)."""

    complaint_id: str
    attempts: int
    at: AwareDatetime | None = None


class CauseFound(Event, type="customer_care.cause_found.v1"):
    """Why it happened (C-32, C-36)."""

    complaint_id: str
    cause: Sealed


class PlanSigned(Event, type="customer_care.plan_signed.v1"):
    """Who answers for the complaint signed what is to be done (C-25)."""

    complaint_id: str
    plan: Sealed
    signed_by: str
    at: AwareDatetime | None = None


class CustomerTold(Event, type="customer_care.customer_told.v1"):
    """The customer knows the plan (C-24, C-32)."""

    complaint_id: str
    channel: Channel


class PlanCarriedOut(Event, type="customer_care.plan_carried_out.v1"):
    """What the plan says is done (C-32, C-36)."""

    complaint_id: str
    at: AwareDatetime | None = None


class FormReturned(Event, type="customer_care.form_returned.v1"):
    """The form is back at care, with the result and what will be better from now on (C-21, C-39, C-41)."""

    complaint_id: str
    result: Sealed
    improvement: Sealed | None = None


class SatisfactionCallMade(Event, type="customer_care.satisfaction_call_made.v1"):
    """Care asked the customer whether it is settled (C-25, C-27, C-34)."""

    complaint_id: str
    outcome: Satisfaction
    opinion: Sealed | None = None
    at: AwareDatetime | None = None


class ComplaintSignedOff(Event, type="customer_care.complaint_signed_off.v1"):
    """The general manager signed the form (C-26, C-27)."""

    complaint_id: str
    instruction: Sealed | None = None
    """What the general manager wants done from now on (总经理批示)."""
    at: AwareDatetime | None = None


class ComplaintArchived(Event, type="customer_care.complaint_archived.v1"):
    """The closed form is in the archive, once electronic and once on paper (C-28)."""

    complaint_id: str


class ComplaintReclassified(Event, type="customer_care.complaint_reclassified.v1"):
    """It turned out to be about something else, or more or less severe."""

    complaint_id: str
    subject: Subject
    severities: tuple[Severity, ...]
    reason: Sealed


class ComplaintPaused(Event, type="customer_care.complaint_paused.v1"):
    """Nothing can be done until somebody else has acted: the clocks stand still."""

    complaint_id: str
    waiting: Waiting
    paused_at: AwareDatetime


class ComplaintResumed(Event, type="customer_care.complaint_resumed.v1"):
    """The clocks go on; what was not due yet is due as much later as the pause took."""

    complaint_id: str
    resumed_at: AwareDatetime


class BlameAssigned(Event, type="customer_care.blame_assigned.v1"):
    """A member of staff is held responsible (C-38, C-40)."""

    complaint_id: str
    person: str
    step: Step | None = None
    """Which step was handled poorly, if it was one of these."""
    at: AwareDatetime | None = None


class AppealFiled(Event, type="customer_care.appeal_filed.v1"):
    """Who is blamed objects (C-40)."""

    complaint_id: str
    reason: Sealed
    at: AwareDatetime | None = None


class AppealDecided(Event, type="customer_care.appeal_decided.v1"):
    """The general manager decided; a granted appeal voids the complaint (C-40)."""

    complaint_id: str
    granted: bool


class ReportedToRegion(Event, type="customer_care.reported_to_region.v1"):
    """The regional office was told (C-26, X-07)."""

    complaint_id: str


class DeadlineSet(Event, type="customer_care.deadline_set.v1"):
    """A step has to be done by `due_at`, by the versions of rulebook and calendar in force (X-14)."""

    complaint_id: str
    rule: str
    step: Step
    starts_at: AwareDatetime
    due_at: AwareDatetime
    rulebook: int
    calendar: int


class DeadlineMet(Event, type="customer_care.deadline_met.v1"):
    """The step was done in time. After a breach: it had been, and was entered late."""

    complaint_id: str
    rule: str
    step: Step
    due_at: AwareDatetime
    done_at: AwareDatetime
    rulebook: int | None = None
    calendar: int | None = None
    """The versions by which the deadline was set. None before verdicts named them."""


class DeadlineBreached(Event, type="customer_care.deadline_breached.v1"):
    """The deadline passed; `done_at` says when the step was done, if it is."""

    complaint_id: str
    rule: str
    step: Step
    due_at: AwareDatetime
    done_at: AwareDatetime | None = None
    next_at: AwareDatetime | None = None
    """When somebody further up is told, if the step is still not done."""
    rulebook: int | None = None
    calendar: int | None = None
    """The versions by which the deadline was set. None before verdicts named them."""


class DeadlineDropped(Event, type="customer_care.deadline_dropped.v1"):
    """The deadline is no longer asked for: the complaint ended, or is of another class."""

    complaint_id: str
    rule: str
    step: Step


class Escalated(Event, type="customer_care.escalated.v1"):
    """Somebody further up is to act, as the rulebook says (C-23, C-26)."""

    complaint_id: str
    level: Level
    rule: str
    step: Step | None = None
    due_at: AwareDatetime | None = None
    """The deadline that has passed; None for a complaint that is passed on at once."""
    next_at: AwareDatetime | None = None
    """When the next one is told, if the step is still not done."""


class NotificationSent(Event, type="customer_care.notification_sent.v1"):
    """A message about an escalation was accepted by its channel."""

    complaint_id: str
    escalation: str
    """The id of the event it is about."""
    level: Level
    channel: str


class RulebookPublished(Event, type="customer_care.rulebook_published.v1"):
    """The site has a new version of the rules for complaints (X-14)."""

    rulebook: Rulebook


class CalendarPublished(Event, type="customer_care.calendar_published.v1"):
    """The site has a new version of its working hours (K-05)."""

    calendar: Calendar


class ComplaintTakenOver(Event, type="customer_care.complaint_taken_over.v1"):
    """A complaint began in another system, whose history of it follows (X-12).

    `state` is what that system calls it and `meaning` what it is here; without one, nobody has said.
    """

    complaint_id: str
    origin: str
    state: str | None = None
    meaning: Meaning | None = None
    team: str | None = None
    line: str | None = None
    product: str | None = None
    model_year: int | None = None
    country: str | None = None
    impact: str | None = None
    components: tuple[str, ...] = ()
    customer: str | None = None
    narrative: Sealed | None = None


class ForeignStateRecorded(Event, type="customer_care.foreign_state_recorded.v1"):
    """The other system moved the complaint on: into this state, to this team (X-12)."""

    complaint_id: str
    state: str
    meaning: Meaning | None = None
    team: str | None = None
    line: str | None = None


class SubjectErased(Event, type="customer_care.subject_erased.v1"):
    """A person asked to be forgotten: their key is destroyed, their values can never be read again."""

    customer: str

"""What customer care does whenever something was reported."""

import hashlib
from dataclasses import replace

from access.keyring import Keyring
from eventlog.policies import Policies, caused_by
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.customer_care import ComplaintRaised, SatisfactionCallMade, SubjectErased
from services.customer_care.commands import RaiseComplaint
from services.customer_care.complaint import complaint_decider, complaint_stream
from services.customer_care.published_rules import rules_of


def policies(care: EventStore, keyring: Keyring) -> Policies:
    policies = Policies("customer-care", care)

    @policies.whenever(SubjectErased)
    async def whenever_subject_erased_destroy_key(erased: SubjectErased, cause: Recorded) -> None:
        """From then on nobody can read the person's values, wherever they are kept."""
        await keyring.erase(erased.customer)

    @policies.whenever(SatisfactionCallMade)
    async def whenever_customer_objects_raise_again(call: SatisfactionCallMade, cause: Recorded) -> None:
        """Whoever does not accept the solution gets a new tracking form, linked to the old one (C-27)."""
        if call.outcome != "objecting":
            return
        history = [recorded.event for recorded in await care.stream(cause.stream)]
        first = history[0]
        if not isinstance(first, ComplaintRaised):
            return  # taken over from another system: it stands as objecting until care raises a new one
        decider = complaint_decider("policy", await rules_of(care, cause.metadata.site))
        objected = decider.fold(history)
        severities = sorted(objected.severities)
        again = RaiseComplaint(
            complaint_id=hashlib.sha256(cause.id.encode()).hexdigest()[:20],
            at=cause.occurred_at,
            visit_id=first.visit_id,
            work_order_id=first.work_order_id,
            vin=first.vin,
            channel="follow_up_call",
            subject=objected.subject,
            severity=severities[-1],
            further_severities=tuple(severities[:-1]) or None,
            customer=first.customer,
            customer_name=first.customer_name,
            phone=first.phone,
            narrative=call.opinion or first.narrative,
            follows=call.complaint_id,
        )
        metadata = caused_by(cause, whenever_customer_objects_raise_again.__name__)
        await care.handle(
            decider,
            complaint_stream(again.complaint_id),
            again,
            replace(metadata, correlation_id=again.complaint_id, occurred_at=again.at),
            new=True,
        )

    return policies

"""A complaint: raised by a customer, answered, resolved."""

from dataclasses import dataclass, replace

from eventlog.decider import Decider, Rejected
from events import Event
from events.customer_care import ComplaintRaised, ComplaintResolved, CustomerContacted, Resolution
from services.customer_care.commands import Command, ContactCustomer, RaiseComplaint, ResolveComplaint


@dataclass(frozen=True, slots=True)
class Complaint:
    raised: bool = False
    reached: bool = False
    resolution: Resolution | None = None


def decide(command: Command, complaint: Complaint) -> list[Event]:
    if isinstance(command, RaiseComplaint):
        return [] if complaint.raised else [ComplaintRaised(**command.model_dump())]
    if not complaint.raised:
        raise Rejected("the complaint has not been raised")
    match command:
        case ContactCustomer():
            if complaint.resolution:
                raise Rejected("the complaint is already resolved")
            return [CustomerContacted(**command.model_dump())]
        case ResolveComplaint(resolution=resolution):
            if complaint.resolution == resolution:
                return []
            if complaint.resolution:
                raise Rejected(f"the complaint was already resolved: {complaint.resolution}")
            if not complaint.reached and resolution != "withdrawn":
                raise Rejected("the customer has not been reached yet")
            return [ComplaintResolved(**command.model_dump())]


def evolve(complaint: Complaint, event: Event) -> Complaint:
    match event:
        case ComplaintRaised():
            return replace(complaint, raised=True)
        case CustomerContacted(outcome="reached"):
            return replace(complaint, reached=True)
        case ComplaintResolved(resolution=resolution):
            return replace(complaint, resolution=resolution)
    return complaint


COMPLAINT = Decider(initial=Complaint(), decide=decide, evolve=evolve)


def complaint_stream(complaint_id: str) -> str:
    return f"complaint-{complaint_id}"

"""What customer care does for people who are dissatisfied, or who want to be forgotten."""

from typing import Annotated

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from access.keyring import Keyring
from access.problems import missing
from access.roles import Action
from eventlog.store import EventStore
from events.customer_care import Channel, ComplaintRaised, Outcome, Resolution, Severity, Subject
from services.commands_over_http import Body, Caller, CommandRouter, Phone, answer, commanding
from services.customer_care.commands import (
    Command,
    ContactCustomer,
    EraseSubject,
    RaiseComplaint,
    ResolveComplaint,
)
from services.customer_care.complaint import COMPLAINT, complaint_stream
from services.customer_care.data_subject import DATA_SUBJECT, subject_stream
from services.personal_data import seal

ComplaintId = Annotated[str, Path(pattern="^[0-9A-Za-z._-]{1,100}$")]
Reference = Annotated[str, Field(pattern="^[0-9a-f]{20}$")]


class Raise(Body):
    channel: Channel
    subject: Subject
    severity: Severity
    customer_name: Annotated[str, Field(min_length=1, max_length=200)]
    phone: Phone
    narrative: Annotated[str, Field(min_length=1, max_length=20_000)]
    visit_id: Reference | None = None
    work_order_id: Reference | None = None


class Contact(Body):
    channel: Channel = "phone"
    outcome: Outcome


class Resolve(Body):
    resolution: Resolution


def api(care: EventStore, keyring: Keyring) -> CommandRouter:
    router = CommandRouter(prefix="/v1")

    @router.command("/complaints", tags=["complaints"])
    async def raise_complaint(
        body: Raise, caller: Annotated[Caller, commanding(Action.COMPLAINT_RAISE)]
    ) -> Response:
        """A customer is dissatisfied; name, phone and narrative are sealed before they are stored."""
        complaint_id = caller.new_id()
        clear = body.model_dump(include={"customer_name", "phone", "narrative"})
        customer, sealed = await seal(keyring, ComplaintRaised, body.phone, clear)
        command = RaiseComplaint(
            complaint_id=complaint_id,
            customer=customer,
            customer_name=sealed["customer_name"],
            phone=sealed["phone"],
            narrative=sealed["narrative"],
            channel=body.channel,
            subject=body.subject,
            severity=body.severity,
            visit_id=body.visit_id,
            work_order_id=body.work_order_id,
        )
        handled = await care.handle(
            COMPLAINT,
            complaint_stream(complaint_id),
            command,
            caller.metadata(complaint_id, body),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(care.source, complaint_id, handled)

    @router.command("/complaints/{complaint_id}/contact", tags=["complaints"])
    async def contact(
        complaint_id: ComplaintId,
        body: Contact,
        caller: Annotated[Caller, commanding(Action.COMPLAINT_CONTACT)],
    ) -> Response:
        """Someone tried to reach the customer; attempts that failed count too."""
        command = ContactCustomer(complaint_id=complaint_id, channel=body.channel, outcome=body.outcome)
        return await give(complaint_id, command, body, caller)

    @router.command("/complaints/{complaint_id}/resolve", tags=["complaints"])
    async def resolve(
        complaint_id: ComplaintId,
        body: Resolve,
        caller: Annotated[Caller, commanding(Action.COMPLAINT_RESOLVE)],
    ) -> Response:
        """Agreement was reached."""
        return await give(
            complaint_id,
            ResolveComplaint(complaint_id=complaint_id, resolution=body.resolution),
            body,
            caller,
        )

    @router.command("/subjects/{customer}/erase", tags=["data subjects"])
    async def erase(
        customer: Annotated[str, Path(pattern="^c-[0-9a-f-]{8,60}$")],
        body: Body,
        caller: Annotated[Caller, commanding(Action.SUBJECT_ERASE)],
    ) -> Response:
        """A person asked to be forgotten, group-wide: their key is destroyed, nothing is rewritten."""
        if not await keyring.knows(customer):
            raise missing()
        handled = await care.handle(
            DATA_SUBJECT,
            subject_stream(customer),
            EraseSubject(customer=customer),
            caller.metadata(customer, body),
            new=True,
            expected_version=caller.expected_version,
        )
        return answer(care.source, customer, handled)

    async def give(complaint_id: str, command: Command, body: Body, caller: Caller) -> Response:
        handled = await care.handle(
            COMPLAINT,
            complaint_stream(complaint_id),
            command,
            caller.metadata(complaint_id, body),
            expected_version=caller.expected_version,
        )
        return answer(care.source, complaint_id, handled)

    return router

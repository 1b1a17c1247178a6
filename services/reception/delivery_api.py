"""What the advisor does from the last check to the customer's keys."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from access.roles import Action
from eventlog.store import EventStore
from services.commands_over_http import Body, CommandRouter, Time
from services.reception import commands as do
from services.reception.steps import Step, add_steps

Sentence = Annotated[str, Field(min_length=1, max_length=500)]
Mileage = Annotated[int, Field(ge=0, le=3_000_000, strict=True)]
Confirmed = Annotated[bool, Field(strict=True)]


def _sensible(day: date) -> date:
    if not 2000 <= day.year < 2100:
        raise ValueError("the year must be one between 2000 and 2099")
    return day


Day = Annotated[date, AfterValidator(_sensible)]


class Check(Body):
    fault_gone: Confirmed
    old_parts_there: Confirmed
    clean_inside: Confirmed
    clean_outside: Confirmed
    nothing_left_behind: Confirmed
    """No rags, tools, nuts or bolts."""
    test_driven: Confirmed = False


class SendBack(Body):
    cause: Sentence


class Agree(Body):
    deliver_at: Time
    channel: do.StaffChannel = "phone"


class Inspect(Body):
    old_parts_shown: Confirmed
    spare_wheel_and_tools: Confirmed
    cleanliness_shown: Confirmed
    advice: Sentence | None = None


class NextService(Body):
    due_on: Day
    due_km: Mileage


class FollowUp(Body):
    call_from: Time
    call_until: Time


class Offer(Body):
    accepted: Confirmed


class Deliver(Body):
    mileage_km: Mileage | None = None


STEPS = (
    Step(
        "delivery-check",
        Action.VISIT_DELIVER,
        Check,
        do.PassDeliveryCheck,
        "The advisor's own check: every item is confirmed, or it has not passed (R-70, W-18).",
    ),
    Step(
        "delivery-check/send-back",
        Action.VISIT_DELIVER,
        SendBack,
        do.FailDeliveryCheck,
        "The vehicle goes back to the workshop; a gate pass that was released is revoked (W-15).",
    ),
    Step(
        "delivery",
        Action.VISIT_DELIVER,
        Agree,
        do.AgreeDelivery,
        "When the customer comes; a major repair or an accident car not at peak time (R-71, R-72).",
    ),
    Step(
        "joint-inspection",
        Action.VISIT_DELIVER,
        Inspect,
        do.HoldJointInspection,
        "The vehicle is looked at with the customer: old parts, spare wheel and tools (R-73).",
    ),
    Step(
        "protective-set/remove",
        Action.VISIT_DELIVER,
        Body,
        do.RemoveProtectiveSet,
        "In front of the customer, into the recycling box (R-75).",
    ),
    Step(
        "next-service",
        Action.VISIT_DELIVER,
        NextService,
        do.SetNextService,
        "When the vehicle is due again; printed on the settlement (R-73, R-77).",
    ),
    Step(
        "follow-up",
        Action.VISIT_DELIVER,
        FollowUp,
        do.AgreeFollowUp,
        "When the customer likes to be called about the quality (R-74, R-78, K-01).",
    ),
    Step(
        "next-appointment",
        Action.VISIT_DELIVER,
        Offer,
        do.OfferNewAppointment,
        "A new appointment was offered (R-83, R-84).",
    ),
    Step(
        "deliver",
        Action.VISIT_DELIVER,
        Deliver,
        do.DeliverVehicle,
        "The customer has the vehicle back; takes a released gate pass that holds (R-82).",
    ),
)


def delivery_api(reception: EventStore) -> CommandRouter:
    router = CommandRouter(prefix="/v1/visits/{visit_id}", tags=["delivery"])
    add_steps(router, reception, STEPS)
    return router

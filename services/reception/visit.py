"""A visit: the customer hands over a vehicle, answers for its repairs, pays and takes it home.

One stream and one decision for all of it, so that nothing is started, paid or handed over on half of the
facts; each part of it is a module.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

from eventlog.decider import Decider, Rejected
from events import Event
from events.reception import MileageCorrected, VehicleReceived
from events.shop_rules import ReceptionRules
from services.reception import added_repairs, delivery, gate_pass, intake, quote, settlement
from services.reception.added_repairs import AddedRepairs
from services.reception.commands import (
    AddedRepairCommand,
    Command,
    CorrectMileage,
    DeliveryCommand,
    GatePassCommand,
    IntakeCommand,
    QuoteCommand,
    ReceiveVehicle,
    SettlementCommand,
)
from services.reception.delivery import Delivery
from services.reception.gate_pass import GatePass
from services.reception.intake import Intake
from services.reception.quote import Quote
from services.reception.settlement import Settlement


@dataclass(frozen=True, slots=True)
class Visit:
    id: str = ""
    work_order_id: str = ""
    vin: str = ""
    mileage_km: int = 0
    intake: Intake = field(default=Intake())
    quote: Quote = field(default=Quote())
    added: AddedRepairs = field(default=AddedRepairs())
    delivery: Delivery = field(default=Delivery())
    settlement: Settlement = field(default=Settlement())
    gate_pass: GatePass = field(default=GatePass())


def decide(command: Command, visit: Visit, by: str, rules: Sequence[ReceptionRules]) -> list[Event]:
    """`by` is who gives the command, `rules` are all versions of the site's."""
    if isinstance(command, ReceiveVehicle):
        return _receive(command, visit)
    if not visit.id:
        raise Rejected("the vehicle has not been received")
    if isinstance(command, CorrectMileage):
        return _correct_mileage(command, visit)
    if isinstance(command, get_args(IntakeCommand)):
        return intake.decide(command, visit)
    if isinstance(command, get_args(QuoteCommand)):
        return quote.decide(command, visit, rules)
    if isinstance(command, get_args(AddedRepairCommand)):
        return added_repairs.decide(command, visit)
    if isinstance(command, get_args(DeliveryCommand)):
        return delivery.decide(command, visit, rules)
    if isinstance(command, get_args(SettlementCommand)):
        return settlement.decide(command, visit, rules)
    if isinstance(command, get_args(GatePassCommand)):
        return gate_pass.decide(command, visit, rules)
    raise AssertionError(f"nobody decides about {command!r}")


def _receive(command: ReceiveVehicle, visit: Visit) -> list[Event]:
    if not visit.id:
        return [VehicleReceived(**_comparing(command))]
    if (command.vin, command.mileage_km) != (visit.vin, visit.mileage_km):
        raise Rejected("the vehicle of this appointment has been received already")
    return []


def _correct_mileage(command: CorrectMileage, visit: Visit) -> list[Event]:
    if command.mileage_km == visit.mileage_km:
        return []
    if visit.delivery.delivered:
        raise Rejected("the vehicle is back with its customer: nobody can compare the mileage any more")
    return [MileageCorrected(**_comparing(command), work_order_id=visit.work_order_id)]


def _comparing(command: ReceiveVehicle | CorrectMileage) -> dict[str, Any]:
    """What was said, when the mileage has grown or somebody knows why it has not (R-37). Raises Rejected."""
    said, before = command.model_dump(exclude={"earlier"}), command.earlier
    if before is None or command.mileage_km >= before.km:
        return said | {"mileage_less_because": None}
    if command.mileage_less_because is None:
        raise Rejected(
            f"the vehicle had {before.km} km on {before.on} already: read it again, or say why it shows less"
        )
    return said


def evolve(visit: Visit, event: Event) -> Visit:
    match event:
        case VehicleReceived():
            return replace(
                visit,
                id=event.visit_id,
                work_order_id=event.work_order_id,
                vin=event.vin,
                mileage_km=event.mileage_km,
                intake=intake.evolve(visit.intake, event),
            )
        case MileageCorrected(mileage_km=mileage_km):
            return replace(visit, mileage_km=mileage_km)
    return replace(
        visit,
        intake=intake.evolve(visit.intake, event),
        quote=quote.evolve(visit.quote, event),
        added=added_repairs.evolve(visit.added, event),
        delivery=delivery.evolve(visit.delivery, event),
        settlement=settlement.evolve(visit.settlement, event),
        gate_pass=gate_pass.evolve(visit.gate_pass, event),
    )


def visit_decider(by: str, rules: Sequence[ReceptionRules]) -> Decider[Visit, Command]:
    """Decides for whoever gives the command, by the rules of the site."""
    return Decider(Visit(), partial(decide, by=by, rules=rules), evolve)


def visit_stream(visit_id: str) -> str:
    return f"visit-{visit_id}"

"""Delivery: the vehicle is ready, is checked once more, and goes back to its customer."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventlog.decider import Rejected
from events import Event
from events.reception import VehicleDelivered, VehicleReadied
from services.reception.commands import DeliverVehicle, DeliveryCommand, ReadyVehicle

if TYPE_CHECKING:
    from services.reception.visit import Visit


@dataclass(frozen=True, slots=True)
class Delivery:
    readied: bool = False
    delivered: bool = False


def decide(command: DeliveryCommand, visit: "Visit") -> list[Event]:
    match command:
        case ReadyVehicle(visit_id=visit_id):
            if visit.delivery.readied:
                return []
            return [VehicleReadied(visit_id=visit_id, work_order_id=visit.work_order_id)]
        case DeliverVehicle():
            if visit.delivery.delivered:
                return []
            if not visit.delivery.readied:
                raise Rejected("the vehicle has not passed its quality check yet")
            if command.mileage_km is not None and command.mileage_km < visit.mileage_km:
                raise Rejected(f"{command.mileage_km} km is less than the {visit.mileage_km} km at reception")
            return [VehicleDelivered(**command.model_dump(), work_order_id=visit.work_order_id)]


def evolve(delivery: Delivery, event: Event) -> Delivery:
    match event:
        case VehicleReadied():
            return replace(delivery, readied=True)
        case VehicleDelivered():
            return replace(delivery, delivered=True)
    return delivery

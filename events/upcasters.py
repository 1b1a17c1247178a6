"""How older stored forms read today: one function per step, applied on every read path.

A stored event is never rewritten. When the meaning of an event changes, its class gets the next version and
the step from the previous one is added here; `tests/events/samples` keeps a stored form of every version.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]


def vehicle_received_v1_to_v2(data: Data) -> Data:
    """v1 had one free symptom text and a mileage without a unit."""
    data = dict(data)
    symptom = data.pop("symptom", "")
    return data | {"mileage_km": data.pop("mileage"), "symptoms": [symptom] if symptom else []}


UPCASTERS: dict[str, tuple[str, Callable[[Data], Data]]] = {
    "reception.vehicle_received.v1": ("reception.vehicle_received.v2", vehicle_received_v1_to_v2),
}

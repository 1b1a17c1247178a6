"""The published language: every fact the services may record.

An event class here is the stored form, the wire form and the projection input.
"""

from events import customer_care, policies, reception, workshop
from events.event import Event, Sealed, UnknownEventType, event_classes, load, upcast

__all__ = [
    "Event",
    "Sealed",
    "UnknownEventType",
    "customer_care",
    "event_classes",
    "load",
    "policies",
    "reception",
    "upcast",
    "workshop",
]

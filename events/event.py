"""Base class of all events, and the one lookup from a stored type name to an event."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from events.upcasters import UPCASTERS

_classes: dict[str, type["Event"]] = {}


class UnknownEventType(LookupError):
    """No class here knows this type: written by a newer release, or by a stranger."""


class Sealed(BaseModel):
    """A personal value under its subject's own key: ciphertext everywhere but at the read edge."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: str
    """Whose value it is: the id of the data subject, whose key an erasure destroys."""
    context: str
    """``<event>.<field>``; part of the authenticated data, so that a value cannot pose as another."""
    box: str
    """base64 of nonce and AES-256-GCM ciphertext."""


class Event(BaseModel):
    """A fact. Frozen; unknown fields are ignored so that readers can lag behind writers."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: ClassVar[str]

    def __init_subclass__(cls, *, type: str) -> None:
        super().__init_subclass__()
        if type in _classes:
            raise TypeError(f"{type} is declared twice")
        cls.type = type
        _classes[type] = cls


def event_classes() -> dict[str, type[Event]]:
    """Every event this release can write, by type name."""
    return dict(_classes)


def upcast(type: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A stored form in the terms of today, step by step."""
    while type in UPCASTERS:
        type, step = UPCASTERS[type]
        data = step(data)
    return type, data


def load(type: str, data: dict[str, Any]) -> Event:
    """The event a stored form means today: upcast, then validated.

    Raises UnknownEventType for a type this release does not know, pydantic.ValidationError for data
    that does not fit its type.
    """
    type, data = upcast(type, data)
    try:
        event_class = _classes[type]
    except KeyError:
        raise UnknownEventType(type) from None
    return event_class.model_validate(data)

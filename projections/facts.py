"""Facts as the views read them: a stored event in today's form, its values ready to stand in a document.

The types are derived from the event classes. Their decoder is fast and strict; whatever it refuses is read
the careful way, upcast step by step and validated by the event class, which alone decides what is unreadable.
"""

import builtins
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, TypedDict, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec.json import Decoder
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from eventlog.recorded import Recorded, decode, to_text
from events import Event, Sealed, event_classes
from events.upcasters import UPCASTERS

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What the careful way raises for a body that this release cannot read."""


_FORM = "0000-00-00T00:00:00.000000+00:00"
_DIGITS = str.maketrans("123456789", "000000000")
T = TypeVar("T")
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Fact(msgspec.Struct, tag_field="type", kw_only=True, gc=False):
    """An event with where, when, by whom and why it was recorded. Times are texts in UTC, all of one form."""

    event: ClassVar[type[Event]]

    stream: str
    version: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    data: Any
    """The fields of the event by their names, as JSON has them; times as texts."""
    site: str
    actor: str
    role: str
    occurred_at: str
    recorded_at: str
    correlation_id: str
    causation_id: str | None
    command_id: str
    fingerprint: str | None
    traceparent: str | None

    @property
    def id(self) -> str:
        return f"{self.stream}@{self.version}"


class Ignored(msgspec.Struct, tag_field="type", gc=False):
    """An event of a known type that does not concern the view; its contents are nobody's concern."""


def _in_one_form(read: Iterable[Fact | Ignored]) -> bool:
    """Whether all times of these are, looked at together."""
    facts = [each for each in read if isinstance(each, Fact)]
    times = [each.recorded_at for each in facts]
    times += [each.occurred_at for each in facts if each.occurred_at != each.recorded_at]
    if "\n".join(times).translate(_DIGITS) != "\n".join([_FORM] * len(times)):
        return False
    with suppress(ValueError):  # refuses the thirtieth of February
        deque(map(datetime.fromisoformat, times), maxlen=0)
        return True
    return False


def values(data: Any) -> dict[str, Any]:
    """The fields of an event that have a value."""
    found = msgspec.structs.asdict(data)
    return {name: value for name, value in found.items() if value is not None}


def fact(recorded: Recorded) -> Fact:
    """A recorded event as views read it."""
    kind, m = _kind(type(recorded.event)), recorded.metadata
    return kind(
        stream=recorded.stream,
        version=recorded.version,
        data=_data(type(recorded.event))(**recorded.event.model_dump(mode="json")),
        site=m.site,
        actor=m.actor,
        role=m.role,
        occurred_at=to_text(recorded.occurred_at),
        recorded_at=to_text(recorded.recorded_at),
        correlation_id=m.correlation_id,
        causation_id=m.causation_id,
        command_id=m.command_id,
        fingerprint=m.fingerprint,
        traceparent=m.traceparent,
    )


class Reader:
    """Reads stored events for a view that handles some types; older versions of these are upcast."""

    def __init__(self, handled: Iterable[type[Event]], key: str) -> None:
        self._key = key
        today, handled = event_classes(), frozenset(handled)
        known = [*today, *UPCASTERS]
        kinds: list[Any] = [_kind(event) for event in handled]
        kinds += [_ignored(type) for type in known if today[_today(type)] not in handled]
        self._facts: Decoder[Fact | Ignored] = Decoder(Union[tuple(kinds)])  # noqa: UP007
        self._keys = Decoder(_key_alone(key))
        self._as_stored = frozenset(event.type for event in handled)

    def read(self, body: bytes | str) -> Fact | Ignored | None:
        """None for what this release cannot read: an unknown type, or contents that do not fit the type."""
        with suppress(*_REFUSED):
            found = self._facts.decode(body)
            if _in_one_form([found]):
                return found
        try:
            return fact(decode(body))
        except UNREADABLE:
            return None

    def read_all(self, bodies: Sequence[bytes]) -> Sequence[Fact | Ignored | None]:
        """The same for many."""
        read = _of_each_line(self._facts, bodies)
        return read if read is not None and _in_one_form(read) else list(map(self.read, bodies))

    def keys(self, bodies: Sequence[bytes]) -> Sequence[str | None]:
        """Which document each event belongs to, whether or not the rest of it can be read; None for none."""
        alone = _of_each_line(self._keys, bodies)
        if alone is None:
            return list(map(self._key_of_read, bodies))
        return [
            each.data.key if each.type in self._as_stored else self._key_of_read(body)
            for each, body in zip(alone, bodies, strict=True)
        ]

    def _key_of_read(self, body: bytes) -> str | None:
        with suppress(*_REFUSED):
            alone = self._keys.decode(body)
            if alone.type in self._as_stored:
                found: str | None = alone.data.key
                return found
        return getattr(getattr(self.read(body), "data", None), self._key, None)


def _of_each_line(decoder: Decoder[T], bodies: Sequence[bytes]) -> Sequence[T] | None:
    """None if any is refused, or is not one line."""
    with suppress(*_REFUSED):
        decoded = decoder.decode_lines(b"\n".join(bodies))
        if len(decoded) == len(bodies):
            return decoded
    return None


def _today(type: str) -> str:
    while type in UPCASTERS:
        type, _ = UPCASTERS[type]
    return type


@cache
def _kind(event: type[Event]) -> type[Fact]:
    kind: Any = msgspec.defstruct(
        event.__name__,
        [("data", _data(event))],
        bases=(Fact,),
        namespace={"event": event},
        tag=event.type,
        kw_only=True,
        gc=False,
    )
    return cast(type[Fact], kind)


@cache
def _ignored(type: str) -> type[Ignored]:
    return cast("builtins.type[Ignored]", msgspec.defstruct("Ignored", [], bases=(Ignored,), tag=type))


def _key_alone(key: str) -> Any:
    data = msgspec.defstruct("Data", [("key", str | None, None)], rename={"key": key}, gc=False)
    return msgspec.defstruct("Key", [("type", str), ("data", data)], gc=False)


@cache
def _data(event: type[Event]) -> type[msgspec.Struct]:
    times = {
        name: _TIMES[kind]
        for name, field in event.model_fields.items()
        for kind in _TIMES
        if kind in _parts(field.annotation)
    }

    def in_one_form(self: msgspec.Struct) -> None:
        for name, time in times.items():
            if (at := getattr(self, name)) is not None:
                setattr(self, name, to_text(time.validate_python(at)))

    fields: list[Any] = []
    for name, field in event.model_fields.items():
        wanted = _strict(field.annotation)
        if field.is_required():
            fields.append((name, wanted))
        elif isinstance(field.default, tuple):
            fields.append((name, wanted, list(field.default)))
        else:
            fields.append((name, wanted, field.default))
    namespace = {"__post_init__": in_one_form} if times else {}
    return msgspec.defstruct(f"{event.__name__}Data", fields, namespace=namespace, kw_only=True, gc=False)


_TIMES: dict[Any, TypeAdapter[datetime]] = {
    datetime: TypeAdapter(datetime),
    AwareDatetime: TypeAdapter(AwareDatetime),
}
_INT = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_CAREFULLY = Annotated[int, msgspec.Meta(ge=1, le=0)]
"""Never fits: data with rules of their own are read by the event class."""
_SEALED = TypedDict("_SEALED", dict.fromkeys(Sealed.model_fields, str))  # type: ignore[misc]


def _parts(annotation: Any) -> tuple[Any, ...]:
    """What a value of this type may be; the members of a tuple are none of it."""
    return (annotation,) if get_origin(annotation) is tuple else get_args(annotation) or (annotation,)


def _strict(annotation: Any) -> Any:
    """The JSON of a field's type. TypeError for a type that no event had so far: add it here."""
    plain = {str: str, bool: bool, NoneType: None, int: _INT, Sealed: _SEALED, **dict.fromkeys(_TIMES, str)}
    if annotation in plain:
        return plain[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _CAREFULLY
    if annotation in (date, Decimal) or (origin is tuple and arguments[0] in _TIMES):
        return _CAREFULLY
    if origin is tuple and arguments[1:] == (...,):
        return list[_strict(arguments[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[_strict(arguments[0]), _strict(arguments[1])]  # type: ignore[misc]
    if NoneType in arguments:
        return Union[tuple(_strict(each) for each in arguments)]  # noqa: UP007
    raise TypeError(f"{annotation} has no strict form")

"""An event together with where, when, by whom and why it was recorded.

Its JSON is made canonical once (sorted keys, no spaces, UTF-8) when it is appended; those bytes are stored,
published, kept in the ledger and hashed as they are.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from events import Event, load

UNSTAMPED = datetime.min.replace(tzinfo=UTC)
"""The recording time of an event that the database's clock has yet to stamp."""
STAMP_HERE = "\x01"
"""Where the stamp goes in the bytes of such an event; JSON never holds a bare control character."""
_STAMP = orjson.Fragment(f'"{STAMP_HERE}"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Who gave a command, where and why. `occurred_at` is when the fact happened, if not just now."""

    site: str
    actor: str
    role: str
    correlation_id: str
    command_id: str
    causation_id: str | None = None
    fingerprint: str | None = None
    occurred_at: datetime | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    stream: str
    version: int
    event: Event
    recorded_at: datetime
    metadata: Metadata

    @property
    def id(self) -> str:
        return f"{self.stream}@{self.version}"

    @property
    def occurred_at(self) -> datetime:
        return self.metadata.occurred_at or self.recorded_at

    # The two names eventsourcing asks of anything it stores.
    @property
    def originator_id(self) -> str:
        return self.stream

    @property
    def originator_version(self) -> int:
        return self.version


def encode(recorded: Recorded) -> bytes:
    """The canonical bytes of an event; of an unstamped one, with STAMP_HERE in them."""
    m = recorded.metadata
    return canonical(
        {
            "type": recorded.event.type,
            "stream": recorded.stream,
            "version": recorded.version,
            "data": recorded.event.model_dump(mode="json", exclude_none=True),
            "site": m.site,
            "actor": m.actor,
            "role": m.role,
            "occurred_at": _moment(recorded.occurred_at),
            "recorded_at": _moment(recorded.recorded_at),
            "correlation_id": m.correlation_id,
            "causation_id": m.causation_id,
            "command_id": m.command_id,
            "fingerprint": m.fingerprint,
            "traceparent": m.traceparent,
        }
    )


def _moment(at: datetime) -> str | orjson.Fragment:
    return _STAMP if at is UNSTAMPED else to_text(at)


def decode(body: bytes | str) -> Recorded:
    """The event these bytes mean today (older versions are upcast).

    Raises UnknownEventType for types of a newer release, ValueError or KeyError for what is no event.
    """
    return from_json(orjson.loads(body))


def from_json(stored: dict[str, Any]) -> Recorded:
    return Recorded(
        stream=stored["stream"],
        version=stored["version"],
        event=load(stored["type"], stored["data"]),
        recorded_at=datetime.fromisoformat(stored["recorded_at"]),
        metadata=Metadata(
            site=stored["site"],
            actor=stored["actor"],
            role=stored["role"],
            correlation_id=stored["correlation_id"],
            command_id=stored["command_id"],
            causation_id=stored["causation_id"],
            fingerprint=stored["fingerprint"],
            occurred_at=datetime.fromisoformat(stored["occurred_at"]),
            traceparent=stored["traceparent"],
        ),
    )


def canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def event_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def to_text(at: datetime) -> str:
    text = orjson.dumps(at.astimezone(UTC)).decode()[1:-1]  # several times faster than isoformat
    return text if at.microsecond else f"{text[:19]}.000000{text[19:]}"

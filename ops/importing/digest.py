"""One figure for a history, to compare what was taken over from two files or by two installations."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from eventlog.recorded import Recorded, canonical, to_text
from events import Event


def log_digest(streams: Mapping[str, str]) -> str:
    """Of stream names and their digests, in whichever order: the same facts give the same one, whatever file
    they came from and whenever they were recorded."""
    return hashlib.sha256(canonical(streams)).hexdigest()


def stream_digest(history: Iterable[Recorded]) -> str:
    """Of the facts and when they happened. A sealed value, which is sealed differently each time, counts by
    the event's keyed fingerprint."""
    facts = [
        (
            recorded.stream,
            recorded.version,
            recorded.event.type,
            clear_data(recorded.event),
            to_text(recorded.occurred_at),
            recorded.metadata.fingerprint,
        )
        for recorded in history
    ]
    return hashlib.sha256(canonical(facts)).hexdigest()


def clear_data(event: Event) -> dict[str, Any]:
    """What an event says without its sealed values, and without whose they are."""
    data = event.model_dump(mode="json", exclude_none=True)
    sealed = {name for name, value in data.items() if isinstance(value, dict) and "box" in value}
    return {name: data[name] for name in data.keys() - sealed - ({"customer"} if sealed else set())}

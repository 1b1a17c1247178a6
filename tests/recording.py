"""Facts as the services record them."""

from datetime import UTC, datetime, timedelta

from eventlog.recorded import Metadata, Recorded
from events import Event

OPENING = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)


def recorded(event: Event, minute: int, site: str = "sh01") -> Recorded:
    """An event recorded so many minutes after opening; the minute also is its version in its stream."""
    id = next(iter(event.model_dump().values()))
    at = OPENING + timedelta(minutes=minute)
    metadata = Metadata(
        site=site,
        actor="wang.lei",
        role="advisor",
        correlation_id=id,
        command_id=f"wang.lei/{minute}",
        occurred_at=at,
    )
    stream = f"{event.type.split('.')[0]}-{id}"
    return Recorded(stream=stream, version=minute, event=event, recorded_at=at, metadata=metadata)

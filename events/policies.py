"""What happens to a message that a policy could not handle."""

from events.event import Event


class MessageParked(Event, type="policies.message_parked.v1"):
    """A policy gave up on a message; the messages behind it went on."""

    parked_id: str
    service: str
    policy: str
    subject: str
    headers: dict[str, str]
    body: str
    """base64 of the message as it came; of an oversized one only the first part (see `truncated`)."""
    truncated: bool
    reason: str
    attempts: int


class MessageRetried(Event, type="policies.message_retried.v1"):
    """An operator handed the message to its policy once more."""

    parked_id: str
    handled: bool
    reason: str | None = None


class MessageDiscarded(Event, type="policies.message_discarded.v1"):
    """An operator decided that the message needs no handling."""

    parked_id: str
    reason: str

"""What is typed about people while a vehicle is here: sealed under the key of the visit's customer."""

from typing import Any

from access.keyring import Erased, Keyring
from access.problems import Problem
from eventlog.store import EventStore, UnknownStream
from events import Event
from events.reception import VehicleReceived
from services.reception.visit import visit_stream


async def sealed_for(
    reception: EventStore,
    keyring: Keyring,
    visit_id: str,
    site: str,
    event: type[Event],
    **texts: str | None,
) -> dict[str, Any]:
    """The texts that are there, for these fields of the event. Raises UnknownStream, and the problem of a
    customer who was erased."""
    context = event.type.rpartition(".")[0]
    personal = {f"{context}.{name}": text for name, text in texts.items() if text is not None}
    if not personal:
        return {}
    stream = visit_stream(visit_id)
    history = await reception.stream(stream)
    if not history or history[0].metadata.site != site:
        raise UnknownStream(stream)
    received = history[0].event
    assert isinstance(received, VehicleReceived)
    try:
        sealed = await keyring.seal_many(received.customer, personal)
    except Erased:
        raise Problem(
            409, "This customer's data were erased; nothing more can be noted about them."
        ) from None
    return {name.rpartition(".")[2]: value for name, value in sealed.items()}

"""Messages that a policy could not handle, and what an operator decided about them."""

from eventlog.recorded import Recorded, to_text
from events.policies import MessageDiscarded, MessageParked, MessageRetried
from projections.projection import Document, Projection


def evolve(parked: Document | None, recorded: Recorded) -> Document:
    event, at = recorded.event, to_text(recorded.occurred_at)
    parked = {**(parked or {"status": "parked", "retries": 0}), "last_at": at}
    match event:
        case MessageParked():
            parked |= event.model_dump(mode="json") | {"parked_at": at, "site": recorded.metadata.site}
        case MessageRetried(handled=handled, reason=reason):
            parked |= {"retries": parked["retries"] + 1}
            parked |= {"status": "handled"} if handled else {"reason": reason}
        case MessageDiscarded(reason=reason):
            parked |= {"status": "discarded", "discarded_because": reason}
    return parked


PARKED_MESSAGES = Projection(
    name="parked_messages",
    version=1,
    handles=(MessageParked, MessageRetried, MessageDiscarded),
    key=lambda recorded: getattr(recorded.event, "parked_id", None),
    evolve=evolve,
    columns={"waiting": ("boolean", lambda parked: parked["status"] == "parked")},
)

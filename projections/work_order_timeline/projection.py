"""The timeline of a work order: every fact about the visit and the repairs, from whichever service."""

from eventlog.recorded import Recorded
from projections.projection import Document, Projection
from projections.timeline import entry
from projections.work_order_board.projection import WORK_ORDER_BOARD


def evolve(timeline: Document | None, recorded: Recorded) -> Document:
    timeline = timeline or {
        "work_order_id": WORK_ORDER_BOARD.key(recorded),
        "site": recorded.metadata.site,
        "entries": [],
    }
    return {**timeline, "entries": [*timeline["entries"], entry(recorded)]}


WORK_ORDER_TIMELINE = Projection(
    name="work_order_timeline",
    version=1,
    handles=WORK_ORDER_BOARD.handles,
    key=WORK_ORDER_BOARD.key,
    evolve=evolve,
)

"""The timeline of a work order: every fact about the visit and the repairs, from whichever service."""

from projections.facts import Fact
from projections.projection import Document, Projection
from projections.work_order_board.projection import WORK_ORDER_BOARD


def evolve(timeline: Document | None, fact: Fact) -> Document:
    return timeline or {"work_order_id": fact.data.work_order_id, "site": fact.site}


WORK_ORDER_TIMELINE = Projection(
    name="work_order_timeline",
    version=3,
    handles=WORK_ORDER_BOARD.handles,
    key=WORK_ORDER_BOARD.key,
    evolve=evolve,
)

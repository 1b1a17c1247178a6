"""The timeline of a work order: every fact about the visit and the repairs, from whichever service."""

from projections.facts import Fact
from projections.projection import Document, Projection
from projections.visit_file.projection import VISIT_FILE


def evolve(timeline: Document | None, fact: Fact) -> Document:
    return timeline or {"work_order_id": fact.data.work_order_id, "site": fact.site}


WORK_ORDER_TIMELINE = Projection(
    name="work_order_timeline",
    version=4,
    handles=VISIT_FILE.handles,
    key=VISIT_FILE.key,
    evolve=evolve,
    begins=VISIT_FILE.begins,
)

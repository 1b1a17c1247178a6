"""All views there are."""

from projections.appointment_book.projection import APPOINTMENT_BOOK
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.projection import Projection
from projections.visit_file.projection import VISIT_FILE
from projections.work_order_board.projection import WORK_ORDER_BOARD
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE

PROJECTIONS: tuple[Projection, ...] = (
    WORK_ORDER_BOARD,
    WORK_ORDER_TIMELINE,
    VISIT_FILE,
    APPOINTMENT_BOOK,
    COMPLAINT_TIMELINE,
    PARKED_MESSAGES,
)

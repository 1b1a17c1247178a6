"""Deciders by the shipped rules, for somebody who gives commands in tests."""

from services.reception.rules import SHIPPED_RULES
from services.reception.visit import visit_decider
from services.workshop.rules import SHIPPED
from services.workshop.work_order import work_order_decider

VISIT = visit_decider("advisor-sh01", SHIPPED_RULES)
WORK_ORDER = work_order_decider(SHIPPED)

"""Deciders by the shipped rules, for somebody who gives commands in tests."""

from services.reception.rules import SHIPPED_RULES
from services.reception.visit import visit_decider

VISIT = visit_decider("advisor-sh01", SHIPPED_RULES)

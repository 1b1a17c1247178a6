"""Who works in a dealer group, and what each of them may do."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType

SITE = "[A-Za-z0-9_-]{1,40}"
"""The name of a site goes into the subjects of messages and, joined by commas, into the scope of a database
transaction."""


@unique
class Role(StrEnum):
    ADVISOR = "advisor"
    ASSISTANT = "assistant"
    WORKSHOP_SUPERVISOR = "workshop_supervisor"
    TECHNICIAN = "technician"
    INSPECTOR = "inspector"
    PARTS_CLERK = "parts_clerk"
    CASHIER = "cashier"
    CLAIMS_CLERK = "claims_clerk"
    CARE_AGENT = "care_agent"
    CARE_MANAGER = "care_manager"
    DEPARTMENT_MANAGER = "department_manager"
    GENERAL_MANAGER = "general_manager"
    REGION_AUDITOR = "region_auditor"
    GROUP_AUDITOR = "group_auditor"
    CUSTOMER = "customer"
    INTEGRATOR = "integrator"
    OPERATOR = "operator"


@unique
class Action(StrEnum):
    APPOINTMENT_BOOK = "appointment.book"
    """Booking, moving, cancelling, reminding."""
    APPOINTMENT_READ = "appointment.read"
    QUEUE_KEEP = "queue.keep"
    """Who arrived, who is received next."""
    VISIT_RECEIVE = "visit.receive"
    VISIT_INSPECT = "visit.inspect"
    """What is seen, found and signed when a vehicle comes."""
    VISIT_QUOTE = "visit.quote"
    """The work order with the customer: quote, signature, hand-over to the workshop, news of delays."""
    VISIT_CLAIM = "visit.claim"
    """Whether the maker pays."""
    VISIT_MANAGE = "visit.manage"
    """What takes a manager: being there for large sums, letting a vehicle go unpaid."""
    VISIT_ANSWER = "visit.answer"
    VISIT_DELIVER = "visit.deliver"
    """From the advisor's own check over the settlement to the customer's keys."""
    VISIT_CASH = "visit.cash"
    """Payments, and the gate pass that follows them."""
    GATE_PASS_USE = "gate_pass.use"
    WORK_ORDER_DISPATCH = "work_order.dispatch"
    WORK_ORDER_ADD_REPAIR = "work_order.add_repair"
    WORK_ORDER_COMPLETE = "work_order.complete"
    WORK_ORDER_INSPECT = "work_order.inspect"
    WORK_ORDER_REWORK = "work_order.rework"
    WORK_ORDER_WORK = "work_order.work"
    """What a team does: taking a vehicle over, starting and ending lines, saying what takes longer."""
    WORK_ORDER_RETURN = "work_order.return"
    """The director's: priorities, and the way back to the advisor."""
    WORK_ORDER_COST = "work_order.cost"
    """Who bears what a rework costs."""
    PARTS_PICK = "parts.pick"
    STAFF_LICENSE = "staff.license"
    SHOP_RULES_PUBLISH = "shop_rules.publish"
    """The shop's numbers and prices."""
    COMPLAINT_RAISE = "complaint.raise"
    COMPLAINT_CONTACT = "complaint.contact"
    COMPLAINT_RESOLVE = "complaint.resolve"
    COMPLAINT_FOLLOW = "complaint.follow"
    """What care does so that a complaint moves: hand it over, call back, archive …"""
    COMPLAINT_ANSWER = "complaint.answer"
    """What who is responsible does: cause, plan, telling the customer, result."""
    COMPLAINT_DECIDE = "complaint.decide"
    """Signing off, and deciding appeals."""
    COMPLAINT_BLAME = "complaint.blame"
    COMPLAINT_APPEAL = "complaint.appeal"
    RULES_PUBLISH = "rules.publish"
    BOARD_READ = "board.read"
    WORK_ORDER_READ = "work_order.read"
    VEHICLE_READ = "vehicle.read"
    COMPLAINT_READ = "complaint.read"
    LOG_READ = "log.read"
    STATUS_READ = "status.read"
    PARKED_READ = "parked.read"
    PARKED_DECIDE = "parked.decide"
    PERSONAL_DATA_SEE = "personal_data.see"
    """Shown without asking, because the work needs it: the plate on a board."""
    PERSONAL_DATA_REVEAL = "personal_data.reveal"
    """Shown on request and with a reason, and recorded: a name, a phone number."""
    SUBJECT_ERASE = "subject.erase"


_CARS = frozenset({Action.BOARD_READ, Action.WORK_ORDER_READ, Action.VEHICLE_READ})
_READS = _CARS | {Action.COMPLAINT_READ}
_PEOPLE = frozenset({Action.PERSONAL_DATA_SEE, Action.PERSONAL_DATA_REVEAL})
_DESK = frozenset(
    {
        Action.APPOINTMENT_BOOK,
        Action.APPOINTMENT_READ,
        Action.QUEUE_KEEP,
        Action.VISIT_RECEIVE,
        Action.VISIT_INSPECT,
    }
)
_RECEPTION = _DESK | {
    Action.VISIT_QUOTE,
    Action.VISIT_CLAIM,
    Action.VISIT_ANSWER,
    Action.VISIT_DELIVER,
}
_WORKSHOP = frozenset(
    {
        Action.WORK_ORDER_DISPATCH,
        Action.WORK_ORDER_ADD_REPAIR,
        Action.WORK_ORDER_COMPLETE,
        Action.WORK_ORDER_INSPECT,
        Action.WORK_ORDER_REWORK,
        Action.WORK_ORDER_WORK,
        Action.WORK_ORDER_RETURN,
        Action.WORK_ORDER_COST,
    }
)
_COMPLAINTS = frozenset(
    {
        Action.COMPLAINT_RAISE,
        Action.COMPLAINT_CONTACT,
        Action.COMPLAINT_ANSWER,
        Action.COMPLAINT_RESOLVE,
        Action.COMPLAINT_BLAME,
        Action.COMPLAINT_APPEAL,
    }
)
_CARE = frozenset(
    {Action.COMPLAINT_RAISE, Action.COMPLAINT_CONTACT, Action.COMPLAINT_FOLLOW, Action.COMPLAINT_APPEAL}
)

MAY: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        # An advisor leading a team dispatches, and hears of a complaint first.
        Role.ADVISOR: _RECEPTION
        | _READS
        | _PEOPLE
        | {
            Action.WORK_ORDER_DISPATCH,
            Action.WORK_ORDER_ADD_REPAIR,
            Action.COMPLAINT_RAISE,
            Action.COMPLAINT_APPEAL,
        },
        # An assistant also stands at the gate: no role of the house is there for that alone.
        Role.ASSISTANT: _CARS
        | _DESK
        | {
            Action.GATE_PASS_USE,
            Action.COMPLAINT_RAISE,
            Action.COMPLAINT_APPEAL,
            Action.PERSONAL_DATA_SEE,
        },
        # Whoever completes a repair does not inspect it.
        Role.WORKSHOP_SUPERVISOR: _CARS
        | {Action.PERSONAL_DATA_SEE, Action.COMPLAINT_APPEAL, Action.APPOINTMENT_READ}
        | (_WORKSHOP - {Action.WORK_ORDER_INSPECT}),
        Role.TECHNICIAN: _CARS
        | {
            Action.PERSONAL_DATA_SEE,
            Action.WORK_ORDER_ADD_REPAIR,
            Action.WORK_ORDER_WORK,
            Action.WORK_ORDER_COMPLETE,
            Action.COMPLAINT_APPEAL,
        },
        Role.INSPECTOR: _CARS
        | {
            Action.PERSONAL_DATA_SEE,
            Action.WORK_ORDER_INSPECT,
            Action.WORK_ORDER_REWORK,
            Action.COMPLAINT_APPEAL,
        },
        Role.PARTS_CLERK: _CARS | {Action.PARTS_PICK, Action.COMPLAINT_APPEAL},
        Role.CASHIER: _CARS | {Action.PERSONAL_DATA_SEE, Action.VISIT_CASH, Action.COMPLAINT_APPEAL},
        Role.CLAIMS_CLERK: _CARS | {Action.PERSONAL_DATA_SEE, Action.VISIT_CLAIM, Action.COMPLAINT_APPEAL},
        Role.CARE_AGENT: _READS | _PEOPLE | _CARE | {Action.APPOINTMENT_BOOK, Action.APPOINTMENT_READ},
        # The department that owns the rules for complaints publishes them.
        Role.CARE_MANAGER: _READS
        | _PEOPLE
        | _COMPLAINTS
        | _CARE
        | {Action.SUBJECT_ERASE, Action.RULES_PUBLISH},
        Role.DEPARTMENT_MANAGER: _READS
        | _PEOPLE
        | _RECEPTION
        | _WORKSHOP
        | _COMPLAINTS
        | {Action.VISIT_MANAGE, Action.STAFF_LICENSE, Action.SHOP_RULES_PUBLISH},
        Role.GENERAL_MANAGER: _READS
        | _PEOPLE
        | {
            Action.COMPLAINT_ANSWER,
            Action.COMPLAINT_RESOLVE,
            Action.COMPLAINT_DECIDE,
            Action.RULES_PUBLISH,
            Action.SHOP_RULES_PUBLISH,
            Action.VISIT_MANAGE,
            Action.APPOINTMENT_READ,
            Action.STATUS_READ,
            Action.SUBJECT_ERASE,
        },
        Role.REGION_AUDITOR: _READS,
        Role.GROUP_AUDITOR: frozenset({Action.LOG_READ, Action.STATUS_READ}),
        Role.CUSTOMER: frozenset(),
        Role.INTEGRATOR: _READS | {Action.LOG_READ},
        Role.OPERATOR: frozenset(
            {Action.LOG_READ, Action.STATUS_READ, Action.PARKED_READ, Action.PARKED_DECIDE}
        ),
    }
)

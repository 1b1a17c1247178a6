"""A visit with everything in it, from an appointment that was moved to the gate."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from eventlog.recorded import Recorded
from events import Event, reception, workshop
from events.lines import Line, Part
from events.workshop import PickedPart, Share, Task
from tests.projections.story import sealed
from tests.recording import OPENING, recorded

ID = "V9"
VIN = "LSVAA49J132047371"


def at(minute: int) -> datetime:
    return OPENING + timedelta(minutes=minute)


def digest(letter: str) -> str:
    return letter * 64


pads = Part(code="P-1", name="刹车片", origin="original", quantity=Decimal(1), unit_fen=40_000)
oil = Line(line=1, description="机油更换", labour_minutes=60, labour_fen=20_000)
brakes = Line(line=2, description="前刹车片", labour_minutes=60, labour_fen=20_000, parts=(pads,))
visit: dict[str, Any] = {"visit_id": ID, "work_order_id": ID}
order: dict[str, Any] = {"work_order_id": ID}
person: dict[str, Any] = {"customer": "c-1", "customer_name": sealed, "phone": sealed, "plate": sealed}
old_book: dict[str, Any] = {"book": "sh01.2026-03-01", "appointment_id": ID, "work_order_id": ID}
book: dict[str, Any] = {"book": "sh01.2026-03-02", "appointment_id": ID, "work_order_id": ID}
wanted: dict[str, Any] = {
    "kind": "passive",
    "channel": "phone",
    "need": "保养",
    "service": "simple",
    "labour_minutes": 120,
    "model": "ID.4",
    **person,
}
repair: dict[str, Any] = {"line": 3, "description": "雨刮片", "delay_minutes": 20}


def _slot(slot: datetime) -> dict[str, Any]:
    return {"number": "A-7", "slot_at": slot, "advisor": 1, "missed_at": slot, "rules": 1}


_TOLD: list[tuple[int, Event]] = [
    (-1500, reception.AppointmentRequested(**old_book, **wanted)),
    (-1500, reception.BayReserved(**old_book, bay=2, starts_at=at(-1440), ends_at=at(-1380))),
    (-1500, reception.AppointmentConfirmed(**old_book, **_slot(at(-1440)))),
    (-1490, reception.AppointmentReminderDue(**old_book, reminder=1, due_at=at(-1490))),
    (-1480, reception.AppointmentReminded(**old_book, channel="phone", outcome="cannot_come")),
    (-1480, reception.AppointmentRequested(**book, **wanted)),
    (-1480, reception.AppointmentConfirmed(**book, **_slot(at(0)), moved_from=date(2026, 3, 1))),
    (-1480, reception.AppointmentRescheduled(**old_book, to=at(0), to_book="sh01.2026-03-02")),
    (0, reception.AppointmentKept(**book)),
    (
        2,
        reception.VehicleReceived(
            **visit, vin=VIN, vin_check_digit="ok", mileage_km=48_210, symptoms=("保养",), **person,
            appointment_id=ID, member=True, first_service=False, fuel_eighths=4,
        ),
    ),
    (2, workshop.WorkOrderOpened(**visit, symptoms=("保养",))),
    (3, reception.ProtectiveSetFitted(**visit)),
    (3, reception.MileageCorrected(
            **visit, mileage_km=48_211, reason="typing", mileage_less_because="仪表更换",
        )),
    (4, reception.SymptomRecorded(**visit, description="刹车异响", kind="symptom")),
    (4, reception.PapersVerified(**visit, driving_licence=True, maintenance_manual=True, phone=True)),
    (4, reception.ValuablesHandedOver(**visit, items=("手机",))),
    (5, reception.PhotoTaken(**visit, photo=digest("a"), of="damage", width=800, height=600)),
    (
        6,
        reception.WalkAroundRecorded(
            **visit, revision=1, hash=digest("b"), checks=(reception.Checked(item="roof", ok=True),),
            damages=(reception.Damage(view="left", x=1, y=2, kind="dent"),), fuel_eighths=5,
        ),
    ),
    (7, reception.WalkAroundSigned(**visit, hash=digest("b"), signature=digest("c"))),
    (8, reception.UnderbodyInspected(**visit, findings=("干净",))),
    (8, reception.MobilityProvided(**visit, kind="subsidy", amount_fen=5_000)),
    (8, reception.ManagerTookPart(**visit)),
    (
        9,
        reception.QuoteIssued(
            **visit, revision=1, hash=digest("d"), lines=(oil, brakes), total_fen=80_000, labour_minutes=120,
            promised_at=at(240), payment_method="wechat", old_parts="return", price_list=1,
        ),
    ),
    (10, reception.WarrantyAssessed(**visit, line=2, verdict="unclear")),
    (10, reception.ManufacturerApprovalRequested(**visit, line=2)),
    (11, reception.ManufacturerApprovalReceived(**visit, line=2, granted=False)),
    (
        12,
        reception.WorkOrderSigned(
            **visit, revision=1, hash=digest("d"), channel="in_person", signature=digest("e"),
            lines=(oil, brakes), promised_at=at(240),
        ),
    ),
    (12, reception.CopiesHandedOver(**visit, how="paper")),
    (13, reception.VehicleHandedToWorkshop(**visit, keys=2, papers=("行驶证",))),
    (
        13,
        workshop.WorkAuthorised(
            **order, revision=1, hash=digest("d"), labour_minutes=120, promised_at=at(240),
            tasks=tuple(
                Task(line=e.line, description=e.description, trade=e.trade, labour_minutes=e.labour_minutes)
                for e in (oil, brakes)
            ),
        ),
    ),
    (13, workshop.VehicleTakenIn(**order, keys=2, papers=("行驶证",))),
    (14, workshop.PrioritySet(**order, priority="high")),
    (15, workshop.WorkDispatched(**order, team="机电一组", mode="to_team", out_of_order=False)),
    (
        15,
        workshop.ProgressWatchSet(
            **order, started_at=at(15), expected_minutes=120, check_at=at(99), alarm_at=at(111), rules=1
        ),
    ),
    (
        16,
        workshop.VehicleAcceptedByTeam(
            **order, fault_confirmed=True, test_driven=False, tools_checked=True
        ),
    ),
    (17, workshop.LineStarted(**order, line=1, technician="li.qiang")),
    (18, workshop.PartsAwaited(**order, line=2, parts=("P-1",), expected_at=at(60))),
    (20, workshop.BelongingsInTheWay(**visit, items=("儿童座椅",))),
    (22, reception.BelongingsConsentGiven(**visit, items=("儿童座椅",), channel="phone")),
    (22, workshop.BelongingsReleased(**order, items=("儿童座椅",))),
    (40, workshop.RepairAdded(**visit, **repair, price_fen=9_000, revision=1, hash=digest("f"), why="磨损")),
    (40, reception.ApprovalRequested(**visit, **repair, price_fen=9_000, revision=1, hash=digest("f"))),
    (45, workshop.RepairRevised(**visit, **repair, price_fen=8_000, revision=2, hash=digest("0"))),
    (45, reception.ApprovalRequested(**visit, **repair, price_fen=8_000, revision=2, hash=digest("0"))),
    (
        50,
        reception.RepairApproved(
            **visit, line=3, channel="phone", revision=2, hash=digest("0"), delay_minutes=20
        ),
    ),
    (50, workshop.RepairReleased(**order, line=3, revision=2)),
    (
        60,
        workshop.PartsPicked(
            **order, slip=1, technician="li.qiang", signature=digest("1"),
            parts=(PickedPart(line=2, code="P-1", name="刹车片", quantity="1"),),
        ),
    ),
    (61, workshop.LineCompleted(**order, line=1)),
    (61, workshop.LineStarted(**order, line=2, technician="li.qiang")),
    (70, workshop.DelayReported(**visit, delay=1, minutes=30, cause="parts", explanation="零件晚到")),
    (
        75,
        reception.CustomerToldOfDelay(
            **visit, delay=1, channel="phone", promised_at=at(270), understood=True
        ),
    ),
    (75, workshop.CustomerInformed(**order)),
    (99, workshop.ProgressCheckDue(**order, due_at=at(99))),
    (100, workshop.ProgressRecorded(**order, done_at=at(130), anomaly=False)),
    (111, workshop.ProgressAlarmRaised(**order, due_at=at(111))),
    (120, workshop.RepairCompleted(**order, kind="simple")),
    (125, workshop.TestDriveRecorded(**order, passed=False, remarks="异响")),
    (126, workshop.QualityFailed(**visit, cause="异响")),
    (127, workshop.ReworkOrdered(**order, rework=1, cause="异响")),
    (140, workshop.RepairCompleted(**order, kind="simple")),
    (
        141,
        workshop.ReworkCostSplit(
            **order, rework=1, cost_fen=1_000, rules=1,
            shares=(Share(person="li.qiang", percent=80, amount_fen=800),),
        ),
    ),
    (145, workshop.TestDriveRecorded(**order, passed=True)),
    (146, workshop.QualityPassed(**visit)),
    (146, reception.VehicleReadied(**visit)),
    (150, reception.DeliveryCheckFailed(**visit, cause="脏")),
    (150, workshop.ReworkOrdered(**order, rework=2, cause="脏")),
    (160, workshop.RepairCompleted(**order)),
    (161, workshop.TestDriveRecorded(**order, passed=True)),
    (162, workshop.QualityPassed(**visit)),
    (162, reception.VehicleReadied(**visit)),
    (165, workshop.VehicleWashed(**order)),
    (170, workshop.VehicleReturned(**visit, parking_place="B-12", keys=2, papers=("行驶证",))),
    (175, reception.DeliveryCheckPassed(**visit, test_driven=False)),
    (176, reception.DeliveryAgreed(**visit, deliver_at=at(200), channel="phone")),
    (200, reception.JointInspectionHeld(**visit, old_parts_shown=True, spare_wheel_and_tools=True,
                                         cleanliness_shown=True)),
    (200, reception.ProtectiveSetRemoved(**visit)),
    (201, reception.NextServiceSet(**visit, due_on=date(2026, 9, 1), due_km=58_000)),
    (201, reception.FollowUpAgreed(**visit, call_from=at(2 * 1440), call_until=at(2 * 1440 + 60))),
    (
        202,
        reception.SettlementPrepared(
            **visit, revision=1, hash=digest("2"), lines=(oil, brakes), discount_fen=0, total_fen=80_000,
            customer_fen=80_000,
        ),
    ),
    (202, reception.GatePassPrepared(**visit, pass_id="GP-1")),
    (203, reception.SettlementSigned(**visit, hash=digest("2"), signature=digest("3"))),
    (204, reception.PaymentReceived(**visit, payment=1, amount_fen=90_000, method="wechat", invoice="I-1")),
    (205, reception.PaymentRefunded(**visit, payment=1, amount_fen=10_000, reason="过付")),
    (205, reception.CreditReleased(**visit, amount_fen=1, pay_by=date(2026, 4, 1), reason="…")),
    (206, reception.GatePassReleased(**visit, pass_id="GP-1", valid_until=at(400), token="secret")),
    (206, reception.GatePassRevoked(**visit, pass_id="GP-1", reason="refunded")),
    (207, reception.GatePassReleased(**visit, pass_id="GP-1", valid_until=at(400), token="secret")),
    (208, reception.NewAppointmentOffered(**visit, accepted=False)),
    (209, reception.VehicleDelivered(**visit, mileage_km=48_215)),
    (210, reception.GatePassUsed(**visit, pass_id="GP-1", used_at=at(210))),
    (211, workshop.WorkOrderClosed(**order, defect_fixed=True)),
]  # fmt: skip

WHOLE_VISIT: tuple[Recorded, ...] = tuple(
    replace(recorded(event, minute), version=n) for n, (minute, event) in enumerate(_TOLD, start=1)
)

"""A visit of which every form can be printed, from the desk to the gate."""

from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

from events import Event, reception, workshop
from events.lines import Line, Part
from events.workshop import PickedPart, Task
from projections.facts import fact as read
from projections.projection import Document
from projections.visit_file.projection import evolve
from tests.projections.story import sealed
from tests.recording import OPENING, recorded

ID = "V1"
visit: dict[str, Any] = {"visit_id": ID, "work_order_id": ID}
order: dict[str, Any] = {"work_order_id": ID}
pads = Part(code="JZW698151A", name="前刹车片", origin="original", quantity=Decimal(1), unit_fen=68_000)
fluid = Part(code="B000750M3", name="制动液 DOT4", origin="genuine", quantity=Decimal("0.5"), unit_fen=9_001)
blade = Part(code="WB-600", name="雨刮片 600 mm", origin="aftermarket", quantity=Decimal(2), unit_fen=4_500)
service = Line(
    line=1,
    description="60,000 km 保养",
    labour_minutes=60,
    labour_fen=30_000,
    parts=(blade,),
    discount_fen=1_000,
)
brakes = Line(
    line=2,
    description='更换前刹车片 #eval("1") *b* $x$ <b>',
    labour_minutes=90,
    labour_fen=45_000,
    parts=(pads, fluid),
    payer="warranty",
)
LINES = (service, brakes)
TOTAL = service.total_fen + brakes.total_fen
repair: dict[str, Any] = {
    "line": 3,
    "description": "更换空调滤芯",
    "price_fen": 12_800,
    "delay_minutes": 20,
    "revision": 1,
    "hash": "f" * 64,
}


def at(minute: int) -> Any:
    return OPENING + timedelta(minutes=minute)


TOLD: tuple[tuple[int, Event], ...] = (
    (
        1,
        reception.VehicleReceived(
            **visit,
            vin="LSVAA49J132047371",
            vin_check_digit="ok",
            customer="c-1",
            customer_name=sealed,
            phone=sealed,
            plate=sealed,
            mileage_km=60_120,
            symptoms=("低速刹车时前轮有尖叫声，冷车时更明显",),
            model="朗逸 1.5L",
            member=True,
            first_service=False,
            fuel_eighths=5,
        ),
    ),
    (2, reception.ProtectiveSetFitted(**visit)),
    (3, reception.SymptomRecorded(**visit, description="60,000 km 保养", kind="maintenance")),
    (4, reception.PapersVerified(**visit, driving_licence=True, maintenance_manual=False, phone=True)),
    (5, reception.ValuablesHandedOver(**visit, items=("手机", "太阳镜"))),
    (6, reception.PhotoTaken(**visit, photo="a" * 64, of="damage", width=800, height=600)),
    (
        7,
        reception.WalkAroundRecorded(
            **visit,
            revision=1,
            hash="b" * 64,
            checks=(
                reception.Checked(item="灯光", ok=True),
                reception.Checked(item="雨刮", ok=False, note="左侧老化"),
                reception.Checked(item="轮胎", ok=True),
            ),
            damages=(
                reception.Damage(view="left", x=120, y=640, kind="scratch", note="后门 10 cm"),
                reception.Damage(view="left", x=800, y=300, kind="dent"),
                reception.Damage(view="rear", x=500, y=900, kind="chip"),
            ),
            fuel_eighths=5,
        ),
    ),
    (8, reception.WalkAroundSigned(**visit, hash="b" * 64, signature="c" * 64)),
    (9, reception.MobilityProvided(**visit, kind="subsidy", amount_fen=5_000)),
    (
        10,
        reception.QuoteIssued(
            **visit,
            revision=1,
            hash="d" * 64,
            lines=LINES,
            total_fen=TOTAL,
            labour_minutes=150,
            promised_at=at(300),
            payment_method="wechat",
            old_parts="return",
            price_list=1,
            check_first=True,
        ),
    ),
    (11, reception.WarrantyAssessed(**visit, line=2, verdict="covered")),
    (
        12,
        reception.WorkOrderSigned(
            **visit,
            revision=1,
            hash="d" * 64,
            channel="in_person",
            signature="e" * 64,
            lines=LINES,
            promised_at=at(300),
        ),
    ),
    (13, reception.VehicleHandedToWorkshop(**visit, keys=1, papers=("行驶证",), notes="客户在休息区等候")),
    (
        14,
        workshop.WorkAuthorised(
            **order,
            revision=1,
            hash="d" * 64,
            labour_minutes=150,
            promised_at=at(300),
            tasks=tuple(
                Task(
                    line=each.line,
                    description=each.description,
                    trade=each.trade,
                    labour_minutes=each.labour_minutes,
                )
                for each in LINES
            ),
        ),
    ),
    (15, workshop.PrioritySet(**order, priority="high")),
    (16, workshop.WorkDispatched(**order, team="机电一组", mode="to_team")),
    (
        17,
        workshop.VehicleAcceptedByTeam(**order, fault_confirmed=True, test_driven=True, tools_checked=True),
    ),
    (20, workshop.LineStarted(**order, line=1, technician="li.qiang")),
    (40, workshop.RepairAdded(**visit, **repair)),
    (41, reception.ApprovalRequested(**visit, **repair)),
    (
        50,
        reception.RepairApproved(
            **visit, line=3, channel="phone", revision=1, hash="f" * 64, delay_minutes=20
        ),
    ),
    (51, workshop.RepairReleased(**order, line=3, revision=1)),
    (
        60,
        workshop.PartsPicked(
            **order,
            slip=1,
            technician="li.qiang",
            signature="1" * 64,
            parts=(PickedPart(line=2, code=pads.code, name=pads.name, quantity="1"),),
        ),
    ),
    (90, workshop.LineCompleted(**order, line=1)),
    (130, workshop.TestDriveRecorded(**order, passed=True)),
    (131, workshop.QualityPassed(**visit)),
    (200, reception.NextServiceSet(**visit, due_on=date(2026, 9, 1), due_km=70_000)),
    (201, reception.FollowUpAgreed(**visit, call_from=at(2 * 1440), call_until=at(2 * 1440 + 60))),
    (
        202,
        reception.SettlementPrepared(
            **visit,
            revision=1,
            hash="2" * 64,
            lines=LINES,
            discount_fen=800,
            total_fen=TOTAL - 800,
            customer_fen=service.total_fen - 800,
        ),
    ),
    (203, reception.GatePassPrepared(**visit, pass_id="GP-1")),
    (204, reception.SettlementSigned(**visit, hash="2" * 64, signature="3" * 64)),
    (
        205,
        reception.PaymentReceived(
            **visit, payment=1, amount_fen=service.total_fen - 800, method="wechat", invoice="I-7"
        ),
    ),
    (
        206,
        reception.GatePassReleased(**visit, pass_id="GP-1", valid_until=at(1_500), token="GP.secret.token"),
    ),
)
FACTS = tuple(recorded(event, minute) for minute, event in TOLD)


def file(until: int = 10_000) -> Document:
    """The visit's file as it stood so many minutes after opening."""
    known = [read(fact) for (minute, _), fact in zip(TOLD, FACTS, strict=True) if minute <= until]
    found = reduce(evolve, known, None)
    assert found is not None
    return found

"""A house with one vehicle: people do what they may, in whatever order, and the services hear of each other
however late."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

from eventlog.decider import Decider, Rejected
from events import Event
from events.lines import Line, Part
from events.reception import (
    Checked,
    DeliveryCheckFailed,
    RepairApproved,
    RepairDeclined,
    VehicleDelivered,
    VehicleHandedToWorkshop,
    VehicleReceived,
    WorkOrderSigned,
)
from events.walk_around import ITEMS
from events.workshop import QualityPassed, RepairAdded, Task
from services.reception import commands as do
from services.reception.visit import Visit
from services.workshop import commands as work
from services.workshop.work_order import WorkOrder
from tests.deciders import VISIT, WORK_ORDER
from tests.projections.story import sealed
from tests.recording import OPENING

Visits: TypeAlias = Decider[Visit, Any]
ID = "V1"
V1: dict[str, Any] = {"visit_id": ID}
WO: dict[str, Any] = {"work_order_id": ID}


@dataclass
class House:
    """One visit to a house, so far."""

    visits: Visits
    log: list[Event] = field(default_factory=list)
    visit: Visit = field(default=VISIT.initial)
    order: WorkOrder = field(default=WORK_ORDER.initial)
    unheard: list[Any] = field(default_factory=list)
    now: datetime = OPENING

    def give(self, command: Any) -> bool:
        """Whether it was accepted."""
        try:
            if isinstance(command, do.AboutVisit):
                events = self.visits.decide(command, self.visit)
                for event in events:
                    self.visit = self.visits.evolve(self.visit, event)
            else:
                events = WORK_ORDER.decide(command, self.order)
                for event in events:
                    self.order = WORK_ORDER.evolve(self.order, event)
        except Rejected:
            return False
        for event in events:
            self.log.append(event)
            if (caused := reaction(event)) is not None:
                self.unheard.append(caused)
        return True


def reaction(event: Event) -> Any:
    """What the policies do."""
    match event:
        case VehicleReceived():
            return work.OpenWorkOrder(**WO, visit_id=ID)
        case WorkOrderSigned(revision=revision, hash=hash, lines=lines, promised_at=promised_at):
            tasks = tuple(Task(**line.model_dump(include={*Task.model_fields})) for line in lines)
            return work.AuthoriseWork(
                **WO, visit_id=ID, revision=revision, hash=hash, tasks=tasks, promised_at=promised_at
            )
        case VehicleHandedToWorkshop():
            return work.TakeIn(**event.model_dump())
        case RepairAdded():
            return do.RequestApproval(**event.model_dump(include={*do.RequestApproval.model_fields}))
        case RepairApproved(line=line, hash=hash):
            return work.ReleaseRepair(**WO, line=line, hash=hash)
        case RepairDeclined(line=line, hash=hash):
            return work.DropRepair(**WO, line=line, hash=hash)
        case QualityPassed():
            return do.ReadyVehicle(**V1)
        case DeliveryCheckFailed(cause=cause):
            return work.SendBack(**WO, cause=cause)
        case VehicleDelivered():
            return work.CloseWorkOrder(**WO)
    return None


pads = Part(code="BRAKE-PAD", name="pads", origin="original", quantity=Decimal(1), unit_fen=68_000)
lines = (
    Line(line=1, description="brakes", labour_minutes=60, labour_fen=20_000, parts=(pads,)),
    Line(line=2, description="dent", labour_fen=10_000, payer="insurer"),
)
checks = tuple(Checked(item=item, ok=True) for item in ITEMS)
all_of_it: dict[str, Any] = dict.fromkeys(
    ("fault_gone", "old_parts_there", "clean_inside", "clean_outside", "nothing_left_behind"), True
)
receive = do.ReceiveVehicle(
    **V1,
    work_order_id=ID,
    vin="LSVAA49J132047371",
    vin_check_digit="ok",
    customer="c-1",
    customer_name=sealed,
    phone=sealed,
    plate=sealed,
    mileage_km=48_210,
    symptoms=("squeals",),
)
quote = do.IssueQuote(
    **V1,
    at=OPENING,
    lines=lines,
    promised_at=OPENING + timedelta(days=30),
    payment_method="cash",
    old_parts="return",
    price_list=1,
)
add_repair = work.AddRepair(
    **WO,
    description="wipers",
    price_fen=9_100,
    delay_minutes=10,
    labour_minutes=0,
    labour_fen=0,
    parts=(pads.model_copy(update={"code": "WIPER", "unit_fen": 9_100}),),
)


def _walk_around_hash(house: House) -> str:
    return house.visit.intake.walk_around.hash if house.visit.intake.walk_around else "0"


def _quote_hash(house: House) -> str:
    return house.visit.quote.issued.hash if house.visit.quote.issued else "0"


def _answer(house: House, command: Callable[..., Any], **said: Any) -> Any:
    line = max(house.visit.added.asked, default=3)
    asked = house.visit.added.asked.get(line)
    return command(**V1, line=line, channel="phone", hash=asked and asked.hash, **said)


def _use(house: House) -> Any:
    until = house.visit.gate_pass.valid_until or house.now
    return do.UseGatePass(**V1, at=house.now, pass_id=house.visit.gate_pass.id, valid_until=until)


def _release(house: House) -> Any:
    return do.ReleaseGatePass(**V1, at=house.now, pass_id=house.visit.gate_pass.id, token="BLG1.x.y")


def _pay(house: House, part: int = 1) -> Any:
    owed = max(1, house.visit.settlement.owed_fen // part)
    return do.ReceivePayment(**V1, amount_fen=owed, method="cash")


Way: TypeAlias = Sequence[Callable[[House], Any]]
HOME: Way = [
    lambda _: receive,
    lambda _: do.RecordWalkAround(**V1, after=0, checks=checks, damages=(), fuel_eighths=4),
    lambda house: do.SignWalkAround(**V1, hash=_walk_around_hash(house), signature="5" * 64),
    lambda _: quote,
    lambda house: do.SignWorkOrder(
        **V1, at=house.now, hash=_quote_hash(house), channel="in_person", signature="5" * 64
    ),
    lambda _: do.HandToWorkshop(**V1, keys=2, papers=("work_order",)),
    lambda house: work.DispatchWork(**WO, team="north", mode="to_team", at=house.now),
    lambda _: work.CompleteRepair(**WO),
    lambda _: work.RecordTestDrive(**WO, passed=True),
    lambda house: work.PassQuality(**WO, at=house.now),
    lambda _: do.PassDeliveryCheck(**V1, **all_of_it),
    lambda _: do.PrepareSettlement(**V1),
    lambda house: do.SignSettlement(**V1, hash=house.visit.settlement.hash or "0", signature="5" * 64),
    _pay,
    _release,
    lambda house: do.DeliverVehicle(**V1, at=house.now),
    _use,
]
"""The steps of a visit on which nothing goes wrong."""
HANDED_OVER = 6
"""Of them lead to the workshop."""
ASIDE: Way = [
    *[lambda _: add_repair] * 3,
    *[lambda house: _answer(house, do.ApproveRepair, delay_minutes=10)] * 3,
    lambda house: _answer(house, do.DeclineRepair, reason="later", told_to="north", delay_minutes=10),
    lambda _: work.FailQuality(**WO, cause="still squeals"),
    lambda _: work.OrderRework(**WO),
    *[lambda _: do.FailDeliveryCheck(**V1, cause="oil on the seat")] * 4,
    lambda _: do.PrepareSettlement(**V1, discount_fen=100),
    lambda _: do.PrepareSettlement(**V1, discounts={1: 500}),
    lambda house: _pay(house, 2),
    lambda _: do.RefundPayment(**V1, payment=1, amount_fen=700, reason="x"),
    lambda house: do.ReleaseOnCredit(**V1, at=house.now, pay_by=house.now.date(), reason="fleet"),
    _release,
    _use,
    lambda house: do.DeliverVehicle(**V1, at=house.now),
]
"""What may come between, or out of turn."""


def _in_the_workshop() -> House:
    house = House(VISIT)
    for step in HOME[:HANDED_OVER]:
        assert house.give(step(house))
    for command in house.unheard:
        assert house.give(command)
    return replace(house, unheard=[])


IN_THE_WORKSHOP = _in_the_workshop()


def walk(seed: int, visits: Visits = VISIT) -> list[Event]:
    """All that was recorded about a visit to whose people something comes between now and then; most begin
    when the vehicle is in the workshop."""
    chance, house, step = Random(seed), House(visits), 0
    if seed % 4:
        house, step = replace(IN_THE_WORKSHOP, visits=visits, unheard=[]), HANDED_OVER
        house.log = [*IN_THE_WORKSHOP.log]
    for _ in range(chance.randint(15, 50)):
        house.now += timedelta(hours=chance.choice((0, 0, 0, 0, 1, 5, 25)))
        if house.unheard and chance.random() < 0.5:
            heard = house.give(house.unheard.pop(chance.randrange(len(house.unheard))))
            assert heard or visits is not VISIT, "a message between services was refused"
        elif step < len(HOME) and chance.random() < 0.8:
            if house.give(HOME[step](house)):
                step += 1
            elif chance.random() < 0.4:
                step = chance.randrange(HANDED_OVER, len(HOME)) if seed % 4 else chance.randrange(len(HOME))
        else:
            house.give(chance.choice(ASIDE)(house))
    return house.log

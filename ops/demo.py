"""A living dealership: three sites, cars arriving, repairs added, customers answering, some complaining.

Everything goes through the same HTTP commands that people use; what takes half an hour takes some seconds.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import structlog
from rich.console import Console

from access.issuer import Issuer
from access.roles import Role
from eventlog.supervise import supervise
from ops.demo_visit import VisitDriver
from ops.up import SITES, TWELVE_HOURS
from ops.walkthrough import Walkthrough
from projections.work_order_board.cards import SITE_ZONE

log = structlog.get_logger()

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静强磊洋艳勇军杰娟涛明超秀霞平刚桂英"
PLATES = {"sh01": "沪A", "sh02": "沪B", "hz01": "浙A"}
MODELS = ("迈腾 Magotan", "帕萨特 Passat", "凯美瑞 Camry", "雅阁 Accord", "Model Y")
MAKERS = ("LSVAA", "LFV2A", "LGBH5", "LVHRM", "LBV8V", "LE4HG")
SYMPTOMS = (
    "40,000 km service",
    "刹车异响 brakes squeal",
    "空调不制冷 A/C does not cool",
    "发动机故障灯亮 engine light on",
    "方向盘抖动 steering wheel shakes",
    "首保 first service",
    "更换电瓶 battery weak",
    "底盘异响 noise from underneath",
)
NARRATIVES = (
    "等了两个小时还没有人告诉我进度。",
    "The noise is still there after the repair.",
    "报价和结算不一样，请解释。",
)
CAUSES = (
    "交接时没有说明等待时间 nobody said how long it would take",
    "试车路程太短 the test drive was too short",
    "增项没有写进结算单 an added repair was missing on the bill",
)
PLANS = (
    "致歉并免费复检 apologise and check again free of charge",
    "重新打印结算单并逐项解释 explain the bill line by line",
)
RESULTS = ("客户满意 the customer is content", "已复检，异响消除 checked again, the noise is gone")
OPEN_AT_ONCE = 11
"""Vehicles in one shop: more would not fit on a screen."""
AT_WORK = ("in_work", "waiting_for_customer", "waiting_for_parts", "in_check", "ready")
"""Columns in which a vehicle stands that was received."""

TAKES = {
    "in_work": (10, 30),
    "waiting_for_customer": (12, 30),
    "waiting_for_parts": (15, 40),
    "in_check": (8, 20),
}
"""Seconds from step to step in a column, where not 2 to 6."""


class Shop:
    """One site and the people who work in it."""

    def __init__(
        self, site: str, address: str, issuer: Issuer, client: httpx2.AsyncClient, pace: float = 1.0
    ) -> None:
        """`pace` is by how much everybody takes their time."""
        self._pace = pace
        self._site = site
        self._address = address
        self._client = client
        self._issuer = issuer
        self._random = random.Random()
        self._tokens: dict[Role, tuple[str, datetime]] = {}

    async def open(self) -> None:
        """Work until cancelled: the cars that stand here, some that came this morning, then one by one."""
        await self.open_around_the_clock()
        there = [card["work_order_id"] for card in await self._cards("waiting", *AT_WORK)]
        visits = [asyncio.create_task(self._visit(self._finish(id))) for id in there]
        early = range(OPEN_AT_ONCE - 2 - len(there))
        visits += [asyncio.create_task(self._visit(self.serve(early=True))) for _ in early]
        try:
            while True:
                visits = [visit for visit in visits if not visit.done()]
                if len(visits) < OPEN_AT_ONCE:
                    visits.append(asyncio.create_task(self._visit(self.serve())))
                await self._later(4, 9)
        finally:
            for visit in visits:
                visit.cancel()

    async def _visit(self, steps: Coroutine[Any, Any, None]) -> None:
        try:
            await steps
        except LookupError as why:
            log.warning("demo.visit", site=self._site, why=str(why))
        except httpx2.HTTPError as why:
            log.info("demo.visit", site=self._site, why=str(why))  # the system is just stopping

    async def open_around_the_clock(self) -> None:
        """The site's own rules, so that there is something to see at any hour: published like any others."""
        path = "/reception/v1/rules"
        versions = (await self._get(path, Role.DEPARTMENT_MANAGER))["rules"]
        if len(versions) > 1:
            return
        whole_day = [[{"opens": "00:00:00", "closes": "00:00:00"}]] * 7
        from_now_on = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        opening = {**versions[0]["opening"], "version": 2, "week": whole_day, "days": {}}
        changed = {"version": 2, "effective": from_now_on, "lead_time_hours": 0, "bays": 12, "peak": []}
        await self._command(
            Role.DEPARTMENT_MANAGER, path, {"rules": {**versions[0], **changed, "opening": opening}}
        )

    async def serve(self, *, early: bool = False) -> None:
        """A customer books or just comes, is served, and perhaps complains."""
        r = self._random
        customer = {
            "customer_name": r.choice(SURNAMES) + "".join(r.sample(GIVEN, 2)),
            "phone": f"138{r.randint(10**7, 10**8 - 1)}",
            "plate": PLATES[self._site] + "".join(r.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=5)),
        }
        booked = {} if early or r.random() < 0.5 else await self._book(customer)
        if booked:
            await self._later(15, 60)
        arrived = {} if early else await self._arrive(booked.get("appointment_id"), customer["plate"])
        now = datetime.now(UTC)
        began = now - timedelta(minutes=r.randint(15, 150))
        received = await self._command(
            Role.ADVISOR,
            "/reception/v1/visits",
            {
                **customer,
                **booked,
                **arrived,
                "vin": vin(r),
                "model": r.choice(MODELS),
                "mileage_km": r.randint(3_000, 180_000),
                "symptoms": r.sample(SYMPTOMS, r.randint(1, 2)),
                "first_service": r.random() < 0.1,
                "promised_at": (now + timedelta(minutes=r.choice((12, 25, 45, 90, 150)))).isoformat(),
                **({"occurred_at": began.isoformat()} if early else {}),
            },
        )
        await self._finish(received["id"], ahead=r.randint(0, 25) if early else 0)
        if r.random() < 0.25:
            await self._complain(customer["customer_name"], customer["phone"], received["id"])

    async def _book(self, customer: dict[str, str]) -> dict[str, Any]:
        """One of the next slots of today that is still free; nothing if there is none."""
        r = self._random
        for _ in range(5):
            slot_at = datetime.now(SITE_ZONE) + timedelta(minutes=r.randint(5, 150))
            slot_at = slot_at.replace(minute=slot_at.minute // 15 * 15, second=0, microsecond=0)
            booking = {
                **customer,
                "slot_at": slot_at.isoformat(),
                "kind": r.choice(("passive", "proactive")),
                "need": r.choice(SYMPTOMS),
                "service": r.choice(("simple", "problem")),
                "operations": [r.choice(("OIL-FILTER", "BRAKES", "AC-DIAG"))],
                "agreed": True,
                "member": r.random() < 0.3,
                "welcome": r.choice(("full", "surname", "surname", "plate")),
            }
            try:
                made = await self._command(Role.ADVISOR, "/reception/v1/appointments", booking)
            except LookupError:
                continue  # taken, kept free, or past
            return {"appointment_id": made["id"], "appointment_book": f"{self._site}.{slot_at:%Y-%m-%d}"}
        return {}

    async def _arrive(self, appointment_id: str | None, plate: str) -> dict[str, Any]:
        """To the desk, and in when it is their turn."""
        r, day = self._random, f"/reception/v1/days/{datetime.now(SITE_ZONE):%Y-%m-%d}/arrivals"
        known = {"appointment_id": appointment_id} if appointment_id else {"plate": plate}
        try:
            arrived = await self._command(
                Role.ASSISTANT, day, {**known, "service": r.choice(("simple", "problem"))}
            )
        except LookupError:
            return {}  # the appointment is of another day
        for _ in range(12):
            await self._later(3, 10)
            try:
                await self._command(Role.ASSISTANT, f"{day}/{arrived['id']}/call-in", {})
            except LookupError:
                continue  # somebody else is first
            break
        return {"arrival_id": arrived["id"]}

    async def _finish(self, id: str, ahead: int = 0) -> None:
        """Do what is next for the vehicle, until it is through the gate; so many steps were done before."""
        seen: dict[str, str] = {}

        async def give(role: Role, path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = await self._command(role, path, body)
            if answer["position"]:
                seen["min_position"] = answer["position"]
            return answer

        driver = VisitDriver(Walkthrough(give, id), self._site, self._random, partial(self._token_of, id))
        column = "waiting"
        while True:
            await self._later(*((0.2, 0.6) if ahead > 0 else TAKES.get(column, (2, 6))))
            try:
                file = await self._get(f"/v1/work-orders/{id}/file", Role.ADVISOR, **seen)
                card = await self._get(f"/v1/work-orders/{id}", Role.ADVISOR, **seen)
                if file.get("gate_pass", {}).get("state") == "used":
                    return
                column = card["column"]
                ahead -= await driver.next_step(file, card["stage"])
            except LookupError as why:
                log.info("demo.not_yet", site=self._site, why=str(why))

    async def _token_of(self, id: str) -> str | None:
        token: str | None = (await self._get(f"/reception/v1/visits/{id}/gate-pass", Role.CASHIER))["token"]
        return token

    async def _complain(self, name: str, phone: str, visit_id: str) -> None:
        r = self._random
        await self._later(5, 20)
        raised = await self._command(
            Role.CARE_AGENT,
            "/customer-care/v1/complaints",
            {
                "channel": r.choice(("phone", "message", "follow_up_call")),
                "subject": r.choice(("repair_service", "after_sales_service", "product_quality")),
                "severity": r.choices(("grievance", "ordinary", "major"), (5, 3, 1))[0],
                "customer_name": name,
                "phone": phone,
                "narrative": r.choice(NARRATIVES),
                "visit_id": visit_id,
                "work_order_id": visit_id,
            },
        )
        await self._settle(f"/customer-care/v1/complaints/{raised['id']}")

    async def _settle(self, complaint: str) -> None:
        """From the form on the manager's desk to the archive; some customers object and begin anew."""
        r = self._random
        care, manager = Role.CARE_AGENT, Role.DEPARTMENT_MANAGER
        reached = ({"outcome": "not_reached"}, {"outcome": "reached"})[r.randint(0, 1) :]
        resolution = {"resolution": r.choice(("explained", "apology", "repaired_again", "goodwill"))}
        outcome = r.choices(("accepted", "objecting"), (5, 1))[0]
        steps: list[tuple[Role, str, dict[str, Any]]] = [
            (care, "hand-over", {}),
            *((care, "contact", attempt) for attempt in reached),
            (manager, "cause", {"cause": r.choice(CAUSES)}),
            (manager, "plan", {"plan": r.choice(PLANS)}),
            (manager, "tell", {}),
            (manager, "carry-out", {}),
            (manager, "resolve", resolution),
            (manager, "return", {"result": r.choice(RESULTS)}),
            (care, "call-back", {"outcome": outcome}),
            (Role.GENERAL_MANAGER, "sign-off", {}),
            (care, "archive", {}),
        ]
        for role, step, body in steps:
            await self._later(8, 30)
            await self._command(role, f"{complaint}/{step}", body)

    async def _cards(self, *columns: str) -> list[dict[str, Any]]:
        board = await self._get(f"/v1/sites/{self._site}/board", Role.ADVISOR)
        return [card for card in board["cards"] if card["column"] in columns]

    async def _get(self, path: str, role: Role, **query: str) -> dict[str, Any]:
        """What is read; LookupError when it is not there. A view that is being built is waited for."""
        while True:
            answer = await self._client.get(self._address + path, params=query, headers=self._as(role))
            if answer.status_code != 503:
                break
            await asyncio.sleep(0.5)
        if answer.status_code >= 400:
            raise LookupError(f"{path}: {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found

    async def _command(self, role: Role, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a command; LookupError when it is refused. A server that is away is waited for."""
        headers = {**self._as(role), "Idempotency-Key": str(uuid.uuid4())}
        while True:
            answer = await self._client.post(self._address + path, json=body, headers=headers)
            if answer.status_code == 503:
                await asyncio.sleep(1)
                continue
            if answer.status_code >= 400:
                raise LookupError(f"{path}: {answer.json()['detail']}")
            result: dict[str, Any] = answer.json()
            return result

    async def _later(self, least: float, most: float) -> None:
        await asyncio.sleep(self._pace * self._random.uniform(least, most))

    def _as(self, role: Role) -> dict[str, str]:
        token, until = self._tokens.get(role, ("", datetime.min.replace(tzinfo=UTC)))
        if datetime.now(UTC) > until:
            token = self._issuer.token(f"{role}-{self._site}", role, [self._site], TWELVE_HOURS)
            until = datetime.now(UTC) + timedelta(hours=6)
            self._tokens[role] = token, until
        return {"Authorization": f"Bearer {token}"}


async def play(address: str, issuer: Issuer, console: Console) -> None:
    """Keep all three shops open until cancelled."""
    async with httpx2.AsyncClient(timeout=20) as client:
        shops: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            (site, Shop(site, address, issuer, client).open) for site in SITES
        ]
        await asyncio.gather(*(supervise(f"demo.{site}", shop) for site, shop in shops))


def vin(r: random.Random) -> str:
    """A VIN of a Chinese maker with a check digit that fits (ISO 3779)."""
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    digits = list(r.choice(MAKERS)[:3] + "".join(r.choices(letters + "0123456789", k=14)))
    values = dict(zip(letters, [*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)], strict=True))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(w * (int(d) if d.isdigit() else values[d]) for w, d in zip(weights, digits, strict=True))
    digits[8] = "X" if total % 11 == 10 else str(total % 11)
    return "".join(digits)

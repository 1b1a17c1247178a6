"""A living dealership: three sites, cars arriving, repairs added, customers answering, some complaining.

Everything goes through the same HTTP commands that people use; what takes half an hour takes some seconds.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import structlog
from rich.console import Console

from access.issuer import Issuer
from access.roles import Role
from eventlog.supervise import supervise
from ops.up import SITES, TWELVE_HOURS

log = structlog.get_logger()

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静强磊洋艳勇军杰娟涛明超秀霞平刚桂英"
PLATES = {"sh01": "沪A", "sh02": "沪B", "hz01": "浙A"}
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
REPAIRS = (
    ("前刹车片 front brake pads", 88_000, 40),
    ("空调滤芯 cabin filter", 18_000, 10),
    ("火花塞 spark plugs", 52_000, 30),
    ("变速箱油 gearbox fluid", 126_000, 60),
    ("左前轮轴承 front left wheel bearing", 148_000, 90),
)
TEAMS = ("A 组", "B 组", "C 组", "钣喷组")
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
OPEN_AT_ONCE = 9
"""Vehicles in one shop: more would not fit on a screen."""


class Shop:
    """One site and the people who work in it."""

    def __init__(self, site: str, address: str, issuer: Issuer, client: httpx2.AsyncClient) -> None:
        self._site = site
        self._address = address
        self._client = client
        self._issuer = issuer
        self._random = random.Random()
        self._tokens: dict[Role, tuple[str, datetime]] = {}

    async def open(self) -> None:
        """Work until cancelled: the cars that stand here, some that came this morning, then one by one."""
        there = [card["work_order_id"] for card in await self._open_cards()]
        visits = [asyncio.create_task(self._visit(self._finish(id))) for id in there]
        early = range(OPEN_AT_ONCE - 2 - len(there))
        visits += [asyncio.create_task(self._visit(self._receive_and_finish(early=True))) for _ in early]
        try:
            while True:
                visits = [visit for visit in visits if not visit.done()]
                if len(visits) < OPEN_AT_ONCE:
                    visits.append(asyncio.create_task(self._visit(self._receive_and_finish(early=False))))
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

    async def _receive_and_finish(self, early: bool) -> None:
        r = self._random
        now = datetime.now(UTC)
        began = now - timedelta(minutes=r.randint(15, 150)) if early else now
        name = r.choice(SURNAMES) + "".join(r.sample(GIVEN, 2))
        phone = f"138{r.randint(10**7, 10**8 - 1)}"
        received = await self._command(
            Role.ADVISOR,
            "/reception/v1/visits",
            {
                "vin": vin(r),
                "plate": PLATES[self._site] + "".join(r.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=5)),
                "customer_name": name,
                "phone": phone,
                "mileage_km": r.randint(3_000, 180_000),
                "symptoms": r.sample(SYMPTOMS, r.randint(1, 2)),
                "promised_at": (now + timedelta(minutes=r.choice((12, 25, 45, 90, 150)))).isoformat(),
                **({"occurred_at": began.isoformat()} if early else {}),
            },
        )
        await self._finish(received["id"])
        if r.random() < 0.25:
            await self._complain(name, phone, received["id"])

    async def _finish(self, id: str) -> None:
        """Do what the card waits for, until the car is gone."""
        while True:
            await self._later(5, 18)
            card = await self._card(id)
            if card is None:  # not on the board yet
                continue
            if card["column"] == "delivered":
                return
            try:
                await self._next_step(id, card)
            except LookupError as why:
                log.info("demo.not_yet", site=self._site, why=str(why))

    async def _next_step(self, id: str, card: dict[str, Any]) -> None:
        r = self._random
        order, visit = f"/workshop/v1/work-orders/{id}", f"/reception/v1/visits/{id}"
        asked = [line for line in card["lines"] if line["state"] == "asked"]
        match card["column"], card["stage"]:
            case "waiting", _:
                await self._command(Role.WORKSHOP_SUPERVISOR, f"{order}/dispatch", {"team": r.choice(TEAMS)})
            case "waiting_for_customer", _ if asked:
                await self._answer(visit, asked[0])
            case "in_work", _ if len(card["lines"]) < 2 and r.random() < 0.3:
                description, price, delay = r.choice(REPAIRS)
                repair = {"description": description, "price_fen": price, "delay_minutes": delay}
                await self._command(Role.TECHNICIAN, f"{order}/repairs", repair)
            case "in_work", _:
                await self._command(Role.TECHNICIAN, f"{order}/complete", {})
            case _, "check_failed":
                await self._command(Role.WORKSHOP_SUPERVISOR, f"{order}/rework", {})
            case "in_check", _ if r.random() < 0.2:
                cause = {"cause": "试车仍有异响 still noisy"}
                await self._command(Role.INSPECTOR, f"{order}/quality/fail", cause)
            case "in_check", _:
                await self._command(Role.INSPECTOR, f"{order}/quality/pass", {})
            case "ready", _:
                await self._command(Role.ADVISOR, f"{visit}/deliver", {})

    async def _answer(self, visit: str, asked: dict[str, Any]) -> None:
        r = self._random
        repair = f"{visit}/repairs/{asked['line']}"
        told = {"channel": "phone", "hash": asked.get("hash"), "delay_minutes": asked["delay_minutes"]}
        if r.random() < 0.75:
            await self._command(Role.ADVISOR, f"{repair}/approve", told)
        else:
            refusal = {"reason": r.choice(("too_expensive", "later")), "told_to": "supervisor"}
            await self._command(Role.ADVISOR, f"{repair}/decline", told | refusal)

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

    async def _open_cards(self) -> list[dict[str, Any]]:
        address = f"{self._address}/v1/sites/{self._site}/board"
        while True:
            board = await self._client.get(address, headers=self._as(Role.ADVISOR))
            if board.status_code != 503:
                break
            await asyncio.sleep(0.5)  # the view of a new installation is being built
        board.raise_for_status()
        return [card for card in board.json()["cards"] if card["column"] != "delivered"]

    async def _card(self, id: str) -> dict[str, Any] | None:
        found = await self._client.get(f"{self._address}/v1/work-orders/{id}", headers=self._as(Role.ADVISOR))
        return found.json() if found.status_code == 200 else None

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
        await asyncio.sleep(self._random.uniform(least, most))

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

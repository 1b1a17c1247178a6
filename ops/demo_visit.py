"""What people do next about a vehicle, as its file stands, with the chances of a usual day."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from access.roles import Role
from ops.walkthrough import SIGNATURE, Walkthrough

File: TypeAlias = dict[str, Any]

DAMAGES = (
    {"view": "left", "x": 310, "y": 540, "kind": "scratch", "note": "左前门 left front door"},
    {"view": "rear", "x": 480, "y": 620, "kind": "dent", "note": "后保险杠 rear bumper"},
    {"view": "front", "x": 520, "y": 300, "kind": "crack", "note": "大灯 headlight lens"},
)
QUOTES: tuple[list[dict[str, Any]], ...] = (
    [
        {
            "operation": "OIL-FILTER",
            "parts": [{"code": "OIL-5W30", "quantity": "4.5"}, {"code": "OIL-FILTER-OE"}],
        }
    ],
    [{"operation": "BRAKE-PADS", "parts": [{"code": "BRAKE-PAD-F-OE"}]}, {"operation": "BRAKES"}],
    [{"operation": "AC-DIAG"}],
    [{"operation": "ENGINE-DIAG"}, {"operation": "OIL-FILTER", "parts": [{"code": "OIL-FILTER-AM"}]}],
    [{"operation": "TYRES-ALIGNMENT"}, {"operation": "COOLANT"}],
    [{"operation": "BODY-STRUCTURE", "parts": [{"code": "BUMPER-F"}]}, {"operation": "PAINT"}],
)
REPAIRS = (
    {"description": "空调滤芯 cabin filter", "price_fen": 18_000, "delay_minutes": 10},
    {"description": "火花塞 spark plugs", "price_fen": 52_000, "delay_minutes": 30},
    {"description": "变速箱油 gearbox fluid", "price_fen": 126_000, "delay_minutes": 60},
    {"description": "左前轮轴承 front left wheel bearing", "price_fen": 148_000, "delay_minutes": 90},
)
TEAMS = ("A 组", "B 组", "C 组", "钣喷组")
PLACES = ("B2-17", "A1-03", "门前 3 at the door", "B1-08")
CHECKED = ("fault_gone", "old_parts_there", "clean_inside", "clean_outside", "nothing_left_behind")
LOCAL = timedelta(hours=8)


class VisitDriver:
    """Takes one visit on, step by step; the file says where it stands."""

    def __init__(
        self,
        walk: Walkthrough,
        site: str,
        chance: random.Random,
        token: Callable[[], Awaitable[str | None]],
    ) -> None:
        """`token` reads what stands on the gate pass in the customer's hand."""
        self._walk = walk
        self._site = site
        self._chance = chance
        self._token = token
        self._desk = partial(walk.visit, Role.ADVISOR)
        self._team = partial(walk.work, Role.TECHNICIAN)

    async def next_step(self, file: File, stage: str) -> bool:
        """Do what is next; False if somebody else has to act, or has not been heard of, first."""
        workshop, delivery = file.get("workshop", {}), file.get("delivery", {})
        if "handed_over" not in file:
            return await self._at_the_desk(file)
        if "delivered_at" in delivery:
            return await self._at_the_gate(file)
        if stage == "ready" or "readied_at" in delivery:
            return await self._to_the_customer(file)
        if "taken_in_at" not in workshop or not workshop.get("tasks"):
            return False
        return await self._in_the_workshop(file, stage)

    async def _at_the_desk(self, file: File) -> bool:
        r = self._chance
        if "papers" not in file:
            await self._desk("papers", {"driving_licence": True, "maintenance_manual": True, "phone": True})
            await self._desk("protective-set")
            await self._desk("valuables", {"items": r.choice(([], ["太阳镜 sunglasses"]))})
        elif "signed_at" not in file.get("walk_around", {}):
            damages = r.sample(DAMAGES, r.choice((0, 0, 1, 2)))
            await self._walk.inspected(damages=damages, fuel_eighths=r.randint(1, 8))
        elif file.get("first_service") and "underbody" not in file:
            await self._desk("underbody", {"findings": ["无异常 nothing found"]})
        elif "signed_at" not in file.get("quote", {}):
            if "manager_at" not in file:
                await self._walk.visit(Role.DEPARTMENT_MANAGER, "manager")
            await self._walk.authorised(r.choice(QUOTES), promised_at=self._promised(file))
            await self._desk("copies", {"how": "paper"})
        else:
            await self._walk.handed_over()
        return True

    def _promised(self, file: File) -> str:
        return str(file.get("promised_at") or (datetime.now(UTC) + timedelta(hours=1)).isoformat())

    async def _in_the_workshop(self, file: File, stage: str) -> bool:
        r, workshop, added = self._chance, file["workshop"], file.get("added", {})
        waiting = [line for line in added.values() if line["state"] in ("added", "asked")]
        told = [each for each in workshop.get("delays", []) if "told_at" not in each]
        if "team" not in workshop:
            await self._walk.work(Role.WORKSHOP_SUPERVISOR, "dispatch", {"team": r.choice(TEAMS)})
        elif "accepted" not in workshop:
            await self._team("accept", {"fault_confirmed": True, "test_driven": True, "tools_checked": True})
        elif waiting:
            return await self._answered(waiting[0])
        elif told:
            later = datetime.now(UTC) + timedelta(minutes=told[0]["minutes"] + 30)
            said = {"channel": "phone", "promised_at": later.isoformat(), "understood": True}
            await self._desk(f"delays/{told[0]['delay']}/told", said)
        elif "parts_awaited" in workshop:
            line = next(iter(workshop["parts_awaited"]))
            part = {"line": int(line), "code": "CABIN-FILTER", "name": "滤芯 filter", "quantity": "1"}
            slip = {"parts": [part], "technician": f"technician-{self._site}"}
            await self._walk.work(Role.PARTS_CLERK, "parts/pick", slip)
        elif stage == "in_work":
            await self._worked(file)
        elif stage == "check_failed":
            await self._walk.work(Role.WORKSHOP_SUPERVISOR, "rework", {"cause": "试车仍有异响 still noisy"})
        elif stage == "in_check":
            await self._tested()
        else:
            return False
        return True

    async def _answered(self, line: File) -> bool:
        if line["state"] == "added":
            return False  # reception has not heard yet
        said = {"channel": "phone", "hash": line["hash"], "delay_minutes": line["delay_minutes"]}
        answer = f"repairs/{line['line']}"
        if self._chance.random() < 0.75:
            await self._desk(f"{answer}/approve", said)
        else:
            reason = self._chance.choice(("too_expensive", "later"))
            heard = {"reason": reason, "told_to": f"workshop_supervisor-{self._site}"}
            await self._desk(f"{answer}/decline", said | heard)
        return True

    async def _worked(self, file: File) -> None:
        r, workshop = self._chance, file["workshop"]
        tasks = workshop["tasks"]
        idle = [line for line, task in tasks.items() if "started_at" not in task]
        if idle and not workshop.get("reworks"):
            await self._team(f"lines/{idle[0]}/start")
        elif len(file.get("added", {})) < 2 and not workshop.get("reworks") and r.random() < 0.25:
            await self._team("repairs", r.choice(REPAIRS))
        elif "slips" not in workshop and r.random() < 0.15:
            await self._team("parts/await", {"line": int(next(iter(tasks))), "parts": ["CABIN-FILTER"]})
        elif not workshop.get("delays") and r.random() < 0.08:
            cause = {"minutes": 20, "cause": "progress", "explanation": "螺栓锈死 a bolt is rusted in"}
            await self._team("delay", cause)
        else:
            await self._team("complete")

    async def _tested(self) -> None:
        if self._chance.random() < 0.15:
            cause = {"cause": "试车仍有异响 still noisy"}
            await self._walk.work(Role.INSPECTOR, "quality/fail", cause)
        else:
            await self._walk.checked()

    async def _to_the_customer(self, file: File) -> bool:
        r, workshop, delivery = self._chance, file["workshop"], file.get("delivery", {})
        bill, gate = file.get("settlement", {}), file.get("gate_pass", {})
        if "readied_at" not in delivery:
            return False
        if "washed_at" not in workshop:
            await self._team("wash")
        elif "returned" not in workshop:
            back = {"parking_place": r.choice(PLACES)}
            await self._walk.work(Role.WORKSHOP_SUPERVISOR, "hand-back", back)
        elif "checked_at" not in delivery:
            await self._desk("delivery-check", dict.fromkeys(CHECKED, True))
        elif "inspection" not in delivery:
            shown = ("old_parts_shown", "spare_wheel_and_tools", "cleanliness_shown")
            await self._desk("joint-inspection", dict.fromkeys(shown, True))
            await self._desk("protective-set/remove")
            await self._desk("next-service", self._next_service(file))
        elif "hash" not in bill:
            await self._desk("settlement")
        elif "signed_at" not in bill:
            await self._desk("settlement/signature", {"hash": bill["hash"], "signature": SIGNATURE})
        elif bill["customer_fen"] > sum(each["amount_fen"] for each in bill.get("payments", [])):
            paid = {"amount_fen": bill["customer_fen"], "method": r.choice(("wechat", "alipay", "card"))}
            await self._walk.visit(Role.CASHIER, "payments", paid)
        elif gate.get("state") == "prepared":
            await self._walk.visit(Role.CASHIER, "gate-pass/release")
        else:
            await self._desk("deliver")
        return True

    def _next_service(self, file: File) -> dict[str, Any]:
        on = (datetime.now(UTC) + LOCAL + timedelta(days=180)).date()
        return {"due_on": on.isoformat(), "due_km": file["mileage_km"] + 10_000}

    async def _at_the_gate(self, file: File) -> bool:
        if file.get("gate_pass", {}).get("state") != "released" or not (token := await self._token()):
            return False
        await self._walk.at_the_gate(token)
        return True

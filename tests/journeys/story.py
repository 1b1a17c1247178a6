"""The steps of a visit and of a complaint, as people take them over HTTP."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from access.roles import Role
from ops.walkthrough import LABOUR_FEN, Walkthrough
from tests.system import Running

WITHIN = 20.0
PEOPLE = {
    "visits": "advisor",
    "repairs": "technician",
    "dispatch": "workshop_supervisor",
    "complete": "technician",
    "pass": "inspector",
    "fail": "inspector",
    "rework": "workshop_supervisor",
    "approve": "advisor",
    "decline": "advisor",
    "deliver": "advisor",
}


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, within: float = WITHIN, every: float = 0.02
) -> Any:
    """What the condition answers once it is true."""
    async with asyncio.timeout(within):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(every)


class Visit:
    """One vehicle at one site. Each step waits until the services have heard of what it depends on."""

    def __init__(self, running: Running, site: str = "sh01") -> None:
        self.running = running
        self.site = site
        self.phone = f"1{uuid.uuid4().int % 10**10:010d}"
        self.plate = f"沪A{uuid.uuid4().hex[:5].upper()}"
        self.id = ""
        self.position = ""
        self.owed_fen = LABOUR_FEN

    async def received(self, **changed: Any) -> "Visit":
        body = {
            "vin": "LSVAA4182E2123456",
            "plate": self.plate,
            "customer_name": "王小明",
            "phone": self.phone,
            "mileage_km": 41_000,
            "symptoms": ["刹车异响 brakes squeal"],
            **changed,
        }
        answer = await self._post("/reception/v1/visits", body, "advisor")
        self.id = answer["id"]
        await self.heard("workshop.work_order_opened.v1")
        return self

    @property
    def walk(self) -> Walkthrough:
        async def give(role: Role, path: str, body: dict[str, Any]) -> dict[str, Any]:
            return await self._post(path, body, role)

        return Walkthrough(give, self.id)

    async def handed_over(self) -> "Visit":
        """Inspected, quoted (line 1), signed, and in the workshop's waiting area."""
        await self.walk.inspected()
        await self.walk.authorised()
        await self.walk.handed_over()
        await self.heard("workshop.work_authorised.v1")
        await self.heard("workshop.vehicle_taken_in.v1")
        return self

    async def dispatched(self) -> "Visit":
        await self.handed_over()
        return await self.work("dispatch", {"team": "A 组"})

    async def work(self, step: str, body: dict[str, Any] | None = None) -> "Visit":
        role = PEOPLE[step.rpartition("/")[2]]
        await self._post(f"/workshop/v1/work-orders/{self.id}/{step}", body or {}, role)
        return self

    async def repair_added(self, line: int) -> "Visit":
        body = {"description": "前刹车片 front brake pads", "price_fen": 88_000, "delay_minutes": 40}
        await self.work("repairs", body)
        await self.heard("reception.approval_requested.v1", line=line)
        return self

    async def answered(self, line: int, answer: str, **body: Any) -> "Visit":
        """To the revision that was asked about last, with its delay told."""
        asked = [
            entry["data"]
            for entry in (await self.timeline())["entries"]
            if entry["event"] == "reception.approval_requested.v1" and entry["data"]["line"] == line
        ][-1]
        said = {"hash": asked.get("hash"), "delay_minutes": asked["delay_minutes"]}
        if answer == "decline":
            said["told_to"] = "supervisor-sh01"
        path = f"/reception/v1/visits/{self.id}/repairs/{line}/{answer}"
        await self._post(path, said | body, PEOPLE[answer])
        self.owed_fen += asked["price_fen"] if answer == "approve" else 0
        settled = {"approve": "released", "decline": "dropped"}[answer]
        await self.heard(f"workshop.repair_{settled}.v1", line=line)
        return self

    async def passed(self) -> "Visit":
        await self.walk.checked()
        await self.heard("reception.vehicle_readied.v1")
        return self

    async def delivered(self) -> "Visit":
        await self.walk.settled(self.owed_fen)
        await self._post(f"/reception/v1/visits/{self.id}/deliver", {"mileage_km": 41_000}, "advisor")
        await self.heard("workshop.work_order_closed.v1")
        return self

    async def heard(self, type: str, **data: Any) -> None:
        """Until the timeline has that fact; reads that follow have it, too."""

        async def there() -> bool:
            timeline = await self.timeline()
            if found := any(
                entry["event"] == type and entry["data"].items() >= data.items()
                for entry in timeline["entries"]
            ):
                self.position = str(timeline["position"])
            return found

        await eventually(there)

    async def card(self, role: str = "advisor", **params: Any) -> dict[str, Any]:
        """The card on the board, with everything that our own last command recorded."""
        params = {"min_position": self.position, **params}
        board = await self.running.get(f"/v1/sites/{self.site}/board", role, self.site, **params)
        assert board.status_code == 200, board.text
        [card] = [card for card in board.json()["cards"] if card["work_order_id"] == self.id]
        return dict(card)

    async def work_order(self, role: str = "advisor", **params: Any) -> dict[str, Any]:
        answer = await self.running.get(f"/v1/work-orders/{self.id}", role, self.site, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def timeline(self, role: str = "advisor", **params: Any) -> dict[str, Any]:
        params = {"min_position": self.position, **params}
        path = f"/v1/work-orders/{self.id}/timeline"
        answer = await self.running.get(path, role, self.site, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def events(self) -> list[str]:
        return [entry["event"] for entry in (await self.timeline())["entries"]]

    async def _post(self, path: str, body: dict[str, Any], role: str) -> dict[str, Any]:
        answer = await self.running.post(path, body, role, self.site)
        self.position = answer["position"]
        return answer

"""A visit step by step, as people take it over HTTP: what the demo plays, and what tests build on."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from typing import Any, TypeAlias

from PIL import Image, ImageDraw

from access.roles import Role
from events.walk_around import ITEMS

Give: TypeAlias = Callable[[Role, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Gives a command in a role and returns its answer."""
Point: TypeAlias = tuple[int, int]

LABOUR_FEN = 20_000
LINES: list[dict[str, Any]] = [
    {"description": "检查制动系统 check the brakes", "labour_minutes": 60, "labour_fen": LABOUR_FEN}
]
"""What is quoted unless somebody says something else."""
STROKE: Sequence[Point] = ((40, 120), (120, 40), (200, 130), (300, 60))


def signature(points: Sequence[Point] = STROKE) -> str:
    """Drawn on the screen: a PNG in base64."""
    pad = Image.new("L", (400, 160), 255)
    ImageDraw.Draw(pad).line(list(points), fill=20, width=4)
    written = BytesIO()
    pad.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


SIGNATURE = signature()


class Walkthrough:
    """One visit; its work order has the same id."""

    def __init__(self, give: Give, id: str) -> None:
        self._give = give
        self.id = id

    async def visit(self, role: Role, step: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self._give(role, f"/reception/v1/visits/{self.id}/{step}", body or {})

    async def work(self, role: Role, step: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self._give(role, f"/workshop/v1/work-orders/{self.id}/{step}", body or {})

    async def inspected(self, **seen: Any) -> None:
        """Around the vehicle with the customer, who signs what was found (R-33)."""
        all_well = [{"item": item, "ok": True} for item in ITEMS]
        around = {"checks": all_well, "damages": [], "fuel_eighths": 4, **seen}
        found = await self.visit(Role.ADVISOR, "walk-around", around)
        await self.visit(
            Role.ADVISOR, "walk-around/signature", {"hash": found["hash"], "signature": SIGNATURE}
        )

    async def authorised(self, lines: list[dict[str, Any]] | None = None, **agreed: Any) -> None:
        """Quoted and signed (R-50)."""
        quote = {"lines": lines or LINES, "payment_method": "wechat", "old_parts": "return", **agreed}
        quoted = await self.visit(Role.ADVISOR, "quote", quote)
        await self.visit(Role.ADVISOR, "sign", {"hash": quoted["hash"], "signature": SIGNATURE})

    async def handed_over(self) -> None:
        """Car, keys and papers are the workshop's (W-04)."""
        await self.visit(Role.ADVISOR, "hand-over")

    async def checked(self) -> None:
        """The workshop's end checks, as far as they are needed (W-18)."""
        await self.work(Role.INSPECTOR, "test-drive", {"passed": True})
        await self.work(Role.INSPECTOR, "quality/pass")

    async def settled(self, owed_fen: int = LABOUR_FEN) -> None:
        """Checked by the advisor, explained, signed, paid; the gate pass is in the customer's hand."""
        items = ("fault_gone", "old_parts_there", "clean_inside", "clean_outside", "nothing_left_behind")
        await self.visit(Role.ADVISOR, "delivery-check", dict.fromkeys(items, True))
        bill = await self.visit(Role.ADVISOR, "settlement", {"total_fen": owed_fen})
        await self.visit(Role.ADVISOR, "settlement/signature", {"hash": bill["hash"], "signature": SIGNATURE})
        await self.visit(Role.CASHIER, "payments", {"amount_fen": owed_fen, "method": "wechat"})
        await self.visit(Role.CASHIER, "gate-pass/release")

    async def at_the_gate(self, token: str) -> None:
        """What the gate pass says is scanned, and the vehicle is gone (R-81)."""
        await self._give(Role.ASSISTANT, "/reception/v1/gate-passes/use", {"token": token})

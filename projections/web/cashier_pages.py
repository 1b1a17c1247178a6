"""Settlement: the advisor prepares and explains it, the cashier takes money and hands over the gate pass."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from access.guard import needs
from access.problems import Problem, missing
from access.roles import Action
from access.tokens import Principal
from projections.api import MinPosition
from projections.projection import Document
from projections.reading import Views
from projections.visit_file.cashier import charged, current, owed_fen, paid_fen, stand
from projections.visit_file.projection import VISIT_FILE
from projections.web.rendering import page
from projections.work_order_board.cards import SITE_ZONE

CHECK = ("fault_gone", "old_parts_there", "clean_inside", "clean_outside", "nothing_left_behind")
METHODS = ("wechat", "alipay", "card", "cash", "transfer")


def cashier_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/cashier")
    async def cashier(
        request: Request,
        who: Annotated[Principal, needs(Action.VISIT_CASH)],
        min_position: MinPosition = None,
    ) -> Response:
        """What is to be paid, and which gate passes are to be handed over (R-80, R-81, X-19)."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        read = await views.at_cashier(who)
        return page(
            request,
            "cashier.html",
            who,
            read=read,
            bills=sorted((bill(file, read.at) for file in read.document["files"]), key=_urgent),
            methods=METHODS,
        )

    @router.get("/visits/{id}/settlement")
    async def settlement(
        request: Request,
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        min_position: MinPosition = None,
    ) -> Response:
        """From the advisor's check to the customer's keys (R-70 … R-85); a manager gives credit."""
        if not (who.may(Action.VISIT_DELIVER) or who.may(Action.VISIT_MANAGE)):
            raise Problem(403, f"The role {who.role} does not include {Action.VISIT_DELIVER}.")
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        read = await views.visit_file(who, id)
        if read is None or "received_at" not in read.document:
            raise missing()
        return page(
            request,
            "settlement.html",
            who,
            read=read,
            file=read.document,
            bill=bill(read.document, read.at),
            lines=charged(read.document),
            check=CHECK,
            call=call_window(read.document, read.at),
        )

    return router


def _urgent(each: Document) -> tuple[bool, int]:
    """What is overdue comes first, then what somebody waits for at the desk."""
    order = ("to_pay", "to_pay_back", "to_release", "to_leave", "on_credit")
    return not each["overdue"], order.index(each["stand"])


def bill(file: Document, at: datetime) -> Document:
    """A settlement in figures, and what is next."""
    settlement, gate_pass = current(file), file.get("gate_pass", {})
    pay_by = (settlement or {}).get("credit", {}).get("pay_by", "9999")
    expired = gate_pass.get("state") == "released" and datetime.fromisoformat(gate_pass["valid_until"]) < at
    return {
        "file": file,
        "settlement": settlement,
        "owed_fen": owed_fen(file),
        "paid_fen": paid_fen(file),
        "stand": stand(file),
        "overdue": owed_fen(file) > 0 and pay_by < f"{at.astimezone(SITE_ZONE):%Y-%m-%d}",
        "gate_pass": "expired" if expired else gate_pass.get("state"),
    }


def call_window(file: Document, at: datetime) -> tuple[str, str]:
    """What is proposed for the call about the quality: an hour, two days after the delivery (K-01)."""
    agreed = file.get("delivery", {}).get("agreed", {}).get("deliver_at")
    day = (datetime.fromisoformat(agreed) if agreed else at).astimezone(SITE_ZONE) + timedelta(days=2)
    first, last = (day.replace(hour=hour, minute=0) for hour in (10, 11))
    return f"{first:%Y-%m-%dT%H:%M}", f"{last:%Y-%m-%dT%H:%M}"

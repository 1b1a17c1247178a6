"""What stands on each printed form: a view of the visit's file, in the words and figures that are printed.

Names, phone numbers and plates are not part of it: they are put beside it when somebody may print them. So
the hash of what is printed stays the same, whoever prints it, and after the customer was erased (K-22).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from access.roles import Action
from eventlog.recorded import canonical
from events.lines import Line, Part
from projections.forms.amounts import capitals, figures
from projections.projection import Document
from projections.work_order_board.cards import SITE_ZONE


class NotYet(Exception):
    """What the form is about has not happened; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form that is printed of a visit (K-19)."""

    name: str
    contents: Callable[[Document], Document]
    """Pure; `at` is when what is printed came to be so. Raises NotYet."""
    people: tuple[str, ...] = ()
    """The personal values that stand beside the contents."""
    action: Action = Action.WORK_ORDER_READ
    """What it takes to print it."""


def stamp(contents: Document) -> str:
    """The hash that a form carries (K-22)."""
    return hashlib.sha256(canonical(contents)).hexdigest()


def local(at: str | None) -> str | None:
    return f"{datetime.fromisoformat(at).astimezone(SITE_ZONE):%Y-%m-%d %H:%M}" if at else None


def _head(file: Document, form: str, at: str) -> Document:
    """By which a form and what it is about are known."""
    return {
        "form": form,
        "work_order": file["work_order_id"],
        "site": file["site"],
        "at": at,
        "customer": file.get("customer"),
        "vin": file.get("vin"),
        "model": file.get("model"),
        "mileage": f"{file['mileage_km']:,} km" if "mileage_km" in file else None,
        "received": local(file.get("received_at")),
    }


def card(file: Document) -> Document:
    """维修管理卡 (R-13): who comes, with which vehicle and what for, as it is posted in the day's column."""
    appointment = file.get("appointment", {})
    at = file.get("received_at") or appointment.get("slot_at")
    if at is None:
        raise NotYet("No time was agreed for this visit yet.")
    need = [appointment["need"]] if "need" in appointment else []
    said = [each["description"] for each in file.get("symptoms", [])]
    return _head(file, "card", at) | {
        "appointment": appointment.get("number"),
        "slot": local(appointment.get("slot_at")),
        "promised": local(file.get("promised_at")),
        "member": file.get("member"),
        "requests": [*need, *(each for each in said if each not in need)],
    }


def reception(file: Document) -> Document:
    """接车登记表 (R-34): how the vehicle came, and what the customer said and signed."""
    if "received_at" not in file:
        raise NotYet("The vehicle has not been received yet.")
    walk_around = file.get("walk_around", {})
    at = walk_around.get("signed_at") or walk_around.get("at") or file["received_at"]
    return _head(file, "reception", at) | {
        "fuel": file.get("fuel_eighths"),
        "appointment": file.get("appointment", {}).get("number"),
        "member": file.get("member"),
        "first_service": file.get("first_service"),
        "symptoms": [(each["kind"], each["description"]) for each in file.get("symptoms", [])],
        "papers": {name: ok for name, ok in file.get("papers", {}).items() if name != "at"},
        "protective_set": local(file.get("protective_set", {}).get("fitted_at")),
        "valuables": file.get("valuables", {}).get("items"),
        "checks": [(each["item"], each["ok"], each.get("note")) for each in walk_around.get("checks", [])],
        "damages": [
            {name: each.get(name) for name in ("view", "x", "y", "kind", "note")}
            for each in walk_around.get("damages", [])
        ],
        "underbody": file.get("underbody", {}).get("findings"),
        "photos": [(each["of"], each["photo"][:16]) for each in file.get("photos", [])],
        "revision": walk_around.get("revision"),
        "signed": _signed(walk_around),
    }


def work_order(file: Document) -> Document:
    """委托书 (R-50, R-52): what the customer authorises, for how much, until when."""
    quote = file.get("quote")
    if quote is None:
        raise NotYet("Nothing has been quoted yet.")
    return _head(file, "work-order", quote.get("signed_at") or quote["at"]) | {
        "promised": local(quote["promised_at"]),
        "revision": quote["revision"],
        "hash": quote["hash"],
        "lines": [_line(each, file.get("warranty", {})) for each in quote["lines"]],
        "total": figures(quote["total_fen"]),
        "capitals": capitals(quote["total_fen"]),
        "payers": _payers(quote["lines"]),
        "payment_method": quote["payment_method"],
        "old_parts": quote["old_parts"],
        "check_first": quote.get("check_first", False),
        "mobility": [
            (each["kind"], each.get("vehicle") or figures(each.get("amount_fen") or 0))
            for each in file.get("mobility", [])
        ],
        "channel": quote.get("channel"),
        "signed": _signed(quote),
    }


def dispatch(file: Document) -> Document:
    """派工单 (R-52, W-17): what the team is given to do, and how it was checked."""
    workshop = file.get("workshop", {})
    if "dispatched_at" not in workshop:
        raise NotYet("The work has not been dispatched yet.")
    accepted, handed_over = workshop.get("accepted", {}), file.get("handed_over", {})
    checks = [(local(each["at"]), each["passed"], each.get("cause")) for each in workshop.get("checks", [])]
    drives = [
        (local(each["at"]), each["passed"], each.get("remarks")) for each in workshop.get("test_drives", [])
    ]
    tasks = sorted(workshop.get("tasks", {}).items(), key=lambda task: int(task[0]))
    return _head(file, "dispatch", _latest(workshop, "dispatched_at")) | {
        "promised": local(file.get("promised_at")),
        "team": workshop["team"],
        "mode": workshop.get("mode"),
        "priority": workshop.get("priority"),
        "dispatched": local(workshop["dispatched_at"]),
        "accepted": local(accepted.get("at")),
        "tools_checked": accepted.get("tools_checked"),
        "symptoms": [each["description"] for each in file.get("symptoms", [])],
        "keys": handed_over.get("keys"),
        "papers": handed_over.get("papers"),
        "notes": handed_over.get("notes"),
        "tasks": [
            {
                "line": number,
                "description": task.get("description"),
                "trade": task.get("trade"),
                "minutes": task.get("labour_minutes"),
                "technician": task.get("technician"),
                "started": local(task.get("started_at")),
                "completed": local(task.get("completed_at")),
            }
            for number, task in tasks
        ],
        "test_drives": drives,
        "checks": checks,
        "reworks": [(local(each["at"]), each.get("cause")) for each in workshop.get("reworks", [])],
    }


def repair_order(file: Document) -> Document:
    """进厂维修单 (R-64): what was added to the order and what the customer said to it, with when."""
    added = sorted(file.get("added", {}).items(), key=lambda line: int(line[0]))
    answered = [(number, line) for number, line in added if "at" in line]
    if not answered:
        raise NotYet("The customer has not answered for any added repair yet.")
    agreed = [line for _, line in answered if line["state"] in ("approved", "released")]
    total = sum(line["price_fen"] for line in agreed)
    return _head(file, "repair-order", max(line["at"] for _, line in answered)) | {
        "promised": local(file.get("promised_at")),
        "team": file.get("workshop", {}).get("team"),
        "lines": [
            {
                "line": number,
                "description": line["description"],
                "parts": [_part(Part.model_validate(part)) for part in line.get("parts") or ()],
                "labour": figures(line["labour_fen"]) if line.get("labour_fen") is not None else None,
                "price": figures(line["price_fen"]),
                "delay": line.get("delay_told"),
                "answer": "approved" if line["state"] in ("approved", "released") else "declined",
                "reason": line.get("reason"),
                "channel": line.get("channel"),
                "answered": local(line["at"]),
                "told_to": line.get("told_to"),
                "told": local(line.get("told_at")),
                "revision": line.get("revision"),
                "hash": line.get("hash"),
            }
            for number, line in answered
        ],
        "total": figures(total),
        "capitals": capitals(total),
    }


def issue_slip(file: Document) -> Document:
    """出库单 (W-09): parts drawn on the work order, and who signed for them."""
    slips = file.get("workshop", {}).get("slips")
    if not slips:
        raise NotYet("No parts have been picked yet.")
    return _head(file, "issue-slip", max(slip["at"] for slip in slips)) | {
        "slips": [
            {
                "slip": slip["slip"],
                "at": local(slip["at"]),
                "technician": slip["technician"],
                "signature": slip["signature"],
                "parts": [
                    [str(part["line"]), part["code"], part["name"], part["quantity"]]
                    for part in slip["parts"]
                ],
            }
            for slip in slips
        ]
    }


def settlement(file: Document) -> Document:
    """结算单 (R-76 … R-79): what is to be paid, and when the vehicle is due again."""
    settled = file.get("settlement", {})
    if "revision" not in settled:
        raise NotYet("No settlement has been prepared yet.")
    delivery = file.get("delivery", {})
    service, call = delivery.get("next_service", {}), delivery.get("follow_up", {})
    due_km = settled.get("next_service_km") or service.get("due_km")
    paid = [
        (local(each["at"]), each["method"], figures(each["amount_fen"]), each.get("invoice"))
        for each in settled.get("payments", [])
    ]
    refunds = [(local(each["at"]), figures(each["amount_fen"])) for each in settled.get("refunds", [])]
    times = [settled["at"], *(settled[name] for name in ("signed_at",) if name in settled)]
    times += [each["at"] for name in ("payments", "refunds") for each in settled.get(name, [])]
    return _head(file, "settlement", max(times)) | {
        "revision": settled["revision"],
        "hash": settled["hash"],
        "lines": [_line(each, {}) for each in settled["lines"]],
        "payers": _payers(settled["lines"]),
        "discount": figures(settled["discount_fen"]) if settled["discount_fen"] else None,
        "total": figures(settled["total_fen"]),
        "customer_pays": figures(settled["customer_fen"]),
        "capitals": capitals(settled["customer_fen"]),
        "payments": paid,
        "refunds": refunds,
        "next_service_on": settled.get("next_service_on") or service.get("due_on"),
        "next_service_km": f"{due_km:,} km" if due_km else None,
        "call_from": local(settled.get("call_from") or call.get("call_from")),
        "call_until": local(call.get("call_until")),
        "advice": delivery.get("inspection", {}).get("advice"),
        "signed": _signed(settled),
    }


def gate_pass(file: Document) -> Document:
    """出门证 (R-76, R-81, K-20): opens the gate once it is released, and until then is of no use."""
    prepared = file.get("gate_pass")
    if prepared is None:
        raise NotYet("No gate pass has been prepared yet.")
    if prepared["state"] in ("used", "revoked"):
        raise NotYet(f"The gate pass was {prepared['state']}.")
    return _head(file, "gate-pass", prepared["at"]) | {
        "pass": prepared["pass_id"],
        "state": prepared["state"],
        "valid_until": local(prepared.get("valid_until")),
    }


def _signed(section: Document) -> Document | None:
    if "signed_at" not in section:
        return None
    return {"at": local(section["signed_at"]), "signature": section.get("signature")}


def _latest(workshop: Document, *names: str) -> str:
    """When the last of what a dispatch order says happened."""
    times = [workshop[name] for name in names]
    times += [each["at"] for each in [workshop.get("accepted", {})] if "at" in each]
    for name in ("checks", "test_drives", "reworks"):
        times += [each["at"] for each in workshop.get(name, [])]
    for task in workshop.get("tasks", {}).values():
        times += [task[name] for name in ("started_at", "completed_at") if name in task]
    return str(max(times))


def _line(said: Document, warranty: Document) -> Document:
    line = Line.model_validate(said)
    return {
        "line": str(line.line),
        "description": line.description,
        "minutes": line.labour_minutes,
        "labour": figures(line.labour_fen),
        "parts": [_part(part) for part in line.parts],
        "discount": figures(line.discount_fen) if line.discount_fen else None,
        "payer": line.payer,
        "warranty": warranty.get(str(line.line), {}).get("verdict"),
        "total": figures(line.total_fen),
    }


def _part(part: Part) -> list[str]:
    """Its origin is known of every part (W-27, K-16)."""
    quantity, unit, total = str(part.quantity), figures(part.unit_fen), figures(part.total_fen)
    return [part.code, part.name, part.origin, quantity, unit, total]


def _payers(lines: Iterable[Any]) -> list[tuple[str, str]]:
    """What each of those who pay bears (R-80)."""
    sums: dict[str, int] = {}
    for line in map(Line.model_validate, lines):
        sums[line.payer] = sums.get(line.payer, 0) + line.total_fen
    return [(payer, figures(fen)) for payer, fen in sorted(sums.items())]


CUSTOMER = ("customer_name", "phone", "plate")
FORMS = {
    form.name: form
    for form in (
        Form("card", card, ("customer_name", "plate")),
        Form("reception", reception, CUSTOMER),
        Form("work-order", work_order, CUSTOMER),
        Form("dispatch", dispatch, ("plate",)),
        Form("repair-order", repair_order, ("plate",)),
        Form("issue-slip", issue_slip, ("plate",)),
        Form("settlement", settlement, CUSTOMER),
        Form("gate-pass", gate_pass, ("plate",), Action.VISIT_CASH),
    )
}
"""In the order in which a visit comes to them."""

"""What a settlement comes to, as the file of a visit tells it: what is charged, owed and still to be
collected (R-76 … R-81, X-19)."""

from typing import Literal, TypeAlias

from events.lines import Line
from projections.projection import Document

Stand: TypeAlias = Literal["to_sign", "to_pay", "to_release", "to_leave", "on_credit", "to_pay_back", "done"]


def charged(file: Document) -> list[Line]:
    """What the customer signed, and the added repairs they agreed to; or what was settled, if it holds."""
    if settlement := current(file):
        return [Line.model_validate(line) for line in settlement["lines"]]
    quote = file.get("quote", {})
    lines = [Line.model_validate(line) for line in quote.get("lines", ()) if "signed_at" in quote]
    for number, added in sorted(file.get("added", {}).items(), key=lambda each: int(each[0])):
        if added.get("state") in ("approved", "released"):
            lines.append(_line(int(number), added))
    return lines


def _line(number: int, added: Document) -> Line:
    """Of a repair of which only the price was asked, all of it is labour."""
    apart = added.get("labour_fen") is not None or added.get("parts") is not None
    return Line(
        line=number,
        description=added.get("description", ""),
        labour_minutes=added.get("labour_minutes") or 0,
        labour_fen=added.get("labour_fen") or 0 if apart else added.get("price_fen", 0),
        parts=added.get("parts") or (),
        payer=added.get("payer") or "customer",
    )


def current(file: Document) -> Document | None:
    """The settlement that holds: none is, of a vehicle that went back to the workshop after it."""
    settlement: Document | None = file.get("settlement")
    if settlement is None or "revision" not in settlement:
        return None
    sent_back = file.get("delivery", {}).get("sent_back", [])
    return None if sent_back and sent_back[-1]["at"] > settlement["at"] else settlement


def paid_fen(file: Document) -> int:
    settlement = file.get("settlement", {})
    received = sum(each["amount_fen"] for each in settlement.get("payments", ()))
    return int(received - sum(each["amount_fen"] for each in settlement.get("refunds", ())))


def owed_fen(file: Document) -> int:
    """By the customer; less than nothing if money has to go back."""
    settlement = current(file)
    return (settlement["customer_fen"] if settlement else 0) - paid_fen(file)


def stand(file: Document) -> Stand | None:
    """What is next at the cashier and at the gate; None before there is a settlement that holds."""
    settlement = current(file)
    if settlement is None:
        return None
    owed = owed_fen(file)
    left = file.get("gate_pass", {}).get("state") == "used"
    if not left and not settlement.get("signed_at"):
        return "to_sign"
    if owed < 0:
        return "to_pay_back"
    granted = settlement.get("credit", {}).get("amount_fen", 0)
    if owed > granted:
        return "to_pay"
    if not left:
        return "to_leave" if file.get("gate_pass", {}).get("state") == "released" else "to_release"
    return "on_credit" if owed else "done"


def at_cashier(file: Document) -> bool:
    """Whether there is something for the cashier to do or to wait for."""
    return stand(file) not in (None, "to_sign", "done")

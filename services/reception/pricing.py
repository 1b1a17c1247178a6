"""What the lines of a quote cost by the price list: labour by the hour, parts by the piece (R-48, R-59)."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from pydantic import BaseModel, ConfigDict

from eventlog.decider import Rejected
from events.lines import MOST_FEN, Line, Part, PartOrigin, Payer, Trade
from events.shop_rules import Operation, PricedPart, PriceList


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WantedPart(_Data):
    """By its code; a part that is in no list comes with name, origin and price."""

    code: str
    quantity: Decimal
    name: str | None = None
    origin: PartOrigin | None = None
    unit_fen: int | None = None
    in_stock: bool | None = None


class WantedLine(_Data):
    """By an operation of the catalogue, or in free words with a price of its own."""

    operation: str | None = None
    description: str | None = None
    trade: Trade | None = None
    labour_minutes: int | None = None
    labour_fen: int | None = None
    parts: tuple[WantedPart, ...] = ()
    discount_fen: int = 0
    payer: Payer = "customer"


def priced(wanted: Sequence[WantedLine], prices: PriceList) -> tuple[Line, ...]:
    """The lines in their order, each with labour and parts apart. Raises Rejected."""
    return tuple(_line(number, line, prices) for number, line in enumerate(wanted, 1))


def labour_fen(prices: PriceList, trade: Trade, minutes: int) -> int:
    """By the minute, rounded half up to whole fen."""
    hour = prices.labour_hour_fen.get(trade)
    if hour is None:
        raise Rejected(f"the price list has no labour price for {trade.replace('_', ' and ')} work")
    fen = int((Decimal(hour) * minutes / 60).quantize(Decimal(1), ROUND_HALF_UP))
    if fen > MOST_FEN:
        raise Rejected(f"{minutes} minutes of labour cost {yuan(fen)}, more than a line can cost")
    return fen


def yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _line(number: int, wanted: WantedLine, prices: PriceList) -> Line:
    operation = _operation(number, wanted, prices)
    trade = operation.trade if operation else wanted.trade or "mechatronic"
    description = wanted.description or (operation.name if operation else None)
    if description is None:
        raise Rejected(f"line {number} needs an operation of the price list or a description")
    minutes = wanted.labour_minutes
    if minutes is None:
        minutes = operation.labour_minutes if operation else 0
    labour = labour_fen(prices, trade, minutes)
    if operation and wanted.labour_fen not in (None, labour):
        raise Rejected(f"{minutes} minutes of labour on line {number} cost {yuan(labour)} by the price list")
    if wanted.labour_fen is not None:
        labour = wanted.labour_fen
    parts = tuple(_part(number, part, prices) for part in wanted.parts)
    gross = labour + sum(part.total_fen for part in parts)
    if wanted.discount_fen > gross:
        raise Rejected(f"line {number} costs {yuan(gross)}, less than its discount")
    return Line(
        line=number,
        description=description,
        trade=trade,
        operation=wanted.operation,
        labour_minutes=minutes,
        labour_fen=labour,
        parts=parts,
        discount_fen=wanted.discount_fen,
        payer=wanted.payer,
    )


def _operation(number: int, wanted: WantedLine, prices: PriceList) -> Operation | None:
    if wanted.operation is None:
        return None
    for operation in prices.operations:
        if operation.code == wanted.operation:
            return operation
    raise Rejected(f"the price list has no operation {wanted.operation} for line {number}")


def _part(number: int, wanted: WantedPart, prices: PriceList) -> Part:
    """The list decides about what is in it: origin and price are not the advisor's to choose (W-27)."""
    listed: PricedPart | None = next((each for each in prices.parts if each.code == wanted.code), None)
    if listed is not None:
        if wanted.unit_fen not in (None, listed.unit_fen):
            raise Rejected(
                f"part {wanted.code} on line {number} costs {yuan(listed.unit_fen)} by the price list"
            )
        name, origin, unit_fen = listed.name, listed.origin, listed.unit_fen
    elif wanted.name is None or wanted.origin is None or wanted.unit_fen is None:
        raise Rejected(
            f"part {wanted.code} on line {number} is in no price list: it needs name, origin and price"
        )
    else:
        name, origin, unit_fen = wanted.name, wanted.origin, wanted.unit_fen
    return Part(
        code=wanted.code,
        name=name,
        origin=origin,
        quantity=wanted.quantity,
        unit_fen=unit_fen,
        in_stock=wanted.in_stock,
    )

"""What is quoted, done and paid for: lines of labour and parts, in whole fen."""

import hashlib
import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

PartOrigin: TypeAlias = Literal["original", "genuine", "aftermarket"]
"""原厂, 正品, 副厂: known of every part, on the quote and on the settlement (W-27, K-16)."""
Trade: TypeAlias = Literal["mechatronic", "body_paint"]
"""机电, 钣喷 (W-28)."""
Payer: TypeAlias = Literal["customer", "warranty", "insurer"]
"""Self-paying, by the maker's warranty, by an insurer (R-80)."""
PaymentMethod: TypeAlias = Literal["cash", "card", "wechat", "alipay", "transfer", "on_account"]
OldParts: TypeAlias = Literal["return", "dispose", "exchange"]
"""What the customer wants done with parts that are replaced (R-50)."""
MOST_FEN = 10**9
Fen = Annotated[int, Field(ge=0, le=MOST_FEN)]
Minutes = Annotated[int, Field(ge=0, le=100_000)]


def _plain(quantity: Decimal) -> Decimal:
    """One form for each quantity: 4.50 is written 4.5."""
    normal = quantity.normalize()
    return normal if normal.as_tuple().exponent <= 0 else normal.quantize(Decimal(1))  # type: ignore[operator]


Quantity = Annotated[
    Decimal,
    Field(gt=0, le=10_000, max_digits=8, decimal_places=3),
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,3})?$"}),
]
"""Of a part; litres and metres are divisible."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(_Data):
    """A part with its price for one, and where it comes from."""

    code: str
    name: str
    origin: PartOrigin
    quantity: Quantity
    unit_fen: Fen
    in_stock: bool | None = None
    """What the stock said when the time was promised (R-46)."""

    @property
    def total_fen(self) -> int:
        """Rounded half up to whole fen, part by part."""
        return int((self.quantity * self.unit_fen).quantize(Decimal(1), ROUND_HALF_UP))


class Line(_Data):
    """One item of a quote or a settlement: labour and parts apart (R-48), each with its payer (R-80)."""

    line: Annotated[int, Field(ge=1, le=1_000)]
    description: str
    trade: Trade = "mechatronic"
    operation: str | None = None
    """Of the catalogue (W-24 … W-26); None for what is in none."""
    labour_minutes: Minutes = 0
    labour_fen: Fen = 0
    parts: tuple[Part, ...] = ()
    discount_fen: Fen = 0
    payer: Payer = "customer"

    @model_validator(mode="after")
    def _no_more_off_than_it_costs(self) -> Self:
        if self.discount_fen > self.gross_fen:
            raise ValueError(f"line {self.line} costs {self.gross_fen} fen, less than its discount")
        return self

    @property
    def parts_fen(self) -> int:
        return sum(part.total_fen for part in self.parts)

    @property
    def gross_fen(self) -> int:
        return self.labour_fen + self.parts_fen

    @property
    def total_fen(self) -> int:
        return self.gross_fen - self.discount_fen


def revision_hash(said: dict[str, Any]) -> str:
    """Names what an approval or a signature is about: SHA-256 over the canonical JSON of it (R-65)."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()

"""Cards as people see them at a moment: how long each waits, whether its promise is at risk."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from zoneinfo import ZoneInfo

import orjson

from eventlog.recorded import canonical
from projections.projection import Document
from projections.rules import promise_risk, versions_of

SITE_ZONE = ZoneInfo("Asia/Shanghai")
T = TypeVar("T")

A_DAY = timedelta(days=1)
"""Of the site, whose clocks are not changed in summer."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)


def is_shown(card: Document, day: datetime) -> bool:
    """Whether a card is on the board of the day that begins then."""
    if "delivered_at" in card:
        return datetime.fromisoformat(card["delivered_at"]) >= day
    return card["column"] != "gone" and (card["column"] != "booked" or _since(card) < day + A_DAY)


def midnight(at: datetime) -> datetime:
    """When the day began at the site."""
    return at.astimezone(SITE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)


def computed(card: Document, at: datetime) -> Document:
    """What depends on the moment of looking: how long the card waits and whether its promise is at risk.

    A vehicle that is booked for another day is expected `later`: that is no column of the board.
    """
    shown = {name: value for name, value in card.items() if name != "past"}
    if card["column"] == "booked" and _since(card) >= midnight(at) + A_DAY:
        shown["column"] = "later"
    shown["waiting_minutes"] = max(0, int((at - _since(card)).total_seconds() // 60))
    shown["risk"] = promise_risk(card, at, versions_of("promise_risk"))
    return shown


def without_clock(card: Document) -> Document:
    """A computed card without its minutes: they pass, and it stays the same."""
    risk = {name: value for name, value in card["risk"].items() if name != "minutes"}
    return {**card, "risk": risk, "waiting_minutes": None}


def _since(card: Document) -> datetime:
    return datetime.fromisoformat(card.get("since") or card["last_at"])


def _next_minute(card: Document) -> datetime:
    """Until when a computed card stays as it is."""
    waits = _since(card) + timedelta(minutes=card["waiting_minutes"] + 1)
    if "minutes" not in card["risk"]:
        return waits
    return min(
        waits, datetime.fromisoformat(card["promised_at"]) - timedelta(minutes=card["risk"]["minutes"])
    )


class ShownCard:
    """A card as all who have the same rights see it. What is made of it is kept until its next minute."""

    __slots__ = ("_computed", "_from", "_made", "document", "place", "position", "until")

    def __init__(self, document: Document, position: int) -> None:
        self.document = document
        self.position = position
        """Of its last change."""
        self.place = document.get("since", "~"), document["work_order_id"]
        """By which a board is sorted: who waits longest comes first."""
        self._from = self.until = _NEVER
        self._made: dict[object, Any] = {}

    def at(self, at: datetime) -> Self:
        """The card as it is at this moment."""
        if not self._from <= at < self.until:
            self._computed = computed(self.document, at)
            self._from, self.until, self._made = at, _next_minute(self._computed), {}
        return self

    def made(self, form: Callable[[Document, int], T]) -> T:
        """What `form` makes of the card and its position, at the moment it was brought to."""
        if form not in self._made:
            self._made[form] = form(self._computed, self.position)
        made: T = self._made[form]
        return made


class Face:
    """The cards of a board, the longest waiting first, as all who have the same rights see them."""

    __slots__ = ("_from", "_until", "cards", "json", "tag")

    def __init__(self, cards: Sequence[ShownCard]) -> None:
        self.cards = cards
        self._from = self._until = _NEVER
        self.tag = ""
        """Another one whenever something on the board changes besides its minutes."""
        self.json = b""

    def at(self, at: datetime) -> Self:
        """The cards as they are at this moment."""
        if not self._from <= at < self._until:
            cards = [card.at(at) for card in self.cards]
            self._from, self._until = at, min((card.until for card in cards), default=_FOREVER)
            self.tag = hashlib.sha256(b"".join(card.made(_digest) for card in cards)).hexdigest()[:32]
            self.json = b"[" + b",".join(card.made(_json) for card in cards) + b"]"
        return self


@dataclass(frozen=True, slots=True)
class Board:
    """The board of a site at a moment."""

    site: str
    position: int
    """Of the ledger up to which it holds."""
    at: datetime
    face: Face

    def tag(self) -> str:
        return self.face.at(self.at).tag

    def body(self) -> bytes:
        return canonical(
            {
                "site": self.site,
                "position": self.position,
                "at": self.at.isoformat(),
                "cards": orjson.Fragment(self.face.at(self.at).json),
            }
        )


def _digest(card: Document, _: int) -> bytes:
    return hashlib.sha256(canonical(without_clock(card))).digest()


def _json(card: Document, _: int) -> bytes:
    return canonical(card)

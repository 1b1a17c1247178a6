"""What a month's complaints were about and how soon they were answered (C-29, P-05, P-11)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles
from types import MappingProxyType
from typing import Any, LiteralString, Self, get_args

from events.customer_care import Satisfaction
from projections.projection import Document
from projections.work_order_board.cards import SITE_ZONE

COUNTED: Mapping[LiteralString, LiteralString] = MappingProxyType(
    {
        "site": "text",
        "subject": "text",
        "channel": "text",
        "severity": "text",
        "customer": "text",
        "follows": "text",
        "raised_at": "text",
        "first_contact_at": "text",
        "resolved_at": "text",
        "ended": "boolean",
        "deadlines": "json",
        "answers": "json",
    }
)
"""What has to be known of each complaint, with its type in the database; nothing that is sealed."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month at the sites, from its first moment to the first of the next one."""

    begins: datetime

    @classmethod
    def of(cls, at: datetime) -> Self:
        first = at.astimezone(SITE_ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(first)

    @classmethod
    def named(cls, name: str) -> Self:
        """By a name such as 2026-11. Raises ValueError."""
        return cls(datetime.strptime(name, "%Y-%m").replace(tzinfo=SITE_ZONE))

    def __str__(self) -> str:
        return f"{self.begins:%Y-%m}"

    @property
    def ends(self) -> datetime:
        year, month = divmod(self.begins.year * 12 + self.begins.month, 12)
        return self.begins.replace(year=year, month=month + 1)

    @property
    def previous(self) -> "Month":
        year, month = divmod(self.begins.year * 12 + self.begins.month - 2, 12)
        return Month(self.begins.replace(year=year, month=month + 1))

    @property
    def next(self) -> "Month":
        return Month(self.ends)


def summary(complaints: Iterable[Document]) -> Document:
    """Counts by class, channel, severity and site, times to first contact and to agreement in minutes, how
    deadlines were kept, and how many came from people who had complained in the same month already."""
    all_of_them = list(complaints)
    verdicts = Counter(
        (deadline["rule"], deadline["outcome"])
        for complaint in all_of_them
        for deadline in complaint.get("deadlines", {}).values()
        if deadline["outcome"] in ("met", "breached")
    )
    people = Counter(
        complaint["customer"]
        for complaint in all_of_them
        if complaint.get("customer") and "follows" not in complaint
    )
    answers: Counter[str] = Counter()
    for complaint in all_of_them:
        answers.update(complaint.get("answers", {}))
    return {
        "complaints": len(all_of_them),
        "ended": sum(complaint["ended"] for complaint in all_of_them),
        "by_subject": _count(all_of_them, lambda complaint: complaint.get("subject")),
        "by_channel": _count(all_of_them, lambda complaint: complaint.get("channel")),
        "by_severity": _count(all_of_them, lambda complaint: complaint.get("severity")),
        "by_site": _count(all_of_them, lambda complaint: complaint["site"]),
        "first_contact_minutes": _spread(_minutes(all_of_them, "first_contact_at")),
        "agreement_minutes": _spread(_minutes(all_of_them, "resolved_at")),
        "call_backs": {outcome: answers[outcome] for outcome in get_args(Satisfaction)},
        "objected": sum("follows" in complaint for complaint in all_of_them),
        "repeated": sum(n - 1 for n in people.values()),
        "deadlines": [
            {"rule": rule, "met": verdicts[rule, "met"], "breached": verdicts[rule, "breached"]}
            for rule in sorted({rule for rule, _ in verdicts})
        ],
    }


def _count(complaints: Sequence[Document], of: Callable[[Document], Any]) -> dict[str, int]:
    """The most frequent first; what is not known is left out."""
    return dict(Counter(str(value) for each in complaints if (value := of(each)) is not None).most_common())


def _minutes(complaints: Sequence[Document], until: str) -> list[float]:
    """From raising to a moment, of those that have come so far; late entries may have come before."""
    return [
        max(0.0, (_time(complaint[until]) - _time(complaint["raised_at"])).total_seconds() / 60)
        for complaint in complaints
        if until in complaint
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _spread(minutes: Sequence[float]) -> Document:
    """How many there are, and the times within which half, nine tenths and all of them were done."""
    if not minutes:
        return {"count": 0}
    cuts = quantiles([*minutes, *minutes] if len(minutes) == 1 else minutes, n=10, method="inclusive")
    return {
        "count": len(minutes),
        "median": round(cuts[4], 1),
        "p90": round(cuts[8], 1),
        "max": round(max(minutes), 1),
    }

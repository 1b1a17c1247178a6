"""Makes `deadlines.csv` in a way that shares nothing with the product.

Working time is not calculated here but lived through, minute by minute on the clock of the site: each minute
is asked whether the shop is open. Rules and shops are written down once more, by hand, from the requirements.
Run `python -m tests.customer_care.deadline_table` to make the table again.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

TABLE = Path(__file__).with_name("deadlines.csv")
MINUTE = timedelta(minutes=1)

LONG_DAY: tuple[str, ...] = ("07:00-18:00",)
OFFICE: tuple[str, ...] = ("08:30-12:00", "13:30-17:30")
Shop: TypeAlias = tuple[str, list[tuple[str, ...]], dict[str, tuple[str, ...]]]
SHOPS: dict[str, Shop] = {
    # zone, Monday … Sunday, days that differ
    "shanghai": (
        "Asia/Shanghai",
        [OFFICE] * 5 + [(), ()],
        {
            **dict.fromkeys(("2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"), ()),
            **dict.fromkeys(("2026-09-20", "2026-10-10"), OFFICE),  # a Sunday and a Saturday to make up
        },
    ),
    "berlin": ("Europe/Berlin", [LONG_DAY] * 6 + [("10:00-14:00",)], {}),
    "night": ("Europe/Berlin", [("00:00-04:00", "20:00-24:00")] * 7, {}),
    "new_york": ("America/New_York", [("09:00-17:00",)] * 5 + [(), ()], {"2028-02-29": ("09:00-12:00",)}),
}
RULES = (
    # id, severity, channels, step, hours
    ("C-20", "*", "*", 0.5),
    ("C-21.contact", "grievance", "*", 2),
    ("C-21.return", "grievance", "*", 24),
    ("C-21.call", "grievance", "*", 48),
    ("C-22.contact", "ordinary", "*", 2),
    ("C-22.agreement", "ordinary", "*", 24),
    ("C-22.call", "ordinary", "*", 48),
    ("C-23.contact", "major", "*", 24),
    ("C-23.agreement", "major", "*", 48),
    ("C-23.return", "major", "*", 48),
    ("C-23.call", "major", "*", 72),
    ("C-24.contact", "*", "letter message website", 2),
    ("C-24.reply", "*", "letter message website", 24),
    ("C-24.handled", "*", "letter message website", 48),
)
ARRIVALS = {
    # what is odd about it → shop, time there
    "just before lunch": ("shanghai", "2026-03-03T11:59:30"),
    "just before closing": ("shanghai", "2026-03-03T17:29:59"),
    "on Friday evening": ("shanghai", "2026-03-06T18:12:07"),
    "on Saturday": ("shanghai", "2026-03-07T09:00:00"),
    "on a make-up Sunday": ("shanghai", "2026-09-20T11:45:15"),
    "before the holiday week": ("shanghai", "2026-09-30T16:40:40"),
    "in the holiday week": ("shanghai", "2026-10-03T03:33:33"),
    "before the clocks go forward": ("berlin", "2026-03-28T17:30:30"),
    "before the clocks go back": ("berlin", "2026-10-24T17:59:59"),
    "in the night the clocks go forward": ("night", "2026-03-29T01:30:10"),
    "in the night the clocks go back": ("night", "2026-10-25T01:30:10"),
    "before leap day": ("new_york", "2028-02-28T16:15:00"),
    "on leap day": ("new_york", "2028-02-29T11:30:45"),
}
COMPLAINTS = (
    ("grievance", "phone"),
    ("ordinary", "in_person"),
    ("major", "phone"),
    ("major", "message"),
    ("grievance", "letter"),
)
PAUSE = (timedelta(hours=1, minutes=7), timedelta(hours=30, minutes=11))
"""A pause that begins and ends so long after the complaint."""
CHANGE = timedelta(minutes=20)
"""Of the class, so long after the complaint, from whatever it was to `major` and back to `ordinary`."""


@dataclass(frozen=True, slots=True)
class Case:
    arrival: str
    clock: str
    severity: str
    channel: str
    scenario: str
    rule: str
    due: str


@cache
def is_open(shop: str, minute: datetime) -> bool:
    """Whether the shop is open in the minute that begins then."""
    zone, week, odd = SHOPS[shop]
    there = minute.astimezone(ZoneInfo(zone))
    clock = f"{there:%H:%M}"
    periods = odd.get(f"{there:%Y-%m-%d}", week[there.weekday()])
    return any(p.split("-")[0] <= clock < p.split("-")[1] for p in periods)


def minutes_open(shop: str, since: datetime) -> Iterator[datetime]:
    """The starts, in UTC, of all minutes from `since` on in which the shop is open."""
    minute = since.replace(second=0, microsecond=0)
    while True:
        if is_open(shop, minute):
            yield minute
        minute += MINUTE


@cache
def after(shop: str, clock: str, since: datetime, length: timedelta) -> datetime:
    if clock == "around_the_clock":
        return since + length
    left = length
    for minute in minutes_open(shop, since):
        begins = max(minute, since)
        lasts = minute + MINUTE - begins
        if lasts >= left:
            return begins + left
        left -= lasts
    raise AssertionError("the minutes never end")


def open_between(shop: str, clock: str, since: datetime, until: datetime) -> timedelta:
    if clock == "around_the_clock":
        return until - since
    total = timedelta(0)
    for minute in minutes_open(shop, since):
        if minute >= until:
            break
        total += min(minute + MINUTE, until) - max(minute, since)
    return total


def matching(severity: str, channel: str) -> dict[str, float]:
    return {
        id: hours
        for id, of, channels, hours in RULES
        if of in ("*", severity) and (channels == "*" or channel in channels.split())
    }


def cases() -> Iterator[Case]:
    for arrival, (shop, local) in ARRIVALS.items():
        raised = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(SHOPS[shop][0])).astimezone(UTC)
        for clock in ("around_the_clock", "working_time"):
            for severity, channel in COMPLAINTS:

                def row(scenario: str, rule: str, due: datetime) -> Case:
                    return Case(arrival, clock, severity, channel, scenario, rule, f"{due:%Y-%m-%dT%H:%M:%S}")  # noqa: B023

                rules = matching(severity, channel)
                due = {id: after(shop, clock, raised, timedelta(hours=hours)) for id, hours in rules.items()}
                for id in rules:
                    yield row("plain", id, due[id])
                paused, resumed = raised + PAUSE[0], raised + PAUSE[1]
                for id in rules:
                    if due[id] > paused:
                        left = open_between(shop, clock, paused, due[id])
                        yield row("paused", id, after(shop, clock, resumed, left))
                other = "ordinary" if severity == "major" else "major"
                for id, hours in matching(other, channel).items():
                    if id not in rules:
                        yield row("another class", id, after(shop, clock, raised, timedelta(hours=hours)))
                again = raised + timedelta(days=3, seconds=17)
                for id, hours in matching(severity, "follow_up_call").items():
                    yield row("objection", id, after(shop, clock, again, timedelta(hours=hours)))


def main() -> None:
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Case.__slots__)
        for case in cases():
            writer.writerow([getattr(case, name) for name in Case.__slots__])


if __name__ == "__main__":
    main()

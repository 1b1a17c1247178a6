"""The appointment statistics form (预约统计表): what a month's appointments came to (P-02, R-09, R-29)."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from projections.projection import Document


def statistics(days: Iterable[Document]) -> Document:
    """Appointments by kind, channel and outcome, each counted on the day for which it was made last; the
    share of vehicles that came by appointment; and who waited too long (R-21)."""
    days = list(days)
    appointments = [each for day in days for each in day["appointments"].values() if "slot_at" in each]
    arrivals = [each for day in days for each in day["arrivals"].values()]
    # One that moved within the month stands on both days.
    made = [each for each in appointments if each["state"] != "moved"]
    booked = sum(day["received"]["booked"] for day in days)
    received = booked + sum(day["received"]["unbooked"] for day in days)
    seen = [each["waited_seconds"] for each in arrivals if each["state"] == "called_in"]
    return {
        "appointments": len(made),
        "by_kind": _count(each["kind"] for each in made),
        "by_channel": _count(each["channel"] for each in made),
        "by_outcome": _count(each["state"] for each in made),
        "moved": sum("moved_at" in each for each in appointments),
        "received": received,
        "received_booked": booked,
        "booking_rate": round(booked / received, 3) if received else None,
        "arrivals": len(arrivals),
        "waited_too_long": sum(bool(each["too_long"]) for each in arrivals),
        "left": sum(each["state"] == "left" for each in arrivals),
        "average_wait_seconds": round(sum(seen) / len(seen)) if seen else None,
        "consumed": _count(each["place"] for day in days for each in day["consumed"]),
        "by_day": [
            {
                "date": day["date"],
                "appointments": sum(
                    each["state"] != "moved" for each in day["appointments"].values() if "slot_at" in each
                ),
                "received": sum(day["received"].values()),
            }
            for day in sorted(days, key=lambda day: str(day["date"]))
        ],
    }


def _count(found: Iterable[Any]) -> dict[str, int]:
    """The most frequent first."""
    return dict(Counter(map(str, found)).most_common())

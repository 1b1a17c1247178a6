"""What a month of complaints comes to, against numbers worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring
from access.roles import Role
from access.sights import Sights
from access.tokens import Principal
from eventlog.follow import Wake
from eventlog.ledger import Ledger
from eventlog.recorded import Recorded
from events import Event, Sealed
from events.customer_care import (
    ComplaintRaised,
    ComplaintResolved,
    CustomerContacted,
    DeadlineBreached,
    DeadlineMet,
    DeadlineSet,
    SatisfactionCallMade,
)
from projections.boards import Boards
from projections.catalogue import PROJECTIONS
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.complaint_timeline.statistics import Month, summary
from projections.live import LiveViews
from projections.reading import Views
from tests.projections.log import given_log, view
from tests.projections.test_views import Conn
from tests.recording import OPENING, recorded

AUDITOR = Principal("liu.fang", Role.REGION_AUDITOR, frozenset({"sh01", "gz01"}), 0)
MARCH = Month.named("2026-03")
HOUR = timedelta(hours=1)


def complaint(**more: Any) -> dict[str, Any]:
    return {
        "site": "sh01",
        "raised_at": "2026-11-02T02:00:00.000000+00:00",
        "subject": "repair_service",
        "channel": "phone",
        "severity": "ordinary",
        "customer": "c-1",
        "ended": False,
        "deadlines": {},
    } | more


def test_a_month_without_complaints() -> None:
    assert summary([]) == {
        "complaints": 0,
        "ended": 0,
        "by_subject": {},
        "by_channel": {},
        "by_severity": {},
        "by_site": {},
        "first_contact_minutes": {"count": 0},
        "agreement_minutes": {"count": 0},
        "call_backs": {"accepted": 0, "objecting": 0, "not_reached": 0},
        "objected": 0,
        "repeated": 0,
        "deadlines": [],
    }


def test_complaints_are_counted_by_what_they_are_about() -> None:
    """C-29, P-05."""
    seen = summary(
        [
            complaint(customer="c-1"),
            complaint(customer="c-2", subject="parts_supply", site="hz01", severity="major"),
            complaint(customer="c-3", channel="letter", ended=True),
        ]
    )
    assert (seen["complaints"], seen["ended"]) == (3, 1)
    assert seen["by_subject"] == {"repair_service": 2, "parts_supply": 1}
    assert seen["by_channel"] == {"phone": 2, "letter": 1}
    assert seen["by_severity"] == {"ordinary": 2, "major": 1}
    assert seen["by_site"] == {"sh01": 2, "hz01": 1}


def test_times_are_those_within_which_half_and_nine_tenths_were_answered() -> None:
    at = [f"2026-11-02T02:{minute:02}:00.000000+00:00" for minute in range(0, 55, 5)]
    seen = summary([complaint(first_contact_at=each) for each in at] + [complaint()])
    assert seen["first_contact_minutes"] == {"count": 11, "median": 25.0, "p90": 45.0, "max": 50.0}


def test_a_contact_before_the_complaint_counts_as_at_once() -> None:
    seen = summary([complaint(resolved_at="2026-11-02T01:00:00.000000+00:00")])
    assert seen["agreement_minutes"] == {"count": 1, "median": 0.0, "p90": 0.0, "max": 0.0}


def test_who_complains_again_is_counted_apart_from_who_objects() -> None:
    """C-27."""
    seen = summary(
        [
            complaint(),
            complaint(follows="C1"),
            complaint(),
            complaint(customer="c-2"),
            complaint(customer=None),
        ]
    )
    assert (seen["objected"], seen["repeated"]) == (1, 1)


def test_deadlines_are_met_or_breached_by_rule() -> None:
    """C-20 … C-24."""

    def deadline(rule: str, outcome: str) -> dict[str, Any]:
        return {rule: {"rule": rule, "outcome": outcome}}

    seen = summary(
        [
            complaint(deadlines=deadline("C-20", "met") | deadline("C-22.contact", "breached")),
            complaint(deadlines=deadline("C-20", "breached") | deadline("C-22.call", "pending")),
        ]
    )
    assert seen["deadlines"] == [
        {"rule": "C-20", "met": 1, "breached": 1},
        {"rule": "C-22.contact", "met": 0, "breached": 1},
    ]


def test_a_month_is_one_of_the_site() -> None:
    first = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert str(Month.of(first)) == "2026-03"
    assert str(Month.of(first - timedelta(microseconds=1))) == "2026-02"
    assert (MARCH.begins, MARCH.ends) == (first, datetime(2026, 3, 31, 16, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "before", "after"), [("2026-12", "2026-11", "2027-01"), ("2026-01", "2025-12", "2026-02")]
)
def test_a_month_has_neighbours(name: str, before: str, after: str) -> None:
    month = Month.named(name)
    assert (str(month.previous), str(month), str(month.next)) == (before, name, after)
    assert month.next == Month.of(month.ends)


def raised(id: str, at: datetime, site: str = "sh01", customer: str = "c-1", **more: Any) -> Recorded:
    said = Sealed(subject=customer, context="customer_care.complaint_raised.narrative", box="AAAA")
    event = ComplaintRaised(
        complaint_id=id,
        customer=customer,
        customer_name=said,
        phone=said,
        narrative=said,
        **{"channel": "phone", "subject": "other", "severity": "major", **more},
    )
    return fact(event, at, site)


def fact(event: Event, at: datetime, site: str = "sh01") -> Recorded:
    return recorded(event, round((at - OPENING).total_seconds() / 60), site)


def views(ledger: Ledger) -> Views:
    keys: AsyncConnectionPool[Any] = AsyncConnectionPool("", open=False)
    keyring = Keyring(keys, bytes(32))
    live = LiveViews(ledger.pool, PROJECTIONS, Wake("not listened to"))
    return Views(ledger.pool, live, Boards(ledger.pool, keyring), keyring, Sights(keys))


async def test_the_database_counts_what_was_raised_in_the_month_at_the_readers_sites(
    ledger: Ledger, conn: Conn
) -> None:
    """C-29, C-34, P-05, against numbers worked out by hand."""
    begins, ends = MARCH.begins, MARCH.ends
    deadline: dict[str, Any] = {"rule": "C-20", "step": "handed_over", "due_at": begins + HOUR}
    await given_log(
        ledger,
        raised("before", begins - timedelta(minutes=1)),
        raised("first", begins),
        fact(DeadlineSet(complaint_id="first", starts_at=begins, rulebook=1, calendar=1, **deadline), begins),
        fact(DeadlineMet(complaint_id="first", done_at=begins + HOUR, **deadline), begins + HOUR),
        raised("last", ends - timedelta(minutes=1), "gz01", "c-2", severity="grievance", channel="letter"),
        raised("next", ends),
        raised("hidden", begins, "bj01"),
        fact(CustomerContacted(complaint_id="first", channel="phone", outcome="reached"), begins + 2 * HOUR),
        fact(ComplaintResolved(complaint_id="first", resolution="apology"), begins + 3 * HOUR),
        raised("again", begins + 4 * HOUR, follows="first"),
        raised("repeated", begins + 5 * HOUR),
        fact(DeadlineBreached(complaint_id="repeated", **deadline), begins + 6 * HOUR),
        fact(SatisfactionCallMade(complaint_id="first", outcome="not_reached"), begins + 7 * HOUR),
        fact(SatisfactionCallMade(complaint_id="first", outcome="not_reached"), begins + 8 * HOUR),
        fact(SatisfactionCallMade(complaint_id="first", outcome="objecting"), begins + 9 * HOUR),
        fact(SatisfactionCallMade(complaint_id="again", outcome="accepted"), begins + 9 * HOUR),
    )
    await view(conn, COMPLAINT_TIMELINE)

    read = await views(ledger).complaint_statistics(AUDITOR, MARCH)

    assert (read.position, read.document) == (
        16,
        {
            "month": "2026-03",
            "complaints": 4,
            "ended": 0,
            "by_subject": {"other": 4},
            "by_channel": {"phone": 3, "letter": 1},
            "by_severity": {"major": 3, "grievance": 1},
            "by_site": {"sh01": 3, "gz01": 1},
            "first_contact_minutes": {"count": 1, "median": 120.0, "p90": 120.0, "max": 120.0},
            "agreement_minutes": {"count": 1, "median": 180.0, "p90": 180.0, "max": 180.0},
            "call_backs": {"accepted": 1, "objecting": 1, "not_reached": 2},
            "objected": 1,
            "repeated": 1,
            "deadlines": [{"rule": "C-20", "met": 1, "breached": 1}],
        },
    )


async def test_a_past_moment_counts_what_was_known_then(ledger: Ledger, conn: Conn) -> None:
    begins = MARCH.begins
    await given_log(
        ledger,
        raised("C1", begins),
        fact(CustomerContacted(complaint_id="C1", channel="phone", outcome="reached"), begins + HOUR),
        raised("C2", begins + HOUR),
    )
    await view(conn, COMPLAINT_TIMELINE)
    then = (await views(ledger).complaint_statistics(AUDITOR, MARCH, 1)).document
    now = (await views(ledger).complaint_statistics(AUDITOR, MARCH)).document
    assert (then["complaints"], then["first_contact_minutes"]["count"]) == (1, 0)
    assert (now["complaints"], now["first_contact_minutes"]["count"]) == (2, 1)

"""The bays that the workshop keeps free, and what it hears of reception. Every message may come twice."""

from datetime import UTC, datetime

import pytest

from eventlog.policies import Policies
from eventlog.recorded import encode
from eventlog.store import EventStore
from events import Event
from events.reception import (
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
    BayReserved,
    PartWanted,
)
from events.workshop import BayFreed, BayKeptFree
from services.workshop.bay_plan import BAY_PLAN, FreeBay, KeepBayFree
from services.workshop.policies import policies
from tests.recording import recorded
from tests.spec import Spec

plan = Spec(BAY_PLAN)

KEEP = "whenever_bay_reserved_keep_bay_free"
BOOK = "sh01.2026-03-03"
about = {"book": BOOK, "appointment_id": "A1"}
ours = {**about, "work_order_id": "A1"}
FROM, TO = datetime(2026, 3, 3, 1, 30, tzinfo=UTC), datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
compressor = PartWanted(code="COMPRESSOR", name="A/C compressor", quantity=1, unit_fen=385_000)

reserved = BayReserved(**ours, bay=2, starts_at=FROM, ends_at=TO, high_value_parts=(compressor,))
keep = KeepBayFree(**about, bay=2, starts_at=FROM, ends_at=TO, parts=("COMPRESSOR",), follows=3)
kept = BayKeptFree(**about, bay=2, starts_at=FROM, ends_at=TO, parts=("COMPRESSOR",), follows=3)
free = FreeBay(**about, follows=5)
freed = BayFreed(**about, follows=5)
GONE = {
    "whenever_appointment_rescheduled_free_bay": AppointmentRescheduled(
        **ours, to=TO, to_book="sh01.2026-03-04"
    ),
    "whenever_appointment_cancelled_free_bay": AppointmentCancelled(**ours, reason="customer"),
    "whenever_appointment_missed_free_bay": AppointmentMissed(**ours),
}


def test_a_bay_is_kept_free() -> None:
    """R-08, R-10: with the parts to prepare."""
    plan.given().when(keep).then(kept)


def test_a_bay_is_kept_free_once() -> None:
    plan.given(kept).when(keep).then_nothing()


def test_a_bay_is_free_again() -> None:
    """R-12, K-24."""
    plan.given(kept).when(free).then(freed)
    plan.given(kept, freed).when(free).then_nothing()


def test_what_is_heard_late_changes_nothing() -> None:
    """The booking is heard of after the appointment was cancelled."""
    plan.given().when(free).then(freed)
    plan.given(freed).when(keep).then_nothing()


def test_another_time_of_the_day_takes_the_place_of_the_first() -> None:
    """R-12: whichever of the two facts is heard first."""
    moved = keep.model_copy(update={"bay": 1, "follows": 6})
    now = kept.model_copy(update={"bay": 1, "follows": 6})
    plan.given(kept, freed).when(moved).then(now)
    plan.given(kept, now).when(free).then_nothing()


@pytest.fixture
def whenever(workshop: EventStore) -> Policies:
    return policies(workshop)


async def test_the_workshop_hears_of_a_booking_once(whenever: Policies, workshop: EventStore) -> None:
    """R-10: at once, and so on the same day."""
    for _ in range(2):
        await whenever.react(KEEP, encode(recorded(reserved, 3)))
    [heard] = await workshop.stream(f"bays-{BOOK}")
    assert heard.event == kept


@pytest.mark.parametrize(("policy", "fact"), GONE.items())
async def test_the_workshop_hears_that_nobody_comes_once(
    whenever: Policies, workshop: EventStore, policy: str, fact: Event
) -> None:
    await whenever.react(KEEP, encode(recorded(reserved, 3)))
    for _ in range(2):
        await whenever.react(policy, encode(recorded(fact, 5)))
    [_, heard] = await workshop.stream(f"bays-{BOOK}")
    assert heard.event == freed

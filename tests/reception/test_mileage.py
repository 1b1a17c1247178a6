"""What a vehicle's odometer showed before, found in reception's log (R-37)."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from eventlog.recorded import Metadata
from eventlog.store import EventStore
from events import Event
from events.reception import MileageCorrected, VehicleDelivered
from services.reception.commands import Reading
from services.reception.mileage import Readings
from services.reception.rules import SHIPPED_RULES
from tests.reception.test_visit import received

MARCH = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
"""At the sites it is the second already."""


async def read(reception: EventStore, before: datetime = MARCH + timedelta(days=9)) -> Reading | None:
    return await Readings(reception).earlier(SHIPPED_RULES, received.vin, before, "visit-now")


async def was_here(
    reception: EventStore, id: str, at: datetime, *events: Event, km: int, vin: str = received.vin
) -> None:
    came = received.model_copy(update={"visit_id": id, "work_order_id": id, "mileage_km": km, "vin": vin})
    metadata = Metadata(
        site="gz01", actor="x", role="advisor", correlation_id=id, command_id=id, occurred_at=at
    )
    await reception.append(f"visit-{id}", 0, [came, *events], metadata)


def corrected(id: str, km: int) -> Event:
    return MileageCorrected(visit_id=id, work_order_id=id, mileage_km=km, reason="typed wrongly")


def delivered(id: str, km: int | None) -> Event:
    return VehicleDelivered(visit_id=id, work_order_id=id, mileage_km=km)


async def test_what_was_read_last_at_any_site_holds(reception: EventStore) -> None:
    """R-37, X-06: what was wrong and was corrected does not; days are those of the site."""
    await was_here(reception, "a", MARCH, corrected("a", 48_210), delivered("a", 48_215), km=84_210)
    await was_here(reception, "b", MARCH - timedelta(days=90), delivered("b", None), km=30_000)
    assert await read(reception) == Reading(km=48_215, on=date(2026, 3, 2))


async def test_a_late_entry_is_compared_with_what_was_read_before_it(reception: EventStore) -> None:
    await was_here(reception, "a", MARCH, km=48_210)
    await was_here(reception, "b", MARCH - timedelta(days=90), km=30_000)
    assert await read(reception, MARCH) == Reading(km=30_000, on=date(2025, 12, 2))


async def test_another_vehicle_and_the_visit_itself_are_not_compared_with(reception: EventStore) -> None:
    await was_here(reception, "now", MARCH, km=48_210)
    await was_here(reception, "a", MARCH, km=48_210, vin="LSVAA4182E2123456")
    assert await read(reception) is None


async def test_who_comes_at_the_same_time_gets_what_is_known_of_their_own_vehicle(
    reception: EventStore,
) -> None:
    vins = ["LSVAA4182E2123456", received.vin, "LSVAA4182E2000000", received.vin]
    for n, vin in enumerate(vins[:2]):
        await was_here(reception, f"{n}", MARCH, km=1_000 * n, vin=vin)
    readings = Readings(reception)
    found = await asyncio.gather(
        *(readings.earlier(SHIPPED_RULES, vin, MARCH + timedelta(days=9), "visit-now") for vin in vins)
    )
    assert [each and each.km for each in found] == [0, 1_000, None, 1_000]


async def test_a_vehicle_is_found_among_many_without_reading_them_all(reception: EventStore) -> None:
    await was_here(reception, "a", MARCH, km=48_210)
    async with reception.pool.connection() as conn:
        await conn.execute("SET enable_seqscan = off")
        found = await conn.execute(
            "EXPLAIN SELECT originator_id FROM events WHERE topic LIKE 'reception.vehicle_received.%'"
            " AND vin_of(state) = 'x'"
        )
        assert "events_vehicle_received" in str(await found.fetchall())
        await conn.execute("RESET enable_seqscan")

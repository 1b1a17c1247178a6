"""What a vehicle's odometer showed when it was here before, at any site: it may only grow (R-37).

Reception's log knows it; an index finds the visits of a VIN.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import AsyncConnection

from eventlog import sql
from eventlog.recorded import Recorded, decode
from eventlog.store import EventStore
from events.reception import MileageCorrected, VehicleDelivered, VehicleReceived
from events.shop_rules import ReceptionRules
from services.reception.appointment_slots import site_date
from services.reception.commands import Reading

VISITS = 20
"""Of one vehicle, the latest, that are looked at."""


async def provision(reception_db: str) -> None:
    """Creates the index over the events; repeated and concurrent calls are harmless."""
    async with await AsyncConnection.connect(reception_db) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(7405)")
        await conn.execute(_INDEX)


async def earlier_reading(
    reception: EventStore, rules: Sequence[ReceptionRules], vin: str, before: datetime, but: str
) -> Reading | None:
    """The latest before a time, of all streams of this vehicle but one. Raises psycopg.OperationalError."""
    async with reception.pool.connection() as conn:
        found = await sql.rows(conn, _READINGS, (vin, but, VISITS))
    return latest_reading((decode(state) for [state] in found), rules, before)


def latest_reading(
    history: Iterable[Recorded], rules: Sequence[ReceptionRules], before: datetime
) -> Reading | None:
    """From what happened to a vehicle; the last that is known of a visit holds for it."""
    of_visit: dict[str, tuple[datetime, int]] = {}
    for recorded in history:
        match recorded.event:
            case VehicleReceived(mileage_km=km) | MileageCorrected(mileage_km=km):
                of_visit[recorded.stream] = recorded.occurred_at, km
            case VehicleDelivered(mileage_km=int(km)):
                of_visit[recorded.stream] = recorded.occurred_at, km
    readings = [each for each in of_visit.values() if each[0] < before]
    if not readings:
        return None
    at, km = max(readings)
    return Reading(km=km, on=site_date(rules, at))


# `convert_from` would depend on the encoding of the database, were it not always UTF-8.
_INDEX = """
CREATE OR REPLACE FUNCTION vin_of(state bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN convert_from(state, 'UTF8')::json #>> '{data,vin}';
CREATE INDEX IF NOT EXISTS events_vehicle_received ON events (vin_of(state), notification_id)
    WHERE topic LIKE 'reception.vehicle_received.%'
"""
_READINGS = """
SELECT state FROM events WHERE originator_id IN (
    SELECT originator_id FROM events
    WHERE topic LIKE 'reception.vehicle_received.%%' AND vin_of(state) = %s AND originator_id <> %s
    ORDER BY notification_id DESC LIMIT %s
) AND (topic LIKE 'reception.vehicle_received.%%'
    OR topic IN ('reception.mileage_corrected.v1', 'reception.vehicle_delivered.v1'))
ORDER BY notification_id
"""

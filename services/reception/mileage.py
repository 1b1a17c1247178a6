"""What a vehicle's odometer showed when it was here before, at any site: it may only grow (R-37).

Reception's log knows it; an index finds the visits of a VIN.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import orjson
from psycopg import AsyncConnection

from access.batches import Batches
from eventlog import sql
from eventlog.store import EventStore
from events import upcast
from events.shop_rules import ReceptionRules
from services.reception.appointment_slots import site_date
from services.reception.commands import Reading

VISITS = 20
"""Of one vehicle, the latest, that are looked at."""
AT_ONCE = 100
"""Vehicles looked up by one statement."""
_Read: TypeAlias = dict[str, tuple[datetime, int]]
"""When and what, by the stream of a visit."""


async def provision(reception_db: str) -> None:
    """Creates the index over the events; repeated and concurrent calls are harmless."""
    async with await AsyncConnection.connect(reception_db) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(7405)")
        await conn.execute(_INDEX)


class Readings:
    """Looked up together for all who receive a vehicle at the same time."""

    def __init__(self, reception: EventStore) -> None:
        self._reception = reception
        self._of_vins = Batches(self._look_up, AT_ONCE)

    async def earlier(
        self, rules: Sequence[ReceptionRules], vin: str, before: datetime, but: str
    ) -> Reading | None:
        """The latest before a time, of its visits but one. Raises psycopg.OperationalError."""
        found = await self._of_vins.ask(vin)
        readings = [each for stream, each in found.items() if stream != but and each[0] < before]
        if not readings:
            return None
        at, km = max(readings)
        return Reading(km=km, on=site_date(rules, at))

    async def _look_up(self, vins: Sequence[str]) -> Sequence[_Read]:
        of_vin: dict[str, _Read] = {vin: {} for vin in vins}
        async with self._reception.pool.connection() as conn:
            found = await sql.rows(conn, _READINGS, (list(of_vin), VISITS + 1))
        for vin, stream, state in found:
            # Not as an event: of all that was recorded then, two values are looked at.
            stored = orjson.loads(state)
            _, said = upcast(stored["type"], stored["data"])
            if (km := said.get("mileage_km")) is not None:  # the last that is known of a visit holds for it
                of_vin[vin][stream] = datetime.fromisoformat(stored["occurred_at"]), km
        return [of_vin[vin] for vin in vins]


# `convert_from` would depend on the encoding of the database, were it not always UTF-8.
_INDEX = """
CREATE OR REPLACE FUNCTION vin_of(state bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN convert_from(state, 'UTF8')::json #>> '{data,vin}';
CREATE INDEX IF NOT EXISTS events_vehicle_received ON events (vin_of(state), notification_id)
    WHERE topic LIKE 'reception.vehicle_received.%'
"""
_READINGS = """
SELECT vin, originator_id, state FROM unnest(%s::text[]) AS vin, LATERAL (
    SELECT originator_id FROM events
    WHERE topic LIKE 'reception.vehicle_received.%%' AND vin_of(state) = vin
    ORDER BY notification_id DESC LIMIT %s
) AS visit JOIN events USING (originator_id)
WHERE topic LIKE 'reception.vehicle_received.%%'
    OR topic IN ('reception.mileage_corrected.v1', 'reception.vehicle_delivered.v1')
ORDER BY notification_id
"""

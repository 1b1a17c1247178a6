"""An event stored by the first release, read today on every path there is. What is stored stays as it is."""

from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from eventlog.bus import Arrival
from eventlog.decider import Rejected
from eventlog.ledger import Ledger
from eventlog.recorded import Metadata, event_hash
from eventlog.store import EventStore
from events.reception import VehicleReceived
from events.workshop import WorkOrderOpened
from projections import steps, views
from projections.work_order_board.projection import WORK_ORDER_BOARD
from services.reception.commands import DeliverVehicle, ReadyVehicle
from services.workshop.policies import policies
from tests.deciders import VISIT
from tests.events.samples import VEHICLE_RECEIVED_V1, envelope
from tests.recording import OPENING

V1 = envelope("reception.vehicle_received.v1")
VISIT_ID, STREAM = V1["data"]["visit_id"], V1["stream"]


@pytest.fixture
async def reception(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    """With one event, put there by the first release."""
    store = EventStore("reception", address := await fresh_database("reception"))
    await store.provision()
    async with await psycopg.AsyncConnection.connect(address) as conn:
        await conn.execute(
            "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (%s, 1, %s, %s)",
            (STREAM, V1["type"], VEHICLE_RECEIVED_V1),
        )
    async with store.running():
        yield store


async def test_in_its_stream(reception: EventStore) -> None:
    [received] = await reception.stream(STREAM)
    assert isinstance(received.event, VehicleReceived)
    assert (received.event.mileage_km, received.event.symptoms) == (48210, ("刹车时有尖叫声",))


async def test_by_a_decision(reception: EventStore) -> None:
    for_v1 = Metadata(site="sh01", actor="a", role="advisor", correlation_id="c", command_id="1")
    await reception.handle(VISIT, STREAM, ReadyVehicle(visit_id=VISIT_ID), for_v1)
    too_low = DeliverVehicle(visit_id=VISIT_ID, at=OPENING, mileage_km=48209)
    again = Metadata(site="sh01", actor="a", role="advisor", correlation_id="c", command_id="2")
    with pytest.raises(Rejected, match="48209 km is less than the 48210 km at reception"):
        await reception.handle(VISIT, STREAM, too_low, again)


async def test_by_a_view(reception: EventStore, fresh_database: Callable[[str], Awaitable[str]]) -> None:
    page = await reception.page(0, 10)
    assert [event.body for event in page.events] == [VEHICLE_RECEIVED_V1]
    assert page.events[0].hash == event_hash(VEHICLE_RECEIVED_V1)

    ledger = Ledger(await fresh_database("ledger"), {"reception": reception.page})
    await ledger.provision()
    async with ledger.running(), ledger.pool.connection() as conn:
        await ledger.ingest([Arrival(page.source, page.epoch, event) for event in page.events])
        await views.provision(conn)
        board = await views.new_build(conn, WORK_ORDER_BOARD, "live")
        await steps.advance(conn, board, 10)
        found = await conn.execute(f"SELECT document FROM {board.table}".encode())
        [[card]] = await found.fetchall()
    assert (card["mileage_km"], card["symptoms"]) == (48210, ["刹车时有尖叫声"])


async def test_by_a_policy(fresh_database: Callable[[str], Awaitable[str]]) -> None:
    workshop = EventStore("workshop", await fresh_database("workshop"))
    await workshop.provision()
    async with workshop.running():
        await policies(workshop).react("whenever_vehicle_received_open_work_order", VEHICLE_RECEIVED_V1)
        [opened] = await workshop.stream(f"work_order-{VISIT_ID}")
    assert isinstance(opened.event, WorkOrderOpened)
    assert opened.event.symptoms == ("刹车时有尖叫声",)

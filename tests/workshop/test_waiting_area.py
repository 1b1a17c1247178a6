"""The order in which vehicles are given to teams, on a real server."""

from dataclasses import replace

from eventlog.store import EventStore
from events import Event
from events.workshop import PrioritySet, VehicleTakenIn, WorkDispatched, WorkOrderOpened
from services.workshop.waiting_area import WaitingArea
from services.workshop.work_order import work_order_stream
from tests.recording import recorded


async def append(workshop: EventStore, site: str, event: Event) -> None:
    stream = work_order_stream(event.model_dump()["work_order_id"])
    metadata = replace(recorded(event, 1).metadata, site=site)
    await workshop.append(stream, len(await workshop.stream(stream)), [event], metadata)


async def take_in(workshop: EventStore, *ids: str, site: str = "sh01") -> None:
    for id in ids:
        await append(workshop, site, WorkOrderOpened(work_order_id=id, visit_id=id))
        await append(workshop, site, VehicleTakenIn(work_order_id=id, keys=1, papers=()))


async def test_vehicles_wait_in_the_order_in_which_they_came(workshop: EventStore) -> None:
    """W-03."""
    area = WaitingArea(workshop)
    await take_in(workshop, "W0", site="sh02")
    await take_in(workshop, "W1", "W2")
    assert not await area.another_before("work_order-W1")
    assert await area.another_before("work_order-W2")
    await append(workshop, "sh01", WorkDispatched(work_order_id="W1", team="north"))
    assert not await area.another_before("work_order-W2")
    assert not await area.another_before("work_order-W1")  # it does not wait any more


async def test_what_is_urgent_stands_before_what_came_earlier(workshop: EventStore) -> None:
    """W-05: also if that was said before the vehicle was there."""
    area = WaitingArea(workshop)
    await take_in(workshop, "W1")
    await append(workshop, "sh01", PrioritySet(work_order_id="W2", priority="high"))
    assert not await area.another_before("work_order-W1")
    await append(workshop, "sh01", VehicleTakenIn(work_order_id="W2", keys=1, papers=()))
    assert await area.another_before("work_order-W1")
    await append(workshop, "sh01", PrioritySet(work_order_id="W1", priority="urgent"))
    assert not await WaitingArea(workshop).another_before("work_order-W1")
    assert await area.another_before("work_order-W2")


async def test_whoever_is_in_no_waiting_area_stands_behind_nobody(workshop: EventStore) -> None:
    await take_in(workshop, "W1")
    assert not await WaitingArea(workshop).another_before("work_order-nowhere")

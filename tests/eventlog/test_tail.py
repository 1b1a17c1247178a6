"""What was appended last is in memory without a gap, or not at all."""

from eventlog.store import EventStore
from eventlog.tail import RECENT, Tail
from tests.eventlog.conftest import arrivals, dispatch, dispatch_many


def rows(*positions: int) -> list[tuple[int, str]]:
    return [(position, f"event {position}") for position in positions]


def test_what_somebody_else_appended_in_between_empties_it() -> None:
    tail = Tail[str]()
    tail.extend(rows(1, 2, 4, 5))
    assert tail.since(2) == tail.since(0) == []
    assert tail.since(3) == rows(4, 5)
    assert tail.since(5) == []
    assert tail.last == 5


def test_what_is_long_past_is_forgotten() -> None:
    tail = Tail[str]()
    tail.extend(rows(*range(1, RECENT + 2)))
    assert tail.since(0) == []
    assert tail.since(RECENT - 1) == rows(RECENT, RECENT + 1)


async def test_what_a_store_has_in_memory_is_what_it_stored(store: EventStore) -> None:
    await dispatch(store, "order-0")
    assert store.recent(0, 10) is None  # before it knows its epoch
    stored = await arrivals(store)
    await dispatch_many(store, 30, "more")
    await dispatch(store, "order-0", "B 组")
    assert await store.page(stored[-1].event.pos, 100) == store.recent(stored[-1].event.pos, 100)
    assert store.recent(store.last, 100) is None


async def test_what_another_process_appended_is_not_in_memory(store: EventStore) -> None:
    await arrivals(store)
    await dispatch(store, "ours")
    async with EventStore("reception", store._dsn).running() as another:
        await dispatch(another, "theirs")
    await dispatch(store, "ours again")
    assert store.recent(1, 10) is None
    assert [event.pos for event in (await store.page(1, 10)).events] == [2, 3]

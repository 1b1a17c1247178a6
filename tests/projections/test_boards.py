"""Boards in memory: always what the database would answer now, to whoever asks, and never for longer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool

from access.keyring import KEYS_REMEMBERED, Keyring
from access.pools import open_pool
from access.problems import Problem
from access.roles import Role
from access.sights import Sights
from access.tokens import Principal
from eventlog import sql
from eventlog.follow import Wake
from eventlog.ledger import Ledger
from eventlog.recorded import Recorded
from events.reception import (
    AppointmentCancelled,
    AppointmentConfirmed,
    AppointmentRequested,
    AppointmentRescheduled,
    VehicleDelivered,
    VehicleReceived,
)
from events.workshop import WorkDispatched
from projections.boards import Boards, Card, Moved
from projections.catalogue import PROJECTIONS
from projections.live import LiveViews
from projections.projection import Document
from projections.reading import Views
from projections.rebuild import rebuild
from projections.steps import advance
from projections.views import live_build
from projections.work_order_board.cards import SITE_ZONE, Board, midnight
from projections.work_order_board.projection import WORK_ORDER_BOARD
from tests.projections.log import given_log, view
from tests.projections.story import sealed
from tests.projections.test_views import LOUD, unseen
from tests.recording import OPENING, recorded

PROMISED = 110
"""Minutes after opening."""
NOON = OPENING + timedelta(minutes=60)
ADVISOR = Principal("wang.lei", Role.ADVISOR, frozenset({"sh01", "gz01"}), 0)
AUDITOR = Principal("liu.fang", Role.REGION_AUDITOR, frozenset({"sh01", "gz01"}), 0)


@dataclass
class Dealership:
    """A log, its views, the keys of its customers, and the time."""

    ledger: Ledger
    conn: AsyncConnection[Any]
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    keys: AsyncConnectionPool[AsyncConnection[Any]]
    keyring: Keyring
    sights: Sights
    at: datetime = NOON
    seconds: float = 0.0
    customers: dict[str, str] = field(default_factory=dict)

    def boards(self) -> Boards:
        return Boards(self.pool, Keyring(self.keys, bytes(32)), lambda: self.at, lambda: self.seconds)

    async def hears(self, *facts: Recorded) -> Moved:
        """What the live loop then does."""
        await given_log(self.ledger, *facts)
        live = await live_build(self.conn, WORK_ORDER_BOARD)
        assert live
        return live[0], await advance(self.conn, live[0], 500)

    async def receives(self, id: str, minute: int = 1, site: str = "sh01") -> Moved:
        subject = self.customers[id] = await self.keyring.subject_for({"plate": f"沪A{id:0>5}"})
        context = "reception.vehicle_received"
        sealed = await self.keyring.seal_many(
            subject, {f"{context}.plate": f"沪A{id}", f"{context}.phone": id}
        )
        event = VehicleReceived(
            visit_id=id,
            work_order_id=id,
            vin="LSVAA49J132047371",
            vin_check_digit="ok",
            customer=subject,
            customer_name=sealed[f"{context}.phone"],
            phone=sealed[f"{context}.phone"],
            plate=sealed[f"{context}.plate"],
            mileage_km=48_210,
            symptoms=("刹车时有尖叫声",),
            promised_at=OPENING + timedelta(minutes=PROMISED),
        )
        return await self.hears(recorded(event, minute, site))

    async def dispatches(self, id: str, team: str, minute: int = 5, site: str = "sh01") -> Moved:
        return await self.hears(recorded(WorkDispatched(work_order_id=id, team=team), minute, site))

    async def delivers(self, id: str, minute: int = 20) -> Moved:
        delivered = VehicleDelivered(visit_id=id, work_order_id=id, mileage_km=48_211)
        return await self.hears(recorded(delivered, minute))

    async def told(self, who: Principal, site: str = "sh01") -> Board:
        """What the database says without any memory: the same moment, read as a moment of the past is."""
        return await self.views(self.boards()).board(who, site, as_of=self.at)

    def views(self, boards: Boards) -> Views:
        live = LiveViews(self.pool, PROJECTIONS, Wake("not listened to"))
        return Views(self.pool, live, boards, Keyring(self.keys, bytes(32)), self.sights)


@pytest.fixture
async def place(
    ledger: Ledger, conn: AsyncConnection[Any], fresh_database: Callable[[str], Awaitable[str]]
) -> AsyncIterator[Dealership]:
    async with open_pool(await fresh_database("keys"), 4) as keys:
        keyring, sights = Keyring(keys, bytes(32)), Sights(keys)
        await keyring.provision()
        await sights.provision()
        await view(conn, WORK_ORDER_BOARD)
        yield Dealership(ledger, conn, ledger.pool, keys, keyring, sights)


async def seen(boards: Boards, who: Principal = ADVISOR, site: str = "sh01") -> Board:
    return await boards.read(site, seeing_people=who is ADVISOR)


def answer(board: Board) -> tuple[bytes, str]:
    return board.body(), board.tag()


def cards(board: Board) -> dict[str, Document]:
    return {card["work_order_id"]: card for card in json.loads(board.body())["cards"]}


async def test_after_every_change_memory_answers_as_the_database_does(place: Dealership) -> None:
    boards = place.boards()

    async def agreed() -> bytes:
        for who in (ADVISOR, AUDITOR):
            for site in ("sh01", "gz01"):
                remembered = await seen(boards, who, site)
                assert answer(remembered) == answer(await place.told(who, site))
        return (await seen(boards)).body()

    async def a_day_later() -> None:
        place.at = midnight(NOON) + timedelta(days=1)

    async def a_minute_later() -> None:
        place.at += timedelta(minutes=1)

    async def the_promise_is_at_risk() -> None:
        place.at = OPENING + timedelta(minutes=PROMISED - 29)

    async def rebuilt() -> None:
        await rebuild(place.conn, LOUD, unseen)

    async def erased() -> None:
        await Keyring(place.keys, bytes(32)).erase(place.customers["2"])
        place.seconds += KEYS_REMEMBERED

    before = await agreed()
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: place.receives("1"),
        lambda: place.receives("2", minute=2),
        lambda: place.receives("3", minute=3, site="gz01"),
        lambda: place.dispatches("1", "north"),
        a_minute_later,
        lambda: place.delivers("1"),
        rebuilt,
        the_promise_is_at_risk,
        erased,
        a_day_later,
    ]
    for happens in steps:
        await happens()
        after = await agreed()
        assert after != before, "what was remembered before would be wrong now: this comparison can fail"
        before = after


async def test_bookings_are_on_the_board_of_their_day_in_memory_as_in_the_database(place: Dealership) -> None:
    """R-13, R-14, K-24: also when they are moved, cancelled or overdue."""
    boards = place.boards()

    async def books(id: str, day: int, minute: int) -> dict[str, Any]:
        about: dict[str, Any] = {"book": f"sh01.{day}", "appointment_id": id, "work_order_id": id}
        slot: dict[str, Any] = {
            "slot_at": NOON + timedelta(days=day),
            "missed_at": NOON,
            "advisor": 1,
            "rules": 1,
        }
        confirmed = AppointmentConfirmed(**about, number=id, **slot)
        wanted: dict[str, Any] = {"kind": "passive", "channel": "phone", "need": "保养", "service": "simple"}
        person: dict[str, Any] = dict.fromkeys(("customer_name", "phone", "plate"), sealed)
        asked = AppointmentRequested(**about, **wanted, labour_minutes=60, customer="c-1", **person)
        await place.hears(recorded(asked, minute), recorded(confirmed, minute + 1))
        return about

    async def shown() -> set[str]:
        remembered = await seen(boards, AUDITOR)
        assert answer(remembered) == answer(await place.told(AUDITOR))
        return set(cards(remembered))

    assert await shown() == set()
    await books("today", 0, 1)
    tomorrow = await books("tomorrow", 1, 3)
    cancelled = await books("cancelled", 0, 5)
    assert await shown() == {"today", "cancelled"}
    await place.hears(recorded(AppointmentCancelled(**cancelled, reason="customer"), 7))
    assert await shown() == {"today"}
    await books("tomorrow", 0, 9)
    assert await shown() == {"today", "tomorrow"}
    moved = AppointmentRescheduled(**tomorrow, to=NOON, to_book="sh01.0")
    await place.hears(recorded(moved, 11))
    assert await shown() == {"today", "tomorrow"}
    await books("today", 1, 13)
    assert await shown() == {"tomorrow"}
    place.at += timedelta(days=1)
    assert await shown() == {"today", "tomorrow"}, "what is overdue stays until somebody says what came of it"


async def test_the_tag_changes_with_what_is_on_the_board_and_not_with_its_minutes(place: Dealership) -> None:
    boards = place.boards()
    await place.receives("1")
    first = await seen(boards)

    place.at += timedelta(minutes=3)
    later = await seen(boards)
    assert cards(later)["1"]["waiting_minutes"] == cards(first)["1"]["waiting_minutes"] + 3
    await place.receives("9", site="gz01")
    elsewhere = await seen(boards)
    assert elsewhere.position == first.position + 1
    assert later.tag() == elsewhere.tag() == first.tag()

    tags = [first.tag(), (await seen(boards, AUDITOR)).tag()]
    place.at = OPENING + timedelta(minutes=PROMISED - 30)
    assert (await seen(boards)).tag() == first.tag()
    place.at += timedelta(seconds=1)
    tags.append((await seen(boards)).tag())
    await place.dispatches("1", "south")
    tags.append((await seen(boards)).tag())
    await place.receives("2")
    tags.append((await seen(boards)).tag())
    assert len(set(tags)) == len(tags)


async def test_a_card_delivered_today_leaves_at_midnight(place: Dealership) -> None:
    boards = place.boards()
    await place.receives("1")
    await place.delivers("1")
    place.at = midnight(NOON) + timedelta(days=1) - timedelta(seconds=1)
    assert cards(await seen(boards))["1"]["column"] == "delivered"
    place.at += timedelta(seconds=1)
    assert place.at.astimezone(SITE_ZONE).hour == 0
    assert cards(await seen(boards)) == {}
    await place.dispatches("1", "a late entry", minute=30)
    assert cards(await seen(boards)) == {}


async def test_an_erased_plate_is_gone_when_its_key_is_no_longer_remembered(place: Dealership) -> None:
    boards = place.boards()
    await place.receives("1")
    before = await seen(boards)
    await Keyring(place.keys, bytes(32)).erase(place.customers["1"])
    assert cards(await seen(boards))["1"]["plate"] == "沪A1"
    place.seconds += KEYS_REMEMBERED
    after = await seen(boards)
    assert (cards(after)["1"]["plate"], cards(after)["1"]["plate_erased"]) == (None, True)
    assert after.tag() != before.tag()


async def test_the_past_is_made_of_what_is_in_memory_and_is_the_same(place: Dealership) -> None:
    views = place.views(boards := place.boards())
    for n, minute in (("1", 1), ("2", 2)):
        await place.receives(n, minute)
    await place.dispatches("1", "north")
    then = [place.views(place.boards()), views]
    for who in (ADVISOR, AUDITOR):
        await views.board(who, "sh01")
        assert boards.holds("sh01")
        for position in (1, 2, 3):
            without, within = [await each.board(who, "sh01", as_of=position) for each in then]
            assert answer(within) == answer(without)
            assert len(cards(within)) == min(position, 2)
    await Keyring(place.keys, bytes(32)).erase(place.customers["2"])
    place.seconds += KEYS_REMEMBERED
    erased = await place.views(boards).board(ADVISOR, "sh01", as_of=3)
    assert [cards(erased)[n]["plate"] for n in ("1", "2")] == ["沪A1", None]


async def test_cards_of_the_past_are_kept_only_as_they_stood_for_whoever_may_see_them(
    place: Dealership,
) -> None:
    views = place.views(boards := place.boards())
    for n, minute in (("1", 1), ("2", 2)):
        await place.receives(n, minute)
    await place.receives("3", 3, site="gz01")

    async def then(who: Principal = ADVISOR, site: str = "sh01") -> tuple[bytes, str]:
        within = answer(await views.board(who, site, as_of=3))
        assert within == answer(await place.views(place.boards()).board(who, site, as_of=3))
        return within

    before = await then(), await then(AUDITOR), await then(site="gz01")
    await place.dispatches("1", "north")
    await place.delivers("2")
    assert (await then(), await then(AUDITOR), await then(site="gz01")) == before
    elsewhere = replace(ADVISOR, sites=frozenset({"gz01"}))
    with pytest.raises(Problem):
        await views.board(elsewhere, "sh01", as_of=3)
    await Keyring(place.keys, bytes(32)).erase(place.customers["2"])
    place.seconds += KEYS_REMEMBERED
    erased = await views.board(ADVISOR, "sh01", as_of=3)
    assert [cards(erased)[n]["plate"] for n in ("1", "2")] == ["沪A1", None]
    assert not boards.idle
    place.seconds += KEYS_REMEMBERED
    await boards.look()
    assert boards.idle, "no plate of a past board stays in memory"


async def test_no_plate_stays_in_memory_for_longer_than_its_key(place: Dealership) -> None:
    boards = place.boards()
    await place.receives("1")
    await seen(boards)
    assert boards.holds("sh01")
    place.seconds += KEYS_REMEMBERED
    await boards.look()
    assert not boards.holds("sh01")
    assert boards.idle


async def test_a_missing_key_hides_one_board_from_those_who_see_plates(place: Dealership) -> None:
    boards = place.boards()
    await place.receives("1")
    await place.receives("2", site="gz01")
    async with place.keys.connection() as conn:
        await conn.execute("DELETE FROM keys.blind_index")
        await conn.execute("DELETE FROM keys.subject_key WHERE subject = %s", (place.customers["1"],))
    with pytest.raises(Problem, match="key is missing"):
        await seen(boards)
    assert cards(await seen(boards, AUDITOR))["1"]["plate_hidden"]
    assert cards(await seen(boards, site="gz01"))["2"]["plate"] == "沪A2"


async def test_rows_come_into_memory_by_the_rule_of_the_database_only(place: Dealership) -> None:
    await place.receives("1")
    assert set(cards(await seen(place.boards()))) == {"1"}
    await place.conn.execute("DROP POLICY sites ON work_order_board_1")
    boards = place.boards()
    assert cards(await seen(boards)) == {}
    await place.receives("2")
    assert cards(await seen(boards)) == {}


async def unexpected(*_: object) -> NoReturn:
    raise AssertionError("rows were read")


async def test_what_the_live_loop_hands_over_is_what_the_database_has(
    place: Dealership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a board in memory and a screen, when the live loop says what it has written, then both have it
    without another reading, and of the other site nothing."""
    boards, screen = place.boards(), Screen()
    boards.watchers["sh01"] = screen
    await place.receives("1")
    before = answer(await seen(boards))
    monkeypatch.setattr(boards, "_read", unexpected)
    await boards.follow([await place.dispatches("1", "north")])
    await boards.follow([await place.receives("2", site="gz01")])
    both = await place.receives("3"), await place.delivers("1")
    await boards.follow(both)
    await boards.follow(both[1:])
    assert answer(await seen(boards)) == answer(await place.told(ADVISOR)) != before
    assert screen.told == ["changed up to 2", "changed up to 5"]


async def test_what_does_not_lead_on_is_looked_up(place: Dealership) -> None:
    """Given a step that was missed, or another build, or a board that is newer than the step."""
    boards = place.boards()
    await place.receives("1")
    await seen(boards)
    await place.receives("2")
    behind_a_gap = await place.receives("3")
    await boards.follow([behind_a_gap])
    assert set(cards(await seen(boards))) == {"1", "2", "3"}
    await rebuild(place.conn, WORK_ORDER_BOARD, unseen)
    of_another_build = await place.receives("4")
    await boards.follow([of_another_build])
    assert boards._build == of_another_build[0]
    assert set(cards(await seen(boards))) == {"1", "2", "3", "4"}
    old = await place.receives("5")
    await place.dispatches("5", "north")
    await seen(boards)
    boards._position = 4  # as when a board was loaded while the view moved on
    await boards.follow([old])
    assert boards._kept["sh01"].cards["5"][False].position == 6


async def test_a_board_of_another_site_is_not_there(place: Dealership) -> None:
    views = place.views(boards := place.boards())
    await place.receives("1")
    await seen(boards)
    regional = replace(AUDITOR, sites=frozenset("*"))
    stranger = replace(ADVISOR, sites=frozenset({"gz01"}))
    assert set(cards(await views.board(regional, "sh01"))) == {"1"}
    for who, site in ((stranger, "sh01"), (regional, "nowhere"), (regional, "gz01"), (regional, "*")):
        with pytest.raises(Problem) as refused:
            await views.board(who, site)
        assert refused.value.status == 404


async def test_no_reader_gets_what_is_older_than_their_question(place: Dealership) -> None:
    boards = place.boards()
    done = asyncio.Event()
    positions: set[int] = set()

    async def reader() -> None:
        while not done.is_set():
            async with place.pool.connection() as conn:
                [known] = await sql.row(conn, "SELECT position FROM projection WHERE status = 'live'")
            board = await seen(boards)
            assert board.position >= known
            assert len(board.face.cards) == board.position, "each event is one card: one snapshot"
            positions.add(board.position)

    readers = [asyncio.create_task(reader()) for _ in range(3)]
    for n in range(1, 40):
        await place.receives(str(n))
    done.set()
    await asyncio.gather(*readers)
    assert len(positions) > 3, "they read while it changed"


@dataclass
class Screen:
    """What a watcher of one site is told."""

    told: list[str] = field(default_factory=list)

    def changed(self, after: int, position: int, cards: Sequence[Card]) -> None:
        self.told += [f"changed up to {position}"] if cards else []

    def missed(self, position: int) -> None:
        self.told.append(f"missed up to {position}")


async def test_a_card_whose_plate_cannot_be_read_now_is_not_told_as_one_without_plate(
    place: Dealership,
) -> None:
    """Given a keys database that is away while a car comes: whoever watches asks again, and then sees it."""
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    async with AsyncConnectionPool(nowhere, min_size=0, max_size=1, timeout=0.3, open=False) as away:
        boards, screen = Boards(place.pool, Keyring(away, bytes(32))), Screen()
        boards.watchers["sh01"] = screen
        await boards.look()
        await place.receives("1")
        await boards.look()
        assert screen.told == ["missed up to 1"]
        with pytest.raises(OperationalError):
            await boards.changed_since("sh01", 0, seeing_people=True)
        _, [(masked, _)] = await boards.changed_since("sh01", 0, seeing_people=False)
        assert masked.document["plate"] is None
    _, [(_, clear)] = await place.boards().changed_since("sh01", 0, seeing_people=True)
    assert clear.document["plate"] == "沪A1"


async def test_the_control_of_the_card_that_cannot_be_read_is_told(place: Dealership) -> None:
    """The control: with the keys there, the same car is told at once."""
    boards, screen = place.boards(), Screen()
    boards.watchers["sh01"] = screen
    await boards.look()
    await place.receives("1")
    await boards.look()
    assert screen.told == ["changed up to 1"]

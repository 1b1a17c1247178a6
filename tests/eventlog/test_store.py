"""The event store: what was answered is on disk, once, in an order no reader can miss."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import LockNotAvailable

from eventlog import sql
from eventlog.decider import Rejected
from eventlog.group_commit import _APPEND, OutcomeUnknown, VersionConflict
from eventlog.recorded import canonical, event_hash
from eventlog.store import (
    AdvisoryLockRecorder,
    EventStore,
    Full,
    KeyReused,
    StaleVersion,
    Unavailable,
    UnknownStream,
    datastore,
)
from events.workshop import WorkDispatched
from ops.postgres import Postgres
from ops.processes import usable_port
from tests.eventlog.conftest import (
    DISPATCH,
    arrivals,
    by,
    dispatch,
    dispatch_many,
    eventually,
    in_background,
    recorded_at,
)


def dsn_of(store: EventStore) -> str:
    return str(store.pool.conninfo)


@asynccontextmanager
async def another(dsn: str, source: str = "reception") -> AsyncIterator[EventStore]:
    """The same store in another process."""
    async with EventStore(source, dsn).running() as store:
        yield store


# What a command answers


async def test_a_command_answers_where_its_events_are(store: EventStore) -> None:
    first, second = await dispatch(store, "order-1", "A 组"), await dispatch(store, "order-1", "B 组")
    assert (first.version, second.version) == (1, 2)
    assert [r.event for r in await store.stream("order-1")] == [
        WorkDispatched(work_order_id="1", team="A 组"),
        WorkDispatched(work_order_id="1", team="B 组"),
    ]
    assert [e.pos for e in (await store.page(0, 10)).events] == [first.position, second.position]


async def test_the_same_command_again_gets_the_same_answer(store: EventStore) -> None:
    first = await dispatch(store, "order-1", command="c1")
    again = await dispatch(store, "order-1", command="c1")
    assert (again.version, again.position, again.repeated) == (first.version, first.position, True)
    assert [r.id for r in again.recorded] == [r.id for r in first.recorded]
    assert len(await store.stream("order-1")) == 1


async def test_fifty_copies_of_a_command_at_once_are_recorded_once(store: EventStore) -> None:
    answers = await asyncio.gather(*(dispatch(store, "order-1", command="c1") for _ in range(50)))
    assert {answer.position for answer in answers} == {1}
    assert len(await store.stream("order-1")) == 1


async def test_a_command_id_with_another_body_is_refused(store: EventStore) -> None:
    await dispatch(store, "order-1", command="c1")
    with pytest.raises(KeyReused):
        await store.handle(DISPATCH, "order-1", "B 组", by("c1", fingerprint="another body"))
    assert len(await store.stream("order-1")) == 1


async def test_a_command_for_a_version_that_has_passed_is_refused(store: EventStore) -> None:
    await dispatch(store, "order-1", "A 组")
    await dispatch(store, "order-1", "B 组")
    with pytest.raises(StaleVersion) as refused:
        await store.handle(DISPATCH, "order-1", "C 组", by("c3"), expected_version=1)
    assert refused.value.current == 2
    assert (await store.handle(DISPATCH, "order-1", "C 组", by("c3"), expected_version=2)).version == 3


async def test_nothing_to_do_records_nothing(store: EventStore) -> None:
    await dispatch(store, "order-1")
    handled = await store.handle(DISPATCH, "order-1", "nobody", by("c2"))
    assert (handled.version, handled.position, handled.recorded) == (1, None, ())


async def test_a_rejected_command_records_nothing(store: EventStore) -> None:
    def refuse(command: str, state: tuple[str, ...]) -> list[WorkDispatched]:
        raise Rejected("the team is at lunch")

    with pytest.raises(Rejected, match="at lunch"):
        await store.handle(replace(DISPATCH, decide=refuse), "order-1", "A 组", by("c1"), new=True)
    assert await store.stream("order-1") == []


async def test_another_sites_stream_answers_like_a_missing_one(store: EventStore) -> None:
    await dispatch(store, "order-1")
    for stream in ("order-1", "order-2"):
        with pytest.raises(UnknownStream):
            await store.handle(DISPATCH, stream, "A 组", by("c2", site="hz01"))


# Order


async def test_two_hundred_commands_on_one_stream_leave_no_gap(store: EventStore) -> None:
    handled = await asyncio.gather(*(dispatch(store, "order-1", f"team {n}") for n in range(200)))
    assert sorted(h.version for h in handled) == list(range(1, 201))
    assert [r.version for r in await store.stream("order-1")] == list(range(1, 201))


async def test_two_processes_on_one_stream_leave_no_gap(store: EventStore) -> None:
    async with another(dsn_of(store)) as other:
        await asyncio.gather(
            *(
                dispatch(each, "order-1", f"{name} {n}")
                for n in range(40)
                for name, each in (("here", store), ("there", other))
            )
        )
    assert [r.version for r in await store.stream("order-1")] == list(range(1, 81))


async def test_a_conflict_fails_only_its_own_command(store: EventStore) -> None:
    await dispatch(store, "order-1")
    event = [WorkDispatched(work_order_id="1", team="B 组")]
    results = await asyncio.gather(
        *(store.append(f"order-{n}", 0, event, by(f"c{n}")) for n in (1, 2, 3)), return_exceptions=True
    )
    assert isinstance(results[0], VersionConflict)
    assert [len(await store.stream(f"order-{n}")) for n in (1, 2, 3)] == [1, 1, 1]


async def test_an_append_after_a_version_that_is_not_stored_is_a_conflict(store: EventStore) -> None:
    with pytest.raises(VersionConflict):
        await store.append("order-1", 3, [WorkDispatched(work_order_id="1", team="A 组")], by("c1"))
    assert await store.stream("order-1") == []


async def test_a_defect_in_one_command_fails_only_that_one(store: EventStore) -> None:
    event = [WorkDispatched(work_order_id="1", team="\ud800")]  # cannot be encoded
    results = await asyncio.gather(
        store.append("order-1", 0, event, by("c1")), dispatch(store, "order-2"), return_exceptions=True
    )
    assert isinstance(results[0], TypeError)
    assert len(await store.stream("order-2")) == 1


async def test_a_follower_misses_nothing_while_several_processes_write(store: EventStore) -> None:
    seen: list[int] = []

    async def follow() -> None:
        while True:
            seen.extend(e.pos for e in (await store.page(seen[-1] if seen else 0, 50)).events)

    async with (
        another(dsn_of(store)) as second,
        another(dsn_of(store)) as third,
        in_background(follow()) as following,
    ):
        for round in range(5):
            await asyncio.gather(
                *(dispatch_many(each, 20, f"{round}-{id(each)}") for each in (store, second, third))
            )
        held = [a.event.pos for a in await arrivals(store)]
        assert len(held) == 300

        async def caught_up() -> bool:
            assert not following.done(), following.exception()
            return seen[-1:] == held[-1:]

        await eventually(caught_up)
    assert seen == held


INSERT = "INSERT INTO events (originator_id, originator_version, topic, state) VALUES (%s, 1, 't', '{}')"


async def test_without_the_lock_a_follower_misses_an_event(store: EventStore) -> None:
    """The control of the test above: what happens when writers do not take turns."""
    dsn = dsn_of(store)
    async with await AsyncConnection.connect(dsn) as slow, await AsyncConnection.connect(dsn) as fast:
        await slow.execute(INSERT, ("slow",))
        await fast.execute(INSERT, ("fast",))
        await fast.commit()
        seen = [e.pos for e in (await store.page(0, 10)).events]
        await slow.commit()
    assert (await store.page(seen[-1], 10)).events == []
    assert len((await store.page(0, 10)).events) == len(seen) + 1


async def test_with_the_lock_nothing_overtakes_an_open_transaction(store: EventStore) -> None:
    lock = AdvisoryLockRecorder(datastore(dsn_of(store))).lock
    async with await AsyncConnection.connect(dsn_of(store)) as slow:
        await slow.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
        await slow.execute(INSERT, ("slow",))
        fast = asyncio.create_task(dispatch(store, "fast"))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

        async def is_waiting() -> bool:
            async with store.pool.connection() as conn:
                row = await (await conn.execute(waits)).fetchone()
            return bool(row and row[0])

        await eventually(is_waiting)
        assert (await store.page(0, 10)).events == []
        await slow.commit()
    assert (await fast).position == 2


async def test_a_rolled_back_position_leaves_a_hole_but_no_gap(store: EventStore) -> None:
    await dispatch(store, "order-1")
    async with await AsyncConnection.connect(dsn_of(store)) as given_up:
        await given_up.execute(INSERT, ("never",))
        await given_up.rollback()
    await dispatch(store, "order-2")
    whole = (await store.page(0, 10)).events
    assert [(e.prev_pos, e.pos) for e in whole] == [(0, 1), (1, 3)]
    assert [(e.prev_pos, e.pos) for e in (await store.page(1, 10)).events] == [(1, 3)]
    assert [(e.prev_pos, e.pos) for e in (await store.page(2, 10)).events] == [(1, 3)]


async def test_recording_times_grow_with_positions(store: EventStore) -> None:
    async with another(dsn_of(store)) as other:
        await asyncio.gather(dispatch_many(store, 60, "here"), dispatch_many(other, 60, "there"))
    times = [recorded_at(a.event.body) for a in await arrivals(store)]
    assert all(before <= after for before, after in pairwise(times))


# What is stored


async def test_the_bytes_are_canonical_and_hashed_as_they_are(store: EventStore) -> None:
    await dispatch(store, "order-1", "钣喷组")
    [event] = (await store.page(0, 10)).events
    assert event.body == canonical(json.loads(event.body))
    assert "钣喷组".encode() in event.body
    assert event.hash == event_hash(event.body)
    async with store.pool.connection() as conn:
        stored = await (await conn.execute("SELECT state, topic FROM events")).fetchone()
    assert stored == (event.body, WorkDispatched.type)


async def test_the_time_of_recording_changes_nothing_else(store: EventStore) -> None:
    """The database puts it where the bytes have a control character; what people wrote has none of those."""
    handled = await dispatch(store, "order-1", 'A \x01"\x01" 组')
    [stored] = await store.stream("order-1")
    assert stored.recorded_at == handled.recorded[0].recorded_at
    assert stored.event == WorkDispatched(work_order_id="1", team='A \x01"\x01" 组')


# Other users of the database


async def test_maintenance_of_the_table_stops_no_command(store: EventStore) -> None:
    """ANALYZE, VACUUM and CREATE INDEX CONCURRENTLY hold this lock; the library's own lock would wait."""
    dsn = dsn_of(store)
    async with await AsyncConnection.connect(dsn) as busy, await AsyncConnection.connect(dsn) as theirs:
        await busy.execute("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")
        async with asyncio.timeout(5):
            assert (await dispatch(store, "order-1")).version == 1
        with pytest.raises(LockNotAvailable):
            await theirs.execute("LOCK TABLE events IN EXCLUSIVE MODE NOWAIT")


async def test_insert_and_select_are_enough_for_the_writer(
    store: EventStore, postgres_server: Postgres
) -> None:
    database = conninfo_to_dict(dsn_of(store))["dbname"]
    role = f"writer_of_{database}"
    async with store.pool.connection() as conn:
        await conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        await conn.execute(f"GRANT INSERT, SELECT ON events TO {role}")
        await conn.execute(f"GRANT USAGE ON SEQUENCE events_notification_id_seq TO {role}")
    try:
        limited = make_conninfo(postgres_server.dsn(str(database)), user=role, password="x")
        async with another(limited) as writer:
            assert (await dispatch(writer, "order-1")).version == 1
            assert (await dispatch(writer, "order-1")).repeated
        async with await AsyncConnection.connect(limited) as conn:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute("UPDATE events SET state = ''")
    finally:
        async with store.pool.connection() as conn:
            await conn.execute(f"DROP OWNED BY {role}")
            await conn.execute(f"DROP ROLE {role}")


def test_the_librarys_database_functions_are_refused() -> None:
    """They drop the lock that keeps the order."""
    store = datastore("postgresql://nobody@127.0.0.1:1/none")
    store.enable_db_functions = True
    with pytest.raises(ValueError, match="commit order"):
        AdvisoryLockRecorder(store)


# When PostgreSQL fails


async def test_without_postgresql_a_command_fails_soon_and_a_store_can_still_be_made() -> None:
    store = EventStore("reception", f"postgresql://nobody@127.0.0.1:{usable_port(0)}/none")
    async with store.running():
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await dispatch(store, "order-1")
        assert time.monotonic() - began < 5


async def test_a_store_survives_a_crash_of_postgresql(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres", sync=False) as server:
        server.create_databases(["reception"])
        store = EventStore("reception", server.dsn("reception"))
        await store.provision()
        async with store.running():
            await dispatch_many(store, 20, "before")
            server.kill()
            with pytest.raises(Unavailable):
                await dispatch(store, "during")
            server.start()
            await eventually(lambda: dispatch(store, "during"))
            assert len((await store.page(0, 100)).events) == 21


async def test_a_full_disk_fails_all_who_wait_and_is_forgotten_when_there_is_room(store: EventStore) -> None:
    """PostgreSQL says so of a statement that it has undone: there is no doubt whether it was recorded."""
    async with store.pool.connection() as conn:
        await conn.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;"
            "CREATE TRIGGER full_disk BEFORE INSERT ON events EXECUTE FUNCTION full_disk()"
        )
        outcomes = await asyncio.gather(
            *(dispatch(store, f"order-{n}") for n in range(3)), return_exceptions=True
        )
        await conn.execute("DROP TRIGGER full_disk ON events")
    assert [type(outcome) for outcome in outcomes] == [Full] * 3
    assert (await store.page(0, 10)).events == []
    assert (await dispatch(store, "order-1")).version == 1


@asynccontextmanager
async def losing_answers(dsn: str, lose: Callable[[bytes], bool]) -> AsyncIterator[str]:
    """An address of the same database over a line that breaks when the server says something to lose."""
    at = conninfo_to_dict(dsn)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        try:
            while data := await reader.read(65536):
                if back and lose(data):
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(str(at["host"]), int(str(at["port"])))
        back = asyncio.create_task(carry(server_reader, writer, True))
        await carry(reader, server_writer, False)
        await back

    line = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with line:
        port = line.sockets[0].getsockname()[1]
        yield make_conninfo(dsn, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")


async def test_a_lost_answer_to_a_commit_records_once(store: EventStore) -> None:
    lost = 0

    def lose(answer: bytes) -> bool:
        nonlocal lost
        if b"INSERT 0 1\0" in answer and lost < 5:
            lost += 1
            return True
        return False

    async with (
        losing_answers(dsn_of(store), lose) as unreliable,
        another(unreliable) as far,
    ):
        for n in range(10):
            assert (await dispatch(far, f"order-{n}")).version == 1
    assert lost == 5
    assert [len(await store.stream(f"order-{n}")) for n in range(10)] == [1] * 10


async def test_a_lost_answer_to_a_commit_looks_like_a_conflict(store: EventStore) -> None:
    """The control of the test above: to append again without looking would fail although it is recorded."""
    event = [WorkDispatched(work_order_id="1", team="A 组")]
    async with (
        losing_answers(dsn_of(store), lambda answer: b"INSERT 0 1\0" in answer) as unreliable,
        another(unreliable) as far,
    ):
        with pytest.raises(OutcomeUnknown):
            await far.append("order-1", 0, event, by("c1"))
        with pytest.raises(VersionConflict):
            await store.append("order-1", 0, event, by("c1"))


async def test_a_plan_made_while_the_table_was_empty_reads_by_the_key(store: EventStore) -> None:
    """It is planned once; a table that has grown, read as a whole, would hold up everybody."""
    numbers = count(1)
    statement = re.sub("%[sb]", lambda _: f"${next(numbers)}", _APPEND)
    conn = await store._writer._connect()
    plan = str(await sql.rows(conn, f"EXPLAIN (GENERIC_PLAN) {statement}"))
    assert "Index" in plan
    assert "Seq Scan" not in plan
    await dispatch(store, "order-1")
    await conn.execute("RESET enable_seqscan; ANALYZE events")
    assert "Seq Scan" in str(await sql.rows(conn, f"EXPLAIN (GENERIC_PLAN) {statement}")), "this can fail"

"""A store restored from an old dump: the ledger stops it and says why, one command makes it whole again."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from eventlog import sql
from ops.postgres import binaries
from services.reception.visit import visit_stream
from tests.faults.cluster import SITES, Cluster, eventually

pytestmark = pytest.mark.faults


def dump(cluster: Cluster, file: Path) -> None:
    _run("pg_dump", "--format=custom", f"--file={file}", cluster.settings.reception_db)


def restore(cluster: Cluster, file: Path) -> None:
    _run("pg_restore", "--clean", f"--dbname={cluster.settings.reception_db}", file)


def _run(program: str, *arguments: str | Path) -> None:
    subprocess.run([binaries() / program, *arguments], check=True, capture_output=True, text=True)


def readmit(cluster: Cluster) -> "subprocess.CompletedProcess[str]":
    """As an operator types it."""
    return subprocess.run(
        [sys.executable, "-m", "ops", "readmit", "reception"],
        env={**os.environ, **cluster.environment},
        capture_output=True,
        text=True,
    )


async def stopped(cluster: Cluster) -> str:
    query = "SELECT stopped FROM ledger_source WHERE source = 'reception'"
    async with await AsyncConnection.connect(cluster.settings.ledger_db) as conn:
        [why] = await sql.row(conn, query)
    return str(why or "")


async def events_of(cluster: Cluster) -> list[tuple[int, str]]:
    """Position and hash of everything reception's store holds."""
    query = "SELECT notification_id, encode(sha256(state), 'hex') FROM events ORDER BY notification_id"
    async with await AsyncConnection.connect(cluster.settings.reception_db) as conn:
        return [(pos, hash) for pos, hash in await sql.rows(conn, query)]


async def level(cluster: Cluster) -> bool:
    rows = [row.pos for row in await cluster.rows() if row.source == "reception"]
    return rows == [pos for pos, _ in await events_of(cluster)]


async def lose_the_last(cluster: Cluster, count: int, folder: Path) -> list[tuple[int, str]]:
    """Reception's disk dies, and the dump that is restored lacks that many visits; what was there before."""
    dump(cluster, folder / "reception.dump")
    for n in range(count):
        await cluster.receive(SITES[0], f"since the dump {n}")
    await eventually(lambda: level(cluster))
    before = await events_of(cluster)
    cluster.kill("reception")
    restore(cluster, folder / "reception.dump")
    assert len(await events_of(cluster)) == len(before) - count
    return before


async def again_well(cluster: Cluster) -> None:
    before = await cluster.closed()
    cluster.start("reception")
    await cluster.ready("reception")
    await cluster.work(4, "after the restore")
    await cluster.recovered(before + 4)


async def test_a_restored_store_gets_back_what_it_lost(cluster: Cluster, tmp_path: Path) -> None:
    """Injected: pg_dump, more visits, kill -9 of reception, pg_restore. Expected: the ledger stops the
    source and says how far its store ends; `bayledger readmit` brings the very same events back."""
    before = await lose_the_last(cluster, 3, tmp_path)
    cluster.start("reception")
    await eventually(lambda: stopped(cluster))
    assert "its store ends at position" in await stopped(cluster)
    assert "stop the service first" in readmit(cluster).stderr
    cluster.kill("reception")
    done = await eventually(lambda: _succeeded(cluster))
    assert done.startswith("reception: 3 events brought back;")
    assert await events_of(cluster) == before
    assert await stopped(cluster) == ""
    assert readmit(cluster).stdout.startswith("reception: 0 events brought back;")
    await again_well(cluster)


async def test_what_a_restored_store_recorded_since_is_kept_behind_what_it_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Injected: as above, and the restored service takes new visits at positions the ledger has already.
    Expected: both are kept, the new ones behind the others."""
    before = await lose_the_last(cluster, 2, tmp_path)
    cluster.start("reception")
    await cluster.ready("reception")
    new = [await cluster.receive(SITES[0], f"since the restore {n}") for n in range(4)]
    answered = cluster.answers[-4:]
    del cluster.answers[-4:]  # they named positions that the others have back afterwards
    await eventually(lambda: stopped(cluster))
    cluster.kill("reception")
    done = await eventually(lambda: _succeeded(cluster))
    assert "2 events brought back, 4 recorded since then now follow them" in done
    after = await events_of(cluster)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 4
    for answer, (pos, _) in zip(answered, after[-4:], strict=True):
        cluster.answers.append({**answer, "position": f"reception:{pos}"})
    await again_well(cluster)
    opened = {row.stream for row in await cluster.rows()}
    assert {f"visit-{id}" for id in new} <= opened


async def test_a_visit_continued_in_both_histories_is_left_to_people(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Injected: a repair is approved after the dump, and declined after the restore. Expected: a sentence
    that names the visit, nothing is changed; restored once more, the store is made whole."""
    id = await cluster.receive(SITES[0], "in both histories")
    question = await cluster.add_repair(SITES[0], id)

    async def noted() -> bool:
        asked = (visit_stream(id), "reception.approval_requested.v1")
        return asked in {(row.stream, row.type) for row in await cluster.rows()}

    await eventually(noted)
    dump(cluster, tmp_path / "reception.dump")
    await cluster.answer_repair(SITES[0], id, "approve", question)
    await eventually(lambda: level(cluster))
    cluster.kill("reception")
    restore(cluster, tmp_path / "reception.dump")
    cluster.start("reception")
    await cluster.ready("reception")
    await cluster.answer_repair(SITES[0], id, "decline", question)
    cluster.answers.pop()
    cluster.kill("reception")
    forked = await events_of(cluster)
    refused = await eventually(lambda: _refused(cluster))
    assert f"{visit_stream(id)} was continued after the restore" in refused
    assert await events_of(cluster) == forked
    restore(cluster, tmp_path / "reception.dump")
    assert (await eventually(lambda: _succeeded(cluster))).startswith("reception: 1 events brought back;")
    await again_well(cluster)


async def _succeeded(cluster: Cluster) -> str:
    done = await asyncio.to_thread(readmit, cluster)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _refused(cluster: Cluster) -> str:
    done = await asyncio.to_thread(readmit, cluster)
    assert done.returncode == 2
    assert "continued" in done.stderr, done.stderr
    return done.stderr

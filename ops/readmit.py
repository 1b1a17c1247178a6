"""Makes a store that was restored from a backup whole again: the ledger has what it lacks."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from eventlog import sql
from eventlog.recorded import event_hash
from eventlog.settings import Settings
from ops.processes import Unusable

SERVICES = ("reception", "workshop", "customer_care")
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Readmitted:
    source: str
    brought_back: int
    """Events that the ledger had and the store lacked."""
    moved: int
    """Events recorded after the restore at positions that were taken: they stand behind the others now."""

    def sentence(self) -> str:
        moved = f", {self.moved} recorded since then now follow them" if self.moved else ""
        return f"{self.source}: {self.brought_back} events brought back{moved}; the ledger goes on with it."


async def readmit(settings: Settings, source: str) -> Readmitted:
    """Bring back what the store of a stopped service lacks and let the ledger go on with it.

    The events return at their positions, byte for byte. What the restored store recorded at such positions
    itself is kept too, behind them, unless a stream was continued in both: then nothing is changed, and
    Unusable names that stream. The store gets a new epoch, by which the bus and the ledger tell what it says
    from now on from what the lost one still has under way. Harmless to repeat.
    """
    if source not in SERVICES:
        raise Unusable(f"there is no service {source}: choose one of {', '.join(SERVICES)}")
    async with (
        await AsyncConnection.connect(settings.ledger_db) as ledger,
        _alone(getattr(settings, f"{source}_db"), source) as store,
    ):
        # The ledger takes nothing while we compare; both are let go when the store is whole.
        await ledger.execute("SELECT FROM ledger_head FOR UPDATE")
        known = await sql.rows(ledger, "SELECT pos FROM ledger_source WHERE source = %s", (source,))
        if not known:
            raise Unusable(f"the ledger has nothing of {source} yet")
        missing, fork = await _compare(ledger, store, source)
        moved = await _move_behind(store, fork, known[0][0])
        await _insert(ledger, store, source, missing)
        epoch = str(uuid.uuid4())
        await store.execute(
            "UPDATE store SET epoch = %(epoch)s, relayed = least(relayed, %(before)s),"
            " read_back = least(read_back, %(before)s) WHERE source = %(source)s",
            {"epoch": epoch, "before": min(missing, default=2**62) - 1, "source": source},
        )
        await store.commit()
        await ledger.execute(
            "UPDATE ledger_source SET epoch = %s, stopped = NULL WHERE source = %s", (epoch, source)
        )
    return Readmitted(source, len(missing), moved)


@asynccontextmanager
async def _alone(dsn: str, source: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A transaction on the store of a service that does not run. Raises Unusable when it does."""
    async with await AsyncConnection.connect(dsn) as store:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        if (await sql.row(store, others))[0]:
            raise Unusable(f"something is connected to the store of {source}: stop the service first")
        await store.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        yield store


async def _compare(
    ledger: AsyncConnection[Any], store: AsyncConnection[Any], source: str
) -> tuple[list[int], int | None]:
    """Positions to bring back, and the first one at which the store recorded something else."""
    missing, fork, after = list[int](), None, 0
    while True:
        rows = await sql.rows(
            ledger,
            "SELECT pos, hash FROM ledger WHERE source = %s AND pos > %s ORDER BY pos LIMIT %s",
            (source, after, PAGE),
        )
        if not rows:
            return missing, fork
        theirs = dict(rows)
        ours = dict(
            await sql.rows(
                store,
                "SELECT notification_id, encode(sha256(state), 'hex') FROM events"
                " WHERE notification_id > %s AND notification_id <= %s",
                (after, rows[-1][0]),
            )
        )
        if fork is None:
            fork = min((pos for pos, hash in ours.items() if theirs.get(pos) != hash), default=None)
        missing += [pos for pos in theirs if pos not in ours or (fork is not None and pos >= fork)]
        after = rows[-1][0]


async def _move_behind(store: AsyncConnection[Any], fork: int | None, last: int) -> int:
    if fork is None:
        return 0
    moved = await store.execute(
        "UPDATE events SET notification_id = notification_id + greatest(%s, (SELECT max(notification_id)"
        " FROM events)) WHERE notification_id >= %s",
        (last, fork),
    )
    return moved.rowcount


async def _insert(
    ledger: AsyncConnection[Any], store: AsyncConnection[Any], source: str, missing: list[int]
) -> None:
    for start in range(0, len(missing), PAGE):
        rows = await sql.rows(
            ledger,
            "SELECT pos, hash, body FROM ledger WHERE source = %s AND pos = ANY(%s) ORDER BY pos",
            (source, missing[start : start + PAGE]),
        )
        for pos, hash, body in rows:
            if event_hash(body.encode()) != hash:
                raise Unusable(f"the ledger's copy of {source}:{pos} was changed: see `bayledger verify`")
            event = json.loads(body)
            try:
                await store.execute(
                    "INSERT INTO events (notification_id, originator_id, originator_version, topic, state)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (pos, event["stream"], event["version"], event["type"], body.encode()),
                )
            except UniqueViolation:
                raise Unusable(
                    f"{event['stream']} was continued after the restore, so that two events claim its version"
                    f" {event['version']}: nothing was changed"
                ) from None
    await store.execute(
        "SELECT setval(pg_get_serial_sequence('events', 'notification_id'), max(notification_id)) FROM events"
        " HAVING max(notification_id) IS NOT NULL"
    )

"""A log to look at: what the ledger received, and the views that followed it."""

import json
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from eventlog import sql
from eventlog.bus import Arrival
from eventlog.feed import FeedEvent
from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, encode, event_hash
from projections import views
from projections.projection import Document, Projection
from projections.steps import Remembered, advance
from projections.views import FOREVER, Build

Rows = list[tuple[Any, ...]]


async def given_log(ledger: Ledger, *facts: Recorded | bytes) -> None:
    """The ledger receives these facts in this order, each from the service that recorded it."""
    async with ledger.pool.connection() as conn:
        last = dict(await sql.rows(conn, "SELECT source, pos FROM ledger_source"))
    arrivals = []
    for fact in facts:
        body = fact if isinstance(fact, bytes) else encode(fact)
        context = json.loads(body)["type"].split(".")[0]
        source = context if context in ledger.sources else "reception"
        before = last.get(source, 0)
        last[source] = before + 1
        arrivals.append(Arrival(source, "epoch", FeedEvent(before + 1, before, event_hash(body), body)))
    assert (await ledger.ingest(arrivals)).appended == len(facts)


async def view(
    conn: AsyncConnection[Any], projection: Projection, batch: int = 500, remembered: Remembered | None = None
) -> Build:
    """The live view, after following the log to its end."""
    live = await views.live_build(conn, projection)
    build = live[0] if live else await views.new_build(conn, projection, "live")
    while (await advance(conn, build, batch, remembered)).read:
        pass
    return build


async def everything(conn: AsyncConnection[Any], build: Build) -> Rows:
    """All that is stored of a view, what each document was made of included, in a comparable form."""
    query = SQL("SELECT t.*, document::text FROM {} t ORDER BY key")
    return await sql.rows(conn, query.format(Identifier(build.table)))


async def documents(
    conn: AsyncConnection[Any], build: Build, position: int = FOREVER - 1
) -> dict[str, Document]:
    """What the view shows as of a position."""
    query = SQL("SELECT key, document FROM {} WHERE from_pos <= %s AND to_pos > %s").format(
        views.versions(build)
    )
    async with conn.transaction():
        found = await sql.rows(conn, query, (await views.earlier(conn, build, position), position, position))
    shown = dict(found)
    assert len(shown) == len(found), "one version of a document at a time"
    return shown

"""Reading the views: for somebody, at a moment, with the personal values this somebody may see."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring, UnknownSubject
from access.problems import Problem
from access.roles import Action
from access.tokens import Principal
from eventlog import sql
from events import Sealed
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.live import LiveViews
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.parked_messages.queries import parked_messages
from projections.projection import Document, Projection
from projections.rules import promise_risk, versions_of
from projections.status import status
from projections.views import Build, live_build
from projections.work_order_board.projection import WORK_ORDER_BOARD
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE

AsOf: TypeAlias = int | datetime
"""A position in the ledger, or a time: what was recorded until then."""

SITE_ZONE = ZoneInfo("Asia/Shanghai")
PATIENCE = 5.0
"""Seconds a read waits for a view to reach `min_position`."""

ON_REQUEST = frozenset({"customer_name", "phone", "narrative"})
"""Sealed values that are shown on request only, and each time recorded."""


@dataclass(frozen=True, slots=True)
class Read:
    position: int
    """Of the ledger up to which the document holds."""
    at: datetime
    document: Document


class Views:
    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], live: LiveViews, keyring: Keyring
    ) -> None:
        self._pool = pool
        self._live = live
        self._keyring = keyring

    async def board(self, who: Principal, site: str, as_of: AsOf | None = None) -> Read:
        """The open work orders of a site and those delivered on the day, longest waiting first."""
        async with self.reading(who, WORK_ORDER_BOARD) as (conn, build):
            position, at = await moment(conn, build, as_of)
            midnight = at.astimezone(SITE_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
            query = SQL(
                "SELECT document FROM {} WHERE site = %s AND from_pos <= %s AND to_pos > %s"
                " AND (open OR delivered_at >= %s) ORDER BY document ->> 'since', key"
            ).format(Identifier(build.table))
            found = await sql.rows(conn, query, (site, position, position, midnight))
        cards = await self.unsealed(who, [document for [document] in found])
        await self._note_view(who, "board", site)
        return Read(position, at, {"site": site, "cards": [computed(card, at) for card in cards]})

    async def work_order(self, who: Principal, id: str, as_of: AsOf | None = None) -> Read | None:
        read = await self._one(who, WORK_ORDER_BOARD, id, as_of)
        return read and Read(read.position, read.at, computed(read.document, read.at))

    async def work_order_timeline(self, who: Principal, id: str, as_of: AsOf | None = None) -> Read | None:
        return await self._one(who, WORK_ORDER_TIMELINE, id, as_of)

    async def complaint(self, who: Principal, id: str, as_of: AsOf | None = None) -> Read | None:
        return await self._one(who, COMPLAINT_TIMELINE, id, as_of)

    async def complaints(
        self,
        who: Principal,
        *,
        only_open: bool = False,
        limit: int = 50,
        after: str | None = None,
        as_of: AsOf | None = None,
    ) -> Read:
        """Complaints of the caller's sites, latest first; `next` continues behind the last one."""
        async with self.reading(who, COMPLAINT_TIMELINE) as (conn, build):
            position, at = await moment(conn, build, as_of)
            query = SQL(
                "SELECT document::jsonb - 'entries' FROM {} WHERE from_pos <= %s AND to_pos > %s"
                " AND (open OR NOT %s) AND (%s::text IS NULL OR (document ->> 'raised_at') || key < %s)"
                " ORDER BY (document ->> 'raised_at') || key DESC LIMIT %s"
            ).format(Identifier(build.table))
            found = await sql.rows(conn, query, (position, position, only_open, after, after, limit + 1))
        documents = [document for [document] in found[:limit]]
        last = documents[-1] if len(found) > limit else None
        complaints = await self.unsealed(who, documents)
        following = last and last["raised_at"] + last["complaint_id"]
        return Read(position, at, {"complaints": complaints, "next": following})

    async def sites(self, who: Principal) -> list[str]:
        """The sites of the caller that have work orders, and the caller's own."""
        async with self.reading(who, WORK_ORDER_BOARD) as (conn, build):
            found = await sql.rows(conn, SQL("SELECT DISTINCT site FROM {}").format(Identifier(build.table)))
        return sorted({site for [site] in found} | (who.sites - {"*"}))

    async def status(self) -> Document:
        async with self._pool.connection() as conn:
            return await status(conn)

    async def parked(self, who: Principal, *, settled_too: bool = False) -> list[Document]:
        """Messages of the caller's sites that wait for an operator's decision, oldest first."""
        async with self.reading(who, PARKED_MESSAGES) as (conn, build):
            return await parked_messages(conn, build, settled_too=settled_too)

    async def reveal(
        self, who: Principal, projection: Projection, id: str, reason: str
    ) -> dict[str, str | None] | None:
        """The personal values of one document in clear; recorded before they are shown."""
        async with self.reading(who, projection) as (conn, build):
            found = await sql.rows(conn, _CURRENT.format(Identifier(build.table)), (2**62, 2**62, id))
        if not found:
            return None
        [(_, document)] = found
        sealed = {name: value for name, value in document.items() if _is_sealed(value)}
        if sealed:
            about = f"{projection.name} {id}"
            await self._keyring.record_reveal(who, document["customer"], sorted(sealed), reason, about)
        values = await self._unseal(sealed.values())
        return dict(zip(sealed, values, strict=True))

    async def unsealed(self, who: Principal, documents: Sequence[Document]) -> list[Document]:
        """Sealed values become text where this role sees them, otherwise null with the reason beside it."""
        seen = who.may(Action.PERSONAL_DATA_SEE)
        wanted = [
            (n, name)
            for n, document in enumerate(documents)
            for name, value in document.items()
            if seen and name not in ON_REQUEST and _is_sealed(value)
        ]
        texts = await self._unseal(documents[n][name] for n, name in wanted)
        clear = [_hidden(document) for document in documents]
        for (n, name), text in zip(wanted, texts, strict=True):
            clear[n][name] = text
            clear[n].pop(f"{name}_hidden")
            if text is None:
                clear[n][f"{name}_erased"] = True
        return clear

    async def _unseal(self, sealed: Iterable[Document]) -> list[str | None]:
        """None for whom the key was destroyed; a key that is not there at all is no erasure."""
        try:
            return await self._keyring.unseal_many([Sealed.model_validate(each) for each in sealed])
        except UnknownSubject:
            sentence = "A person's key is missing; restore the newest backup of the keys database."
            raise Problem(503, sentence) from None

    async def wait_for(self, projection: Projection, min_position: str) -> None:
        """Return when the view has what stands at `<source>:<position>` or at a ledger position.

        Raises a 503 problem that says how far behind the view is.
        """
        condition = self._live.advanced[projection.name]
        behind = await self._behind(projection, min_position)
        try:
            async with asyncio.timeout(PATIENCE):
                while behind:
                    async with condition:
                        with suppress(TimeoutError):
                            async with asyncio.timeout(0.5):
                                await condition.wait()
                    behind = await self._behind(projection, min_position)
        except TimeoutError:
            sentence = f"This view is behind by {behind} positions; please ask again."
            raise Problem(503, sentence, headers={"Retry-After": "2"}) from None

    async def _behind(self, projection: Projection, min_position: str) -> int:
        """How many positions of the ledger the view lacks, or of the source if the ledger lacks the event."""
        found = _MIN_POSITION.fullmatch(min_position)
        if found is None:
            raise Problem(400, "min_position is a ledger position or `<source>:<position>` from an answer.")
        source, wanted = found[1], int(found[2])
        async with self._pool.connection() as conn:
            if source:
                [seq, arrived] = await sql.row(conn, _ARRIVED, (source, wanted, source))
                if seq is None:
                    return max(1, wanted - int(arrived))
                wanted = seq
            [position] = await sql.row(
                conn,
                "SELECT coalesce(max(position), 0) FROM projection WHERE name = %s AND status = 'live'",
                (projection.name,),
            )
        return max(0, int(wanted) - int(position))

    async def _one(self, who: Principal, projection: Projection, id: str, as_of: AsOf | None) -> Read | None:
        async with self.reading(who, projection) as (conn, build):
            position, at = await moment(conn, build, as_of)
            found = await sql.rows(conn, _CURRENT.format(Identifier(build.table)), (position, position, id))
        if not found:
            return None
        document = found[0][1]
        entries = document.get("entries", [])
        [clear, *data] = await self.unsealed(who, [document, *(entry["data"] for entry in entries)])
        if entries:
            clear["entries"] = [{**entry, "data": d} for entry, d in zip(entries, data, strict=True)]
        await self._note_view(who, projection.name, document["site"])
        return Read(position, at, clear)

    async def _note_view(self, who: Principal, view: str, site: str) -> None:
        if who.may(Action.PERSONAL_DATA_SEE):
            await self._keyring.record_view(who, view, site)

    @asynccontextmanager
    async def reading(
        self, who: Principal, projection: Projection
    ) -> AsyncIterator[tuple[AsyncConnection[Any], Build]]:
        """A transaction in which the database itself shows the caller's sites only."""
        async with self._pool.connection() as conn, conn.transaction():
            live = await live_build(conn, projection)
            if live is None:
                raise Problem(
                    503, "This view is being built; please ask again.", headers={"Retry-After": "2"}
                )
            await conn.execute("SET LOCAL ROLE bayledger_reader")
            await conn.execute("SELECT set_config('bayledger.sites', %s, true)", (_scope(who.sites),))
            yield conn, live[0]


_MIN_POSITION = re.compile("(?:(reception|workshop|customer_care):)?([0-9]{1,18})")
_ARRIVED = """
SELECT (SELECT min(seq) FROM ledger WHERE source = %s AND pos >= %s),
       (SELECT coalesce(max(pos), 0) FROM ledger_source WHERE source = %s)
"""
_CURRENT = SQL("SELECT from_pos, document FROM {} WHERE from_pos <= %s AND to_pos > %s AND key = %s")


async def moment(conn: AsyncConnection[Any], build: Build, as_of: AsOf | None) -> tuple[int, datetime]:
    """The ledger position a read is about, and its time; never one that the view has not reached."""
    now = datetime.now(UTC)
    [reached] = await sql.row(
        conn,
        "SELECT position FROM projection WHERE (name, build) = (%s, %s)",
        (build.projection.name, build.number),
    )
    if as_of is None:
        return reached, now
    if isinstance(as_of, datetime):
        [position] = await sql.row(
            conn, "SELECT coalesce(max(seq), 0) FROM ledger WHERE recorded_at <= %s", (as_of,)
        )
        return min(position, reached), min(as_of, now)
    position = min(as_of, reached)
    found = await sql.rows(
        conn, "SELECT recorded_at FROM ledger WHERE seq <= %s ORDER BY seq DESC LIMIT 1", (position,)
    )
    return position, found[0][0] if found else now


def computed(card: Document, at: datetime) -> Document:
    """What depends on the moment of looking: how long the card waits and whether its promise is at risk."""
    since = datetime.fromisoformat(card.get("since") or card["last_at"])
    waiting = max(0, int((at - since).total_seconds() // 60))
    return {**card, "waiting_minutes": waiting, "risk": promise_risk(card, at, versions_of("promise_risk"))}


def _scope(sites: Set[str]) -> str:
    return "*" if "*" in sites else ",".join(sorted(sites))


def _is_sealed(value: object) -> bool:
    return isinstance(value, dict) and "box" in value


def _hidden(document: Document) -> Document:
    clear: Document = {}
    for name, value in document.items():
        if _is_sealed(value):
            clear |= {name: None, f"{name}_hidden": True}
        else:
            clear[name] = value
    return clear

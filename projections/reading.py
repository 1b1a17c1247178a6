"""Reading the views: for somebody, at a moment, with the personal values this somebody may see."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson
from psycopg import AsyncConnection
from psycopg.errors import DiskFull, UndefinedColumn
from psycopg.sql import SQL, Composable, Identifier, Placeholder
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring
from access.problems import Problem, missing
from access.roles import Action
from access.sights import Sights
from access.tokens import Principal
from eventlog import sql
from eventlog.recorded import canonical
from events.reception import GatePassReleased
from projections.appointment_book.day import HOLDS, day_at, not_opened
from projections.appointment_book.projection import APPOINTMENT_BOOK
from projections.appointment_book.statistics import statistics
from projections.appointment_book.welcome import greeting
from projections.boards import ON_BOARD, Boards, being_built
from projections.complaint_timeline.blame import blame
from projections.complaint_timeline.progress import progress
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.complaint_timeline.statistics import COUNTED, Month, summary
from projections.facts import Fact, values
from projections.live import LiveViews
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.parked_messages.queries import parked_messages
from projections.projection import Document, Projection
from projections.status import status
from projections.timeline import entry
from projections.unsealing import hidden, sealed_names, unseal, unsealed
from projections.views import FOREVER, Build, earlier, folded, heard, versions
from projections.visit_file.history import vehicle_history
from projections.visit_file.projection import VISIT_FILE, is_open
from projections.work_order_board.cards import (
    A_DAY,
    Board,
    Face,
    ShownCard,
    computed,
    is_shown,
    midnight,
    without_clock,
)
from projections.work_order_board.projection import WORK_ORDER_BOARD
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE

AsOf: TypeAlias = int | datetime
"""A position in the ledger, or a time: what was recorded until then."""

_Stood: TypeAlias = tuple[str, int, Sequence[int] | None]
"""A card that may have been on a board: its key, since when it was as it was then, and what it heard if it
has changed since."""

Order: TypeAlias = Literal["latest", "due"]
"""Of complaints: raised last first, or by what is due next; what is overdue comes before that."""

LookUp: TypeAlias = Literal["phone", "plate"]
"""By what somebody is looked up."""

VISITS = 100
"""Of one vehicle or one person, at most: the latest."""
VEHICLES = 500
"""At one site, at most: the latest."""
PATIENCE = 5.0
"""Seconds a read waits for a view to reach `min_position`."""
LONGEST_QUEUE = 200
"""Settlements that a cashier sees at once."""
REVEALED = 1_000
"""Entries of a timeline that are looked through for personal values."""


@dataclass(frozen=True, slots=True)
class Read:
    position: int
    """Of the ledger up to which the document holds."""
    at: datetime
    document: Document

    def tag(self) -> str:
        """Another one whenever something in the document changes besides the minutes of a card."""
        facts = without_clock(self.document) if "risk" in self.document else self.document
        return hashlib.sha256(canonical(facts)).hexdigest()[:32]

    def body(self) -> bytes:
        return canonical({"position": self.position, "at": self.at.isoformat(), **self.document})


class Reading(NamedTuple):
    conn: AsyncConnection[Any]
    build: Build
    position: int
    """Of the ledger that the read is about; never one that the view has not reached."""
    at: datetime
    """When that was."""


class Views:
    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        live: LiveViews,
        boards: Boards,
        keyring: Keyring,
        sights: Sights,
    ) -> None:
        self._pool = pool
        self._live = live
        self._boards = boards
        self._keyring = keyring
        self._sights = sights

    async def board(self, who: Principal, site: str, as_of: AsOf | None = None) -> Board:
        """The open work orders of a site and those delivered on the day, longest waiting first.

        Raises the problem of what does not exist for a site that is not the caller's.
        """
        seeing_people = await self.open_board(who, site)
        if as_of is None:
            return await self._boards.read(site, seeing_people=seeing_people)
        async with self.reading(who, WORK_ORDER_BOARD, as_of) as (conn, build, position, at):
            day, past = midnight(at), self._boards.past(build, site)
            # Most cards stand as they stood, or as they were read a moment ago.
            now = self._boards.known(build, site)
            asked = {"site": site, "at": position, "day": day, "next_day": day + A_DAY}
            cards, others = list[ShownCard](), list[_Stood]()
            for row in await sql.rows(conn, _stood(build.table), asked):
                key, changed, _ = row
                if card := past.get((key, changed, seeing_people)):
                    cards.append(card)
                elif key in now and (known := now[key][seeing_people]).position == changed:
                    card = past[key, changed, seeing_people] = ShownCard(known.document, changed)
                    cards.append(card)
                else:
                    others.append(row)
            documents = await self._stood(conn, build, position, others) if others else {}
        shown = await self._shown(list(documents.values()), seeing_people, afresh=True)
        for (key, changed), document in zip(documents, shown, strict=True):
            card = past[key, changed, seeing_people] = ShownCard(document, changed)
            cards.append(card)
        found = [card for card in cards if is_shown(card.document, day)]
        return Board(site, position, at, Face(sorted(found, key=attrgetter("place"))))

    async def _stood(
        self,
        conn: AsyncConnection[Any],
        build: Build,
        position: int,
        stood: Sequence[_Stood],
    ) -> dict[tuple[str, int], Document]:
        """By key and last change: as they stand, or folded of what those heard that have changed since. What
        had ended, or cannot be read by this release, is none of them."""
        unchanged = [key for key, _, heard in stood if heard is None]
        changed = {key: heard for key, _, heard in stood if heard is not None}
        rows = await folded(conn, build, position, changed)
        documents = {key: row.document for key, row in rows.items() if row.to_pos > position}
        if unchanged:
            query = SQL("SELECT key, document::text FROM {} WHERE key = ANY(%s)")
            found = await sql.rows(conn, query.format(Identifier(build.table)), (unchanged,))
            documents |= {key: orjson.loads(text) for key, text in found}
        return {(key, since): documents[key] for key, since, _ in stood if key in documents}

    async def open_board(self, who: Principal, site: str) -> bool:
        """Call it before showing anything of a board. Whether its plates are shown, too.

        Raises the problem of what does not exist for a site that is not the caller's.
        """
        await self._must_know(who, site)
        return await self._sees_people(who, "board", site)

    async def _must_know(self, who: Principal, site: str) -> None:
        if not who.at(site) or (site not in who.sites - {"*"} and not await self._is_known(who, site)):
            raise missing()

    async def _is_known(self, who: Principal, site: str) -> bool:
        if self._boards.holds(site):
            return True
        async with self.reading(who, WORK_ORDER_BOARD) as (conn, build, *_):
            query = SQL("SELECT EXISTS (SELECT FROM {} WHERE site = %s)").format(Identifier(build.table))
            [known] = await sql.row(conn, query, (site,))
        return bool(known)

    async def work_order(self, who: Principal, id: str, as_of: AsOf | None = None) -> Read | None:
        read = await self._one(who, WORK_ORDER_BOARD, id, as_of)
        return read and Read(read.position, read.at, computed(read.document, read.at))

    async def has_work_order(self, who: Principal, site: str | None, id: str) -> bool:
        """Whether one of this number is known at the site; nothing of it is shown."""
        async with self.reading(who, WORK_ORDER_BOARD) as (conn, build, *_):
            query = SQL("SELECT EXISTS (SELECT FROM {} WHERE key = %s AND site = %s)").format(
                Identifier(build.table)
            )
            [known] = await sql.row(conn, query, (id, site))
        return bool(known)

    async def work_order_timeline(
        self,
        who: Principal,
        id: str,
        as_of: AsOf | None = None,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> Read | None:
        return await self._timeline(who, WORK_ORDER_TIMELINE, id, as_of, limit, before)

    async def visit_file(self, who: Principal, id: str, as_of: AsOf | None = None) -> Read | None:
        """All that is known of a visit, by the id of its work order."""
        return await self._one(who, VISIT_FILE, id, as_of)

    async def day(self, who: Principal, site: str, date: str, as_of: AsOf | None = None) -> Read:
        """A day at the desk of a site: slots, appointments, the queue in its order.

        Raises the problem of what does not exist for a site that is not the caller's.
        """
        await self._must_know(who, site)
        book = f"{site}.{date}"
        read = await self._one(who, APPOINTMENT_BOOK, book, as_of)
        if read is None:
            async with self.reading(who, APPOINTMENT_BOOK, as_of) as (_, _, position, at):
                return Read(position, at, not_opened(book, site, date))
        return Read(read.position, read.at, day_at(read.document, read.at))

    async def days(
        self, who: Principal, site: str, first: str, last: str, as_of: AsOf | None = None
    ) -> tuple[int, datetime, list[Document]]:
        """The stored days of a site from one date to another, in order, with nothing of a person."""
        await self._must_know(who, site)
        async with self.reading(who, APPOINTMENT_BOOK, as_of) as (conn, build, position, at):
            query = SQL(
                "SELECT document FROM {} WHERE site = %s AND day BETWEEN %s AND %s"
                " AND from_pos <= %s AND to_pos > %s ORDER BY day"
            ).format(versions(build))
            then = await earlier(conn, build, position, site=site)
            found = await sql.rows(conn, query, (then, site, first, last, position, position))
        return position, at, [hidden(day) for [day] in found]

    async def appointment_statistics(
        self, who: Principal, site: str, month: Month, as_of: AsOf | None = None
    ) -> Read:
        """What a site's appointments of a month came to (P-02, R-09, R-29)."""
        position, at, days = await self.days(who, site, f"{month}-01", f"{month}-31", as_of)
        return Read(position, at, {"site": site, "month": str(month), **statistics(days)})

    async def welcome(self, who: Principal, site: str, date: str) -> list[Document]:
        """Who is expected on a day and may be greeted, as much of it as they chose (R-16), in order.

        What stands on the board at the entrance is shown for that purpose to whoever sets it out.
        """
        await self._must_know(who, site)
        if not await self._sees_people(who, "welcome", site):
            return []
        async with self.reading(who, APPOINTMENT_BOOK) as (conn, build, *_):
            found = await sql.rows(
                conn, _CURRENT.format(Identifier(build.table)), (2**62, 2**62, f"{site}.{date}")
            )
        appointments = day_at(found[0][1], datetime.now(UTC))["appointments"] if found else []
        expected = [each for each in appointments if each["state"] in HOLDS]
        texts = [[each["customer_name"], each["plate"]] for each in expected]
        clear = await unseal(self._keyring, [text for pair in texts for text in pair])
        greeted = map(greeting, expected, clear[::2], clear[1::2])
        return [each for each in greeted if each]

    async def labour_ahead(self, who: Principal, site: str, of: str) -> tuple[int, int]:
        """How many other vehicles of a site have signed work that is not done, and its minutes (R-49)."""
        async with self.reading(who, VISIT_FILE) as (conn, build, *_):
            query = SQL(
                "SELECT count(*), coalesce(sum((document->'quote'->>'labour_minutes')::bigint), 0)::bigint"
                " FROM {} WHERE open AND site = %s AND key <> %s"
                " AND document->'quote'->>'signed_at' IS NOT NULL"
                " AND document->'workshop'->>'completed_at' IS NULL"
            ).format(Identifier(build.table))
            vehicles, minutes = await sql.row(conn, query, (site, of))
        return vehicles, minutes

    async def visit_file_of_customer(self, customer: Principal, id: str) -> Read | None:
        """The file for the customer themself, with their own name, phone and plate in clear; null and
        `<name>_erased` from the moment on in which their data were erased."""
        async with self.reading(customer, VISIT_FILE) as (conn, build, position, at):
            found = await sql.rows(conn, _CURRENT.format(Identifier(build.table)), (2**62, 2**62, id))
        if not found:
            return None
        [(_, document)] = found
        names = sealed_names(document)
        clear = await unseal(self._keyring, (document[name] for name in names), afresh=True)
        erased = {f"{name}_erased": True for name, text in zip(names, clear, strict=True) if text is None}
        return Read(position, at, document | dict(zip(names, clear, strict=True)) | erased)

    async def gate_pass_token(self, who: Principal, id: str) -> str | None:
        """What the code of the pass that was released last says: for the cashier alone, who hands it over."""
        async with self.reading(who, VISIT_FILE) as (conn, build, *_):
            facts = await heard(conn, build, id, FOREVER, REVEALED)
        released = [
            fact.data.token for _, fact in facts if isinstance(fact, Fact) and fact.event is GatePassReleased
        ]
        return released[-1] if released else None

    async def visit_files(self, who: Principal, site: str) -> list[Document]:
        """Of the vehicles at a site of the caller's, who came first first; of too many, the latest."""
        seeing_people = await self.open_board(who, site)
        async with self.reading(who, VISIT_FILE) as (conn, build, *_):
            query = SQL(
                "SELECT document FROM {} WHERE site = %s AND open AND received_at IS NOT NULL"
                " ORDER BY received_at DESC, key DESC LIMIT %s"
            ).format(Identifier(build.table))
            found = await sql.rows(conn, query, (site, VEHICLES))
        return await self._shown([file for [file] in reversed(found)], seeing_people)

    async def vehicle(self, who: Principal, vin: str, as_of: AsOf | None = None) -> Read | None:
        """The file of a vehicle: its visits at all sites of the group; of people at the caller's own (K-17).

        That somebody looked at another site's is on record before they are shown; a full disk prevents it.
        """
        async with self.reading(who, VISIT_FILE, as_of, everywhere=True) as (conn, build, position, at):
            query = SQL("SELECT key FROM {} WHERE vin = %s ORDER BY received_at DESC NULLS LAST LIMIT %s")
            keys = [
                key for [key] in await sql.rows(conn, query.format(Identifier(build.table)), (vin, VISITS))
            ]
            files: list[Document] = []
            for key in keys:
                then = await earlier(conn, build, position, key=key) if as_of is not None else "[]"
                asked = (then, position, position, key)
                files += [file for _, file in await sql.rows(conn, _CURRENT.format(versions(build)), asked)]
        for site in sorted({file["site"] for file in files if not who.at(file["site"])}):
            try:
                await self._sights.note(who, "vehicle_file", site)
            except DiskFull:
                files = [file for file in files if file["site"] != site]
        own = [file for file in files if who.at(file["site"])]
        others = [hidden(file) for file in files if not who.at(file["site"])]
        seen = [await self._sees_people(who, "vehicle_file", site) for site in {file["site"] for file in own}]
        shown = await self._shown(own, bool(seen) and all(seen))
        history = vehicle_history(vin, [*shown, *others], sorted(who.sites))
        return Read(position, at, history) if history["visits"] else None

    async def vehicles_of(self, who: Principal, kind: LookUp, value: str) -> list[Document]:
        """The vehicles with which somebody came to the caller's sites, by their phone number or a plate.

        Whether or not there is such a person: that somebody looked is recorded first, and counts as a reveal.
        """
        customer = await self._keyring.find(kind, value)
        about = f"look-up by {kind}"
        await self._keyring.record_reveal(who, customer or "nobody", [kind], "looked up", about)
        async with self.reading(who, VISIT_FILE) as (conn, build, *_):
            query = SQL(
                "SELECT document FROM {} WHERE customer = %s ORDER BY received_at DESC NULLS FIRST LIMIT %s"
            ).format(Identifier(build.table))
            found = await sql.rows(conn, query, (customer, VISITS))
        wanted = ("work_order_id", "site", "vin", "model", "received_at", "appointment")
        return [
            {name: file[name] for name in wanted if name in file} | {"open": is_open(file)}
            for [file] in found
        ]

    async def at_cashier(self, who: Principal) -> Read:
        """Visits that are signed and not paid, or whose vehicle has not left; the last received first."""
        async with self.reading(who, VISIT_FILE) as (conn, build, position, at):
            query = SQL("SELECT document FROM {} WHERE at_cashier ORDER BY received_at DESC LIMIT %s").format(
                Identifier(build.table)
            )
            found = await sql.rows(conn, query, (LONGEST_QUEUE,))
        seeing_people = who.site is not None and await self._sees_people(who, VISIT_FILE.name, who.site)
        return Read(position, at, {"files": await self._shown([each for [each] in found], seeing_people)})

    async def complaint(
        self,
        who: Principal,
        id: str,
        as_of: AsOf | None = None,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> Read | None:
        return await self._timeline(who, COMPLAINT_TIMELINE, id, as_of, limit, before)

    async def complaints(
        self,
        who: Principal,
        *,
        only_open: bool = False,
        limit: int = 50,
        after: str | None = None,
        as_of: AsOf | None = None,
        order: Order = "latest",
    ) -> Read:
        """Complaints of the caller's sites; `next` continues behind the last one, in the same order."""
        ordered = _ORDERS[order]
        async with self.reading(who, COMPLAINT_TIMELINE, as_of) as (conn, build, position, at):
            query = SQL(
                "SELECT document, {place} FROM {complaints} WHERE from_pos <= %s AND to_pos > %s"
                " AND (open OR NOT %s) AND (%s::text IS NULL OR {place} {behind} %s)"
                " ORDER BY {place} {direction} LIMIT %s"
            ).format(complaints=versions(build), **ordered)
            asked = (position, position, only_open, after, after, limit + 1)
            found = await sql.rows(conn, query, (await earlier(conn, build, position), *asked))
        shown = found[:limit]
        complaints = await self._shown([each for each, _ in shown], who.may(Action.PERSONAL_DATA_SEE))
        following = shown[-1][1] if len(found) > limit else None
        return Read(position, at, {"complaints": complaints, "next": following})

    async def linked_complaints(self, who: Principal, complaint: Document, position: int) -> list[Document]:
        """The chain of objections that a complaint belongs to, without itself, as it stood at a position of
        the ledger, the earliest first (C-27)."""
        async with self.reading(who, COMPLAINT_TIMELINE) as (conn, build, *_):
            query = SQL(
                "WITH RECURSIVE chain AS ("
                " SELECT key, follows, first_pos, site FROM {0} WHERE key = %s"
                " UNION SELECT t.key, t.follows, t.first_pos, t.site FROM {0} AS t, chain"
                "  WHERE t.site = chain.site AND (t.key = chain.follows OR t.follows = chain.key)"
                ") SELECT key FROM chain WHERE key <> %s AND first_pos <= %s ORDER BY first_pos LIMIT 20"
            ).format(Identifier(build.table))
            asked = (complaint["complaint_id"], complaint["complaint_id"], position)
            linked = []
            for [key] in await sql.rows(conn, query, asked):
                then = await earlier(conn, build, position, key=key)
                current = _CURRENT.format(versions(build))
                [(_, document)] = await sql.rows(conn, current, (then, position, position, key))
                linked.append(hidden(document))
        return linked

    async def blames(self, who: Principal) -> Read:
        """Complaints at the caller's sites for which they are held responsible, the latest first (C-40)."""
        async with self.reading(who, COMPLAINT_TIMELINE) as (conn, build, position, at):
            query = SQL("SELECT document FROM {} WHERE blamed = %s ORDER BY raised_at DESC LIMIT 200")
            found = await sql.rows(conn, query.format(Identifier(build.table)), (who.actor,))
        return Read(position, at, {"blames": [blame(complaint) for [complaint] in found]})

    async def complaint_statistics(self, who: Principal, month: Month, as_of: AsOf | None = None) -> Read:
        """What the complaints raised in a month at the caller's sites come to; nothing about a person."""
        async with self.reading(who, COMPLAINT_TIMELINE, as_of) as (conn, build, position, at):
            query = SQL(
                "SELECT d.* FROM {}, json_to_record(document) AS d ({}) WHERE from_pos <= %s AND to_pos > %s"
                " AND v.raised_at >= %s AND v.raised_at < %s"
            ).format(
                versions(build),
                SQL(", ").join(SQL("{} {}").format(Identifier(n), SQL(type)) for n, type in COUNTED.items()),
            )
            asked = (position, position, month.begins, month.ends)
            found = await sql.rows(conn, query, (await earlier(conn, build, position), *asked))
        known = (
            {name: value for name, value in zip(COUNTED, row, strict=True) if value is not None}
            for row in found
        )
        return Read(position, at, {"month": str(month), **summary(known)})

    async def complaint_progress(self, who: Principal, id: str) -> Read | None:
        """What a customer is told about their own complaint; `followed_by` is the one that their objection
        began."""
        async with self.reading(who, COMPLAINT_TIMELINE) as (conn, build, position, at):
            query = SQL("SELECT document FROM {} WHERE key = %s").format(Identifier(build.table))
            found = await sql.rows(conn, query, (id,))
            query = SQL("SELECT key FROM {} WHERE follows = %s").format(Identifier(build.table))
            following = await sql.rows(conn, query, (id,)) if found else []
        if not found:
            return None
        followed_by = following[0][0] if following else None
        return Read(position, at, {**progress(found[0][0]), "followed_by": followed_by})

    async def sites(self, who: Principal) -> list[str]:
        """The sites of the caller that have work orders, and the caller's own."""
        async with self.reading(who, WORK_ORDER_BOARD) as (conn, build, *_):
            found = await sql.rows(conn, SQL("SELECT DISTINCT site FROM {}").format(Identifier(build.table)))
        return sorted({site for [site] in found} | (who.sites - {"*"}))

    async def status(self) -> Document:
        async with self._pool.connection() as conn:
            return await status(conn)

    async def parked(self, who: Principal, *, settled_too: bool = False) -> list[Document]:
        """Messages of the caller's sites that wait for an operator's decision, oldest first."""
        async with self.reading(who, PARKED_MESSAGES) as (conn, build, *_):
            return await parked_messages(conn, build, settled_too=settled_too)

    async def reveal(
        self,
        who: Principal,
        projection: Projection,
        id: str,
        reason: str,
        *,
        only: Set[str] | None = None,
    ) -> dict[str, str | None] | None:
        """The personal values of one document in clear, or those of these names; recorded before they are
        shown. With all of them those of its latest entries that it does not hold itself, by name and id of
        the entry."""
        async with self.reading(who, projection) as (conn, build, *_):
            found = await sql.rows(conn, _CURRENT.format(Identifier(build.table)), (2**62, 2**62, id))
            facts = await heard(conn, build, id, FOREVER, REVEALED) if found else []
        if not found:
            return None
        [(_, document)] = found
        sealed = {name: document[name] for name in sealed_names(document) if only is None or name in only}
        for fact in (fact for _, fact in facts if isinstance(fact, Fact) and only is None):
            said = values(fact.data)
            texts = (name for name in sealed_names(said) if name not in document)
            sealed |= {f"{name} {fact.id}": said[name] for name in texts}
        if sealed:
            about = f"{projection.name} {id}"
            await self._keyring.record_reveal(who, document["customer"], sorted(sealed), reason, about)
        clear = await unseal(self._keyring, sealed.values())
        return dict(zip(sealed, clear, strict=True))

    async def _shown(
        self, documents: Sequence[Document], seeing_people: bool, *, afresh: bool = False
    ) -> list[Document]:
        if seeing_people:
            return await unsealed(self._keyring, documents, afresh=afresh)
        return [hidden(document) for document in documents]

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
        async with self.reading(who, projection, as_of) as (conn, build, position, at):
            then = await earlier(conn, build, position, key=id)
            found = await sql.rows(conn, _CURRENT.format(versions(build)), (then, position, position, id))
        if not found:
            return None
        seeing_people = await self._sees_people(who, projection.name, found[0][1]["site"])
        [clear] = await self._shown([found[0][1]], seeing_people)
        return Read(position, at, clear)

    async def _timeline(
        self,
        who: Principal,
        projection: Projection,
        id: str,
        as_of: AsOf | None,
        limit: int,
        before: int | None,
    ) -> Read | None:
        """How it stands, with its latest entries before a position of the ledger, oldest of them first;
        `next` is where the entries before them continue."""
        async with self.reading(who, projection, as_of) as (conn, build, position, at):
            then = await earlier(conn, build, position, key=id)
            found = await sql.rows(conn, _CURRENT.format(versions(build)), (then, position, position, id))
            last = min(position, (before or FOREVER) - 1)
            facts = await heard(conn, build, id, last, limit + 1)
        if not found:
            return None
        entries = [entry(fact) for _, fact in facts[-limit:] if isinstance(fact, Fact)]
        seeing_people = await self._sees_people(who, projection.name, found[0][1]["site"])
        texts = [found[0][1], *(each["data"] for each in entries)]
        [clear, *data] = await self._shown(texts, seeing_people)
        clear["entries"] = [{**each, "data": d} for each, d in zip(entries, data, strict=True)]
        clear["next"] = facts[1][0] if len(facts) > limit else None
        return Read(position, at, clear)

    async def _sees_people(self, who: Principal, view: str, site: str) -> bool:
        """Whether somebody may, and it is on record that they look at people; a full disk prevents it."""
        if not who.may(Action.PERSONAL_DATA_SEE):
            return False
        try:
            await self._sights.note(who, view, site)
        except DiskFull:
            return False
        return True

    @asynccontextmanager
    async def reading(
        self,
        who: Principal,
        projection: Projection,
        as_of: AsOf | None = None,
        *,
        everywhere: bool = False,
    ) -> AsyncIterator[Reading]:
        """A transaction in which the database itself shows the caller's sites only, unless what is read is
        shared by the group."""
        async with self._pool.connection() as conn:  # which ends the transaction, too
            now = datetime.now(UTC)
            begin = _BEGIN.format(
                sites="*" if everywhere else _scope(who.sites), view=projection.name, at=_reached(as_of)
            )
            cursor = await conn.execute(begin, prepare=False)
            cursor.nextset()
            live = await cursor.fetchone()
            if live is None:
                raise being_built()
            number, position, recorded_at, *_ = live
            match as_of:
                case datetime():
                    at = min(as_of, now)
                case int() if recorded_at:
                    at = recorded_at
                case _:
                    at = now
            try:
                yield Reading(conn, Build(projection, number), position, at)
            except UndefinedColumn:
                raise being_built() from None  # a release that kept it otherwise made it


_MIN_POSITION = re.compile("(?:(reception|workshop|customer_care):)?([0-9]{1,18})")
_ARRIVED = """
SELECT (SELECT min(seq) FROM ledger WHERE source = %s AND pos >= %s),
       (SELECT coalesce(max(pos), 0) FROM ledger_source WHERE source = %s)
"""
_BEGIN = SQL(
    # The position that is read and the documents belong together.
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SELECT build, at, (SELECT recorded_at FROM ledger WHERE seq <= at ORDER BY seq DESC LIMIT 1),"
    " set_config('role', 'bayledger_reader', true), set_config('bayledger.sites', {sites}, true)"
    " FROM projection, LATERAL (SELECT least(position, {at}) AS at) AS reached"
    " WHERE name = {view} AND status = 'live'"
)
"""In one message."""
_ORDERS: Final[dict[Order, dict[str, SQL]]] = {
    "latest": {
        "place": SQL("(document ->> 'raised_at') || key"),
        "behind": SQL("<"),
        "direction": SQL("DESC"),
    },
    "due": {
        # All of one form, so that they are in order as texts.
        "place": SQL(
            "coalesce(to_char(next_due AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), 'none') || ' ' || key"
        ),
        "behind": SQL(">"),
        "direction": SQL("ASC"),
    },
}
"""By which text complaints are sorted and a page begins, and where the following ones are."""
_STOOD = SQL(
    "SELECT key, from_pos, NULL FROM {table}"
    " WHERE site = %(site)s AND from_pos <= %(at)s AND to_pos > %(at)s AND {on_board}"
    " UNION ALL SELECT key, (SELECT max(pos) FROM unnest(heard) AS pos WHERE pos <= %(at)s), heard"
    " FROM {table} WHERE site = %(site)s AND from_pos > %(at)s AND first_pos <= %(at)s"
)


@cache
def _stood(table: str) -> bytes:
    on_board = ON_BOARD.format(day=Placeholder("day"), next_day=Placeholder("next_day"))
    return _STOOD.format(table=Identifier(table), on_board=on_board).as_bytes()


_CURRENT = SQL("SELECT from_pos, document FROM {} WHERE from_pos <= %s AND to_pos > %s AND key = %s")


def _reached(as_of: AsOf | None) -> Composable:
    match as_of:
        case datetime():
            return SQL("(SELECT coalesce(max(seq), 0) FROM ledger WHERE recorded_at <= {})").format(as_of)
        case int():
            return SQL("{}::bigint").format(as_of)
        case None:
            return SQL("position")


def _scope(sites: Set[str]) -> str:
    return "*" if "*" in sites else ",".join(sorted(sites))

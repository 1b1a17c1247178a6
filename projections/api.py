"""The reads: what programs see of the views. Every view answers as of any past moment."""

import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from datetime import date as Date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.routing import APIRoute
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from pydantic import Field
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from access.guard import Needs, needs, public
from access.problems import Problem, missing
from access.request_body import RequestBody
from access.roles import Action
from access.tokens import Principal
from eventlog.bus import denied
from eventlog.ledger import feed_page
from events.schemas import asyncapi
from projections.appointment_book.projection import APPOINTMENT_BOOK
from projections.board_stream import BoardStream, Form, as_json
from projections.complaint_stream import ComplaintStream
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.complaint_timeline.statistics import Month
from projections.projection import Document, Projection
from projections.reading import AsOf, LookUp, Order, Read, Views
from projections.status import status
from projections.visit_file.projection import VISIT_FILE
from projections.work_order_board.cards import Board
from projections.work_order_board.projection import WORK_ORDER_BOARD
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE


async def as_of(
    as_of: Annotated[
        str | None, Query(max_length=40, description="RFC 3339 time with zone, or position")
    ] = None,
) -> AsOf | None:
    """The moment a read is about."""
    if as_of is None:
        return None
    if re.fullmatch("[0-9]{1,18}", as_of):
        return int(as_of)
    with suppress(ValueError, OverflowError):
        # A plus sign that was not encoded arrives as a space.
        at = datetime.fromisoformat(as_of.replace(" ", "+"))
        if at.tzinfo:
            return at.astimezone(UTC)
    raise Problem(422, "as_of is a position, or a time with a zone such as 2026-01-31T14:00:00+08:00.")


async def month(
    month: Annotated[
        str | None,
        Query(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as 2026-11; this month, if left out"),
    ] = None,
) -> Month:
    return Month.named(month) if month else Month.of(datetime.now(UTC))


async def day_named(date: Annotated[str, Path(pattern="^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")]) -> str:
    with suppress(ValueError):
        return f"{Date.fromisoformat(date)}"
    raise Problem(422, "There is no such day; please give one such as 2026-11-28.")


Day = Annotated[str, Depends(day_named)]
Moment = Annotated[AsOf | None, Depends(as_of)]
InMonth = Annotated[Month, Depends(month)]
Cursor = Annotated[str | None, Query(max_length=200, pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|none )")]
"""`next` of the page before: a place in the order, never the id of a thing."""
MinPosition = Annotated[str | None, Query(max_length=60, description="`<source>:<position>` of an answer")]
Vin = Annotated[str, Path(pattern="^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$")]
Limit = Annotated[int, Query(ge=1, le=200)]
Before = Annotated[int | None, Query(ge=1, le=2**62)]
Match = Annotated[str | None, Header(alias="If-None-Match")]
Reader = Annotated[Principal, needs(Action.BOARD_READ)]


async def known(
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> int | None:
    """The last change that a screen has."""
    return int(last_event_id) if last_event_id and last_event_id.isdecimal() else after


Known = Annotated[int | None, Depends(known)]


class _BoardRoute(APIRoute):
    """Takes the short way when the board is wanted as it stands, and leaves any other request to FastAPI.

    FastAPI's way to the same arguments takes more time than the answer. The gate is the same.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        long_way = super().get_route_handler()
        [gate] = [each.call for each in self.dependant.dependencies if isinstance(each.call, Needs)]

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await long_way(request)
            who, match = await gate(request), request.headers.get("if-none-match")
            response: Response = await self.endpoint(request.path_params["site"], who, None, match=match)
            return response

        return handle


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "id", "data"],
}
EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": _EVENT}}}}
"""What the documents say of a stream: before OpenAPI 3.2 the schema is that of one event."""


async def live_board(
    views: Views, stream: BoardStream, who: Principal, site: str, after: int | None, form: Form
) -> Response:
    """Refuses before the stream begins: afterwards there is no status left to say so."""
    seeing_people = await views.open_board(who, site)
    stream.must_have_room()
    frames = stream.watch(site, after, seeing_people=seeing_people, form=form)
    return EventStream(frames, headers=STREAMED)


STREAMED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""The second one is for proxies: they pass on each event when it comes."""


class Reveal(RequestBody):
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class LookedUp(RequestBody):
    kind: LookUp
    value: Annotated[str, Field(min_length=3, max_length=40)]


def api(
    views: Views,
    stream: BoardStream,
    complaint_stream: ComplaintStream,
    pool: AsyncConnectionPool[AsyncConnection[Any]],
) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/sites", tags=["boards"])
    async def sites(who: Reader) -> dict[str, list[str]]:
        """The sites whose boards the caller may see."""
        return {"sites": await views.sites(who)}

    async def board(
        site: str, who: Reader, as_of: Moment, min_position: MinPosition = None, match: Match = None
    ) -> Response:
        """The open work orders of a site and those delivered on the day, longest waiting first."""
        if min_position:
            await views.wait_for(WORK_ORDER_BOARD, min_position)
        return _answer(await views.board(who, site, as_of), match)

    router.add_api_route("/sites/{site}/board", board, tags=["boards"], route_class_override=_BoardRoute)

    @router.get("/sites/{site}/board/stream", tags=["boards"], response_class=EventStream, responses=EVENTS)
    async def board_stream(site: str, who: Reader, after: Known) -> Response:
        """Server-sent events: `card` with the card as it stands now; the id is its position in the ledger."""
        return await live_board(views, stream, who, site, after, as_json)

    @router.get("/sites/{site}/appointments/statistics", tags=["appointments"])
    async def appointment_statistics(
        site: str,
        who: Annotated[Principal, needs(Action.APPOINTMENT_READ)],
        month: InMonth,
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """What a month's appointments came to, and the share of vehicles that had one (P-02, R-29)."""
        if min_position:
            await views.wait_for(APPOINTMENT_BOOK, min_position)
        return _answer(await views.appointment_statistics(who, site, month, as_of), match)

    @router.get("/sites/{site}/days/{date}", tags=["appointments"])
    async def day(
        site: str,
        date: Day,
        who: Annotated[Principal, needs(Action.APPOINTMENT_READ)],
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """A day at the desk: its slots, its appointments, and who waits, in the order of the queue."""
        if min_position:
            await views.wait_for(APPOINTMENT_BOOK, min_position)
        return _answer(await views.day(who, site, date, as_of), match)

    @router.get("/work-orders/{id}", tags=["work orders"])
    async def work_order(
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        if min_position:
            await views.wait_for(WORK_ORDER_BOARD, min_position)
        return _answer(await views.work_order(who, id, as_of), match)

    @router.get("/work-orders/{id}/timeline", tags=["work orders"])
    async def work_order_timeline(
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        as_of: Moment,
        limit: Limit = 100,
        next: Before = None,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """The latest entries, oldest of them first; hand `next` back for those before."""
        if min_position:
            await views.wait_for(WORK_ORDER_TIMELINE, min_position)
        return _answer(await views.work_order_timeline(who, id, as_of, limit=limit, before=next), match)

    @router.get("/work-orders/{id}/file", tags=["work orders"])
    async def visit_file(
        id: str,
        who: Annotated[Principal, needs(Action.WORK_ORDER_READ)],
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """All that is known of the visit, section by section, from the appointment to the gate."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        return _answer(await views.visit_file(who, id, as_of), match)

    @router.get("/vehicles/{vin}/history", tags=["vehicles"])
    async def vehicle(
        vin: Vin,
        who: Annotated[Principal, needs(Action.VEHICLE_READ)],
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """Its visits at all sites of the group; who brought it is shown for the caller's own sites only."""
        if min_position:
            await views.wait_for(VISIT_FILE, min_position)
        return _answer(await views.vehicle(who, vin.upper(), as_of), match)

    @router.post("/vehicles/look-up", tags=["vehicles"])
    async def look_up(
        body: LookedUp, who: Annotated[Principal, needs(Action.VISIT_RECEIVE)]
    ) -> dict[str, list[Document]]:
        """The vehicles somebody came with, by phone or plate; who looked up whom is recorded first."""
        return {"visits": await views.vehicles_of(who, body.kind, body.value)}

    @router.post("/work-orders/{id}/reveal", tags=["work orders"])
    async def reveal_work_order(
        id: str, body: Reveal, who: Annotated[Principal, needs(Action.PERSONAL_DATA_REVEAL)]
    ) -> dict[str, str | None]:
        """Name, phone and plate in clear; who asked, when and why is recorded first."""
        return await reveal(who, WORK_ORDER_BOARD, id, body.reason)

    @router.get("/complaints", tags=["complaints"])
    async def complaints(
        who: Annotated[Principal, needs(Action.COMPLAINT_READ)],
        as_of: Moment,
        only_open: bool = False,
        limit: Limit = 50,
        next: Cursor = None,
        order: Annotated[
            Order, Query(description="`latest` raised first, or by what is `due` next, overdue before that")
        ] = "latest",
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """Latest or next due first; hand `next` back, with the same `order`, for the following page."""
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        read = await views.complaints(
            who, only_open=only_open, limit=limit, after=next, as_of=as_of, order=order
        )
        return _answer(read, match)

    @router.get("/complaints/statistics", tags=["complaints"])
    async def complaint_statistics(
        who: Annotated[Principal, needs(Action.COMPLAINT_READ)],
        month: InMonth,
        as_of: Moment,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """What the complaints raised in a month come to: counts, times in minutes, deadlines kept (C-29)."""
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        return _answer(await views.complaint_statistics(who, month, as_of), match)

    @router.get("/complaints/{id}/timeline", tags=["complaints"])
    async def complaint_timeline(
        id: str,
        who: Annotated[Principal, needs(Action.COMPLAINT_READ)],
        as_of: Moment,
        limit: Limit = 100,
        next: Before = None,
        min_position: MinPosition = None,
        match: Match = None,
    ) -> Response:
        """How it stands with the latest entries, oldest of them first; hand `next` back for those before."""
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        return _answer(await views.complaint(who, id, as_of, limit=limit, before=next), match)

    @router.get("/complaints/stream", tags=["complaints"], response_class=EventStream, responses=EVENTS)
    async def complaints_stream(
        who: Annotated[Principal, needs(Action.COMPLAINT_READ)], after: Known
    ) -> Response:
        """Server-sent events: `complaint` with each that changed, as it stands; nothing sealed in clear."""
        return EventStream(await complaint_stream.open(who, None, after), headers=STREAMED)

    @router.get(
        "/complaints/{id}/timeline/stream", tags=["complaints"], response_class=EventStream, responses=EVENTS
    )
    async def complaint_timeline_stream(
        id: str, who: Annotated[Principal, needs(Action.COMPLAINT_READ)], after: Known
    ) -> Response:
        """Server-sent events: `entry` with each fact, nothing sealed in clear; the id is its position."""
        return EventStream(await complaint_stream.open(who, id, after), headers=STREAMED)

    @router.post("/complaints/{id}/reveal", tags=["complaints"])
    async def reveal_complaint(
        id: str, body: Reveal, who: Annotated[Principal, needs(Action.PERSONAL_DATA_REVEAL)]
    ) -> dict[str, str | None]:
        """Name, phone and what was typed in clear; who asked, when and why is recorded first."""
        if not who.may(Action.COMPLAINT_READ):
            raise missing()
        return await reveal(who, COMPLAINT_TIMELINE, id, body.reason)

    @router.get("/log", tags=["log"])
    async def log(
        who: Annotated[Principal, needs(Action.LOG_READ)],
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    ) -> Response:
        """The ledger from any position, each event as the canonical JSON that was stored and hashed."""
        async with pool.connection() as conn:
            page = await feed_page(conn, after, limit, None if who.at("*") else sorted(who.sites))
        return Response(page.to_json(), media_type="application/json")

    @router.get("/status", tags=["operation"], dependencies=[needs(Action.STATUS_READ)])
    async def how_it_stands() -> dict[str, Any]:
        return await views.status()

    @router.get("/parked", tags=["operation"])
    async def parked(who: Annotated[Principal, needs(Action.PARKED_READ)], all: bool = False) -> Response:
        """Messages that wait for an operator's decision, oldest first."""
        return JSONResponse({"parked": await views.parked(who, settled_too=all)})

    @router.get("/asyncapi.json", tags=["operation"], dependencies=[public])
    async def async_api() -> dict[str, Any]:
        return asyncapi()

    async def reveal(who: Principal, projection: Projection, id: str, reason: str) -> dict[str, str | None]:
        values = await views.reveal(who, projection, id, reason)
        if values is None:
            raise missing()
        return values

    return router


def health_api(pool: AsyncConnectionPool[AsyncConnection[Any]]) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", dependencies=[public])
    async def healthz() -> dict[str, str]:
        return {"status": "running"}

    @router.get("/readyz", dependencies=[public])
    async def readyz() -> Response:
        """Ready when no source is stopped and the views follow the ledger."""
        async with pool.connection() as conn:
            now = await status(conn)
        late = [v["name"] for v in now["views"] if v["behind"] > READY_WITHIN]
        stopped = [s["source"] for s in now["sources"] if s["stopped"]]
        if denied("ledger"):
            return JSONResponse({"status": "the bus refuses the ledger; see the log"}, 503)
        if late or stopped or not now["views"]:
            return JSONResponse({"status": "not ready", "behind": late, "stopped": stopped}, 503)
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", dependencies=[public], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        async with pool.connection() as conn:
            now = await status(conn)
        lines = [f"bayledger_ledger_head {now['ledger']['head']}", f"bayledger_parked {now['parked']}"]
        for source in now["sources"]:
            lines.append(f'bayledger_source_behind{{source="{source["source"]}"}} {source["behind"]}')
            lines.append(
                f'bayledger_source_stopped{{source="{source["source"]}"}} {int(bool(source["stopped"]))}'
            )
        for view in now["views"]:
            lines.append(f'bayledger_view_behind{{view="{view["name"]}"}} {view["behind"]}')
        return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    return router


READY_WITHIN = 1_000
"""Positions a view may be behind and still be called ready."""


def _answer(read: Read | Board | None, match: str | None) -> Response:
    """The document with its position; 304 if it is what the caller has."""
    if read is None:
        raise missing()
    tag = f'"{read.tag()}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    if match and tag in match:
        return Response(status_code=304, headers=headers)
    return Response(read.body(), headers=headers, media_type="application/json")

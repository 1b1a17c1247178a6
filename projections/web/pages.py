"""The pages: boards, work orders and complaints as people look at them, and who may look."""

import re
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import RedirectResponse, Response

from access.guard import SESSION_COOKIE, needs, public, same_origin
from access.problems import Problem, missing
from access.roles import Action
from access.tokens import IssuerAway, Principal, Unauthenticated
from projections.api import Cursor, EventStream, Known, live_board
from projections.board_stream import BoardStream
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.reading import AsOf, Order, Views
from projections.unsealing import TEXTS
from projections.visit_file.projection import VISIT_FILE
from projections.web.clocks import clocks, next_clock
from projections.web.i18n import LANGUAGE_COOKIE, LANGUAGES, language_of, translate_sentence
from projections.web.operation import readable, standing, state_of
from projections.web.rendering import STATIC, as_html, page
from projections.web.rendering import order as order_of
from projections.web.steps import OFFERS, PROGRESS, offers
from projections.work_order_board.cards import SITE_ZONE
from projections.work_order_board.projection import COLUMNS, WORK_ORDER_BOARD
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE

A_YEAR = 365 * 24 * 3600
ENTRIES = 50
"""Of a timeline on one page."""
WORK_ON_COMPLAINTS = {offer.action for offer in OFFERS} - {Action.COMPLAINT_APPEAL}


async def moment(as_of: Annotated[str, Query(max_length=40)] = "") -> AsOf | None:
    """The moment a page is about; a time without a zone is one of the site."""
    if not as_of:
        return None
    if as_of.isdecimal() and len(as_of) < 19:
        return int(as_of)
    try:
        at = datetime.fromisoformat(as_of)
        return (at if at.tzinfo else at.replace(tzinfo=SITE_ZONE)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(422, "This is not a moment to look back at.") from None


Moment = Annotated[AsOf | None, Depends(moment)]
Before = Annotated[int | None, Query(ge=1, le=2**62)]
MinPosition = Annotated[str | None, Query(max_length=60)]
Reference = Annotated[str | None, Query(pattern="^[0-9a-f]{20}$")]
BoardReader = Annotated[Principal, needs(Action.BOARD_READ)]
WorkOrderReader = Annotated[Principal, needs(Action.WORK_ORDER_READ)]
ComplaintReader = Annotated[Principal, needs(Action.COMPLAINT_READ)]


def pages(views: Views, stream: BoardStream) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    router.mount("/static", StaticFiles(directory=STATIC))

    @router.get("/", dependencies=[public])
    async def start(request: Request) -> Response:
        who = await signed_in(request)
        if who is None:
            return RedirectResponse("/sign-in", 303)
        if who.may(Action.STATUS_READ) and not who.may(Action.BOARD_READ):
            return RedirectResponse("/status", 303)
        sites = await views.sites(who) if who.may(Action.BOARD_READ) else []
        if len(sites) == 1:
            return RedirectResponse(f"/sites/{quote(sites[0])}/board", 303)
        return page(request, "start.html", who, sites=sites)

    @router.get("/sites/{site}/board")
    async def board(request: Request, site: str, who: BoardReader, as_of: Moment) -> Response:
        read = await views.board(who, site, as_of)
        form = as_html(language_of(request))
        columns: dict[str, list[str]] = {column: [] for column in COLUMNS}
        for card in sorted(read.face.cards, key=lambda card: order_of(card.document)):
            columns[card.document["column"]].append(card.at(read.at).made(form))
        return page(request, "board.html", who, read=read, as_of=as_of, site=site, columns=columns)

    @router.get("/sites/{site}/board/stream", response_class=EventStream)
    async def board_stream(request: Request, site: str, who: BoardReader, after: Known) -> Response:
        """Cards that have changed, as they stand on a board in the reader's language."""
        return await live_board(views, stream, who, site, after, as_html(language_of(request)))

    @router.get("/work-orders/{id}")
    async def work_order(
        request: Request,
        id: str,
        who: WorkOrderReader,
        as_of: Moment,
        next: Before = None,
        min_position: MinPosition = None,
    ) -> Response:
        if min_position:
            for view in (WORK_ORDER_BOARD, WORK_ORDER_TIMELINE, VISIT_FILE):
                await views.wait_for(view, min_position)
        read = await views.work_order(who, id, as_of)
        file = await views.visit_file(who, id) if as_of is None else None
        timeline = await views.work_order_timeline(who, id, as_of, limit=ENTRIES, before=next)
        if read is None or timeline is None:
            raise missing()
        return page(
            request,
            "work_order.html",
            who,
            read=read,
            as_of=as_of,
            card=read.document,
            file=file.document if file else {},
            columns=COLUMNS,
            timeline=timeline.document,
        )

    @router.get("/complaints")
    async def complaints(
        request: Request,
        who: ComplaintReader,
        show: str = "open",
        order: Order | None = None,
        next: Cursor = None,
    ) -> Response:
        """Whoever works on complaints is shown first what is due next."""
        order = order or ("due" if any(map(who.may, WORK_ON_COMPLAINTS)) else "latest")
        read = await views.complaints(who, only_open=show != "all", after=next, order=order)
        return page(
            request,
            "complaints.html",
            who,
            read=read,
            show=show,
            sorted_by=order,
            next_clock=next_clock,
            **read.document,
        )

    @router.get("/complaints/new")
    async def new_complaint(
        request: Request, who: Annotated[Principal, needs(Action.COMPLAINT_RAISE)], work_order: str = ""
    ) -> Response:
        known = bool(work_order) and await views.has_work_order(who, who.site, work_order)
        return page(request, "complaint_new.html", who, work_order=work_order, known=known)

    @router.get("/complaints/{id}")
    async def complaint(
        request: Request,
        id: str,
        who: ComplaintReader,
        as_of: Moment,
        next: Before = None,
        min_position: MinPosition = None,
    ) -> Response:
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        read = await views.complaint(who, id, as_of, limit=ENTRIES, before=next)
        if read is None:
            raise missing()
        about = read.document.get("work_order_id") or read.document.get("visit_id")
        known = about is not None and await views.has_work_order(who, read.document["site"], about)
        linked = await views.linked_complaints(who, read.document, read.position)
        return page(
            request,
            "complaint.html",
            who,
            read=read,
            as_of=as_of,
            complaint=read.document,
            linked=linked,
            known=known,
            next_clock=next_clock,
            clocks=clocks(read.document, read.at),
            progress=PROGRESS,
            offers=offers(read.document, who.actor, who.may) if as_of is None else {},
            texts=TEXTS,
        )

    @router.get("/visits/new")
    async def new_visit(
        request: Request,
        who: Annotated[Principal, needs(Action.VISIT_RECEIVE)],
        appointment_id: Reference = None,
        appointment_book: Annotated[str | None, Query(max_length=60)] = None,
        arrival_id: Reference = None,
    ) -> Response:
        """Of who was called in, it is known already which appointment and which arrival it is."""
        known = {
            "appointment_id": appointment_id,
            "appointment_book": appointment_book,
            "arrival_id": arrival_id,
        }
        return page(request, "visit_new.html", who, known={k: v for k, v in known.items() if v})

    @router.get("/status")
    async def how_it_stands(
        request: Request, who: Annotated[Principal, needs(Action.STATUS_READ)]
    ) -> Response:
        status = await views.status()
        return page(request, "status.html", who, stands=standing(status), state_of=state_of, **status)

    @router.get("/parked")
    async def parked(
        request: Request,
        who: Annotated[Principal, needs(Action.PARKED_READ)],
        min_position: MinPosition = None,
    ) -> Response:
        if min_position:
            await views.wait_for(PARKED_MESSAGES, min_position)
        return page(request, "parked.html", who, waiting=await views.parked(who), readable=readable)

    @router.get("/sign-in", dependencies=[public])
    async def ask_who(request: Request, next: str = "/") -> Response:
        return page(request, "sign_in.html", await signed_in(request), next=own_path(next), why=None)

    @router.post("/session", dependencies=[public, Depends(same_origin)])
    async def sign_in(request: Request) -> Response:
        """The token moves into a cookie that no script can read."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        token = "".join(form.get("token", [""])[0].split())
        next = own_path(form.get("next", ["/"])[0])
        try:
            who = await request.app.state.tokens.verify(token)
        except Unauthenticated as why:
            sentence = translate_sentence(language_of(request), str(why))
            return page(request, "sign_in.html", None, 401, next=next, why=sentence)
        response = RedirectResponse(next, 303)
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=int(who.expires - time.time()),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    @router.post("/sign-out", dependencies=[public, Depends(same_origin)])
    async def sign_out() -> Response:
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return response

    @router.get("/language/{language}", dependencies=[public])
    async def speak(language: str, next: str = "/") -> Response:
        if language not in LANGUAGES:
            raise missing()
        response = RedirectResponse(own_path(next), 303)
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=A_YEAR, httponly=True, samesite="lax")
        return response

    return router


async def signed_in(request: Request) -> Principal | None:
    """Who is asking, on a page that anybody may see."""
    token = request.cookies.get(SESSION_COOKIE)
    try:
        return await request.app.state.tokens.verify(token) if token else None
    except (Unauthenticated, IssuerAway):
        return None


def own_path(next: str) -> str:
    """Where to go on, if it is a page of ours."""
    return next if re.fullmatch(r"/(?![/\\])[^\x00-\x20]*", next) else "/"

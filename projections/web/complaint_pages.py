"""What a month's complaints come to; and without an account: a customer complains, and sees how it stands."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from babel import Locale
from babel.dates import format_skeleton
from fastapi import APIRouter, Request
from starlette.responses import Response

from access.guard import needs, public
from access.problems import missing
from access.roles import Action, Role
from access.signed_link import VALID, Links
from access.tokens import Principal
from events.customer_care import DeadlineBreached, DeadlineDropped, DeadlineMet, DeadlineSet
from projections.api import InMonth, MinPosition, Moment
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.complaint_timeline.statistics import Month
from projections.reading import Views
from projections.unsealing import TEXTS
from projections.web.clocks import clocks
from projections.web.i18n import language_of, local
from projections.web.rendering import page

ON_PAPER = 200
"""Entries of a timeline, the latest."""
JUDGED = {event.type for event in (DeadlineSet, DeadlineMet, DeadlineBreached, DeadlineDropped)}
"""What stands among the deadlines of the form already."""
NOT_FOUND_AGAIN = {"X-Robots-Tag": "noindex, nofollow"}


def complaint_pages(views: Views, links: Links) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/complaints/statistics")
    async def statistics(
        request: Request, who: Annotated[Principal, needs(Action.COMPLAINT_READ)], month: InMonth
    ) -> Response:
        read = await views.complaint_statistics(who, month)
        locale = Locale.parse(language_of(request), sep="-")
        facts = read.document | {"month": month, "this_month": Month.of(datetime.now(UTC))}
        return page(
            request,
            "statistics.html",
            who,
            name_of=lambda each: format_skeleton("yMMMM", each.begins, locale=locale),
            **facts,
        )

    @router.get("/complaints/{id}/form")
    async def form(
        request: Request,
        id: str,
        who: Annotated[Principal, needs(Action.COMPLAINT_READ)],
        as_of: Moment,
        kind: Literal["tracking", "notice"] = "tracking",
    ) -> Response:
        """The complaint on paper, under either of its names (C-25, C-39, K-06); its stamp is the ETag of the
        same timeline, as of the same position (K-22)."""
        read = await views.complaint(who, id, as_of, limit=ON_PAPER)
        if read is None:
            raise missing()
        complaint = read.document
        return page(
            request,
            "complaint_form.html",
            who,
            read=read,
            as_of=as_of,
            kind=kind,
            complaint=complaint,
            clocks=clocks(complaint, read.at),
            signed={entry["event"]: entry["actor"] for entry in complaint["entries"]},
            judged=JUDGED,
            texts=TEXTS,
            stamp=lambda at: f"{local(at):%Y-%m-%d %H:%M}",
        )

    @router.get("/responsible")
    async def responsible(
        request: Request,
        who: Annotated[Principal, needs(Action.COMPLAINT_APPEAL)],
        min_position: MinPosition = None,
    ) -> Response:
        """What the reader is held responsible for; also for those who see no complaint otherwise (C-40)."""
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        read = await views.blames(who)
        return page(request, "responsible.html", who, read=read, **read.document)

    @router.get("/progress/{link}", dependencies=[public])
    async def progress(request: Request, link: str, min_position: MinPosition = None) -> Response:
        """Looks nothing up before the link is known to be ours; then reads as the link's site only."""
        opens = links.opened("progress", link)
        if min_position:
            await views.wait_for(COMPLAINT_TIMELINE, min_position)
        site, _, id = opens.id.partition(".")
        customer = Principal("customer", Role.CUSTOMER, frozenset({site}), opens.until.timestamp())
        read = await views.complaint_progress(customer, id)
        if read is None:
            raise missing()
        onward = None
        if following := read.document["followed_by"]:
            # As long valid as the link that leads there.
            onward, _ = links.make("progress", f"{site}.{following}", opens.until - VALID)
        return page(request, "progress.html", None, headers=NOT_FOUND_AGAIN, onward=onward, **read.document)

    @router.get("/complain/{link}", dependencies=[public])
    async def complain(request: Request, link: str) -> Response:
        """The form for whoever holds the link; nothing is looked up."""
        links.opened("complain", link)
        return page(request, "complain.html", None, headers=NOT_FOUND_AGAIN, link=link)

    return router

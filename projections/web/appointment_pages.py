"""The desk before a vehicle is received: day, week's load, welcome board, and the month in numbers."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from babel import Locale
from babel.dates import format_skeleton
from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from access.guard import needs
from access.problems import missing
from access.roles import Action
from access.tokens import Principal
from projections.api import Day, InMonth, MinPosition
from projections.appointment_book.day import load
from projections.appointment_book.projection import APPOINTMENT_BOOK
from projections.complaint_timeline.statistics import Month
from projections.reading import Views
from projections.web.i18n import language_of
from projections.web.pages import Moment
from projections.web.rendering import page
from projections.work_order_board.cards import SITE_ZONE

Reader = Annotated[Principal, needs(Action.APPOINTMENT_READ)]
Site = Annotated[str, Path(max_length=40)]
A_WEEK = 7


def appointment_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/appointments")
    async def today_at_the_site(request: Request, who: Reader) -> Response:
        """The day at the reader's site; who has several chooses."""
        sites = await views.sites(who)
        if len(sites) == 1:
            return RedirectResponse(f"/sites/{quote(sites[0])}/days/{today()}", 303)
        return page(request, "sites.html", who, sites=sites, title="Appointments", leads_to=f"days/{today()}")

    @router.get("/sites/{site}/days/{date}")
    async def day(
        request: Request, site: Site, date: Day, who: Reader, as_of: Moment, min_position: MinPosition = None
    ) -> Response:
        if min_position:
            await views.wait_for(APPOINTMENT_BOOK, min_position)
        read = await views.day(who, site, date, as_of)
        return page(
            request,
            "day.html",
            who,
            read=read,
            as_of=as_of,
            site=site,
            day=read.document,
            acts=as_of is None and who.site == site,
            **around(request, date),
        )

    @router.get("/sites/{site}/days/{date}/load")
    async def week(request: Request, site: Site, date: Day, who: Reader) -> Response:
        """The week of a day: how much labour is booked, against what there is room for (R-24)."""
        monday = day_of(date) - timedelta(days=day_of(date).weekday())
        week = [f"{monday + timedelta(days=n)}" for n in range(A_WEEK)]
        _, _, stored = await views.days(who, site, week[0], week[-1])
        found = {each["date"]: load(each) for each in stored}
        loads = {each: found.get(each) for each in week}
        hours = sorted({hour_of(each["at"]) for of in loads.values() if of for each in of["hours"]})
        by_hour = {
            each: {hour_of(hour["at"]): hour for hour in of["hours"]} if of else {}
            for each, of in loads.items()
        }
        names = {each: named(request, each, "MMMEd") for each in week}
        return page(
            request,
            "load.html",
            who,
            site=site,
            loads=loads,
            by_hour=by_hour,
            hours=hours,
            names=names,
            average=average([of["booked"] / of["capacity"] for of in loads.values() if of]),
            acts=who.site == site,
            **around(request, date, days=A_WEEK),
        )

    @router.get("/sites/{site}/days/{date}/welcome")
    async def welcome(request: Request, site: Site, date: Day, who: Reader) -> Response:
        """The board at the entrance, for a screen: set out before work begins (R-16)."""
        if not who.may(Action.PERSONAL_DATA_SEE):
            raise missing()
        greeted = await views.welcome(who, site, date)
        return page(request, "welcome.html", who, site=site, greeted=greeted, **around(request, date))

    @router.get("/sites/{site}/appointments/statistics")
    async def statistics(request: Request, site: Site, who: Reader, month: InMonth) -> Response:
        read = await views.appointment_statistics(who, site, month)
        locale = Locale.parse(language_of(request), sep="-")
        return page(
            request,
            "appointment_statistics.html",
            who,
            name_of=lambda each: format_skeleton("yMMMM", each.begins, locale=locale),
            found=read.document,
            site=site,
            month=month,
            today=today(),
            name=lambda each: named(request, each, "MMMEd"),
        )

    return router


def today() -> str:
    return f"{datetime.now(UTC).astimezone(SITE_ZONE).date()}"


def day_of(text: str) -> date:
    return date.fromisoformat(text)


def hour_of(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(SITE_ZONE):%H}:00"


def named(request: Request, day: str, skeleton: str) -> str:
    locale = Locale.parse(language_of(request), sep="-")
    return format_skeleton(skeleton, datetime.combine(day_of(day), datetime.min.time()), locale=locale)


def around(request: Request, day: str, days: int = 1) -> dict[str, Any]:
    """What a page about a day calls it, and where the ones before and after it are."""
    apart = timedelta(days=days)
    return {
        "date": day,
        "day_name": named(request, day, "yMMMEd"),
        "before": f"{day_of(day) - apart}",
        "after": f"{day_of(day) + apart}",
        "today": today(),
        "month": Month.named(day[:7]),
    }


def average(shares: list[float]) -> float:
    return sum(shares) / len(shares) if shares else 0.0

"""The pages about a vehicle: its file across the group, and how to find it (P-03, R-15, R-47)."""

import re
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from access.guard import needs, same_origin
from access.problems import Problem, missing
from access.roles import Action
from access.tokens import Principal
from projections.api import Vin
from projections.reading import Views
from projections.web.pages import Moment
from projections.web.rendering import page

CURVE = (600, 160)
"""Width and height of the picture of the mileage."""

Receiver = Annotated[Principal, needs(Action.VISIT_RECEIVE)]


def vehicle_pages(views: Views) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/vehicles")
    async def ask(request: Request, who: Receiver) -> Response:
        return page(request, "vehicles.html", who, asked=False, found=[])

    @router.post("/vehicles", dependencies=[Depends(same_origin)])
    async def look_up(request: Request, who: Receiver) -> Response:
        """Posted, so that no phone number stands in an address."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        value = form.get("value", [""])[0].strip()[:40]
        if re.fullmatch("[A-HJ-NPR-Za-hj-npr-z0-9]{17}", value):
            return RedirectResponse(f"/vehicles/{value.upper()}", 303)
        if len(value) < 3:
            raise Problem(422, "Please enter a plate, a phone number or a VIN.")
        kind = "phone" if re.fullmatch(r"\+?[0-9 ()\-]{5,}", value) else "plate"
        found = await views.vehicles_of(who, kind, value)  # type: ignore[arg-type]
        return page(request, "vehicles.html", who, asked=True, found=found)

    @router.get("/vehicles/{vin}")
    async def vehicle(
        request: Request, vin: Vin, who: Annotated[Principal, needs(Action.VEHICLE_READ)], as_of: Moment
    ) -> Response:
        read = await views.vehicle(who, vin.upper(), as_of)
        if read is None:
            raise missing()
        curve = mileage_curve([each["mileage_km"] for each in read.document["mileage"]])
        return page(request, "vehicle.html", who, read=read, as_of=as_of, curve=curve, **read.document)

    return router


def mileage_curve(readings: list[int]) -> list[tuple[int, int]]:
    """Points of the picture, from visit to visit; the lowest reading is at the bottom."""
    width, height = CURVE
    lowest, highest = min(readings), max(readings)
    step, rise = width / max(1, len(readings) - 1), height / max(1, highest - lowest)
    return [(round(n * step), round(height - (km - lowest) * rise)) for n, km in enumerate(readings)]

"""The file of a vehicle, and how somebody at the desk finds it (P-03, R-15)."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx2
import pytest

from access.roles import MAY, Action, Role
from projections.web.vehicle_pages import mileage_curve
from tests.system import Running
from tests.web.test_pages import OURS, as_

VIN = "LSVAA4187E2184321"


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


@pytest.mark.parametrize("role", Role)
async def test_each_page_is_reachable_by_its_role_and_nobody_else(
    visitor: httpx2.AsyncClient, running: Running, received: str, role: Role
) -> None:
    for path, action in ((f"/vehicles/{VIN}", Action.VEHICLE_READ), ("/vehicles", Action.VISIT_RECEIVE)):
        answer = await visitor.get(path, headers=as_(running, role))
        assert answer.status_code == (200 if action in MAY[role] else 403), path


async def test_a_customer_on_the_phone_is_found_and_no_number_stands_in_an_address(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    for value in ("138 0013 8000", "沪A·12345"):
        headers = as_(running, "advisor") | OURS
        answer = await visitor.post("/vehicles", content=urlencode({"value": value}), headers=headers)
        assert answer.status_code == 200
        assert f'href="/work-orders/{received}"' in answer.text
        assert f'href="/vehicles/{VIN}"' in answer.text
    nobody = await visitor.post("/vehicles", content=urlencode({"value": "13900000000"}), headers=headers)
    assert "Nobody is known here by this." in nobody.text
    vin = await visitor.post("/vehicles", content=urlencode({"value": VIN.lower()}), headers=headers)
    assert (vin.status_code, vin.headers["location"]) == (303, f"/vehicles/{VIN}")


async def test_another_page_cannot_ask_in_our_name(visitor: httpx2.AsyncClient, running: Running) -> None:
    headers = as_(running, "advisor") | {"Sec-Fetch-Site": "cross-site"}
    answer = await visitor.post("/vehicles", content="value=13800138000", headers=headers)
    assert answer.status_code == 403


async def test_another_site_sees_what_was_done_and_not_for_whom(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    """K-17, X-06."""
    ours = await visitor.get(f"/vehicles/{VIN}", headers=as_(running, "advisor"))
    assert f"/work-orders/{received}" in ours.text
    assert "沪A·12345" in ours.text
    theirs = await visitor.get(f"/vehicles/{VIN}", headers=as_(running, "advisor", "gz01"))
    assert "刹车异响" in theirs.text
    assert "who brought it is not shown" in theirs.text
    assert "12345" not in theirs.text
    assert received not in theirs.text


def test_the_curve_rises_with_the_mileage() -> None:
    assert mileage_curve([10, 20, 30]) == [(0, 160), (300, 80), (600, 0)]
    assert mileage_curve([10, 10]) == [(0, 160), (600, 160)]
    assert mileage_curve([10]) == [(0, 160)]

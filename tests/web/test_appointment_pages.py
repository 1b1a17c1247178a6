"""The pages of the desk: the day with its queue, the week's load, the welcome board, the month."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from playwright.async_api import expect

from access.guard import SESSION_COOKIE
from projections.work_order_board.cards import SITE_ZONE
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_screens import serious

SITE = "sh09"
"""At which nobody else books."""
FITS = "document.documentElement.scrollWidth <= innerWidth"
MAKE: dict[str, Any] = {
    "need": "空调不凉",
    "service": "problem",
    "operations": ["AC-DIAG"],
    "parts": [{"code": "COMPRESSOR", "quantity": 1}],
    "agreed": True,
    "welcome": "surname",
    "customer_name": "欧阳小明",
    "phone": "13812345678",
    "plate": "沪A12345",
    "model": "宝来",
}


DATE = "2033-03-01"
DAY = f"/sites/{SITE}/days/{DATE}"
CAME = datetime.now(UTC) - timedelta(minutes=9)
TODAY = f"/sites/{SITE}/days/{CAME.astimezone(SITE_ZONE).date()}"
PAGES = (DAY, TODAY, f"{DAY}/load", f"{DAY}/welcome", f"/sites/{SITE}/appointments/statistics?month=2033-03")


async def page(
    running: Running, path: str, role: str, language: str = "en", site: str = SITE
) -> httpx2.Response:
    cookie = f"{SESSION_COOKIE}={running.token(role, site)}"
    headers = {"Accept": "text/html", "Accept-Language": language, "Cookie": cookie}
    return await running.client.get(path, headers=headers)


@pytest.fixture(scope="module")
async def busy(running: Running) -> dict[str, str]:
    """A day with three appointments, one of which was cancelled, and today two people at the desk."""
    ids: dict[str, str] = {}
    made: dict[str, dict[str, Any]] = {
        "first": {"slot_at": f"{DATE}T10:00:00+08:00"},
        "second": {
            "slot_at": f"{DATE}T10:00:00+08:00",
            "welcome": "plate",
            "plate": "沪AD12345",
            "member": True,
        },
        "gone": {"slot_at": f"{DATE}T14:30:00+08:00", "kind": "proactive", "channel": "website"},
    }
    for name, changed in made.items():
        answer = await running.post("/reception/v1/appointments", {**MAKE, **changed}, "advisor", SITE)
        ids[name] = answer["id"]
    days = f"/reception/v1/days/{DATE}"
    await running.post(f"{days}/appointments/{ids['gone']}/cancel", {}, "advisor", SITE)
    remind = {"outcome": "comes", "channel": "phone"}
    await running.post(f"{days}/appointments/{ids['first']}/remind", remind, "advisor", SITE)
    came: dict[str, dict[str, Any]] = {
        "early": {"plate": "沪B00001", "service": "simple"},
        "later": {"plate": "沪B00002", "member": True},
    }
    for name, body in came.items():
        arrivals = f"/reception/v1/days/{CAME.astimezone(SITE_ZONE).date()}/arrivals"
        body = {**body, "occurred_at": CAME.isoformat()}
        answer = await running.post(arrivals, body, "assistant", SITE)
        ids[name] = answer["id"]
    seen = await running.get(f"/v1{TODAY}", "advisor", SITE, min_position=answer["position"])
    assert seen.status_code == 200, seen.text
    return ids


async def test_the_day_shows_slots_appointments_and_the_queue(running: Running, busy: dict[str, str]) -> None:
    """R-05, R-08, R-09, R-19, R-21, R-25."""
    text = (await page(running, DAY, "advisor")).text
    queue = (await page(running, TODAY, "advisor")).text
    for shown in ("沪A·12345", "空调不凉", "空调压缩机", "buffer, kept free", "gap for simple maintenance"):
        assert shown in text
    assert queue.index("沪B·00002") < queue.index("沪B·00001")  # a member before who came with them
    assert "too long" in queue
    assert "欧阳小明" not in text + queue
    assert "13812345678" not in text + queue


async def test_the_welcome_board_shows_what_each_customer_chose(
    running: Running, busy: dict[str, str]
) -> None:
    """R-16."""
    text = (await page(running, f"{DAY}/welcome", "assistant", "zh-CN")).text
    assert "欧阳先生/女士" in text
    assert "沪A·D12345" in text
    assert "小明" not in text
    assert "沪A·12345" not in text


async def test_the_load_and_the_month_are_shown(running: Running, busy: dict[str, str]) -> None:
    """P-02, R-09, R-24, R-29."""
    load = (await page(running, f"{DAY}/load", "general_manager")).text
    assert "Booked labour by day" in load
    assert "10:00" in load
    month = (await page(running, PAGES[-1], "general_manager")).text
    for shown in ("Of these, with an appointment", "March 2033", "What became of them", "Tue, Mar 1"):
        assert shown in month


@pytest.mark.parametrize("path", PAGES)
async def test_the_pages_are_for_who_may_read_appointments_at_the_site(
    running: Running, busy: dict[str, str], path: str
) -> None:
    assert (await page(running, path, "cashier")).status_code == 403
    assert (await page(running, path, "advisor", "en", "sh01")).status_code == 404
    assert (await page(running, path, "advisor")).status_code == 200


async def test_who_works_at_one_site_sees_its_day_at_once(running: Running) -> None:
    answer = await page(running, "/appointments", "advisor")
    today = f"/sites/{SITE}/days/{datetime.now(UTC).astimezone(SITE_ZONE).date()}"
    assert (answer.status_code, answer.headers["location"]) == (303, today)
    both = await page(running, "/appointments", "general_manager", "en", f"{SITE},sh01")
    assert today in both.text


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("size", [(1280, 800), (820, 1180)], ids=["desk", "tablet"])
async def test_everybody_can_read_the_pages(
    look: Open, busy: dict[str, str], language: str, size: tuple[int, int]
) -> None:
    for path in PAGES:
        shown = await look(path, "advisor", language, size, SITE)
        assert await shown.locator("h1").count() == 1, path
        assert await serious(shown) == [], path
        assert await shown.evaluate(FITS), path


@pytest.mark.browser
async def test_an_appointment_is_made_moved_and_cancelled_on_the_page(look: Open, running: Running) -> None:
    """R-03, R-12, K-24."""
    day = f"/sites/{SITE}/days/2033-03-02"
    shown = await look(day, "advisor", "en", (1280, 800), SITE)
    await shown.get_by_role("button", name="Lay out the slots").click()
    form = shown.locator("form[action='/reception/v1/appointments']")
    await form.locator("[name=slot_at]").select_option(label="10:00")
    await form.get_by_label("Why the vehicle comes").fill("60,000 km service")
    await form.get_by_label("Minutes of labour").fill("90")
    await form.get_by_label("Customer's name").fill("李娜")
    await form.locator("[name=phone]").fill("139 0013 9001")
    await form.locator("[name=plate]").fill("沪C12345")
    await form.get_by_label("Parts to prepare").fill("COMPRESSOR × 1")
    await form.get_by_role("button", name="Make the appointment").click()
    await expect(form.get_by_role("alert")).to_contain_text("has to agree")
    await form.get_by_label("The customer agrees").select_option("true")
    await form.get_by_role("button", name="Make the appointment").click()
    made = shown.locator(".appointment")
    await expect(made).to_contain_text("330302-01")
    await made.locator("summary").click()
    await made.get_by_label("Comes at").fill("2033-03-02T11:00")
    await made.get_by_role("button", name="Move the appointment").click()
    await expect(made.locator(".line b")).to_have_text("11:00")
    await made.locator("summary").click()
    await made.get_by_role("button", name="Cancel the appointment").click()
    await expect(made).to_contain_text("Cancelled")


@pytest.mark.browser
async def test_somebody_comes_waits_and_is_called_in_on_the_page(look: Open, running: Running) -> None:
    """R-26, R-21."""
    site = "sh08"
    today = datetime.now(UTC).astimezone(SITE_ZONE).date()
    shown = await look(f"/sites/{site}/days/{today}", "assistant", "en", (1280, 800), site)
    form = shown.locator("[data-part=walk-in] form")
    await form.get_by_label("Plate").fill("沪D00007")
    await form.get_by_role("button", name="Into the queue").click()
    waiting = shown.locator(".queue li")
    await expect(waiting).to_contain_text("waiting since")
    await waiting.get_by_role("button", name="Has left").click()
    await expect(waiting).to_contain_text("Nobody is waiting.")

"""An advisor at the desk: quote, signature, hand-over, on the tablet and at the screen."""

import pytest
from playwright.async_api import Page, expect

from tests.journeys.story import eventually
from tests.system import Running
from tests.web.conftest import Open, dispatch
from tests.web.test_screens import add_repair, serious

pytestmark = pytest.mark.browser

TABLET = (820, 1180)


async def ready(page: Page) -> None:
    await expect(page.locator("#quoting[data-ready]")).to_be_visible()


async def choose(page: Page, group: str, operation: str) -> None:
    await page.get_by_text(group, exact=False).first.click()
    await page.get_by_role("button", name=operation).click()


async def sign_on_screen(page: Page) -> None:
    pad = page.locator("canvas[data-pad]").first
    await pad.scroll_into_view_if_needed()
    box = await pad.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 40, box["y"] + 100)
    await page.mouse.down()
    for x, y in ((120, 20), (180, 110), (260, 30), (300, 90)):
        await page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    await page.mouse.up()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_an_advisor_quotes_and_the_customer_signs(look: Open, received: str, language: str) -> None:
    """R-44, R-46, R-48 … R-50, R-52."""
    page = await look(f"/visits/{received}/quote", "advisor", language, TABLET)
    await ready(page)
    await choose(page, "periodic", "制动系统检查")
    await page.locator("[data-more]").select_option("BRAKE-PAD-F-OE")
    await page.locator("[data-quantity]").fill("1.5")
    await page.locator("[data-quantity]").press("Tab")
    await expect(page.locator("[data-sum=total]")).to_have_text("¥1,220.00")
    await page.locator("[name=check_first]").check()
    assert await serious(page) == []
    await page.locator("[data-issue]").click()
    current = page.locator("#current")
    await expect(current).to_contain_text("¥1,220.00")
    await expect(current).to_contain_text("原厂" if language == "zh-CN" else "Original")
    await ready(page)
    await expect(page.locator("[data-sum=total]")).to_have_text("¥1,220.00")
    assert await serious(page) == []
    await page.locator(".signing .yes").click()
    await expect(page.locator(".signing .outcome")).not_to_be_empty()
    await sign_on_screen(page)
    await page.locator(".signing .yes").click()
    await expect(current).to_contain_text("客户已签字" if language == "zh-CN" else "Signed by the customer")


async def test_a_second_revision_voids_the_first_and_both_are_listed(look: Open, received: str) -> None:
    """R-65."""
    page = await look(f"/visits/{received}/quote", "advisor")
    await ready(page)
    await choose(page, "periodic", "蓄电池 battery")
    await page.locator("[data-issue]").click()
    await expect(page.locator("#current")).to_contain_text("Revision 1")
    await ready(page)
    await page.get_by_label("Search the catalogue").fill("coolant")
    await page.get_by_role("button", name="冷却液").click()
    await page.locator("[data-issue]").click()
    await expect(page.locator("#current")).to_contain_text("Revision 2")
    await expect(page.locator(".revisions li")).to_have_count(2)


async def test_the_claims_clerk_notes_who_pays(look: Open, running: Running, received: str) -> None:
    """R-43: sees the quote, notes warranty, and cannot quote."""
    body = {
        "lines": [{"operation": "BATTERY", "payer": "warranty"}],
        "payment_method": "cash",
        "old_parts": "dispose",
    }
    answer = await running.post(f"/reception/v1/visits/{received}/quote", body, "advisor")
    page = await look(
        f"/visits/{received}/quote?min_position={answer['position']}", "claims_clerk", "en", TABLET
    )
    await expect(page.locator("#quoting")).to_have_count(0)
    await page.get_by_label("Under warranty?").select_option("unclear")
    await page.get_by_role("button", name="Note").click()
    await page.get_by_role("button", name="The maker was asked").click()
    await page.get_by_label("The maker's answer").select_option("true")
    await page.get_by_role("button", name="Note").last.click()
    await expect(page.locator("main")).to_contain_text("the maker pays")
    assert await serious(page) == []


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_prices_are_there_for_everybody(look: Open, running: Running, language: str) -> None:
    """R-59, X-10, X-18."""
    page = await look("/prices/sh01", "advisor", language)
    await expect(page.locator("main")).to_contain_text("¥200.00")
    await expect(page.locator("main")).to_contain_text("副厂" if language == "zh-CN" else "Aftermarket")
    assert await serious(page) == []
    anybody = await running.client.get("/prices/sh01")
    assert anybody.status_code == 200


async def test_who_neither_quotes_nor_claims_has_no_such_page(running: Running, received: str) -> None:
    for role, status in (("technician", 403), ("parts_clerk", 403), ("claims_clerk", 200), ("advisor", 200)):
        answer = await running.get(f"/visits/{received}/quote", role)
        assert answer.status_code == status, role
    assert (await running.get(f"/visits/{received}/quote", "advisor", "sh02")).status_code == 404


async def asked(running: Running, received: str) -> str:
    """A repair that waits for the customer's answer."""
    await dispatch(running, received)
    await add_repair(running, received)
    return f"/reception/v1/visits/{received}/repairs/2"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_the_desk_calls_and_passes_the_answer_on(
    look: Open, running: Running, received: str, language: str
) -> None:
    """R-60 … R-63: the delay is told, and who in the workshop heard of a refusal is noted."""
    await asked(running, received)
    page = await look("/sites/sh01/calls", "advisor", language, TABLET)
    call = page.locator(".call").filter(has=page.locator(f'a[href="/work-orders/{received}"]'))
    await expect(call).to_contain_text("¥880.00")
    assert await serious(page) == []
    await call.get_by_role("checkbox").check()
    await call.locator("[formaction]").click()
    await expect(call.locator(".lines .outcome").first).not_to_be_empty()
    await call.locator("[name=told_to]").fill("supervisor-sh01")
    await call.locator("[formaction]").click()
    await expect(call).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_customer_answers_by_a_link(
    look: Open, running: Running, received: str, language: str
) -> None:
    """R-61 … R-66: what, why, how much, how much longer; without an account, once."""
    repair = await asked(running, received)
    link = (await running.post(f"{repair}/link", {}, "advisor"))["path"]
    page = await look(link, "advisor", language, (390, 844))
    await expect(page.locator("main")).to_contain_text("¥880.00")
    assert await serious(page) == []
    await page.get_by_role("checkbox").check()
    await page.locator(".yes").click()
    await expect(page.locator(".stands")).to_contain_text("✓")
    said = await running.client.post(
        f"/reception/v1/approvals/{link.rpartition('/')[2]}/decline", json={"delay_minutes": 40}
    )
    assert (said.status_code, said.json()["detail"]) == (409, "Line 2 was already approved.")


async def test_a_link_of_an_older_revision_says_so(look: Open, running: Running, received: str) -> None:
    """R-65: and takes no answer."""
    repair = await asked(running, received)
    link = (await running.post(f"{repair}/link", {}, "advisor"))["path"]
    changed = {"description": "前刹车片", "price_fen": 99_000, "delay_minutes": 60}
    path = f"/workshop/v1/work-orders/{received}/repairs/2/revise"
    revised = await running.post(path, changed, "technician")
    answer = f"/reception/v1/approvals/{link.rpartition('/')[2]}/approve"

    async def asked_anew() -> bool:
        timeline = (await running.get(f"/v1/work-orders/{received}/timeline", "advisor")).json()
        events = [entry["event"] for entry in timeline["entries"]]
        return events.count("reception.approval_requested.v1") == 2

    await eventually(asked_anew)
    page = await look(f"{link}?min_position={revised['position']}", "advisor")
    await expect(page.locator(".warning")).to_contain_text("has changed since")
    await expect(page.locator("form[data-json]")).to_have_count(0)
    said = await running.client.post(answer, json={"delay_minutes": 40})
    assert (said.status_code, said.json()["detail"]) == (
        409,
        "Line 2 has changed since: tell the customer what it costs and takes now.",
    )


async def test_a_link_that_is_not_ours_opens_nothing(running: Running, received: str) -> None:
    for path in ("/approve/nothing", f"/approve/approve.sh01.{received}.1..ffffffff.0"):
        assert (await running.client.get(path)).status_code == 404
    forged = await running.client.post("/reception/v1/approvals/nothing/approve", json={})
    assert forged.status_code == 404


async def test_the_work_orders_page_takes_an_answer_to_what_it_shows(
    look: Open, running: Running, received: str
) -> None:
    """R-65: it names the revision."""
    await asked(running, received)
    page = await look(f"/work-orders/{received}", "advisor")
    repairs = page.locator("[data-part=lines]")
    await repairs.get_by_role("checkbox").check()
    await repairs.locator(".yes").click()
    await expect(repairs).to_contain_text("approved, may be worked on")

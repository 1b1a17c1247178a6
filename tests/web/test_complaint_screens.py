"""Statistics and the pages for customers in a browser: readable for everybody, on every screen."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_complaining import link_for
from tests.web.test_progress import link_to, raised
from tests.web.test_screens import serious

pytestmark = pytest.mark.browser

STATISTICS = "/complaints/statistics"
FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desk", "phone"])
async def test_everybody_can_read_the_pages(
    look: Open, running: Running, language: str, size: tuple[int, int]
) -> None:
    complaint = await raised(running)
    for path in (STATISTICS, await link_to(running, complaint), f"/complain/{await link_for(running)}"):
        page = await look(path, "care_manager", language, size)
        assert await page.locator("h1").count() == 1, path
        assert await serious(page) == [], path
        assert await page.evaluate(FITS), path


async def test_a_customer_complains_in_the_browser(browser: Browser, running: Running) -> None:
    """Without any account, from the link to where the complaint stands."""
    page = await browser.new_page(locale="zh-CN")
    try:
        await page.goto(f"{running.url}/complain/{await link_for(running)}")
        await page.get_by_label("事情经过").fill("刹车还是响。")
        await page.get_by_label("您的姓名").fill("李娜")
        await page.get_by_label("您的电话").fill("139 0013 9001")
        await page.get_by_role("button", name="提交投诉").click()
        await expect(page).to_have_url(re.compile("/progress/"))
        await expect(page.locator("main")).to_contain_text("我们已收到您的投诉")
        await page.get_by_role("link", name="English").click()
        await expect(page.locator("main")).to_contain_text("We received your complaint")
    finally:
        await page.close()


async def test_staff_open_the_pages_whose_addresses_they_send_to_customers(
    look: Open, running: Running, received: str
) -> None:
    body = {
        "channel": "phone",
        "subject": "other",
        "severity": "grievance",
        "customer_name": "王伟",
        "phone": "13800138000",
        "narrative": "…",
    }
    raised = await running.post("/customer-care/v1/complaints", body, "care_agent")
    page = await look(f"/complaints/{raised['id']}?min_position={raised['position']}", "care_agent")
    await page.get_by_role("button", name="Open the customer's page").click()
    await page.wait_for_url("**/progress/**")
    page = await look(f"/work-orders/{received}", "advisor")
    await page.get_by_role("button", name="Open a page to complain on").click()
    await page.wait_for_url("**/complain/**")

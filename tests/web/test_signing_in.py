"""A sign-in link that is not good says why, and another one can be pasted into the same tab."""

import pytest
from playwright.async_api import Browser, expect

from tests.system import Running

pytestmark = pytest.mark.browser


async def test_a_bad_link_says_why_and_a_good_one_in_the_same_tab_works(
    browser: Browser, running: Running
) -> None:
    context = await browser.new_context(locale="en")
    page = await context.new_page()
    await page.goto(f"{running.url}/sign-in#token=abc")
    await expect(page.get_by_text("The token is malformed")).to_be_visible()
    expired = running.token("advisor", "sh01", lifetime=-3600)
    await page.goto(f"{running.url}/sign-in#token={expired}")
    await expect(page.get_by_text("The token has expired")).to_be_visible()
    await page.goto(f"{running.url}/sign-in")
    await page.evaluate(f"location.hash = 'token={running.token('advisor', 'sh01')}'")
    await page.wait_for_url("**/sites/sh01/board")
    await context.close()

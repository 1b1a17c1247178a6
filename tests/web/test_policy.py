"""What a browser makes of the content security policy; `look` fails for a page that breaks it."""

import pytest
from playwright.async_api import Browser, ConsoleMessage

from tests.system import Running
from tests.web.conftest import Open, until_timeline_shows

pytestmark = pytest.mark.browser

BREAKS = {
    "a script in the page": (
        "document.head.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))"
    ),
    "a script of another origin": (
        "document.head.append(Object.assign(document.createElement('script'), {src: 'http://127.0.0.1:1/a.js'}))"
    ),
    "a style in the page": "document.body.setAttribute('style', 'color: red')",
    "a picture of another origin": "new Image().src = 'http://127.0.0.1:1/a.png'",
    "a request to another origin": "fetch('http://127.0.0.1:1/').catch(() => {})",
    "a frame": "document.body.append(Object.assign(document.createElement('iframe'), {src: 'http://127.0.0.1:1/'}))",
}


@pytest.mark.parametrize("act", BREAKS.values(), ids=BREAKS)
async def test_what_the_policy_forbids_does_not_run_and_is_noticed(
    browser: Browser, running: Running, act: str
) -> None:
    def noticed(message: ConsoleMessage) -> bool:
        return "Content Security" in message.text

    page = await browser.new_page()
    try:
        await page.goto(f"{running.url}/sign-in")
        async with page.expect_console_message(noticed):
            await page.evaluate(f"() => {{ {act} }}")
        assert await page.evaluate("typeof ran") == "undefined"
    finally:
        await page.close()


async def test_no_page_of_ours_breaks_the_policy(look: Open, running: Running, received: str) -> None:
    await until_timeline_shows(running, received, "workshop.work_order_opened.v1")
    for role, paths in {
        "department_manager": (
            "/sites/sh01/board",
            f"/work-orders/{received}",
            f"/work-orders/{received}?as_of=1",
            "/complaints?show=all",
            "/complaints/new",
            "/visits/new",
            "/nowhere",
        ),
        "operator": ("/status", "/parked"),
    }.items():
        for path in paths:
            page = await look(path, role)
            assert await page.locator("h1").count() == 1, path

"""Somebody in front of a screen: a browser signed in to the running system."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, async_playwright

from access.roles import Role
from ops.walkthrough import Walkthrough
from tests.system import Running

CHROMIUM = shutil.which("chromium")
Open = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        why = "no chromium on this machine"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        await chromium.close()


@pytest.fixture
async def look(browser: Browser, running: Running) -> AsyncIterator[Open]:
    """Call it with a path, a role and what the screen is like, for a page on which nothing went wrong."""
    went_wrong: list[str] = []
    contexts = []

    async def open(
        path: str,
        role: str,
        language: str = "en",
        size: tuple[int, int] = (1280, 800),
        site: str = "sh01",
        **screen: Any,
    ) -> Page:
        context = await browser.new_context(
            locale=language, viewport={"width": size[0], "height": size[1]}, **screen
        )
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: went_wrong.append(str(error)))
        page.on("console", lambda m: went_wrong.append(m.text) if "Content Security" in m.text else None)
        await page.goto(f"{running.url}/sign-in?next={quote(path)}#token={running.token(role, site)}")
        await page.wait_for_url(running.url + path)
        return page

    yield open
    for context in contexts:
        await context.close()
    assert went_wrong == []


@pytest.fixture
async def received(running: Running) -> str:
    """A vehicle that has just come and of which the workshop has heard."""
    visit = {
        "vin": "LSVAA4187E2184321",
        "plate": "沪A12345",
        "customer_name": "王伟",
        "phone": "13800138000",
        "mileage_km": 48_210,
        "symptoms": ["刹车异响", "<b>noise</b>"],
    }
    answer = await running.post("/reception/v1/visits", visit, "advisor")
    id = str(answer["id"])
    await until_timeline_shows(running, id, "workshop.work_order_opened.v1")
    return id


def walk(running: Running, id: str) -> Walkthrough:
    async def give(role: Role, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(await running.post(path, body, role))

    return Walkthrough(give, id)


async def dispatch(running: Running, id: str, team: str = "A 组") -> None:
    """Inspected, signed, handed over, and given to a team."""
    visit = walk(running, id)
    await visit.inspected()
    await visit.authorised()
    await visit.handed_over()
    await until_timeline_shows(running, id, "workshop.work_authorised.v1")
    await until_timeline_shows(running, id, "workshop.vehicle_taken_in.v1")
    await visit.work(Role.WORKSHOP_SUPERVISOR, "dispatch", {"team": team})


async def until_timeline_shows(running: Running, work_order: str, event: str) -> None:
    async with asyncio.timeout(15):
        while True:
            answer = await running.get(f"/v1/work-orders/{work_order}/timeline", "region_auditor")
            if answer.status_code == 200 and event in {entry["event"] for entry in answer.json()["entries"]}:
                return
            await asyncio.sleep(0.05)

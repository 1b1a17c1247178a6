"""How the system stands, for those who run it and those who audit it; and what they decide about."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psycopg
import pytest
from playwright.async_api import Page, expect

from access.roles import MAY, Action, Role
from eventlog.bus import connect
from projections.web.i18n import translate_sentence
from projections.web.operation import SHOWN, readable, standing
from tests.journeys.story import eventually
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_pages import CHINESE, as_
from tests.web.test_screens import SCREENS, serious

SITE = "sh07"
"""Where nothing but our nonsense is parked."""
STOPPED = "its store ends at position 4, the ledger holds 7"


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


@asynccontextmanager
async def stopped(running: Running) -> AsyncIterator[None]:
    """The ledger takes nothing more from the workshop."""
    query = "UPDATE ledger_source SET stopped = %s WHERE source = 'workshop'"
    await eventually(lambda: compared(running, "workshop"))
    async with await psycopg.AsyncConnection.connect(
        variables(running)["BAYLEDGER_LEDGER_DB"], autocommit=True
    ) as connection:
        await connection.execute(query, (STOPPED,))
        try:
            yield
        finally:
            await connection.execute(query, (None,))


@pytest.fixture
async def parked(running: Running) -> AsyncIterator[str]:
    """A message that no policy can handle; whatever a test leaves of it is discarded."""
    # Another body each time: the same message again would be the same parked message.
    number = len((await running.get("/v1/parked", "operator", SITE, all=True)).json()["parked"])
    bus = await connect(variables(running)["BAYLEDGER_NATS_URL"], "stranger")
    body = f"<b>nonsense {number}</b>\x00\xff刹车".encode("utf-8", "surrogateescape")
    await bus.jetstream().publish(f"aftersales.{SITE}.workshop.repair_added", body)
    await bus.close()
    [message] = await eventually(lambda: waiting(running))
    yield message["parked_id"]
    if await waiting(running):
        path = f"/{message['service']}/v1/parked/{message['parked_id']}/discard"
        await running.post(path, {"reason": "sent by a test"}, "operator", SITE)
        await eventually(lambda: none_waiting(running))


def variables(running: Running) -> dict[str, str]:
    lines = (running.data / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


async def compared(running: Running, source: str) -> bool:
    sources = (await running.get("/v1/status", "operator")).json()["sources"]
    return source in [each["source"] for each in sources]


async def waiting(running: Running) -> Any:
    return (await running.get("/v1/parked", "operator", SITE)).json()["parked"]


async def none_waiting(running: Running) -> bool:
    return not await waiting(running)


def status(
    *, behind: int = 0, stopped: str | None = None, silent: int = 0, parked: int = 0
) -> dict[str, Any]:
    source = {"source": "workshop", "late": behind > 0, "stopped": stopped, "compared_seconds_ago": silent}
    healthy = not (behind or stopped or parked)
    return {"healthy": healthy, "sources": [source], "views": [{"behind": 0}], "parked": parked}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (status(), "well"),
        (status(behind=1), "behind"),
        (status(behind=1, parked=1), "parked"),
        (status(parked=1, silent=31), "silent"),
        (status(silent=31, stopped=STOPPED, parked=1), "stopped"),
        (status() | {"views": []}, "behind"),
    ],
)
def test_the_gravest_is_said(now: dict[str, Any], said: str) -> None:
    assert standing(now) == said


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (STOPPED, "其数据库止于位置 4，而账本已有 7"),
        ("its store was replaced: epoch b follows a", "其数据库已被替换"),
        ("its store was rewritten: position 3 holds another event", "其数据库已被改写"),
    ],
)
def test_why_a_source_stopped_is_said_in_chinese(sentence: str, words: str) -> None:
    assert words in translate_sentence("zh-CN", sentence)


def test_a_message_is_shown_as_text_whatever_it_is() -> None:
    def shown(body: bytes) -> str:
        return readable(base64.b64encode(body).decode())

    assert shown('{"plate": "沪A"}\n'.encode()) == '{"plate": "沪A"}\n'
    assert shown(b"a\x00\x1b[31m\xff") == "a\ufffd\ufffd[31m\ufffd"
    assert shown(("\u202e").encode()) == "\ufffd"
    assert shown(b"x" * SHOWN) == "x" * SHOWN
    assert shown(b"x" * (SHOWN + 1)) == "x" * SHOWN + "…"


@pytest.mark.parametrize(
    ("path", "action"), [("/status", Action.STATUS_READ), ("/parked", Action.PARKED_READ)]
)
async def test_pages_are_for_the_roles_that_need_them(
    visitor: httpx2.AsyncClient, running: Running, path: str, action: Action
) -> None:
    for role in Role:
        may = action in MAY[role]
        answer = await visitor.get(path, headers=as_(running, role))
        assert answer.status_code == (200 if may else 403), role
        assert ("Not for your role" in answer.text) is not may, role
        assert (f'href="{path}"' in answer.text) is may, role


async def test_the_board_comes_first_for_whoever_has_one(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    answer = await visitor.get("/", headers=as_(running, "general_manager"))
    assert answer.headers["location"] == "/sites/sh01/board"
    answer = await visitor.get("/sites/sh01/board", headers=as_(running, "general_manager"))
    assert 'href="/status"' in answer.text
    assert 'href="/parked"' not in answer.text


async def test_all_sources_views_and_heads_are_told(visitor: httpx2.AsyncClient, running: Running) -> None:
    now = (await running.get("/v1/status", "operator")).json()
    text = (await visitor.get("/status", headers={**as_(running, "group_auditor"), **CHINESE})).text
    for name in [each["source"] for each in now["sources"]] + [each["name"] for each in now["views"]]:
        assert f"<code>{name}</code>" in text
    assert "账本位置" in text


@pytest.mark.browser
async def test_a_stopped_source_raises_an_alarm(look: Open, running: Running) -> None:
    async with stopped(running):
        for language, title, why in (
            ("en", "A source is stopped", f"Workshop: {STOPPED}"),
            ("zh-CN", "有来源已停止", "车间: 其数据库止于位置 4，而账本已有 7"),
        ):
            page = await look("/status", "operator", language)
            await expect(page.locator(".standing h2")).to_have_text(title)
            await expect(page.locator(".alarm")).to_contain_text(why)
            await expect(page.locator(".alarm")).to_contain_text("docs/how-to/restore-a-backup.md")
            assert await serious(page) == []


@pytest.mark.browser
async def test_the_status_moves_by_itself_and_says_so(look: Open, running: Running) -> None:
    page = await look("/status", "operator")
    await expect(page.locator("#state")).to_have_text("live", timeout=15_000)
    await expect(page.locator("#said")).to_be_empty()
    async with stopped(running):
        await expect(page.locator(".standing h2")).to_have_text("A source is stopped", timeout=15_000)
        await expect(page.locator("#said")).to_have_text("A source is stopped")


@pytest.mark.browser
async def test_a_chain_head_is_whole_when_it_is_looked_at(look: Open, running: Running) -> None:
    page = await look("/status", "operator")
    head = page.locator(".hash")
    text = await head.inner_text()
    assert len(text) == 64
    assert await head.get_attribute("title") == text
    assert await cut(page)
    await head.focus()
    assert not await cut(page)


async def cut(page: Page) -> Any:
    return await page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.hash'))")


@pytest.mark.browser
async def test_a_parked_message_is_retried_and_discarded(look: Open, running: Running, parked: str) -> None:
    page = await look("/parked", "operator", site=SITE)
    message = page.locator(".parked > li")
    await expect(message).to_have_count(1)
    await expect(message.locator("h2")).to_have_text("whenever_repair_added_request_approval")
    await expect(message.locator("pre")).to_contain_text("<b>nonsense")
    await message.get_by_role("button", name="Retry").click()
    await expect(message).to_contain_text("retried 1 time by hand")
    await message.get_by_role("button", name="Discard").click()
    await expect(message.get_by_label("Why it needs no handling")).to_be_focused()
    await message.get_by_label("Why it needs no handling").fill("sent by a stranger")
    await message.get_by_role("button", name="Discard").click()
    await expect(page.locator("main")).to_contain_text("No message of your sites waits for a decision.")
    await expect(page.locator("h1")).to_be_focused()
    all = (await running.get("/v1/parked", "operator", SITE, all=True)).json()["parked"]
    [settled] = [each for each in all if each["parked_id"] == parked]
    assert settled["discarded_because"] == "sent by a stranger"


async def test_a_message_of_another_site_is_not_shown(
    visitor: httpx2.AsyncClient, running: Running, parked: str
) -> None:
    assert parked in (await visitor.get("/parked", headers=as_(running, "operator", SITE))).text
    answer = await visitor.get("/parked", headers=as_(running, "operator", "sh08"))
    assert parked not in answer.text
    assert "No message of your sites waits for a decision." in answer.text


@pytest.mark.browser
@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("en", "dark"), ("zh-CN", "light")])
async def test_nothing_stands_in_an_operators_way(
    look: Open, parked: str, language: str, colours: str
) -> None:
    for path in ("/status", "/parked"):
        page = await look(path, "operator", language, site=SITE, color_scheme=colours)
        assert await page.get_attribute("html", "lang") == language
        assert await serious(page) == [], path


@pytest.mark.browser
@pytest.mark.parametrize("screen", SCREENS)
async def test_everything_fits_an_operators_screen(look: Open, parked: str, screen: str) -> None:
    for path in ("/status", "/parked"):
        page = await look(path, "operator", "en", SCREENS[screen], site=SITE)
        too_wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, path

"""The way out: the advisor explains, the customer signs, the cashier takes money, the gate opens once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from access.roles import Role
from eventlog.checkpoints import SigningKey
from ops.walkthrough import LABOUR_FEN, SIGNATURE
from projections.web.cashier_pages import CHECK
from services.reception.gate_token import Token, make
from tests.journeys.story import Visit, eventually
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_quote_pages import sign_on_screen
from tests.web.test_screens import serious

pytestmark = pytest.mark.browser

TABLET = (820, 1180)

HAS_KEY = "localStorage.getItem('gate key')?.includes('PUBLIC KEY')"


async def ready(running: Running) -> Visit:
    """A visit whose repair passed its quality check."""
    visit = await (await Visit(running).received()).dispatched()
    await visit.work("complete")
    return await visit.passed()


async def paid(running: Running) -> str:
    """The token of a pass that was released."""
    visit = await ready(running)
    await visit.walk.settled()
    answer = await running.get(f"/reception/v1/visits/{visit.id}/gate-pass", "cashier")
    return str(answer.json()["token"])


async def scan(page: Page, token: str) -> None:
    """As a scanner does, which types and ends the line."""
    await expect(page.get_by_role("textbox")).to_be_focused()
    await page.keyboard.insert_text(token)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_an_advisor_hands_a_vehicle_over(look: Open, running: Running, language: str) -> None:
    """R-70 … R-79, R-83 … R-85, K-16: on the tablet, from the check to the customer's signature."""
    visit = await ready(running)
    address = f"/visits/{visit.id}/settlement?min_position={visit.position}"
    page = await look(address, "advisor", language, TABLET)
    assert await serious(page) == []
    for item in await page.locator("[data-part=check] [type=checkbox]").all():
        await item.check()
    await page.locator("[data-part=check] .yes").click()
    await expect(page.locator("[data-part=check] .done-at")).to_be_visible()
    await page.goto(running.url + f"/visits/{visit.id}/settlement")
    when = datetime.now(UTC) + timedelta(days=1)
    await page.locator("[name=deliver_at]").fill(f"{when:%Y-%m-%d}T11:00")
    await page.locator("[data-part=appointment] form").first.locator("button").click()
    await expect(page.locator("[data-part=appointment] > p").first).to_contain_text("11:00")
    await page.locator("[name=due_on]").fill(f"{when + timedelta(days=180):%Y-%m-%d}")
    await page.locator("[name=due_km]").fill("51000")
    await page.locator("form[action$=next-service] button").click()
    await expect(page.locator("[data-part=next] > p").first).to_contain_text("51,000")
    await page.locator("[data-line='1']").fill("10.50")
    await page.locator("[name=discount_fen]").fill("0.25")
    total = page.locator(".prepare output")
    told = await total.text_content()
    await page.locator(".prepare button").click()
    await expect(page.locator("[data-part=settlement] tfoot b")).to_contain_text(str(told))
    assert await serious(page) == []
    await sign_on_screen(page)
    await page.locator(".sign .yes").click()
    await expect(page.locator("[data-part=settlement]")).to_contain_text(
        "客户已签字" if language == "zh-CN" else "Signed by the customer"
    )


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_cashier_takes_the_money_and_hands_over_the_pass(
    look: Open, running: Running, language: str
) -> None:
    """R-80, R-81, X-19, K-20."""
    visit = await ready(running)
    await visit.walk.visit(Role.ADVISOR, "delivery-check", dict.fromkeys(CHECK, True))
    bill = await visit.walk.visit(Role.ADVISOR, "settlement")
    signed = {"hash": bill["hash"], "signature": SIGNATURE}
    await visit.walk.visit(Role.ADVISOR, "settlement/signature", signed)
    page = await look(f"/cashier?min_position={visit.position}", "cashier", language)
    here = page.locator(f"#bill-{visit.id}")
    await expect(here).to_have_class("panel bill to_pay")
    assert await serious(page) == []
    amount = here.locator("[name=amount_fen]").first
    owed = float(await amount.input_value())
    await amount.fill("100.00")
    await here.get_by_role("button").first.click()
    await expect(amount).to_have_value(f"{owed - 100:.2f}")
    await here.get_by_role("button").first.click()
    await expect(here).to_have_class("panel bill to_release")
    await here.locator("form[action$=release] button").click()
    await expect(here).to_have_class("panel bill to_leave")
    await expect(here.locator("form[action$=release]")).to_have_count(0)
    await here.locator("[data-show-pass]").click()
    await expect(page.locator("#pass .qr svg")).to_be_visible()
    await expect(page.locator("#pass .token")).to_contain_text("BLG1.")
    assert await serious(page) == []


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_the_gate_opens_once(look: Open, running: Running, language: str) -> None:
    """R-81: in green and in words; the second time in red, and in words."""
    token = await paid(running)
    page = await look("/gate", "assistant", language, TABLET)
    verdict = page.locator("#verdict")
    await scan(page, token)
    await expect(verdict).to_have_class("verdict opens")
    await expect(verdict).to_contain_text("放行" if language == "zh-CN" else "Let it leave")
    assert await serious(page) == []
    await scan(page, token)
    await expect(verdict).to_have_class("verdict stops")
    await expect(verdict).to_contain_text("使用" if language == "zh-CN" else "was used at")
    assert await serious(page) == []
    await scan(page, "https://example.com")
    await expect(verdict.locator(".sentence")).to_contain_text("伪造" if language == "zh-CN" else "forged")


async def test_a_pass_that_was_used_is_not_released_again(look: Open, running: Running) -> None:
    """R-81: nor one that holds; even if money has to go back, as after a discount that came late."""
    visit = await ready(running)
    await visit.walk.visit(Role.ADVISOR, "delivery-check", dict.fromkeys(CHECK, True))
    for discounts in ({}, {"1": 1_000}):
        bill = await visit.walk.visit(Role.ADVISOR, "settlement", {"discounts": discounts})
        signed = {"hash": bill["hash"], "signature": SIGNATURE}
        await visit.walk.visit(Role.ADVISOR, "settlement/signature", signed)
        if not discounts:
            await visit.walk.visit(Role.CASHIER, "payments", {"amount_fen": LABOUR_FEN, "method": "cash"})
    page = await look(f"/cashier?min_position={visit.position}", "cashier")
    here = page.locator(f"#bill-{visit.id}")
    await expect(here).to_have_class("panel bill to_pay_back")
    release = here.locator("form[action$=release]")
    await release.get_by_role("button").click()
    await expect(here.locator("[data-show-pass]")).to_be_visible()
    await expect(release).to_have_count(0)
    answer = await running.get(f"/reception/v1/visits/{visit.id}/gate-pass", "cashier")
    used = await running.post("/reception/v1/gate-passes/use", {"token": answer.json()["token"]}, "assistant")
    await page.goto(f"{running.url}/cashier?min_position={used['position']}")
    await expect(here).to_have_class("panel bill to_pay_back")
    await expect(release).to_have_count(0)


async def test_an_advisor_hands_over_the_keys_where_it_was_settled(look: Open, running: Running) -> None:
    """R-83."""
    visit = await ready(running)
    await visit.walk.settled()
    page = await look(f"/visits/{visit.id}/settlement?min_position={visit.position}", "advisor")
    await page.get_by_role("button", name="Keys and papers handed over").click()
    await expect(page.locator("[data-part=leaving]")).to_contain_text("✓ Handed over")


def answering(status: int) -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        await route.fulfill(status=status, json={"detail": "why"})

    return answer


async def test_a_service_that_fails_stops_no_valid_pass(look: Open, running: Running) -> None:
    """R-81: then the signature is checked; who is no longer signed in is told so, without a verdict."""
    token = await paid(running)
    page = await look("/gate", "assistant")
    await eventually(lambda: page.evaluate(HAS_KEY))
    verdict, outcome = page.locator("#verdict"), page.locator("#scan .outcome")
    for status, stands, words in (
        (503, "verdict unsure", ""),
        (401, "verdict", "sign in again"),
        (502, "verdict unsure", ""),
    ):
        await page.route("**/gate-passes/use", answering(status), times=1)
        await scan(page, token)
        await expect(verdict).to_have_class(stands)
        await (expect(outcome).to_contain_text(words) if words else expect(outcome).to_be_empty())
    await scan(page, token)
    await expect(verdict).to_have_class("verdict opens")


async def test_without_a_connection_the_gate_checks_the_signature(
    look: Open, running: Running, tmp_path: Path
) -> None:
    """R-81, K-20."""
    page = await look("/gate", "assistant")
    await eventually(lambda: page.evaluate(HAS_KEY))
    ours = SigningKey(running.data / "secrets" / "gate.key")
    token = Token("sh01", "p1", "0" * 20, "123456", datetime.now(UTC).replace(microsecond=0))
    held = replace(token, valid_until=token.valid_until + timedelta(hours=1))
    await page.context.set_offline(True)
    verdict = page.locator("#verdict")
    for key, said, stands, words in (
        (ours, held, "unsure", "the signature is good"),
        (ours, replace(held, site="gz01"), "stops", "of another site"),
        (ours, token, "stops", "no longer valid"),
        (SigningKey(tmp_path / "gate.key"), held, "stops", "has not signed"),
    ):
        await scan(page, make(key, said))
        await expect(verdict).to_have_class(f"verdict {stands}")
        await expect(verdict).to_contain_text(words)
    assert await serious(page) == []


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/cashier", "cashier", 200),
        ("/cashier", "advisor", 403),
        ("/cashier", "general_manager", 403),
        ("/gate", "assistant", 200),
        ("/gate", "cashier", 403),
        ("/gate", "advisor", 403),
        ("/visits/{id}/settlement", "advisor", 200),
        ("/visits/{id}/settlement", "department_manager", 200),
        ("/visits/{id}/settlement", "general_manager", 200),
        ("/visits/{id}/settlement", "cashier", 403),
        ("/visits/{id}/settlement", "technician", 403),
    ],
)
async def test_each_page_is_for_its_role(
    running: Running, received: str, path: str, role: str, status: int
) -> None:
    answer = await running.get(path.format(id=received), role)
    assert answer.status_code == status


async def test_another_sites_delivery_is_not_shown(running: Running, received: str) -> None:
    assert (await running.get(f"/visits/{received}/settlement", "advisor", "sh02")).status_code == 404
    assert received not in (await running.get("/cashier", "cashier", "sh02")).text

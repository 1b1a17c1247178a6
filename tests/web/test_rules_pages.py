"""The shop's rules and prices on one page, for who publishes them."""

from typing import Any

import pytest
from playwright.async_api import expect
from pydantic import BaseModel

from access.roles import MAY, Action, Role
from events.shop_rules import PriceList, ReceptionRules, WorkshopRules
from projections.web.rules_pages import KINDS
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_complaint_screens import FITS
from tests.web.test_screens import serious


@pytest.mark.parametrize(
    ("kind", "model"), [("reception", ReceptionRules), ("workshop", WorkshopRules), ("prices", PriceList)]
)
def test_every_rule_can_be_changed_on_the_page(kind: str, model: type[BaseModel]) -> None:
    shown = {path.split(".")[0] for path in KINDS[kind].fields}
    assert shown == set(model.model_fields) - {"version", "effective", "zone"}


async def test_the_page_is_for_those_who_publish(running: Running) -> None:
    for role in Role:
        answer = await running.get("/sites/ns01/rules", role, "ns01")
        assert answer.status_code == (200 if Action.SHOP_RULES_PUBLISH in MAY[role] else 403), role
    assert (await running.get("/sites/ns01/rules", "general_manager", "sh01")).status_code == 404


async def versions(running: Running, of: str, site: str) -> list[dict[str, Any]]:
    answer = (await running.get(f"/reception/v1/{of}", "department_manager", site)).json()
    return list(answer[of.replace("-", "_") + ("s" if of == "price-list" else "")])


@pytest.mark.browser
async def test_the_next_version_is_published_with_what_it_changes(look: Open, running: Running) -> None:
    """X-14, X-15, X-18: by a manager of several sites; everything else stays as it was."""
    page = await look("/rules", "general_manager", site="ns01,ns02", size=(820, 1180))
    await page.get_by_role("link", name="ns02").click()
    rules = page.locator("section[aria-labelledby=reception]")
    await expect(rules.locator("[data-path=bays] td")).to_have_text("6")
    assert await page.evaluate(FITS)
    await rules.locator("summary").click()
    await rules.get_by_label("Bays").fill("many")
    await rules.get_by_label("Holidays and other days").fill("2031-10-01 –\n2031-10-11 09:00-17:00")
    await rules.get_by_label("Holds from").fill("2031-09-30T00:00")
    assert await serious(page) == []
    publish = rules.get_by_role("button", name="Publish")
    await publish.click()
    await expect(rules.locator("[data-why=bays]")).to_contain_text("whole number")
    await expect(rules.get_by_label("Bays")).to_be_focused()
    await rules.get_by_label("Bays").fill("9")
    await publish.click()
    await expect(rules.locator("[data-path=bays] td")).to_have_text(["6", "9"])
    before, after = await versions(running, "rules", "ns02")
    days = {"2031-10-01": [], "2031-10-11": [{"opens": "09:00:00", "closes": "17:00:00"}]}
    new = {"version": 2, "effective": after["effective"]}
    changed = {**new, "bays": 9, "opening": before["opening"] | new | {"days": days}}
    assert after == before | changed
    assert after["effective"].startswith("2031-09-30T00:00:00+08:00")
    assert len(await versions(running, "rules", "ns01")) == 1


@pytest.mark.browser
async def test_prices_are_published_line_by_line(look: Open, running: Running) -> None:
    """R-59: what is wrong stands where it is, with the number of its line."""
    page = await look("/sites/ns03/rules", "department_manager", "zh-CN", site="ns03")
    prices = page.locator("section[aria-labelledby=prices]")
    await prices.locator("summary").click()
    parts = prices.get_by_label("配件", exact=False).last
    lines = (await parts.input_value()).splitlines()
    await parts.fill("\n".join(["P-1; 雨刮片; 车身; wood; 45.50", *lines[1:]]))
    await prices.get_by_label("机电每工时（元）").fill("220")
    await prices.get_by_label("生效时间").fill("2031-09-30T00:00")
    assert await serious(page) == []
    publish = prices.get_by_role("button", name="发布")
    await publish.click()
    await expect(prices.locator("[data-why=parts]")).to_contain_text("1.origin")
    await parts.fill("\n".join(["P-1; 雨刮片; 车身; genuine; 45.50", *lines[1:]]))
    await publish.click()
    await expect(prices.locator("[data-path='labour_hour_fen.mechatronic'] td")).to_have_text(
        ["200.00", "220.00"]
    )
    before, after = await versions(running, "price-list", "ns03")
    new = {"code": "P-1", "name": "雨刮片", "group": "车身", "origin": "genuine", "unit_fen": 4_550}
    assert after["parts"] == [new, *before["parts"][1:]]
    assert after["operations"] == before["operations"]
    assert after["labour_hour_fen"] == before["labour_hour_fen"] | {"mechatronic": 22_000}

"""The pages of the workshop: each for its role, each with what is to be done (W-02 … W-19)."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from playwright.async_api import expect

from access.roles import MAY, Action, Role
from tests.journeys.story import Visit
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_complaint_screens import FITS
from tests.web.test_pages import as_
from tests.web.test_screens import serious

PAGES = {
    "dispatch": Action.WORK_ORDER_DISPATCH,
    "team": Action.WORK_ORDER_WORK,
    "parts": Action.PARTS_PICK,
    "checks": Action.WORK_ORDER_INSPECT,
}


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


@pytest.mark.parametrize("role", Role)
async def test_each_page_is_reachable_by_its_role_and_nobody_else(
    visitor: httpx2.AsyncClient, running: Running, received: str, role: Role
) -> None:
    for name, action in PAGES.items():
        answer = await visitor.get(f"/sites/sh01/{name}", headers=as_(running, role))
        assert answer.status_code == (200 if action in MAY[role] else 403), name
        linked = await visitor.get("/responsible", headers=as_(running, role))
        if linked.status_code == 200:
            assert (f'href="/sites/sh01/{name}"' in linked.text) == (action in MAY[role]), name


async def test_another_site_is_not_there(visitor: httpx2.AsyncClient, running: Running) -> None:
    for name, role in (("dispatch", "workshop_supervisor"), ("team", "technician"), ("checks", "inspector")):
        answer = await visitor.get(f"/sites/sh01/{name}", headers=as_(running, role, "gz01"))
        assert answer.status_code == 404


@pytest.mark.browser
async def test_a_vehicle_goes_through_the_workshop_on_its_pages(look: Open, running: Running) -> None:
    """W-05 … W-18: each of them does their part on the page that is theirs."""
    parts = [{"code": "P-1", "name": "刹车片", "origin": "original", "quantity": "1", "unit_fen": 100}]
    lines = [{"description": "前刹车片", "labour_minutes": 30, "labour_fen": 9_000, "parts": parts}]
    visit = await Visit(running).received()
    await visit.walk.inspected()
    await visit.walk.authorised(lines)
    await visit.walk.handed_over()
    await visit.heard("workshop.vehicle_taken_in.v1")

    page = await look("/sites/sh01/dispatch", "workshop_supervisor")
    order = page.locator("li", has=page.locator(f'a[href="/work-orders/{visit.id}"]')).first
    await expect(order).to_contain_text("前刹车片")
    await order.get_by_label("Priority").select_option("urgent")
    await order.get_by_role("button", name="Set").click()
    await expect(order.locator(".price")).to_have_text("Urgent")
    await order.get_by_label("Team").fill("机电九组")
    await order.get_by_role("button", name="Give to this team").click()
    await expect(page.locator("[data-part=teams]")).to_contain_text("机电九组")
    assert await serious(page) == []

    page = await look("/sites/sh01/parts", "parts_clerk", "zh-CN")
    order = page.locator("li", has=page.locator(f'a[href="/work-orders/{visit.id}"]')).first
    await order.get_by_label("签字领料的技师").fill("technician-sh01")
    await order.get_by_role("button", name="发料").click()
    await expect(order).to_have_count(0)
    assert await serious(page) == []

    page = await look("/sites/sh01/team", "technician")
    await page.get_by_role("link", name="机电九组").click()
    order = page.locator(f"#order-{visit.id}")
    await order.get_by_role("button", name="Take the vehicle over").click()
    await order.get_by_role("button", name="Begin").click()
    await order.get_by_role("button", name="Line is done").click()
    await expect(order).to_contain_text("✓ done")
    assert await serious(page) == []
    await order.get_by_role("button", name="All repairs are done").click()
    await expect(order).to_have_count(0)

    page = await look("/sites/sh01/checks", "inspector")
    order = page.locator("section", has=page.locator(f'a[href="/work-orders/{visit.id}"]'))
    await order.get_by_role("button", name="Record the test drive").click()
    await expect(order).to_contain_text("Driven: no complaint")
    assert await serious(page) == []
    await order.get_by_role("button", name="Quality check passed").click()
    await expect(order).to_have_count(0)


@pytest.mark.browser
async def test_a_find_is_added_with_its_trade(look: Open, running: Running) -> None:
    """W-30, R-72: on the team's page and on the work order's."""
    visit = await (await Visit(running).received()).dispatched()
    await visit.heard("workshop.work_dispatched.v1")
    pages = {"前杠补漆": f"/sites/sh01/team#order-{visit.id}", "后杠补漆": f"/work-orders/{visit.id}"}
    for repair, path in pages.items():
        page = await look(path, "technician")
        find = page.locator(f'form[action$="/{visit.id}/repairs"]')
        await page.locator("details", has=find).locator("summary").click()
        await expect(find.get_by_label("Trade")).to_have_value("mechatronic")
        await find.get_by_label("What has to be done").fill(repair)
        await find.get_by_label("Price in yuan").fill("300")
        await find.get_by_label("Minutes longer").fill("60")
        await find.get_by_label("Trade").select_option("body_paint")
        await find.get_by_role("button", name="Add and ask the customer").click()
        await visit.heard("workshop.repair_added.v1", description=repair, trade="body_paint")


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_an_added_repair_is_changed_on_its_work_order(
    look: Open, running: Running, language: str
) -> None:
    """R-65: with another part it is another question, and the answer of before is void."""
    visit = await (await (await Visit(running).received()).dispatched()).repair_added(line=2)
    await visit.answered(2, "approve")
    page = await look(f"/work-orders/{visit.id}", "technician", language, size=(820, 1180))
    line = page.locator(".line-released")
    await line.locator("summary").click()
    form = line.locator("form")
    await form.locator("[name=delay_minutes]").fill("75")
    await form.locator("[data-more]").click()
    for name, value in {"code": "P-7", "name": "刹车盘", "quantity": "2", "unit": "150.50"}.items():
        await form.locator(f"[data-rows] [data-{name}]").fill(value)
    await form.locator("[data-rows] [data-origin]").select_option("genuine")
    await expect(form.locator("[name=price_fen]")).to_have_value("1181.00")
    assert await serious(page) == []
    assert await page.evaluate(FITS)
    await form.locator("button").last.click()
    await visit.heard("reception.approval_requested.v1", line=2, revision=2, price_fen=118_100)
    asked = page.locator(".line-asked")
    await expect(asked).to_contain_text("¥1,181.00")
    file = (await running.get(f"/v1/work-orders/{visit.id}/file", "advisor")).json()
    changed = file["added"]["2"]
    assert (changed["state"], changed["labour_fen"], changed["delay_minutes"]) == ("asked", 88_000, 75)
    part = {"code": "P-7", "name": "刹车盘", "origin": "genuine", "quantity": "2", "unit_fen": 15_050}
    assert [each | part for each in changed["parts"]] == changed["parts"]

    await asked.locator("summary").click()
    await asked.locator("form[data-repair] [data-remove]").first.click()
    await expect(asked.locator("form[data-repair] [name=price_fen]")).to_have_value("880.00")
    # Who only looks, and who answers for the customer alone, changes nothing.
    for role in ("care_agent", "region_auditor"):
        assert "data-repair" not in (await running.get(f"/work-orders/{visit.id}", role)).text


@pytest.mark.browser
async def test_who_is_licensed_is_seen_and_recorded_on_the_page_of_the_team(look: Open) -> None:
    """W-30: the manager's to record, the team's to know; a test that was not passed is refused."""
    page = await look("/sites/tj09/team", "department_manager", size=(820, 1180), site="tj09")
    licences = page.locator("#licences")
    await expect(licences).to_contain_text("None")
    await licences.get_by_label("Technician").fill("zhao")
    await licences.get_by_label("Trade").select_option("body_paint")
    await licences.get_by_label("Practical test, in percent").fill("89")
    await licences.get_by_label("Valid until").fill("2099-12-31")
    record = licences.get_by_role("button", name="Record the licence")
    await record.click()
    await expect(licences.locator(".outcome")).to_contain_text("A licence takes 90 percent")
    await licences.get_by_label("Practical test, in percent").fill("93")
    await record.click()
    await expect(licences.get_by_role("row", name="zhao Body paint 93 % 2099-12-31")).to_be_visible()
    assert await serious(page) == []
    assert await page.evaluate(FITS)

    page = await look("/sites/tj09/team", "technician", "zh-CN", site="tj09")
    await expect(page.locator("#licences").get_by_role("row", name="zhao 钣喷 93 %")).to_be_visible()
    await expect(page.locator("#licences form")).to_have_count(0)
    page = await look("/sites/sh01/team", "technician")
    await expect(page.locator("#licences [data-none]")).to_be_visible()


@pytest.mark.browser
async def test_the_cost_of_a_rework_is_split_where_reworks_are_seen(look: Open, running: Running) -> None:
    """W-31: twenty percent are the leader's, by the rules of the workshop."""
    visit = await (await Visit(running).received()).dispatched()
    await visit.work("complete")
    await visit.work("quality/fail", {"cause": "刹车仍有异响"})
    await visit.work("rework")
    await visit.heard("workshop.rework_ordered.v1")
    await running.get(f"/v1/work-orders/{visit.id}/file", "advisor", min_position=visit.position)

    page = await look("/sites/sh01/dispatch", "workshop_supervisor")
    reworks = page.locator("[data-part=reworks]")
    cost = reworks.locator(f"form[action*='{visit.id}']")
    await expect(reworks).to_contain_text("刹车仍有异响")
    await cost.get_by_label("Cost in yuan").fill("1000.03")
    await cost.get_by_label("Leader of the team").fill("leader-sh01")
    await cost.get_by_label("Who is responsible").fill("technician-sh01")
    assert await serious(page) == []
    await cost.get_by_role("button", name="Split the cost").click()
    await expect(cost).to_have_count(0)

    page = await look(f"/work-orders/{visit.id}", "advisor", "zh-CN")
    borne = page.locator("[data-part=reworks]")
    await expect(borne).to_contain_text("leader-sh01: 20 % · ¥200.01")
    await expect(borne).to_contain_text("technician-sh01: 80 % · ¥800.02")
    await expect(borne.locator("form")).to_have_count(0)

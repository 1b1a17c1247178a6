"""The pages in front of people: they move by themselves, fit every screen and can be used without a mouse."""

import re
from datetime import datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from access.roles import Role
from tests.system import Running
from tests.web.conftest import Open, dispatch, until_timeline_shows, walk

pytestmark = pytest.mark.browser

BOARD = "/sites/sh01/board"
SCREENS = {"tv": (1920, 1080), "tablet": (820, 1180), "tablet on its side": (1180, 820), "phone": (390, 844)}


async def serious(page: Page) -> list[str]:
    results = await Axe().run(page)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in results.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


async def add_repair(running: Running, work_order: str) -> None:
    repair = {"description": "前刹车片", "price_fen": 88_000, "delay_minutes": 40}
    await running.post(f"/workshop/v1/work-orders/{work_order}/repairs", repair, "technician")
    await until_timeline_shows(running, work_order, "reception.approval_requested.v1")


@pytest.fixture
async def complaint(running: Running, received: str) -> str:
    said = {
        "channel": "phone",
        "subject": "repair_service",
        "severity": "major",
        "customer_name": "王伟",
        "phone": "13800138000",
        "narrative": "等了两个小时。",
        "work_order_id": received,
    }
    answer = await running.post("/customer-care/v1/complaints", said, "care_agent")
    await running.get(
        f"/v1/complaints/{answer['id']}/timeline", "care_agent", min_position=answer["position"]
    )
    return str(answer["id"])


async def test_the_board_moves_by_itself(look: Open, running: Running, received: str) -> None:
    page = await look(BOARD, "advisor")
    card = page.locator(f"#card-{received}")
    counts = {name: page.locator(f"h2 [data-count={name}]") for name in ("in_work", "waiting_for_customer")}
    await expect(page.locator("#state")).to_have_text("live")
    await expect(page.locator("[data-cards=waiting]").locator(card)).to_be_visible()
    before = int(await counts["in_work"].inner_text())

    await dispatch(running, received)
    await expect(page.locator("[data-cards=in_work]").locator(card)).to_contain_text("A 组")
    await expect(counts["in_work"]).to_have_text(str(before + 1))
    await expect(page.locator("#said")).to_have_text("沪A·12345: In work")

    await add_repair(running, received)
    moved = page.locator("[data-cards=waiting_for_customer]").locator(card)
    await expect(moved).to_contain_text("Customer to answer")
    await expect(moved).to_contain_text("¥880.00")
    await expect(counts["in_work"]).to_have_text(str(before))


async def test_a_new_vehicle_appears(look: Open, running: Running, received: str) -> None:
    page = await look(BOARD, "advisor", "zh-CN")
    await expect(page.locator("#state")).to_have_text("实时")
    visit = {
        "vin": "LSVAA4187E2184322",
        "plate": "沪AD54321",
        "customer_name": "李娜",
        "phone": "13800138001",
        "mileage_km": 10,
        "symptoms": ["首保"],
    }
    answer = await running.post("/reception/v1/visits", visit, "advisor")
    await expect(page.locator(f"[data-cards=waiting] #card-{answer['id']}")).to_contain_text("沪A·D54321")


async def test_focus_stays_on_a_card_that_moves(look: Open, running: Running, received: str) -> None:
    page = await look(BOARD, "advisor", reduced_motion="reduce")
    await expect(page.locator("#state")).to_have_text("live")
    link = page.locator(f"#card-{received} a")
    await link.focus()
    await dispatch(running, received)
    await expect(page.locator(f"[data-cards=in_work] #card-{received} a")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(f"/work-orders/{received}$"))


async def test_a_lost_connection_is_told_with_the_age_of_the_data(look: Open, received: str) -> None:
    page = await look(BOARD, "advisor")
    state = page.locator("#state")
    await expect(state).to_have_text("live")
    await page.context.set_offline(True)
    await expect(state).to_have_text(re.compile(r"connection lost, data as of \d\d:\d\d"))
    await page.context.set_offline(False)
    await expect(state).to_have_text("live", timeout=15_000)


async def test_the_keyboard_reaches_everything(look: Open, received: str) -> None:
    page = await look(BOARD, "advisor")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Look back")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("As known at")).to_be_visible()
    for _ in range(200):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.closest('.card')?.id") == f"card-{received}":
            break
    await expect(page.locator(f"#card-{received} a")).to_be_focused()


async def test_the_customers_answer_is_given_where_it_is_seen(
    look: Open, running: Running, received: str
) -> None:
    await dispatch(running, received)
    await add_repair(running, received)
    page = await look(f"/work-orders/{received}", "advisor", "zh-CN")
    await expect(page.locator(".lines")).to_contain_text("已询问客户")
    await page.get_by_label("答复方式").select_option("message")
    await page.get_by_role("checkbox", name="已告知客户").check()
    await page.get_by_role("button", name="同意").click()
    await expect(page.locator("[data-part=timeline]")).to_contain_text("客户同意增项")
    # The workshop hears of it by itself.
    await expect(page.locator(".lines")).to_contain_text("可以施工")
    await expect(page.get_by_role("button", name="同意")).to_have_count(0)


async def test_a_refusal_is_shown_in_place(look: Open, running: Running, received: str) -> None:
    await dispatch(running, received)
    visit = walk(running, received)
    late = {"minutes": 90, "cause": "parts", "explanation": "配件明日到货"}
    await visit.work(Role.TECHNICIAN, "delay", late)
    await until_timeline_shows(running, received, "workshop.delay_reported.v1")
    page = await look(f"/work-orders/{received}", "advisor", "zh-CN")
    told = page.locator("form[action$='/delays/1/told']")
    await told.get_by_label("新的承诺时间").fill("2020-01-31T14:32")
    await told.get_by_role("button").click()
    await expect(told.get_by_role("alert")).to_have_text("承诺的交车时间已经过去。")
    await told.get_by_label("新的承诺时间").fill(f"{datetime.now() + timedelta(days=2):%Y-%m-%d}T10:00")
    await told.get_by_role("button").click()
    await expect(told).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_what_the_workshop_needs_of_the_customer_is_answered_on_the_work_order(
    look: Open, running: Running, received: str, language: str
) -> None:
    """W-10, W-11, W-16: a delay is told with its cause and the new time, belongings are agreed on."""
    await dispatch(running, received)
    visit = walk(running, received)
    late = {"minutes": 90, "cause": "parts", "explanation": "配件明日到货"}
    await visit.work(Role.TECHNICIAN, "delay", late)
    await visit.work(Role.TECHNICIAN, "belongings", {"items": ["儿童座椅", "雨伞"]})
    await until_timeline_shows(running, received, "workshop.belongings_in_the_way.v1")
    page = await look(f"/work-orders/{received}", "advisor", language)
    told = page.locator("form[action$='/delays/1/told']")
    asked = page.locator("form[action$='/belongings/consent']")
    await expect(told).to_contain_text("配件明日到货")
    await expect(asked).to_contain_text("儿童座椅, 雨伞")
    assert await serious(page) == []
    await told.locator("[name=channel]").select_option("message")
    await told.locator("[name=promised_at]").fill(f"{datetime.now() + timedelta(days=2):%Y-%m-%d}T10:00")
    await told.get_by_role("checkbox").check()
    await told.get_by_role("button").click()
    await expect(told).to_have_count(0)
    await expect(page.locator("[data-part=facts]")).to_contain_text("10:00")
    await asked.get_by_role("button").click()
    await expect(asked).to_have_count(0)
    await expect(page.locator(".head .ask")).to_have_count(0)
    log = (await running.get("/reception/v1/log", "group_auditor", "*", limit=1_000)).json()["events"]
    said = {
        e["event"]["type"]: e["event"]["data"] for e in log if e["event"]["stream"] == f"visit-{received}"
    }
    delay = said["reception.customer_told_of_delay.v1"]
    assert (delay["delay"], delay["channel"], delay["understood"]) == (1, "message", True)
    assert said["reception.belongings_consent_given.v1"]["items"] == ["儿童座椅", "雨伞"]
    # Nobody else's page asks for it.
    other = await look(f"/work-orders/{received}", "technician", language)
    await expect(other.locator("form[action$='/told'], form[action$='/consent']")).to_have_count(0)


async def test_a_customer_is_revealed_for_a_reason(look: Open, received: str) -> None:
    page = await look(f"/work-orders/{received}", "advisor")
    await page.get_by_label("Why you need it").fill("call about the brakes")
    await page.get_by_role("button", name="Show the customer").click()
    await expect(page.locator("[data-value=customer_name]")).to_have_text("王伟")
    await expect(page.locator("[data-value=phone]")).to_have_text("13800138000")


async def test_a_vehicle_is_received(look: Open) -> None:
    page = await look("/visits/new", "advisor")
    for label, text in (
        ("Plate", "沪A99999"),
        ("VIN", "LSVAA4187E2184323"),
        ("Customer's name", "张敏"),
        ("Phone", "138 0013 8002"),
        ("Mileage in km", "12"),
        ("Symptoms, one per line", "brakes squeal\nengine light on"),
    ):
        await page.get_by_label(label).fill(text)
    await page.route(
        "**/reception/v1/visits",
        lambda route: route.continue_(
            post_data=(route.request.post_data or "").replace("138 0013 8002", "x")
        ),
        times=1,
    )
    send = page.get_by_role("button", name="Receive the vehicle")
    await send.click()
    await expect(page.locator("[data-why=phone]")).to_have_text("5 to 20 digits, spaces, brackets or hyphens")
    await expect(page.get_by_label("Phone")).to_be_focused()
    await send.click()
    await expect(page).to_have_url(re.compile("/work-orders/[0-9a-f]{20}"))
    await expect(page.locator("h1")).to_contain_text("沪A·99999")
    await expect(page.locator(".warning")).to_contain_text("check digit")
    await expect(page.locator("[data-part=facts]")).to_contain_text("engine light on")


async def test_a_complaint_is_answered(look: Open, complaint: str) -> None:
    page = await look(f"/complaints/{complaint}", "care_manager")
    await expect(page.get_by_label("Agreed with the customer").locator("option")).to_have_count(1)
    await page.get_by_role("button", name="Record the attempt").click()
    await expect(page.locator("[data-part=timeline]")).to_contain_text("Customer contacted")
    await page.get_by_label("Agreed with the customer").select_option("apology")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator(".stands")).to_contain_text("Resolved: Apology")


@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("en", "dark"), ("zh-CN", "light")])
async def test_nothing_stands_in_anybodys_way(
    look: Open, running: Running, received: str, complaint: str, language: str, colours: str
) -> None:
    await dispatch(running, received)
    await add_repair(running, received)
    for path, role in (
        (BOARD, "advisor"),
        (f"{BOARD}?as_of=2020-01-31T14:32", "advisor"),
        (f"/work-orders/{received}", "department_manager"),
        ("/complaints", "care_manager"),
        (f"/complaints/{complaint}", "care_manager"),
        ("/visits/new", "advisor"),
        ("/complaints/new", "care_agent"),
    ):
        page = await look(path, role, language, color_scheme=colours)
        assert await page.get_attribute("html", "lang") == language
        assert await serious(page) == [], path


@pytest.mark.parametrize("screen", SCREENS)
async def test_everything_fits_the_screen(
    look: Open, running: Running, received: str, complaint: str, screen: str
) -> None:
    await dispatch(running, received)
    await add_repair(running, received)
    for path in (BOARD, f"/work-orders/{received}", "/complaints", f"/complaints/{complaint}"):
        page = await look(path, "department_manager", "en", SCREENS[screen])
        too_wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, path
        small = await page.evaluate(
            "[...document.querySelectorAll('button, select, input, .top a, summary')]"
            ".filter((e) => e.checkVisibility())"
            ".filter((e) => (e.closest('label.check') ?? e).getBoundingClientRect().height < 44)"
            ".map((e) => e.outerHTML.slice(0, 120))"
        )
        assert small == [], path

"""An advisor at the car with a tablet: damage is marked by touch and by keyboard, the customer signs."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.pictures import written_into
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_complaint_screens import FITS
from tests.web.test_screens import serious

pytestmark = pytest.mark.browser

TABLET = (820, 1180)


@pytest.fixture
async def arrived(running: Running) -> str:
    """A new vehicle that comes for its first service; the page to receive it on."""
    visit = {
        "vin": "LSVAA4187E2184324",
        "plate": "沪A12345",
        "customer_name": "王伟",
        "phone": "13800138000",
        "mileage_km": 4_980,
        "symptoms": ["首保", "<b>noise</b>"],
        "model": "Passat",
        "first_service": True,
    }
    answer = await running.post("/reception/v1/visits", visit, "advisor")
    path = f"/v1/work-orders/{answer['id']}/file"
    await running.get(path, "advisor", min_position=answer["position"])
    return f"/visits/{answer['id']}/intake"


async def touch(picture: Locator, x: float, y: float) -> None:
    """At thousandths of its width and height."""
    box = await picture.bounding_box()
    assert box is not None
    await picture.click(position={"x": box["width"] * x / 1000, "y": box["height"] * y / 1000})


async def write(page: Page, pad: Locator) -> None:
    await pad.scroll_into_view_if_needed()
    box = await pad.bounding_box()
    assert box is not None
    points = [(0.2, 0.7), (0.35, 0.2), (0.5, 0.8), (0.7, 0.3)]
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    await page.mouse.move(*at[0])
    await page.mouse.down()
    for each in at[1:]:
        await page.mouse.move(*each, steps=5)
    await page.mouse.up()


async def recorded(running: Running, page: Page, event: str) -> list[dict[str, Any]]:
    """What the visit of the page recorded under a name."""
    visit = page.url.split("/visits/")[1].split("/")[0]
    log = (await running.get("/reception/v1/log", "group_auditor", "*", limit=1_000)).json()["events"]
    stream = [each["event"] for each in log if each["event"]["stream"] == f"visit-{visit}"]
    return [each["data"] for each in stream if each["type"] == f"reception.{event}.v1"]


async def test_an_advisor_walks_around_and_the_customer_signs(
    look: Open, running: Running, arrived: str, tmp_path: Path
) -> None:
    """R-30 … R-42, R-45, R-53, R-54: step by step, and what is done is seen."""
    page = await look(arrived, "advisor", size=TABLET, has_touch=True)
    stands = page.locator(".stands")
    await expect(stands).to_have_text("1 of 7 done")

    await page.get_by_label("This is a").select_option("maintenance")
    await page.get_by_label("One symptom or request").fill("oil change")
    await page.get_by_role("button", name="Add to the order").click()
    await expect(page.locator(".told")).to_contain_text("oil change maintenance", ignore_case=True)
    await expect(page.locator("#symptoms")).to_be_focused()

    for paper in ("Driving licence", "Maintenance manual", "Phone"):
        await page.get_by_label(paper).check()
    await page.get_by_role("button", name="These were compared").click()
    await expect(stands).to_have_text("2 of 7 done")
    await page.get_by_role("button", name="Fitted in front of the customer").click()
    await expect(stands).to_have_text("3 of 7 done")
    await page.locator("[data-part=valuables]").get_by_role("button", name="Nothing was found").click()
    await expect(stands).to_have_text("4 of 7 done")
    await page.locator("[data-part=underbody]").get_by_role("button", name="Nothing was found").click()
    await expect(stands).to_have_text("5 of 7 done")

    await page.get_by_role("button", name="Dent").click()
    await touch(page.locator("svg[data-view=left]"), 310, 540)
    await expect(page.locator(".damages li")).to_have_text("Dent, LeftRemove")
    await page.get_by_role("button", name="All the rest is in order").click()
    await page.get_by_label("Left side", exact=True).select_option("not")
    await page.get_by_label("Fuel").select_option("3")
    await page.get_by_role("button", name="Record the walk-around").click()
    await expect(stands).to_have_text("6 of 7 done")
    [walked] = await recorded(running, page, "walk_around_recorded")
    [dent] = walked["damages"]
    assert {**dent, "x": 0, "y": 0} == {"view": "left", "kind": "dent", "x": 0, "y": 0}
    assert (abs(dent["x"] - 310) <= 5, abs(dent["y"] - 540) <= 5, walked["fuel_eighths"]) == (True, True, 3)

    taken = tmp_path / "photo.jpg"
    taken.write_bytes(written_into("沪A12345"))
    await page.get_by_label("Photo (JPEG").set_input_files(taken)
    await page.get_by_role("button", name="Keep the photo").click()
    await expect(page.locator(".photos img")).to_have_js_property("complete", True)
    assert await page.locator(".photos img").evaluate("image => image.naturalWidth") == 300

    sign = page.get_by_role("button", name="✓ Sign", exact=True)
    await sign.click()
    await expect(page.locator(".sign [role=alert]")).to_contain_text("Nothing was signed")
    await write(page, page.locator("[data-pad]"))
    await sign.click()
    await expect(stands).to_have_text("All is done: go on to the quote.")
    await expect(page.locator(".signed img")).to_be_visible()
    [signed] = await recorded(running, page, "walk_around_signed")
    assert signed["hash"] == walked["hash"]
    await expect(page.get_by_role("link", name="On to the quote")).to_be_visible()


async def test_damage_is_marked_with_the_keyboard_alone(look: Open, running: Running, arrived: str) -> None:
    """R-33."""
    page = await look(arrived, "advisor")
    await page.get_by_role("button", name="Crack").focus()
    await page.keyboard.press("Enter")
    await page.locator("[data-place=view]").select_option("rear")
    await page.locator("[data-place=y]").select_option("167")
    await page.get_by_role("button", name="Mark the damage").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator(".damages li")).to_have_count(2)
    await page.get_by_role("button", name="Remove: 2 Crack, Rear").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Note: 1 Crack, Rear").fill("lamp")
    await page.get_by_role("button", name="All the rest is in order").click()
    await page.get_by_label("Fuel").select_option("8")
    await page.get_by_role("button", name="Record the walk-around").click()
    await expect(page.locator("[data-part=walk_around_recorded]")).to_contain_text("Revision 1")
    [walked] = await recorded(running, page, "walk_around_recorded")
    assert walked["damages"] == [{"view": "rear", "x": 500, "y": 167, "kind": "crack", "note": "lamp"}]


async def test_what_was_marked_is_there_after_an_interruption(look: Open, arrived: str) -> None:
    """R-32: somebody else needs the advisor for a moment."""
    page = await look(arrived, "advisor", size=TABLET)
    await touch(page.locator("svg[data-view=top]"), 500, 500)
    await page.get_by_label("Roof", exact=True).select_option("not")
    await page.reload()
    await expect(page.locator(".damages li")).to_have_count(1)
    await expect(page.get_by_label("Roof", exact=True)).to_have_value("not")


async def test_two_advisors_at_one_car(look: Open, arrived: str) -> None:
    """R-33: the second is told, and nothing is overwritten."""
    one, other = [await look(arrived, "advisor") for _ in range(2)]
    for page in (one, other):
        await page.get_by_role("button", name="All the rest is in order").click()
        await page.get_by_label("Fuel").select_option("8")
    await touch(other.locator("svg[data-view=front]"), 500, 500)
    await one.get_by_role("button", name="Record the walk-around").click()
    await expect(one.locator("[data-part=walk_around_recorded]")).to_contain_text("Revision 1")
    await other.get_by_role("button", name="Record the walk-around").click()
    await expect(other.locator("#walk .outcome")).to_have_text(
        "Somebody else recorded revision 1 of this walk-around: look at it first."
    )
    # Whoever recorded it may correct it at once.
    await touch(one.locator("svg[data-view=front]"), 200, 500)
    await one.get_by_role("button", name="Record the walk-around").click()
    await expect(one.locator("[data-part=walk_around_recorded]")).to_contain_text("Revision 2")


async def test_who_cannot_sign_on_the_screen_signs_on_paper(
    look: Open, running: Running, arrived: str, tmp_path: Path
) -> None:
    """R-33."""
    page = await look(arrived, "advisor", "zh-CN", TABLET)
    await page.get_by_role("button", name="其余全部正常").click()
    await page.get_by_label("油量").select_option("8")
    await page.get_by_role("button", name="保存环车检查").click()
    await expect(page.locator("[data-pad]")).to_be_visible()
    taken = tmp_path / "paper.jpg"
    taken.write_bytes(written_into("王伟"))
    await page.get_by_label("照片内容").select_option("paper")
    await page.get_by_label("照片（").set_input_files(taken)
    await page.get_by_role("button", name="保存照片").click()
    await expect(page.locator(".photos li")).to_have_count(1)
    await page.get_by_text("纸质签字").click()
    await page.get_by_role("button", name="客户已签此单据").click()
    await expect(page.locator(".signed img")).to_be_visible()
    [photo] = await recorded(running, page, "photo_taken")
    [signed] = await recorded(running, page, "walk_around_signed")
    assert signed["signature"] == photo["photo"]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("size", [(1280, 800), TABLET, (390, 844)], ids=["desk", "tablet", "phone"])
async def test_everybody_can_use_the_page(
    look: Open, arrived: str, language: str, size: tuple[int, int]
) -> None:
    page = await look(arrived, "department_manager", language, size)
    await touch(page.locator("svg[data-view=right]"), 500, 500)
    assert await page.locator("h1").count() == 1
    assert await serious(page) == []
    assert await page.evaluate(FITS)


async def test_a_vehicle_is_received_and_inspected(look: Open) -> None:
    """R-32, R-34, R-36, R-40, R-47, R-56: from the form at the desk, and with its file at hand."""
    page = await look("/visits/new", "advisor", size=TABLET)
    entered = {
        "Plate": "沪B23456",
        "VIN": "LSVAA4182E2123455",
        "Customer's name": "李娜",
        "Phone": "13800138001",
        "Mileage in km": "4980",
        "Model": "Passat",
        "Symptoms, one per line": "首保",
    }
    for field, value in entered.items():
        await page.get_by_label(field).fill(value)
    await page.get_by_label("First service").check()
    await page.get_by_role("button", name="Receive the vehicle").click()
    await page.get_by_role("link", name="Intake", exact=True).click()
    await expect(page.locator("[data-part=vehicle]")).to_contain_text("LSVAA4182E2123455")
    await expect(page.locator("#underbody")).to_be_visible()
    before = page.get_by_role("link", name="What was done before, and what was put off")
    await expect(before).to_have_attribute("href", "/vehicles/LSVAA4182E2123455")


async def test_a_mileage_that_is_less_than_before_needs_a_reason(look: Open, running: Running) -> None:
    """R-37: the earlier reading is named, and the reason stands where the mileage does."""
    visit = {
        "vin": "LSVAA4182E2123454",
        "plate": "沪B23457",
        "customer_name": "李娜",
        "phone": "13800138001",
        "mileage_km": 48_210,
        "symptoms": ["首保"],
    }
    await running.post("/reception/v1/visits", visit, "advisor", "gz01")
    page = await look("/visits/new", "advisor", "zh-CN", size=TABLET)
    entered = {
        "plate": "沪B23457",
        "vin": "LSVAA4182E2123454",
        "customer_name": "李娜",
        "phone": "13800138001",
        "mileage_km": "4821",
        "symptoms": "首保",
    }
    for field, value in entered.items():
        await page.locator(f"[name={field}]").fill(value)
    await page.get_by_role("button", name="确认接车").click()
    outcome = page.locator(".outcome")
    await expect(outcome).to_contain_text(re.compile(r"该车 \d{4}-\d\d-\d\d 的里程已是 48210 公里"))
    await page.get_by_label("若里程少于以往记录，说明原因").fill("仪表更换")
    await page.get_by_role("button", name="确认接车").click()
    await page.get_by_role("link", name="接车检查", exact=True).click()
    await expect(page.locator("[data-part=vehicle]")).to_contain_text("少于以往记录：仪表更换")


async def test_the_intake_is_for_those_who_receive(look: Open, running: Running, arrived: str) -> None:
    for role, site, status in (
        ("advisor", "sh01", 200),
        ("assistant", "sh01", 200),
        ("general_manager", "sh01", 200),
        ("advisor", "gz01", 404),
        ("technician", "sh01", 403),
        ("region_auditor", "sh01", 403),
    ):
        assert (await running.get(arrived, role, site)).status_code == status, role

"""A complaint and the list of them, as pages say it to each role."""

import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from projections.work_order_board.cards import SITE_ZONE
from tests.journeys.story import eventually
from tests.system import Running
from tests.web.conftest import Open
from tests.web.test_pages import CHINESE, as_
from tests.web.test_screens import SCREENS, serious

CARE = "/customer-care/v1/complaints"
SAID = {
    "channel": "phone",
    "subject": "repair_service",
    "severity": "ordinary",
    "customer_name": "王伟",
    "phone": "13800138000",
    "narrative": "等了两个小时。",
}
CAUSE = "The part was <b>out of stock</b> 缺件"


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


class Complaint:
    """One complaint at one site, taken on by whoever may."""

    def __init__(self, running: Running, site: str = "sh01") -> None:
        self.running = running
        self.site = site
        self.id = ""
        self.position = ""

    async def raised(self, **more: Any) -> "Complaint":
        answer = await self.running.post(CARE, SAID | more, "care_agent", self.site)
        self.id, self.position = answer["id"], answer["position"]
        return self

    async def take(self, step: str, role: str = "care_manager", /, **body: Any) -> "Complaint":
        answer = await self.running.post(f"{CARE}/{self.id}/{step}", body, role, self.site)
        self.position = answer["position"]
        return self

    async def timeline(self, **params: Any) -> dict[str, Any]:
        given = {"min_position": self.position, **params}
        path = f"/v1/complaints/{self.id}/timeline"
        answer = await self.running.get(path, "care_agent", self.site, **given)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def heard(self, event: str, **data: Any) -> dict[str, Any]:
        """The timeline as soon as it has that fact."""

        async def there() -> dict[str, Any] | None:
            timeline = await self.timeline()
            found = (e for e in timeline["entries"] if e["event"] == f"customer_care.{event}.v1")
            return timeline if any(e["data"].items() >= data.items() for e in found) else None

        return dict(await eventually(there))

    async def page(self, visitor: httpx2.AsyncClient, role: str, **params: Any) -> str:
        given = {"min_position": self.position} | params
        headers = as_(self.running, role, self.site)
        answer = await visitor.get(f"/complaints/{self.id}", headers=headers, params=given)
        assert answer.status_code == 200, answer.text
        return words(answer.text)


def words(html: str) -> str:
    """A page with single spaces."""
    return re.sub(r"\s+", " ", html)


def part(html: str, name: str) -> str:
    """What one part of a page says, without its tags."""
    found = re.search(rf'data-part="{name}".*?</section>', html)
    return words(re.sub("<[^>]+>", " ", found[0])) if found else ""


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


@pytest.fixture
def site() -> str:
    """One that nobody else uses."""
    return f"s{uuid.uuid4().hex[:10]}"


async def test_clocks_say_how_late_by_which_rule(visitor: httpx2.AsyncClient, running: Running) -> None:
    complaint = await Complaint(running).raised(occurred_at=ago(hours=3, minutes=1))
    await complaint.heard("escalated", rule="C-22.contact")
    waiting = await complaint.page(visitor, "care_agent")
    assert re.search("First contact .{1,20} late by 1 h 1 min, still not done", part(waiting, "clocks"))
    assert re.search("Satisfaction call .{1,20} due in 1 d 20 h", part(waiting, "clocks"))
    assert "rule C-22.contact · rulebook 1, calendar 1" in part(waiting, "clocks")
    told = "Escalated automatic .{1,40}to Advisor due at .{5,15} late by 1 h 1 min, .{1,20}rule C-22.contact"
    assert re.search(told, part(waiting, "timeline"))
    assert 'class="over"' in waiting

    await complaint.take("hand-over", occurred_at=ago(hours=2, minutes=51, seconds=30))
    await complaint.take("contact", outcome="reached")
    done = await complaint.page(visitor, "care_agent")
    assert re.search("First contact .{1,20} done late by 1 h 1 min ", part(done, "clocks"))
    assert re.search("Handed over .{1,20} met, 20 min before", part(done, "clocks"))
    assert "entered later, at" in part(done, "timeline")


async def test_a_pause_is_told_with_what_is_waited_for(visitor: httpx2.AsyncClient, running: Running) -> None:
    complaint = await Complaint(running).raised()
    await complaint.take("pause", waiting="for_parts")
    html = await complaint.page(visitor, "care_agent")
    assert "stands still: For parts" in part(html, "clocks")
    assert "The clocks stand still since" in part(html, "head")
    assert f"{complaint.id}/resume" in html


async def test_a_page_looks_back_without_offering_anything(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    complaint = await Complaint(running).raised()
    before = (await complaint.timeline())["position"]
    await complaint.take("contact", outcome="reached")
    now = await complaint.page(visitor, "care_manager")
    then = await complaint.page(visitor, "care_manager", as_of=before)
    assert ("Customer contacted" in part(now, "timeline"), "<form" in now) == (True, True)
    assert "Customer contacted" not in part(then, "timeline")
    assert "data-json action=" not in then
    assert "First contact ✓" not in part(then, "clocks")
    assert "due in 1 h 59 min" in part(then, "clocks")


async def test_people_are_offered_what_is_theirs_to_do(visitor: httpx2.AsyncClient, running: Running) -> None:
    complaint = await Complaint(running).raised()
    for role, mine, others in (
        ("care_agent", "hand-over", "cause"),
        ("department_manager", "cause", "hand-over"),
        ("general_manager", "cause", "contact"),
    ):
        html = await complaint.page(visitor, role)
        assert f'action="{CARE}/{complaint.id}/{mine}"' in html, role
        assert f'action="{CARE}/{complaint.id}/{others}"' not in html, role
    auditor = await complaint.page(visitor, "region_auditor")
    assert "data-json" not in auditor
    assert "Nothing for your role at present." in auditor


async def test_an_objection_stands_beside_what_it_follows(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    first = await Complaint(running).raised()
    await first.take("contact", outcome="reached")
    await first.take("resolve", resolution="apology")
    before = (await first.timeline())["position"]
    assert part(await first.page(visitor, "care_agent"), "linked") == ""
    await first.take("call-back", "care_agent", outcome="objecting", opinion="不满意 not settled")

    async def followed() -> str | None:
        html = await first.page(visitor, "care_agent")
        return html if 'data-part="linked"' in html else None

    html = await eventually(followed)
    assert "This complaint" in part(html, "linked")
    [again] = re.findall(r'/complaints/([0-9a-f]{20})">Follows this', html)
    assert 'data-part="linked"' not in await first.page(visitor, "care_agent", as_of=before)

    second = Complaint(running)
    second.id, second.position = again, "0"
    html = await second.page(visitor, "care_agent")
    assert f'<a href="/complaints/{first.id}">Followed by this</a>' in html
    assert "Objecting" in part(html, "linked")


async def test_what_was_typed_is_shown_on_request_only(visitor: httpx2.AsyncClient, running: Running) -> None:
    complaint = await Complaint(running).raised()
    await complaint.take("contact", outcome="reached")
    await complaint.take("cause", cause=CAUSE)
    html = await complaint.page(visitor, "care_manager")
    assert "Cause: hidden, shown on request" in part(html, "timeline").replace(" :", ":")
    assert "out of stock" not in html
    assert "缺件" not in str(await complaint.timeline())

    reveal = f"/v1/complaints/{complaint.id}/reveal"
    clear = (await running.send(reveal, {"reason": "reading the cause"}, "care_manager")).json()
    [name] = clear.keys() - {"customer_name", "phone", "narrative"}
    assert clear[name] == CAUSE
    assert f'data-value="{name}"' in html


@pytest.mark.parametrize("order", ["due", "latest"])
async def test_complaints_are_listed_in_pages_in_either_order(
    running: Running, site: str, order: str
) -> None:
    """`later` and `soon` are due at other times than they were raised; `paused` and `ended` at none."""
    ids = {}
    for name, more in (
        ("soon", {"severity": "ordinary"}),
        ("later", {"severity": "major"}),
        ("overdue", {"occurred_at": ago(hours=5)}),
        ("paused", {}),
        ("ended", {}),
    ):
        complaint = await Complaint(running, site).raised(**more)
        await complaint.take("hand-over", occurred_at=more.get("occurred_at", ago(minutes=0)))
        ids[complaint.id] = name
        if name == "paused":
            await complaint.take("pause", waiting="for_customer")
        if name == "ended":
            await complaint.take("resolve", resolution="withdrawn")
        await complaint.heard("complaint_handed_over")
        if name == "overdue":
            await complaint.heard("deadline_breached", rule="C-22.contact")
    listed: list[str] = []
    page: dict[str, Any] = {"next": None}
    while not listed or page["next"]:
        given = {"next": page["next"]} if page["next"] else {}
        page = (await running.get("/v1/complaints", "care_agent", site, limit=2, order=order, **given)).json()
        assert len(page["complaints"]) <= 2
        listed += [ids[each["complaint_id"]] for each in page["complaints"]]
    if order == "due":
        assert listed[:3] == ["overdue", "soon", "later"]
        assert set(listed[3:]) == {"paused", "ended"}
    else:
        assert listed == ["ended", "paused", "later", "soon", "overdue"]


async def test_nobody_sees_complaints_of_another_site(
    visitor: httpx2.AsyncClient, running: Running, site: str
) -> None:
    complaint = await Complaint(running, site).raised()
    await complaint.timeline()
    for of, seen in ((site, True), ("sh01", False)):
        html = await visitor.get("/complaints?order=due", headers=as_(running, "care_agent", of))
        assert (complaint.id in html.text) is seen
    answer = await visitor.get(f"/complaints/{complaint.id}", headers=as_(running, "care_agent", "sh01"))
    assert answer.status_code == 404


async def test_an_unknown_order_is_refused(running: Running) -> None:
    answer = await running.get("/v1/complaints", "care_agent", order="colour")
    assert answer.status_code == 422


async def test_who_works_on_complaints_sees_first_what_is_overdue(
    visitor: httpx2.AsyncClient, running: Running, site: str
) -> None:
    late = await Complaint(running, site).raised(occurred_at=ago(hours=5))
    await late.heard("deadline_breached", rule="C-22.contact")
    fresh = await Complaint(running, site).raised()
    await fresh.timeline()
    for role, first, second in (("care_agent", late, fresh), ("region_auditor", fresh, late)):
        html = (await visitor.get("/complaints", headers=as_(running, role, site))).text
        assert html.index(first.id) < html.index(second.id), role
        assert re.search(r"Handed over *: *late by 4 h 30 min, still not done", part_of_list(html))
        assert re.search(r"Handed over *: *due in \d\d min", part_of_list(html))
    chinese = await visitor.get("/complaints", headers={**as_(running, "care_agent", site), **CHINESE})
    assert re.search("转交 *: *已超时 4 小时 30 分，尚未完成", part_of_list(chinese.text))


def part_of_list(html: str) -> str:
    return words(re.sub("<[^>]+>", " ", html))


async def test_the_first_page_of_a_long_timeline_stays_small(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    complaint = await Complaint(running).raised()
    for _ in range(60):
        await complaint.take("contact", outcome="not_reached")
    await complaint.timeline()
    answer = await visitor.get(f"/complaints/{complaint.id}", headers=as_(running, "care_manager"))
    assert "Older entries" in answer.text
    assert len(answer.content) < 100_000, "as it is without compression"


@pytest.mark.browser
async def test_a_complaint_goes_from_raising_to_the_archive_by_clicking(look: Open, running: Running) -> None:
    agent = await look("/complaints/new", "care_agent")
    for label, text in (
        ("Customer's name", "张敏"),
        ("Phone", "13800138002"),
        ("In the customer's words", "两个小时"),
    ):
        await agent.get_by_label(label, exact=label == "Phone").last.fill(text)
    await agent.get_by_label("Severity").select_option("ordinary")
    await agent.get_by_role("button", name="Record the complaint").click()
    await expect(agent).to_have_url(re.compile("/complaints/[0-9a-f]{20}"))
    await agent.get_by_role("button", name="Hand over").click()
    await expect(stepped(agent, "Handed over")).to_contain_text("✓")
    await agent.get_by_role("button", name="Record the attempt").click()
    await expect(stepped(agent, "First contact")).to_contain_text("✓")

    path = agent.url.removeprefix(running.url).partition("?")[0]
    manager = await look(path, "department_manager")
    await manager.get_by_label("Why it happened").fill("缺件")
    await manager.get_by_role("button", name="Record the cause").click()
    await expect(manager.locator("[data-part=timeline]")).to_contain_text("Cause found")
    await manager.get_by_label("What is to be done").fill("加急订货")
    await manager.get_by_role("button", name="Sign the plan").click()
    await manager.get_by_role("button", name="The customer knows the plan").click()
    await manager.get_by_role("button", name="The plan is carried out").click()
    await expect(stepped(manager, "Carried out")).to_contain_text("✓")
    await manager.get_by_label("Agreed with the customer").select_option("apology")
    await manager.get_by_role("button", name="Resolve").click()
    await expect(stepped(manager, "Agreement")).to_contain_text("✓")
    await manager.get_by_label("What came of it").fill("已更换")
    await manager.get_by_role("button", name="Return the form to care").click()
    await expect(stepped(manager, "Returned")).to_contain_text("✓")

    await agent.reload()
    await agent.get_by_label("Asked whether it is settled, the customer was").select_option("accepted")
    await agent.get_by_role("button", name="Record the call").click()
    await expect(stepped(agent, "Satisfaction call")).to_contain_text("✓")

    general = await look(path, "general_manager", "zh-CN")
    await general.get_by_label("批示").fill("全店通报")
    await general.get_by_role("button", name="总经理签字").click()
    await expect(stepped(general, "总经理签字")).to_contain_text("✓")

    await agent.reload()
    await agent.get_by_role("button", name="Put the form into the archive").click()
    await expect(agent.locator(".stands")).to_contain_text("Archived")
    await expect(agent.locator(".clocks .met")).to_have_count(await agent.locator(".clocks li").count())
    await agent.get_by_label("Why you need it").fill("checking the form")
    await agent.get_by_role("button", name="Show the customer").click()
    await expect(agent.locator("[data-value^='cause ']")).to_have_text("缺件")
    await expect(agent.locator("[data-value^='instruction ']")).to_have_text("全店通报")


@pytest.mark.browser
async def test_a_general_manager_of_three_sites_signs_the_form_by_clicking(
    look: Open, running: Running, site: str
) -> None:
    """C-27: the form is signed where the complaint is."""
    complaint = await Complaint(running, site).raised()
    await complaint.take("contact", outcome="reached")
    await complaint.take("resolve", resolution="apology")
    await complaint.take("call-back", outcome="accepted")
    await complaint.timeline()
    page = await look(f"/complaints/{complaint.id}", "general_manager", site=f"sh01,{site},sh02")
    await page.get_by_role("button", name="Sign the form").click()
    await expect(stepped(page, "Signed off")).to_contain_text("✓")


def stepped(page: Page, step: str) -> Any:
    return page.locator(".progress li", has_text=step)


@pytest.fixture
async def eventful(running: Running) -> Complaint:
    """With clocks of every kind, an escalation, a pause and one that follows."""
    complaint = await Complaint(running).raised(occurred_at=ago(hours=3), severity="major")
    await complaint.heard("deadline_breached", rule="C-20")
    await complaint.take("contact", outcome="reached", occurred_at=ago(hours=2))
    await complaint.take("cause", cause=CAUSE)
    await complaint.take("plan", "department_manager", plan="加急订货")
    await complaint.take("resolve", resolution="apology")
    await complaint.take("call-back", outcome="objecting")
    await complaint.take("pause", waiting="for_parts")
    await complaint.timeline()
    return complaint


@pytest.mark.browser
@pytest.mark.parametrize(("language", "colours"), [("en", "light"), ("en", "dark"), ("zh-CN", "light")])
async def test_an_eventful_complaint_stands_in_nobodys_way(
    look: Open, eventful: Complaint, language: str, colours: str
) -> None:
    for path in (f"/complaints/{eventful.id}", "/complaints?show=all&order=due"):
        page = await look(path, "care_manager", language, color_scheme=colours)
        for summary in await page.locator("[data-part=actions] summary").all():
            await summary.click()
        assert await serious(page) == [], path


@pytest.mark.browser
@pytest.mark.parametrize("screen", SCREENS)
async def test_an_eventful_complaint_fits_the_screen(look: Open, eventful: Complaint, screen: str) -> None:
    for path in (f"/complaints/{eventful.id}", "/complaints?show=all&order=due"):
        page = await look(path, "care_manager", "en", SCREENS[screen])
        too_wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, path


@pytest.mark.browser
async def test_a_complaint_and_the_list_move_by_themselves_when_somebody_else_acts(
    look: Open, running: Running, site: str
) -> None:
    complaint = await Complaint(running, site).raised()
    await complaint.timeline()
    page = await look(f"/complaints/{complaint.id}", "care_manager", site=site)
    listed = await look("/complaints", "care_agent", site=site)
    await expect(stepped(page, "First contact")).not_to_contain_text("✓")
    await expect(listed.locator(".complaints > li")).to_have_count(1)

    await complaint.take("contact", outcome="reached")
    await expect(stepped(page, "First contact")).to_contain_text("✓")
    await expect(page.locator("[data-part=timeline]")).to_contain_text("Customer contacted")
    await expect(listed.locator(".complaints .status")).to_contain_text("Contacted")
    await Complaint(running, site).raised()
    await expect(listed.locator(".complaints > li")).to_have_count(2)


async def test_a_complaint_leads_to_its_visit_or_says_that_there_is_none(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    """K-19: visit and work order are one number. Another site's is answered like nobody's."""
    theirs = (await running.post("/reception/v1/visits", VISIT, "advisor", "sh02"))["id"]
    await eventually(lambda: known(running, theirs, "sh02"))
    for about, link in (
        ({"work_order_id": received}, True),
        ({"visit_id": received}, True),
        ({"visit_id": theirs}, False),
        ({"work_order_id": "0" * 20}, False),
    ):
        complaint = await Complaint(running).raised(**about)
        html = part_html(await complaint.page(visitor, "care_manager"), "facts")
        assert (f'href="/work-orders/{received}"' in html) is link, about
        assert ("No such work order at this site" in html) is not link, about
    for id, said in ((received, False), (theirs, True), ("nothing", True)):
        page = await visitor.get(f"/complaints/new?work_order={id}", headers=as_(running, "care_agent"))
        assert ("No such work order at this site" in page.text) is said, id


async def known(running: Running, work_order: str, site: str) -> bool:
    return (await running.get(f"/v1/work-orders/{work_order}", "region_auditor", site)).status_code == 200


def part_html(html: str, name: str) -> str:
    found = re.search(rf'data-part="{name}".*?</section>', html)
    return found[0] if found else ""


VISIT = {
    "vin": "LSVAA4187E2184325",
    "plate": "沪B54321",
    "customer_name": "王伟",
    "phone": "13800138009",
    "mileage_km": 1,
    "symptoms": ["x"],
}


async def test_a_complaint_names_a_vehicle_or_nothing(visitor: httpx2.AsyncClient, running: Running) -> None:
    about = await Complaint(running).raised(vin="lsvaa4187e2184321")
    assert "VIN LSVAA4187E2184321" in part(await about.page(visitor, "care_agent"), "facts")
    nothing = await Complaint(running).raised()
    assert "Work order –" in part(await nothing.page(visitor, "care_agent"), "facts")
    refused = await running.send(CARE, SAID | {"vin": "LSVAA4187E218432O"}, "care_agent")
    assert refused.status_code == 422


TOO_LONG = ("等了两个小时 𠮷😀 and still no part\n" * 4_000)[:100_000]


@pytest.mark.browser
@pytest.mark.parametrize("who", ["care_agent", "customer"])
async def test_a_text_that_is_too_long_is_refused_and_kept(
    look: Open, running: Running, browser: Browser, who: str
) -> None:
    """Nothing of a hundred thousand characters is cut off without a word."""
    if who == "customer":
        page = await browser.new_page(locale="en")
        link = await running.post("/customer-care/v1/links", {"visit_id": "ab" * 10}, "advisor")
        await page.goto(running.url + link["path"])
        words, name, send = "What happened", "Your name", "Send the complaint"
    else:
        page = await look("/complaints/new", who)
        words, name, send = "In the customer's words", "Customer's name", "Record the complaint"
    narrative = page.get_by_label(words)
    await page.get_by_label(name).fill("张敏")
    await page.get_by_role("textbox", name="Phone").fill("13800138002")
    assert await narrative.get_attribute("maxlength") is None, "a browser would cut what is pasted"
    await narrative.evaluate("(field, text) => (field.value = text)", TOO_LONG)
    await page.get_by_role("button", name=send).click()
    await expect(page.locator("[data-why=narrative]")).to_have_text("20,000 characters at most")
    assert await narrative.input_value() == TOO_LONG
    await narrative.evaluate("(field, text) => (field.value = text)", TOO_LONG[:20_000])
    await page.get_by_role("button", name=send).click()
    await expect(page).to_have_url(re.compile("/complaints/[0-9a-f]{20}|/progress/"))
    if who == "customer":
        await page.close()


@pytest.mark.browser
async def test_late_entries_are_made_from_the_page_and_show_both_times(look: Open, running: Running) -> None:
    """A contact before the complaint is accepted only if somebody says that it is right."""
    raised = datetime.now(UTC) - timedelta(hours=5)
    form = await look("/complaints/new", "care_agent")
    await form.get_by_label("Customer's name").fill("张敏")
    await form.get_by_role("textbox", name="Phone").fill("13800138002")
    await form.get_by_label("In the customer's words").fill("两个小时")
    await form.get_by_label("Of further severities").select_option(["grievance"])
    await form.get_by_text("It happened earlier").click()
    await form.get_by_label("When it happened").fill(at_the_site(raised))
    await form.get_by_role("button", name="Record the complaint").click()
    await expect(form.locator("[data-part=timeline]")).to_contain_text("entered later, at")
    await expect(form.locator("[data-part=facts]")).to_contain_text("Grievance")

    attempt = form.locator("form[action$='/contact']")
    await attempt.get_by_text("It happened earlier").click()
    await attempt.get_by_label("When it happened").fill(at_the_site(raised - timedelta(hours=1)))
    await attempt.get_by_role("button").click()
    await expect(attempt.locator(".outcome[role=alert]")).to_contain_text("before the complaint was raised")
    await attempt.get_by_label("The complaint was raised").select_option("true")
    await attempt.get_by_role("button").click()
    await expect(stepped(form, "First contact")).to_contain_text("✓")
    entry = form.locator("[data-part=timeline] li", has_text="Customer contacted")
    await expect(entry).to_contain_text("entered later, at")
    await expect(entry.locator(".at")).to_contain_text(at_the_site(raised - timedelta(hours=1))[-5:])


def at_the_site(at: datetime) -> str:
    return f"{at.astimezone(SITE_ZONE):%Y-%m-%dT%H:%M}"


async def objected(complaint: Complaint) -> Complaint:
    """The customer objects; the complaint that follows (C-27)."""
    await complaint.take("contact", outcome="reached")
    await complaint.take("resolve", resolution="apology")
    await complaint.take("call-back", "care_agent", outcome="objecting", opinion="还是不行")

    async def found() -> str | None:
        listed = await complaint.running.get("/v1/complaints", "care_agent", complaint.site)
        ids = [c["complaint_id"] for c in listed.json()["complaints"] if c.get("follows") == complaint.id]
        return ids[0] if ids else None

    following = Complaint(complaint.running, complaint.site)
    following.id, following.position = await eventually(found), "0"
    return following


async def test_every_cycle_stands_beside_the_others_with_its_next_clock(
    visitor: httpx2.AsyncClient, running: Running, site: str
) -> None:
    """C-27: the first, the second and the third tracking form, from wherever one looks."""
    first = await Complaint(running, site).raised()
    second = await objected(first)
    third = await objected(second)
    for complaint in (first, second, third):
        html = part_html(await complaint.page(visitor, "care_agent"), "linked")
        assert html.count("<li") == 3
        assert {each.id for each in (first, second, third)} - {complaint.id} <= set(
            re.findall("/complaints/([0-9a-f]{20})", html)
        )
    seen = part(await first.page(visitor, "care_agent"), "linked")
    assert re.search("A later cycle .* Handed over: due in", seen)
    assert "late by" not in seen


async def test_who_is_held_responsible_sees_for_what_and_appeals(
    visitor: httpx2.AsyncClient, running: Running, site: str
) -> None:
    """C-40: a technician, who sees no complaint otherwise; nothing of the customer, nothing anybody wrote."""
    ours = await Complaint(running, site).raised(occurred_at=ago(hours=3))
    await ours.take("contact", outcome="reached")
    await ours.take("cause", cause=CAUSE)
    await ours.take("blame", person=f"technician-{site}", step="first_contact")
    others = await Complaint(running, site).raised()
    await others.take("blame", person=f"inspector-{site}")
    await ours.heard("deadline_breached", rule="C-20")
    await others.timeline()

    headers = as_(running, "technician", site)
    html = words((await visitor.get("/responsible", headers=headers)).text)
    said = part(html, f"blame-{ours.id}")
    for shown in ("Repair service", "Ordinary", "For the step First contact", "Handed over", "Appeal"):
        assert shown in said, shown
    assert others.id not in html
    assert "customer" not in said.lower()
    assert (await visitor.get(f"/complaints/{ours.id}", headers=headers)).status_code == 403
    elsewhere = await visitor.get("/responsible", headers=as_(running, "technician"))
    assert ours.id not in elsewhere.text

    appealed = await ours.take("appeal", "technician", reason="我当天休息")
    html = words((await visitor.get(f"/responsible?min_position={appealed.position}", headers=headers)).text)
    assert "Appeal Filed" in part(html, f"blame-{ours.id}")
    assert "/appeal" not in html
    for role, status in (("region_auditor", 403), ("operator", 403), ("cashier", 200), ("advisor", 200)):
        assert (await visitor.get("/responsible", headers=as_(running, role, site))).status_code == status


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_technician_appeals_in_the_browser(
    look: Open, running: Running, site: str, language: str
) -> None:
    complaint = await Complaint(running, site).raised()
    await complaint.take("blame", person=f"technician-{site}")
    await complaint.timeline()
    page = await look("/responsible", "technician", language, (820, 1180), site)
    assert await serious(page) == []
    await page.locator("textarea").fill("我当天休息")
    await page.locator("form[action$='/appeal'] button").click()
    await expect(page.locator("textarea")).to_have_count(0)


async def test_a_complaint_on_paper_carries_the_stamp_by_which_it_is_checked(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    """C-25, C-28, C-39, K-06, K-22: one document under two titles, the same again as of its position."""
    complaint = await Complaint(running).raised(occurred_at=ago(hours=1))
    await complaint.take("contact", outcome="reached")
    await complaint.take("cause", cause=CAUSE)
    await complaint.timeline()
    paths = (f"/complaints/{complaint.id}/form", f"/complaints/{complaint.id}/form?kind=notice")
    tracking, notice = [
        (await visitor.get(path, headers={**as_(running, "care_agent"), **CHINESE})).text for path in paths
    ]
    assert "<h1>客户投诉处理跟踪表" in tracking
    assert "<h1>客户抱怨单" in notice
    [(position, stamp)] = re.findall(r"第 (\d+) 位，sha256 ([0-9a-f]{32})", tracking)
    assert "王伟" not in tracking
    assert "缺件" not in tracking
    assert 'data-value="customer_name"' in tracking

    await complaint.take("pause", waiting="for_parts")
    await complaint.timeline()
    path = f"/v1/complaints/{complaint.id}/timeline"
    checked = await running.get(path, "region_auditor", limit=200, as_of=position)
    assert checked.headers["etag"] == f'"{stamp}"'
    then = await visitor.get(f"{paths[0]}?as_of={position}", headers=as_(running, "region_auditor"))
    assert (stamp in then.text, "Clocks" in then.text) == (True, False)
    assert "data-reveal" not in then.text
    now = await visitor.get(paths[0], headers=as_(running, "region_auditor"))
    assert stamp not in now.text
    for role, site, status in (("care_agent", "sh02", 404), ("technician", "sh01", 403)):
        assert (await visitor.get(paths[0], headers=as_(running, role, site))).status_code == status
    assert (await visitor.get(f"{paths[0]}?kind=x", headers=as_(running, "care_agent"))).status_code == 422


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_the_paper_shows_no_forms_and_names_only_when_revealed(
    look: Open, eventful: Complaint, language: str
) -> None:
    page = await look(f"/complaints/{eventful.id}/form", "care_manager", language, (820, 1180))
    assert await serious(page) == []
    await page.emulate_media(media="print")
    await expect(page.locator("main")).not_to_contain_text("王伟")
    for hidden in ("main form button", "main nav", "header"):
        await expect(page.locator(hidden).first).to_be_hidden()
    await page.emulate_media(media="screen")
    await page.locator("[data-reveal] input").fill("for the archive")
    await page.locator("[data-reveal] button").click()
    await expect(page.locator("[data-value=customer_name]")).to_have_text("王伟")
    await page.emulate_media(media="print")
    await expect(page.locator("[data-value=customer_name]")).to_be_visible()
    await expect(page.locator("main form button")).to_be_hidden()

    page = await look(f"/complaints/{eventful.id}", "care_manager", language)
    await page.emulate_media(media="print")
    await expect(page.locator("[data-part=actions]")).to_be_hidden()

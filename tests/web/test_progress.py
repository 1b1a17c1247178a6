"""A customer looks at their own complaint, through the link they were given (C-33, P-04)."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring, load_master_key
from access.signed_link import VALID, Links
from tests.journeys.story import eventually
from tests.system import Running

ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}
CHINESE = {"Accept": "text/html", "Accept-Language": "zh-CN"}
CANARY = "canary"
COMPLAINT = {
    "channel": "phone",
    "subject": "repair_service",
    "severity": "ordinary",
    "customer_name": f"{CANARY} 王伟",
    "phone": "13800138777",
    "narrative": f"{CANARY}: 等了两个小时。",
}


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without any token."""
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


async def raised(running: Running, **more: Any) -> str:
    return await done(running, "", COMPLAINT | more, "care_agent")


async def done(running: Running, path: str, body: Any, role: str) -> str:
    """A command whose result the pages have heard of."""
    answer = await running.post(f"/customer-care/v1/complaints{path}", body, role)
    at = {"min_position": answer["position"]}
    read = await running.get(f"/v1/complaints/{answer['id']}/timeline", "region_auditor", **at)
    assert read.status_code == 200
    return str(answer["id"])


async def link_to(running: Running, complaint: str) -> str:
    answer = await running.post(f"/customer-care/v1/complaints/{complaint}/link", {}, "care_agent")
    assert datetime.fromisoformat(answer["until"]) > datetime.now(UTC)
    return str(answer["path"])


def links(running: Running) -> Links:
    """Those of the running system."""
    key = load_master_key(running.data / "secrets" / "master.key")
    return Links(Keyring(AsyncConnectionPool("", open=False), key))


async def test_the_customer_sees_how_far_it_has_come(running: Running, visitor: httpx2.AsyncClient) -> None:
    """P-04, C-33."""
    complaint = await raised(running)
    path = await link_to(running, complaint)
    first = await visitor.get(path, headers=ENGLISH)
    assert first.status_code == 200
    for words in (complaint, "We received your complaint", "We will speak with you", "by "):
        assert words in first.text
    assert "We spoke with you" not in first.text

    await done(running, f"/{complaint}/contact", {"outcome": "reached"}, "care_agent")
    for headers, words in ((ENGLISH, "We spoke with you"), (CHINESE, "我们已与您联系")):
        assert words in (await visitor.get(path, headers=headers)).text


async def test_nothing_internal_is_on_the_page(running: Running, visitor: httpx2.AsyncClient) -> None:
    complaint = await raised(running, severity="major")
    path = await link_to(running, complaint)
    for step, body, role in (
        ("hand-over", {"to": "general_manager"}, "care_agent"),
        ("contact", {"outcome": "reached"}, "care_agent"),
        ("cause", {"cause": f"{CANARY} cause"}, "department_manager"),
        ("plan", {"plan": f"{CANARY} plan"}, "department_manager"),
        ("tell", {}, "department_manager"),
        ("blame", {"person": f"{CANARY}.person"}, "department_manager"),
        ("carry-out", {}, "department_manager"),
        ("return", {"result": f"{CANARY} result", "improvement": f"{CANARY} better"}, "department_manager"),
        ("report-to-region", {}, "care_agent"),
    ):
        await done(running, f"/{complaint}/{step}", body, role)
    staff = await running.send(f"/v1/complaints/{complaint}/reveal", {"reason": "compare"}, "care_manager")
    assert CANARY in staff.text

    for headers in (ENGLISH, CHINESE):
        page = await visitor.get(path, headers=headers)
        assert page.status_code == 200
        for secret in (CANARY, "王伟", "13800138777", "department_manager", "care_agent", "general", "sh01-"):
            assert secret not in page.text, secret
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-robots-tag"] == "noindex, nofollow"


async def test_a_link_opens_one_complaint_only(running: Running, visitor: httpx2.AsyncClient) -> None:
    mine, other = await raised(running), await raised(running, phone="13800138778")
    path = await link_to(running, mine)
    assert other not in (await visitor.get(path, headers=ENGLISH)).text
    for changed in (
        path.replace(mine, other),
        path.replace("sh01", "sh02"),
        path[:-1],
        path + "0",
        "/progress/x",
    ):
        answer = await visitor.get(changed, headers=ENGLISH)
        assert (answer.status_code, "There is nothing here by that name" in answer.text) == (404, True)
        assert mine not in answer.text.replace(changed, "")


async def test_a_link_is_read_as_its_own_site_only(running: Running, visitor: httpx2.AsyncClient) -> None:
    """One that is rightly signed and names another site than the complaint's opens nothing."""
    complaint = await raised(running)
    for site, status in (("sh01", 200), ("sh02", 404)):
        link, _ = links(running).make("progress", f"{site}.{complaint}", datetime.now(UTC))
        assert (await visitor.get(f"/progress/{link}", headers=ENGLISH)).status_code == status


async def test_a_forged_link_is_refused_before_anything_is_looked_up(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    """The control: with a good link, the position that nobody can wait for is noticed."""
    path = await link_to(running, await raised(running))
    for asked, status in ((path, 400), (path[:-1], 404)):
        answer = await visitor.get(asked, params={"min_position": "nonsense"})
        assert answer.status_code == status


async def test_a_link_for_something_else_opens_nothing(running: Running, visitor: httpx2.AsyncClient) -> None:
    complaint = await raised(running)
    link, _ = links(running).make("complain", f"sh01.{complaint}", datetime.now(UTC))
    assert (await visitor.get(f"/progress/{link}", headers=ENGLISH)).status_code == 404


async def test_a_link_that_has_expired_says_so(running: Running, visitor: httpx2.AsyncClient) -> None:
    complaint = await raised(running)
    link, _ = links(running).make("progress", f"sh01.{complaint}", datetime.now(UTC) - 2 * VALID)
    for headers, words in ((ENGLISH, "please ask us for a new one"), (CHINESE, "该链接已失效")):
        answer = await visitor.get(f"/progress/{link}", headers=headers)
        assert (answer.status_code, words in answer.text) == (410, True)


async def test_who_was_forgotten_still_sees_their_steps_and_nothing_personal(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    complaint = await raised(running, phone="13800138779")
    path = await link_to(running, complaint)
    read = await running.get(f"/v1/complaints/{complaint}/timeline", "care_manager")
    await running.post(f"/customer-care/v1/subjects/{read.json()['customer']}/erase", {}, "care_manager")

    async def forgotten() -> bool:
        shown = await running.send(
            f"/v1/complaints/{complaint}/reveal", {"reason": "is it gone?"}, "care_manager"
        )
        return set(shown.json().values()) == {None}

    await eventually(forgotten)
    page = await visitor.get(path, headers=ENGLISH)
    assert (page.status_code, "We received your complaint" in page.text) == (200, True)


async def test_a_link_is_made_for_complaints_of_the_own_site(running: Running) -> None:
    complaint = await raised(running)
    path = f"/customer-care/v1/complaints/{complaint}/link"
    for role, site, status in (
        ("advisor", "sh01", 200),
        ("region_auditor", "*", 200),
        ("technician", "sh01", 403),
        ("care_agent", "sh02", 404),
    ):
        assert (await running.send(path, {}, role, site)).status_code == status, (role, site)
    missing = path.replace(complaint, "nowhere")
    assert (await running.send(missing, {}, "care_agent")).status_code == 404


async def test_after_an_objection_the_link_leads_on_to_the_new_cycle(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    """C-27, C-33; no longer valid than the link that leads there."""
    complaint = await raised(running, phone="13800138780")
    until = datetime.now(UTC) - VALID / 2
    link, valid = links(running).make("progress", f"sh01.{complaint}", until)
    assert await onward(visitor, link) is None
    for step, body in (
        ("contact", {"outcome": "reached"}),
        ("resolve", {"resolution": "apology"}),
        ("call-back", {"outcome": "objecting"}),
    ):
        await done(running, f"/{complaint}/{step}", body, "care_manager")

    path = str(await eventually(lambda: onward(visitor, link)))
    page = await visitor.get(path, headers=ENGLISH)
    assert (page.status_code, complaint in page.text) == (200, False)
    assert "We received your complaint" in page.text
    opened = links(running).check("progress", path.removeprefix("/progress/"), datetime.now(UTC))
    assert opened.until == valid


async def onward(visitor: httpx2.AsyncClient, link: str) -> str | None:
    page = await visitor.get(f"/progress/{link}", headers=ENGLISH)
    found = re.search('class="button" href="(/progress/[^"]+)"', page.text)
    return found[1] if found else None

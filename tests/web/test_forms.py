"""Printed forms over HTTP: who gets which, with whose names on it; the customer's own copies."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from access.keyring import Keyring, load_master_key
from access.pools import open_pool
from projections.forms.contents import FORMS
from tests.journeys.story import eventually
from tests.projections.forms.test_forms import squeezed, words
from tests.system import Running
from tests.web.conftest import Open, walk
from tests.web.test_pages import CHINESE, as_
from tests.web.test_progress import ENGLISH, links
from tests.web.test_screens import serious

NAME, PHONE, PLATE = "王伟", "13800138000", "沪A·12345"
GONE = "There is nothing here by that name; please compare the address and the id in it."


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


@pytest.fixture
async def keyring(running: Running) -> AsyncIterator[Keyring]:
    lines = (running.data / "environment").read_text().splitlines()
    dsn = dict(line.split("=", 1) for line in lines)["BAYLEDGER_KEYS_DB"]
    async with open_pool(dsn, 1) as pool:
        yield Keyring(pool, load_master_key(running.data / "secrets" / "master.key"))


async def form(
    running: Running, id: str, name: str, role: str, site: str = "sh01", **params: Any
) -> httpx2.Response:
    return await running.get(f"/v1/work-orders/{id}/forms/{name}.pdf", role, site, **params)


async def quoted(running: Running, id: str) -> str:
    """The position at which the visit has a quote."""
    body = {"lines": [{"operation": "BRAKES"}], "payment_method": "wechat", "old_parts": "return"}
    answer = await running.post(f"/reception/v1/visits/{id}/quote", body, "advisor")
    return str(answer["position"])


async def customer_of(running: Running, id: str) -> str:
    file = await running.get(f"/v1/work-orders/{id}/file", "advisor")
    return str(file.json()["customer"])


async def test_whoever_may_reveal_a_name_prints_it_and_that_is_recorded(
    running: Running, received: str, keyring: Keyring
) -> None:
    """R-34, K-22."""
    answer = await form(running, received, "reception", "advisor")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["cache-control"] == "private, no-store"
    said = squeezed(words(answer.content))
    assert all(value in said for value in (NAME, PHONE, PLATE, received))
    reveal = (await keyring.reveals(await customer_of(running, received)))[-1]
    assert (reveal.actor, reveal.reason) == ("advisor-sh01", "printed reception")
    assert (reveal.fields, reveal.about) == (["customer_name", "phone"], f"visit_file {received}")


@pytest.mark.parametrize(
    ("role", "plate"),
    [("cashier", True), ("technician", True), ("parts_clerk", False), ("region_auditor", False)],
)
async def test_for_any_other_role_names_are_left_open(
    running: Running, received: str, keyring: Keyring, role: str, plate: bool
) -> None:
    customer = await customer_of(running, received)
    before = len(await keyring.reveals(customer))
    answer = await form(running, received, "reception", role)
    said = squeezed(words(answer.content))
    assert (NAME in said, PHONE in said, PLATE in said) == (False, False, plate)
    assert len(await keyring.reveals(customer)) == before


@pytest.mark.parametrize(
    ("role", "seen"),
    [("advisor", True), ("cashier", True), ("parts_clerk", False), ("region_auditor", False)],
)
async def test_a_signature_is_printed_for_who_may_see_it(
    running: Running, received: str, role: str, seen: bool
) -> None:
    """R-33, K-22: for any other role its time and hash are all there is."""
    await walk(running, received).inspected()

    async def signature() -> str | None:
        file = await running.get(f"/v1/work-orders/{received}/file", "advisor")
        found: str | None = file.json().get("walk_around", {}).get("signature")
        return found

    signed = await eventually(signature)
    answer = await form(running, received, "reception", role)
    assert (b"/Subtype/Image" in answer.content.replace(b" ", b"")) == seen
    assert signed[:16] in words(answer.content)


async def test_a_form_as_it_was_is_printed_as_of_a_past_moment(running: Running, received: str) -> None:
    """K-22: an older paper can still be compared."""
    path = f"/v1/work-orders/{received}/forms"
    first = await running.get(path, "advisor", min_position=await quoted(running, received))
    before = {each["form"]: each for each in first.json()["forms"]}
    position = (await running.get(f"/v1/work-orders/{received}/file", "advisor")).json()["position"]
    body = {"lines": [{"operation": "BRAKES"}], "payment_method": "cash", "old_parts": "dispose"}
    again = await running.post(f"/reception/v1/visits/{received}/quote", body, "advisor")
    now = await running.get(path, "advisor", min_position=again["position"])
    after = {each["form"]: each for each in now.json()["forms"]}
    assert before["work-order"]["hash"] != after["work-order"]["hash"]
    assert before["reception"] == after["reception"]
    then = await form(running, received, "work-order", "cashier", as_of=position)
    assert before["work-order"]["hash"] in words(then.content)
    today = await form(running, received, "work-order", "cashier")
    assert after["work-order"]["hash"] in words(today.content)


async def test_what_has_not_happened_is_refused_with_a_sentence(
    running: Running, visitor: httpx2.AsyncClient, received: str
) -> None:
    answer = await form(running, received, "work-order", "advisor")
    assert (answer.status_code, answer.json()["detail"]) == (409, "Nothing has been quoted yet.")
    headers = as_(running, "advisor") | CHINESE
    page = await visitor.get(f"/v1/work-orders/{received}/forms/settlement.pdf", headers=headers)
    assert (page.status_code, "尚未结算。" in page.text) == (409, True)
    listed = await running.get(f"/v1/work-orders/{received}/forms", "advisor")
    assert {each["form"]: each["not_yet"] for each in listed.json()["forms"]}["work-order"] == (
        "Nothing has been quoted yet."
    )


async def test_only_the_cashier_prints_what_opens_the_gate(running: Running, received: str) -> None:
    """R-81."""
    for role, status in (("advisor", 403), ("department_manager", 403), ("cashier", 409)):
        assert (await form(running, received, "gate-pass", role)).status_code == status, role
    for role, there in (("advisor", False), ("cashier", True)):
        listed = (await running.get(f"/v1/work-orders/{received}/forms", role)).json()["forms"]
        assert ("gate-pass" in {each["form"] for each in listed}) is there
    assert {each["form"] for each in listed} == set(FORMS)


async def test_another_sites_forms_look_like_missing_ones(running: Running, received: str) -> None:
    for id, name, site in (
        (received, "reception", "sh02"),
        ("0" * 20, "reception", "sh01"),
        (received, "x", "sh01"),
    ):
        answer = await form(running, id, name, "advisor", site)
        assert (answer.status_code, answer.json()["detail"]) == (404, GONE)


async def test_staff_give_the_customer_the_link_to_their_copies(
    running: Running, visitor: httpx2.AsyncClient, received: str
) -> None:
    """R-51."""
    given = await running.send(f"/v1/work-orders/{received}/copies/link", {}, "advisor")
    assert given.status_code == 200
    assert datetime.fromisoformat(given.json()["until"]) > datetime.now(UTC)
    assert (await visitor.get(given.json()["path"], headers=ENGLISH)).status_code == 200


async def link(running: Running, id: str, site: str = "sh01") -> str:
    made, _ = links(running).make("copy", f"{site}.{id}", datetime.now(UTC))
    return f"/copy/{made}"


async def test_the_customer_reads_their_own_copies(
    running: Running, visitor: httpx2.AsyncClient, received: str
) -> None:
    """R-51: reception form and work order, without an account."""
    path = await link(running, received)
    position = await quoted(running, received)
    for headers, said in ((ENGLISH, "Your copies"), (CHINESE, "您的客户联")):
        page = await visitor.get(path, headers=headers, params={"min_position": position})
        assert (page.status_code, said in page.text) == (200, True)
        assert page.headers["x-robots-tag"] == "noindex, nofollow"
        assert len(re.findall(r'href="/copy/[^"]+\.pdf"', page.text)) == 2
    for name in ("reception", "work-order"):
        copy = await visitor.get(f"{path}/{name}.pdf")
        assert copy.status_code == 200
        assert all(value in squeezed(words(copy.content)) for value in (NAME, PHONE, PLATE))
    for name in ("settlement", "gate-pass", "dispatch", "x"):
        assert (await visitor.get(f"{path}/{name}.pdf")).status_code == 404, name


async def test_a_link_opens_the_copies_of_one_visit_at_its_site_only(
    running: Running, visitor: httpx2.AsyncClient, received: str
) -> None:
    path = await link(running, received)
    complaint, _ = links(running).make("progress", f"sh01.{received}", datetime.now(UTC))
    for changed in (path[:-1], path + "0", path.replace("sh01", "sh02"), f"/copy/{complaint}", "/copy/x"):
        for further in ("", "/reception.pdf"):
            answer = await visitor.get(changed + further, headers=ENGLISH)
            assert (answer.status_code, NAME in answer.text) == (404, False), changed
    elsewhere = await visitor.get(await link(running, received, "sh02"), headers=ENGLISH)
    assert elsewhere.status_code == 404


async def test_an_erased_customer_is_told_that_the_copies_are_gone(
    running: Running, visitor: httpx2.AsyncClient, received: str, keyring: Keyring
) -> None:
    before = (await running.get(f"/v1/work-orders/{received}/forms", "advisor")).json()["forms"]
    await keyring.erase(await customer_of(running, received))
    path = await link(running, received)
    for address in (path, f"{path}/reception.pdf"):
        for headers, said in ((ENGLISH, "Your data were erased as you asked"), (CHINESE, "已按您的要求删除")):
            answer = await visitor.get(address, headers=headers)
            assert (answer.status_code, said in answer.text) == (410, True)
    printed = words((await form(running, received, "reception", "advisor")).content)
    assert (NAME in printed, "已删除" in printed) == (False, True)
    assert (await running.get(f"/v1/work-orders/{received}/forms", "advisor")).json()["forms"] == before


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("size", [(1280, 800), (820, 1180)], ids=["desk", "tablet"])
async def test_the_page_of_forms_is_reached_from_the_work_order(
    look: Open, running: Running, received: str, language: str, size: tuple[int, int]
) -> None:
    page = await look(f"/work-orders/{received}", "advisor", language, size)
    await page.get_by_role("link", name={"en": "Printed forms", "zh-CN": "打印单据"}[language]).click()
    await page.wait_for_url(re.compile("/forms$"))
    assert await page.locator(".forms > li").count() == len(FORMS) - 1
    assert await serious(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role(
        "button", name={"en": "Open the customer's page", "zh-CN": "打开客户页面"}[language]
    ).click()
    await page.wait_for_url(re.compile("/copy/"))
    copies = await look(await link(running, received), "advisor", language, size)
    assert await serious(copies) == []

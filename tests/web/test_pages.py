"""What the pages say to whom, without a browser."""

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx2
import pytest
from jinja2 import nodes

from access.guard import SESSION_COOKIE
from access.roles import Role
from ops.walkthrough import SIGNATURE
from projections.web.cashier_pages import CHECK
from projections.web.i18n import environment
from tests.system import Running
from tests.web.conftest import dispatch, until_timeline_shows, walk

PAGE = {"Accept": "text/html", "Accept-Language": "en"}
CHINESE = {"Accept": "text/html", "Accept-Language": "zh-CN"}
OURS = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}


def as_(running: Running, role: str, site: str = "sh01") -> dict[str, str]:
    return {**PAGE, "Cookie": f"{SESSION_COOKIE}={running.token(role, site)}"}


@pytest.fixture
async def visitor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        yield client


async def sign_in(
    visitor: httpx2.AsyncClient, token: str, next: str = "/", **headers: str
) -> httpx2.Response:
    content = urlencode({"token": token, "next": next})
    return await visitor.post("/session", content=content, headers={**PAGE, **OURS, **headers})


async def test_nobody_is_sent_to_sign_in_and_back(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await visitor.get("/sites/sh01/board?as_of=3", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/sites/sh01/board%3Fas_of%3D3"


async def test_a_program_still_gets_a_problem_document(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await visitor.get("/sites/sh01/board", headers={"Accept-Language": "zh-CN"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["detail"] == "请先登录，或在 `Authorization: Bearer` 中提供令牌。"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_token_moves_into_a_cookie_no_script_reads(
    visitor: httpx2.AsyncClient, running: Running
) -> None:
    answer = await sign_in(visitor, running.token("advisor", "sh01"), "/sites/sh01/board")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sites/sh01/board")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(SESSION_COOKIE)
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))


async def test_a_bad_token_is_told_why(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await sign_in(visitor, "x.y.z", **{"Accept-Language": "zh-CN"})
    assert answer.status_code == 401
    assert "令牌格式不正确，请完整复制或重新登录。" in answer.text
    assert "set-cookie" not in answer.headers


async def test_nobody_else_signs_us_in_or_out(visitor: httpx2.AsyncClient, running: Running) -> None:
    token = running.token("advisor", "sh01")
    assert (await sign_in(visitor, token, **{"Sec-Fetch-Site": "cross-site"})).status_code == 403
    answer = await visitor.post("/sign-out", headers={**PAGE, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "x", ""]
)
async def test_signing_in_never_leads_away(visitor: httpx2.AsyncClient, running: Running, next: str) -> None:
    answer = await sign_in(visitor, running.token("advisor", "sh01"), next)
    assert answer.headers["location"] == "/"


async def test_signing_out_ends_the_session(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await visitor.post("/sign-out", headers={**as_(running, "advisor"), **OURS})
    assert answer.headers["location"] == "/sign-in"
    assert "max-age=0" in answer.headers["set-cookie"].lower()


async def test_everybody_starts_where_they_work(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await visitor.get("/", headers=as_(running, "advisor"))
    assert answer.headers["location"] == "/sites/sh01/board"
    for role in ("operator", "group_auditor"):
        answer = await visitor.get("/", headers=as_(running, role))
        assert answer.headers["location"] == "/status"
    answer = await visitor.get("/", headers=as_(running, "customer"))
    assert "Your role has no pages here" in answer.text
    assert (await visitor.get("/", headers=PAGE)).headers["location"] == "/sign-in"


async def test_a_chosen_language_stays(visitor: httpx2.AsyncClient, running: Running) -> None:
    answer = await visitor.get("/language/zh-CN?next=/complaints", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/complaints")
    assert "bayledger_language=zh-CN" in answer.headers["set-cookie"]
    assert (await visitor.get("/language/tlh", headers=PAGE)).status_code == 404


async def test_refusals_are_pages_in_both_languages(visitor: httpx2.AsyncClient, running: Running) -> None:
    for path, role, status, en, zh in (
        (
            "/nowhere",
            "advisor",
            404,
            "please compare the address and the id in it.",
            "请核对地址和其中的编号。",
        ),
        ("/sites/sh02/board", "advisor", 404, "Not found", "未找到"),
        ("/work-orders/none", "advisor", 404, "Not found", "未找到"),
        ("/complaints", "technician", 403, "Not for your role", "您的角色无权查看"),
        ("/sites/sh01/board?as_of=soon", "advisor", 422, "not a moment", "回看的时间无法识别。"),
        (
            "/sites/sh01/board?as_of=0001-01-01T00:00:00%2B14:00",
            "advisor",
            422,
            "not a moment",
            "回看的时间无法识别。",
        ),
    ):
        for headers, words in ((PAGE, en), (CHINESE, zh)):
            answer = await visitor.get(path, headers={**as_(running, role), **headers})
            assert (answer.status_code, words in answer.text) == (status, True), (path, words)
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.headers["content-security-policy"].startswith("default-src 'self'")


async def test_a_rule_speaks_the_language_of_whoever_broke_it(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    path = f"/reception/v1/visits/{received}/deliver"
    answer = await running.send(path, {}, "advisor", headers={"Accept-Language": "zh-CN"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "车辆尚未通过质检。")


async def test_what_people_type_is_text(visitor: httpx2.AsyncClient, running: Running, received: str) -> None:
    answer = await visitor.get(f"/work-orders/{received}", headers=as_(running, "advisor"))
    assert "&lt;b&gt;noise&lt;/b&gt;" in answer.text
    assert "<b>noise" not in answer.text


async def test_pages_bring_no_script_and_no_style_of_their_own(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    for path in ("/sites/sh01/board", f"/work-orders/{received}", "/visits/new", "/complaints", "/sign-in"):
        text = (await visitor.get(path, headers=as_(running, "advisor"))).text
        assert re.findall(r"<script(?![^>]* src=\"/static/)|<style| style=| on\w+=|https?://", text) == []


async def test_names_and_plates_are_for_those_who_need_them(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    for role, sees in (("advisor", True), ("parts_clerk", False), ("region_auditor", False)):
        answer = await visitor.get(f"/work-orders/{received}", headers=as_(running, role))
        assert ("沪A·12345" in answer.text) is sees, role
        assert "王伟" not in answer.text
        assert "13800138000" not in answer.text


async def test_a_board_as_it_was_known_does_not_move(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    board = await visitor.get("/sites/sh01/board", headers=as_(running, "advisor"))
    before = await visitor.get("/sites/sh01/board?as_of=2020-01-31T14:32", headers=as_(running, "advisor"))
    assert received in board.text
    assert received not in before.text
    assert "As it was known at 2020-01-31 14:32" in before.text
    assert "data-stream" not in before.text


async def test_people_are_offered_what_they_may_do(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    page, form = f"/work-orders/{received}", f"/workshop/v1/work-orders/{received}/dispatch"
    before = await visitor.get(page, headers=as_(running, "workshop_supervisor"))
    assert form not in before.text  # the workshop does not have the vehicle yet
    await dispatch(running, received)
    for role, offered in (("workshop_supervisor", True), ("inspector", False)):
        answer = await visitor.get(page, headers=as_(running, role))
        assert (form in answer.text) is offered, role


async def test_a_vehicle_is_handed_over_where_it_was_settled(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    await dispatch(running, received)
    visit = walk(running, received)
    await visit.work(Role.TECHNICIAN, "complete")
    await visit.checked()
    await until_timeline_shows(running, received, "reception.vehicle_readied.v1")
    ready = await visitor.get(f"/work-orders/{received}", headers=as_(running, "advisor"))
    assert f"/visits/{received}/settlement" in ready.text
    assert f"/visits/{received}/deliver" not in ready.text


async def test_a_general_manager_does_their_part_on_a_visits_pages_and_no_other(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    """R-58, R-81: takes part in the intake, and lets a vehicle go on credit."""
    at, headers = f"/visits/{received}", as_(running, "general_manager")

    async def offered(page: str) -> set[str]:
        answer = await visitor.get(page, headers=headers)
        assert answer.status_code == 200, page
        return set(re.findall(rf'action="/reception/v1{at}/([^"]+)"', answer.text))

    assert await offered(f"{at}/intake") == {"manager"}
    order = (await visitor.get(f"/work-orders/{received}", headers=headers)).text
    assert [f'href="{at}/{page}"' in order for page in ("intake", "settlement", "quote")] == [
        True,
        True,
        False,
    ]
    await dispatch(running, received)
    visit = walk(running, received)
    await visit.work(Role.TECHNICIAN, "complete")
    await visit.checked()
    await until_timeline_shows(running, received, "reception.vehicle_readied.v1")
    assert await offered(f"{at}/settlement") == set()
    await visit.visit(Role.ADVISOR, "delivery-check", dict.fromkeys(CHECK, True))
    bill = await visit.visit(Role.ADVISOR, "settlement")
    page = f"{at}/settlement?min_position={bill['position']}"
    assert await offered(page) == set()
    signed = await visit.visit(
        Role.ADVISOR, "settlement/signature", {"hash": bill["hash"], "signature": SIGNATURE}
    )
    page = f"{at}/settlement?min_position={signed['position']}"
    assert await offered(page) == {"credit"}


async def test_no_page_shows_a_method_for_what_is_in_a_document(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    """A dictionary has `keys` and `items` of its own."""
    await dispatch(running, received)
    order = f"/workshop/v1/work-orders/{received}"
    asked = await running.post(f"{order}/belongings", {"items": ["儿童座椅"]}, "technician")
    position = f"?min_position={asked['position']}"
    pages = [f"/visits/{received}/{page}" for page in ("intake", "quote", "settlement")]
    for page in (*pages, f"/work-orders/{received}", "/sites/sh01/team", "/sites/sh01/dispatch"):
        answer = await visitor.get(page + position, headers=as_(running, "department_manager"))
        assert (answer.status_code, "built-in method" in answer.text) == (200, False), page
    quote = await visitor.get(f"/visits/{received}/quote{position}", headers=as_(running, "advisor"))
    assert "1 keys" in quote.text

    templates = environment("en")
    for name in templates.list_templates():
        assert templates.loader is not None
        tree = templates.parse(templates.loader.get_source(templates, name)[0])
        called = {id(call.node) for call in tree.find_all(nodes.Call)}
        read = [each for each in tree.find_all(nodes.Getattr) if id(each) not in called]
        assert [(name, each.lineno, each.attr) for each in read if hasattr(dict, each.attr)] == []


async def test_a_screen_is_sent_cards_as_they_stand_on_its_board(
    visitor: httpx2.AsyncClient, running: Running, received: str
) -> None:
    headers = {**as_(running, "advisor"), **CHINESE}
    async with (
        asyncio.timeout(15),
        visitor.stream("GET", "/sites/sh01/board/stream", headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        while await anext(lines) != ": connected":
            pass
        await dispatch(running, received, "<i>A 组</i>")
        card = ""
        while not ("</li>" in card and received in card and "A 组" in card):
            line = await anext(lines)
            card = "" if line == "event: card" else card + line.removeprefix("data: ")
    assert 'data-column="in_work"' in card
    assert "维修中" in card
    assert "&lt;i&gt;A 组" in card
    board = await visitor.get("/sites/sh01/board", headers=headers)
    assert re.sub(r"\s", "", card[card.index("<li") :]) in re.sub(r"\s", "", board.text)

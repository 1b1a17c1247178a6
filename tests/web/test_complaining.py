"""A customer complains about a visit, through the link they were given (C-30)."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from access.signed_link import VALID
from tests.system import Running
from tests.web.test_progress import CANARY, CHINESE, ENGLISH, links, visitor

__all__ = ["visitor"]

SAID = {
    "subject": "repair_service",
    "customer_name": f"{CANARY} 李娜",
    "phone": "13900139000",
    "narrative": f"{CANARY}: the brakes still squeal.",
}


def a_visit() -> str:
    return uuid.uuid4().hex[:20]


async def link_for(running: Running, site: str = "sh01", visit: str = "") -> str:
    body = {"visit_id": visit or a_visit()}
    answer = await running.post("/customer-care/v1/links", body, "advisor", site)
    return str(answer["path"]).removeprefix("/complain/")


async def complain(visitor: httpx2.AsyncClient, link: str, key: str = "1", **said: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key, "Accept-Language": "en"}
    return await visitor.post(f"/customer-care/v1/links/{link}/complaint", json=SAID | said, headers=headers)


def id_in(answer: httpx2.Response) -> str:
    return str(answer.json()["path"]).split(".")[2]


async def test_a_customer_complains_and_sees_how_it_stands(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    """C-30."""
    visit = a_visit()
    answer = await complain(visitor, await link_for(running, visit=visit))
    assert answer.status_code == 201
    page = await visitor.get(
        answer.json()["path"], headers=ENGLISH, params={"min_position": answer.json()["position"]}
    )
    assert (page.status_code, "We received your complaint" in page.text) == (200, True)
    assert CANARY not in page.text

    timeline = (await running.get(f"/v1/complaints/{id_in(answer)}/timeline", "care_agent")).json()
    assert {name: timeline[name] for name in ("site", "visit_id", "channel", "severity", "subject")} == {
        "site": "sh01",
        "visit_id": visit,
        "channel": "website",
        "severity": "ordinary",
        "subject": "repair_service",
    }
    assert (timeline["entries"][0]["actor"], timeline["entries"][0]["role"]) == ("customer", "customer")
    assert CANARY not in str(timeline)


async def test_sent_twice_it_is_raised_once(running: Running, visitor: httpx2.AsyncClient) -> None:
    link = await link_for(running)
    answers = await asyncio.gather(*(complain(visitor, link) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["path"] for answer in answers}) == 1


async def test_a_link_raises_one_complaint(running: Running, visitor: httpx2.AsyncClient) -> None:
    link = await link_for(running)
    first = await complain(visitor, link)
    again = await complain(visitor, link, "2", narrative="and another thing")
    assert (first.status_code, again.status_code) == (201, 409)
    assert "already" in again.json()["detail"]


async def test_the_same_key_of_two_customers_is_two_complaints(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    """All customers are one actor."""
    answers = [await complain(visitor, await link_for(running)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({id_in(answer) for answer in answers}) == 2


async def test_the_site_is_the_links(running: Running, visitor: httpx2.AsyncClient) -> None:
    answer = await complain(visitor, await link_for(running, "sh02"))
    at = {"min_position": answer.json()["position"]}
    path = f"/v1/complaints/{id_in(answer)}/timeline"
    assert (await running.get(path, "care_agent", "sh02", **at)).status_code == 200
    assert (await running.get(path, "care_agent", "sh01", **at)).status_code == 404


@pytest.mark.parametrize("kind", ["progress", "complain"])
async def test_only_a_valid_link_of_its_kind_is_taken(
    running: Running, visitor: httpx2.AsyncClient, kind: str
) -> None:
    now, visit = datetime.now(UTC), a_visit()
    good, _ = links(running).make(kind, f"sh01.{visit}", now)
    old, _ = links(running).make("complain", f"sh01.{visit}", now - 2 * VALID)
    other = good.replace("sh01", "sh02")
    for link, form, posted in (
        *((bad, 404, 404) for bad in (good[:-1], other, "x")),
        (good, 200, 201) if kind == "complain" else (good, 404, 404),
        (old, 410, 410),
    ):
        assert (await visitor.get(f"/complain/{link}", headers=ENGLISH)).status_code == form, link
        assert (await complain(visitor, link)).status_code == posted, link


@pytest.mark.parametrize(
    "more",
    [
        {"severity": "major"},
        {"channel": "phone"},
        {"visit_id": "cd" * 10},
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"phone": "not a number"},
        {"narrative": ""},
        {"narrative": "x" * 20_001},
        {"subject": "weather"},
    ],
    ids=lambda more: next(iter(more)),
)
async def test_a_customer_says_what_happened_and_no_more(
    running: Running, visitor: httpx2.AsyncClient, more: dict[str, Any]
) -> None:
    assert (await complain(visitor, await link_for(running), **more)).status_code == 422


async def test_what_is_too_large_is_refused(running: Running, visitor: httpx2.AsyncClient) -> None:
    answer = await complain(visitor, await link_for(running), narrative="x" * 1_100_000)
    assert answer.status_code == 413


async def test_the_form_speaks_both_languages_and_knows_nothing(
    running: Running, visitor: httpx2.AsyncClient
) -> None:
    link = await link_for(running)
    for headers, words in ((ENGLISH, "Tell us what went wrong"), (CHINESE, "请告诉我们哪里没有做好")):
        page = await visitor.get(f"/complain/{link}", headers=headers)
        assert (page.status_code, words in page.text) == (200, True)
        assert page.headers["content-security-policy"].startswith("default-src 'self'")


async def test_a_link_is_given_by_those_who_may_raise_complaints_at_one_site(running: Running) -> None:
    for role, site, status in (
        ("advisor", "sh01", 200),
        ("care_agent", "sh01", 200),
        ("technician", "sh01", 403),
        ("advisor", "*", 403),
    ):
        answer = await running.send("/customer-care/v1/links", {"visit_id": a_visit()}, role, site)
        assert answer.status_code == status, (role, site)

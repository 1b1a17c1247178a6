"""Quote, signature and hand-over over HTTP; prices that everybody can read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.reception.rules import SHIPPED_PRICES
from tests.journeys.story import Visit
from tests.pictures import drawn
from tests.system import Running

RECEPTION = "/reception/v1"
PRICES_OF = "qd02"
"""A site whose prices no other test needs."""


def quote(**changed: Any) -> dict[str, Any]:
    lines = [
        {"operation": "BRAKES", "parts": [{"code": "BRAKE-PAD-F-OE"}]},
        {"operation": "OIL-FILTER", "parts": [{"code": "OIL-5W30", "quantity": "4.5"}]},
    ]
    return {"lines": lines, "payment_method": "wechat", "old_parts": "return"} | changed


async def test_from_the_quote_to_the_workshop(running: Running) -> None:
    """R-48 … R-52, R-57, W-04: quoted, signed as it stands, and not handed over before it was looked at."""
    visit = await Visit(running).received()
    at = f"{RECEPTION}/visits/{visit.id}"
    first = await running.post(f"{at}/quote", quote(queue_minutes=60), "advisor")
    second = await running.post(f"{at}/quote", quote(queue_minutes=120, total_fen=128_600), "advisor")
    assert second["hash"] != first["hash"]
    stale = await running.send(f"{at}/sign", {"hash": first["hash"], "signature": drawn()}, "advisor")
    assert stale.status_code == 409
    assert stale.json()["detail"].startswith("This is not the current quote")
    unsigned = await running.send(f"{at}/sign", {"hash": second["hash"]}, "advisor")
    assert (unsigned.status_code, unsigned.json()["detail"]) == (
        409,
        "Who is here signs: the signature is missing.",
    )
    early = await running.send(f"{at}/hand-over", {"keys": 2}, "advisor")
    assert (early.status_code, early.json()["detail"]) == (
        409,
        "The customer has not signed the current quote yet.",
    )
    signed = await running.post(f"{at}/sign", {"hash": second["hash"], "signature": drawn()}, "advisor")
    assert signed["events"][0]["type"] == "reception.work_order_signed.v1"
    await running.post(f"{at}/copies", {}, "advisor")
    unseen = await running.send(f"{at}/hand-over", {"keys": 2}, "advisor")
    assert (unseen.status_code, unseen.json()["detail"]) == (
        409,
        "The customer has not signed the current walk-around yet.",
    )


async def test_a_total_that_does_not_add_up_is_refused_with_the_sum(running: Running) -> None:
    """R-48."""
    visit = await Visit(running).received()
    wrong = await running.send(f"{RECEPTION}/visits/{visit.id}/quote", quote(total_fen=128_601), "advisor")
    assert (wrong.status_code, wrong.json()["detail"]) == (
        409,
        "Labour 300.00 and parts 986.00 less discounts 0.00 are 1286.00, not 1286.01.",
    )


@pytest.mark.parametrize(
    "line",
    [
        {"operation": "BRAKES", "parts": [{"code": "OIL-5W30", "quantity": 4.5}]},
        {"operation": "BRAKES", "parts": [{"code": "OIL-5W30", "quantity": "0"}]},
        {"operation": "BRAKES", "labour_fen": "20000"},
        {"operation": "BRAKES", "parts": [{"code": "OIL-5W30", "origin": "unknown"}]},
        {"description": "x", "labour_minutes": -1},
    ],
)
async def test_a_line_that_means_nothing_is_malformed(running: Running, line: dict[str, Any]) -> None:
    body = quote(lines=[line])
    answer = await running.send(f"{RECEPTION}/visits/{'0' * 20}/quote", body, "advisor")
    assert answer.status_code == 422


async def test_who_agreed_by_phone_is_sealed(running: Running) -> None:
    """R-52, X-01: nobody's name is in the log in clear."""
    visit = await Visit(running).received()
    at = f"{RECEPTION}/visits/{visit.id}"
    issued = await running.post(f"{at}/quote", quote(), "advisor")
    body = {"hash": issued["hash"], "channel": "phone", "answered_by": "王太太 his wife"}
    visit.position = (await running.post(f"{at}/sign", body, "advisor"))["position"]
    assert "reception.work_order_signed.v1" in await visit.events()
    assert "王太太" not in str(await visit.timeline())
    log = await running.get(f"{RECEPTION}/log", "group_auditor", "*", limit=1000)
    assert visit.id in log.text
    assert "王太太" not in log.text


async def test_prices_are_published_and_public(running: Running) -> None:
    """R-59, X-10, X-18: anybody reads what holds and what was announced."""
    effective = datetime.now(UTC) + timedelta(days=30)
    changed = {"version": 2, "effective": effective.isoformat(), "labour_hour_fen": {"mechatronic": 21_000}}
    body = {"price_list": SHIPPED_PRICES[0].model_dump(mode="json") | changed}
    published = await running.send(f"{RECEPTION}/price-list", body, "department_manager", PRICES_OF)
    assert published.status_code == 201, published.text
    twice = await running.send(f"{RECEPTION}/price-list", body, "department_manager", PRICES_OF)
    assert (twice.status_code, twice.json()["detail"]) == (409, "The next version is 3.")
    seen = (await running.client.get(f"{RECEPTION}/prices/{PRICES_OF}")).json()
    assert seen["now"]["version"] == 1
    assert [each["labour_hour_fen"] for each in seen["announced"]] == [{"mechatronic": 21_000}]
    staff = (await running.get(f"{RECEPTION}/price-list", "technician", PRICES_OF)).json()
    assert [each["version"] for each in staff["price_lists"]] == [1, 2]
    rules = (await running.get(f"{RECEPTION}/rules", "advisor", PRICES_OF)).json()
    assert [each["manager_from_fen"] for each in rules["rules"]] == [1_000_000]


async def test_prices_that_cannot_be_stored_are_refused(running: Running) -> None:
    price_list = SHIPPED_PRICES[0].model_dump(mode="json") | {"version": 2}
    price_list["operations"][0]["name"] = "oil\0filter"
    body = {"price_list": price_list}
    answer = await running.send(f"{RECEPTION}/price-list", body, "department_manager", PRICES_OF)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sign", {"hash": "1" * 64}),
        ("repairs/2/approve", {"hash": "1" * 64}),
        ("repairs/2/decline", {"hash": "1" * 64, "reason": "later"}),
        ("delays/1/told", {"promised_at": "2026-03-02T09:00:00Z"}),
        ("belongings/consent", {"items": ["golf bag"]}),
        ("delivery", {"deliver_at": "2026-03-02T09:00:00Z"}),
    ],
)
async def test_only_who_holds_a_link_answers_by_it(running: Running, path: str, body: dict[str, Any]) -> None:
    """R-63: nobody at the desk leaves out by it who in the workshop was told."""
    at = f"{RECEPTION}/visits/{'0' * 20}/{path}"
    by_link = await running.send(at, body | {"channel": "signed_link"}, "advisor")
    assert by_link.status_code == 422
    assert "channel" in by_link.text
    by_phone = await running.send(at, body | {"channel": "phone"}, "advisor")
    assert by_phone.status_code == 404


async def test_it_is_on_record_who_asked_the_customer_and_how(running: Running) -> None:
    """K-13: whoever it was, with the channel."""
    visit = await (await Visit(running).received()).dispatched()
    await visit.repair_added(line=2)
    await visit.answered(2, "approve", channel="message")
    [entry] = [
        entry
        for entry in (await visit.timeline())["entries"]
        if entry["event"] == "reception.repair_approved.v1"
    ]
    assert (entry["actor"], entry["role"], entry["data"]["channel"]) == ("advisor-sh01", "advisor", "message")

"""Rules and calendars over HTTP: read, tried out, published; what makes no sense changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from services.customer_care.rulebook import SHIPPED
from services.reception.rules import SHIPPED_PRICES, SHIPPED_RULES
from services.workshop.rules import SHIPPED as WORKSHOP_RULES
from tests.journeys.story import eventually
from tests.system import Running

SITE = "qd01"
CARE = "/customer-care/v1"


def book(**change: Any) -> dict[str, Any]:
    effective = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = {"version": 2, "effective": effective}
    return {"rulebook": SHIPPED.rulebooks[0].model_dump(mode="json") | later | change}


def hours(**change: Any) -> dict[str, Any]:
    effective = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = {"version": 2, "effective": effective}
    return {"calendar": SHIPPED.calendars[0].model_dump(mode="json") | later | change}


async def versions(running: Running, of: str) -> list[int]:
    rules = (await running.get(f"{CARE}/rules", "care_agent", SITE)).json()
    return [each["version"] for each in rules[of]]


async def test_a_new_version_is_tried_out_then_published_for_its_site(running: Running) -> None:
    """X-14."""
    tried = await running.send(f"{CARE}/rulebook/simulate", book(), "care_manager", SITE)
    assert (tried.status_code, tried.json()) == (200, {"complaints": 0, "differences": []})
    assert await versions(running, "rulebooks") == [1]
    published = await running.send(f"{CARE}/rulebook", book(), "care_manager", SITE)
    assert published.status_code == 201, published.text
    assert await versions(running, "rulebooks") == [1, 2]
    again = await running.send(f"{CARE}/rulebook", book(), "general_manager", SITE)
    assert (again.status_code, again.json()["detail"]) == (409, "The next version is 3.")
    assert (await running.get(f"{CARE}/rules", "care_agent", "sh01")).json()["rulebooks"][-1]["version"] == 1


RULES = {
    "reception/v1/rules": ("rules", SHIPPED_RULES[0]),
    "reception/v1/price-list": ("price_list", SHIPPED_PRICES[0]),
    "workshop/v1/rules": ("rules", WORKSHOP_RULES[0]),
    "customer-care/v1/rulebook": ("rulebook", SHIPPED.rulebooks[0]),
    "customer-care/v1/calendar": ("calendar", SHIPPED.calendars[0]),
}


@pytest.mark.parametrize("path", RULES)
async def test_who_runs_several_sites_publishes_for_the_one_they_name(running: Running, path: str) -> None:
    """X-05, X-15: nowhere else, and for none without its name."""
    name, shipped = RULES[path]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {name: shipped.model_dump(mode="json") | {"version": 2, "effective": tomorrow}}

    async def publish(site: str | None) -> int:
        of = {"site": site} if site else {}
        return (await running.send(f"/{path}", body | of, "general_manager", "qd05,qd06")).status_code

    assert [await publish(site) for site in (None, "sh01", "qd06")] == [403, 404, 201]
    headers = {"Authorization": f"Bearer {running.token('general_manager', 'qd05,qd06')}"}
    read = path.replace("rulebook", "rules").replace("calendar", "rules")

    async def asked(site: str) -> httpx2.Response:
        return await running.client.get(f"/{read}", params={"site": site}, headers=headers)

    for site, count in (("qd05", 1), ("qd06", 2)):
        found = (await asked(site)).json()
        assert len(found.get(f"{name}s", found.get("rules"))) == count
    assert (await asked("sh01")).status_code == 404


async def test_a_version_that_would_change_the_past_is_refused(running: Running) -> None:
    past = hours(effective="2026-01-01T00:00:00Z")
    answer = await running.send(f"{CARE}/calendar", past, "care_manager", SITE)
    assert answer.status_code == 409
    assert answer.json()["detail"] == "A new version holds from now on at the earliest."


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        (
            "rulebook",
            book(rules=[{"id": "X", "step": "first_contact", "severities": ["urgent"]}]),
            "severities",
        ),
        ("rulebook", book(rules=[]), "rules"),
        ("rulebook", book(rules=[{"id": "X", "step": "first_contact", "minuets": 5}]), "minuets"),
        ("rulebook", book(ladder=[{"level": "region", "minutes": -1}]), "minutes"),
        ("calendar", hours(week=[[]] * 7, days={}), "working hours"),
        ("calendar", hours(week=[[]] * 6), "week"),
        ("calendar", hours(zone="Mars/Olympus"), "zone"),
        ("calendar", hours(days={"2026-02-30": []}), "2026-02-30"),
    ],
)
async def test_what_makes_no_sense_is_answered_with_its_place_and_changes_nothing(
    running: Running, path: str, body: dict[str, Any], where: str
) -> None:
    before = await versions(running, f"{path}s")
    answer = await running.send(f"{CARE}/{path}", body, "care_manager", SITE)
    assert answer.status_code == 422, answer.text
    assert where in answer.text
    assert await versions(running, f"{path}s") == before


async def test_a_simulation_looks_at_a_quarter_and_no_more(running: Running) -> None:
    body = {"since": "2026-01-01T00:00:00Z", "until": "2026-09-01T00:00:00Z"}
    answer = await running.send(f"{CARE}/rulebook/simulate", body, "care_manager", SITE)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "A simulation looks at 100 days at most."


async def test_a_simulation_says_what_would_have_been_otherwise(running: Running) -> None:
    raised = {
        "channel": "phone",
        "subject": "other",
        "severity": "ordinary",
        "customer_name": "王",
        "phone": "13900000001",
        "narrative": "𠮷野家 🚗 等了两个小时",
    }
    site = "qd02"
    complaint = await running.post(f"{CARE}/complaints", raised, "care_agent", site)
    rules = [{"id": "C-20", "step": "handed_over", "minutes": 10}]
    answer = await running.send(f"{CARE}/rulebook/simulate", book(rules=rules), "care_manager", site)
    found = {each["rule"]: each for each in answer.json()["differences"]}
    assert {each["complaint_id"] for each in found.values()} == {complaint["id"]}
    assert found["C-20"]["actual"]["outcome"] == found["C-20"]["simulated"]["outcome"] == "pending"
    assert found["C-20"]["simulated"]["due_at"] < found["C-20"]["actual"]["due_at"]
    assert found["C-22.contact"]["simulated"] is None


async def test_a_simulation_of_no_year_of_ours_is_refused(running: Running) -> None:
    body = {"until": "0001-01-01T00:00:00Z"}
    answer = await running.send(f"{CARE}/rulebook/simulate", body, "care_manager", SITE)
    assert answer.status_code == 422, answer.text


async def test_a_step_without_words_goes_on_after_an_erasure(running: Running) -> None:
    raised = {
        "channel": "phone",
        "subject": "other",
        "severity": "ordinary",
        "customer_name": "王",
        "phone": "13900000077",
        "narrative": "x",
    }
    site = "qd03"
    complaint = await running.post(f"{CARE}/complaints", raised, "care_agent", site)
    path = f"{CARE}/complaints/{complaint['id']}"
    await running.post(f"{path}/contact", {"outcome": "reached"}, "care_agent", site)
    await running.post(f"{path}/resolve", {"resolution": "apology"}, "care_manager", site)
    timeline = f"/v1/complaints/{complaint['id']}/timeline"
    read = await running.get(timeline, "care_agent", site, min_position=complaint["position"])
    await running.post(f"{CARE}/subjects/{read.json()['customer']}/erase", {}, "care_manager", site)

    async def erased() -> bool:
        opinion = {"outcome": "not_reached", "opinion": "x"}
        return (await running.send(f"{path}/call-back", opinion, "care_agent", site)).status_code == 409

    await eventually(erased)
    silent = await running.send(f"{path}/call-back", {"outcome": "accepted"}, "care_agent", site)
    assert silent.status_code == 201, silent.text

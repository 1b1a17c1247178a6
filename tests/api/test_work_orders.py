"""The workshop over HTTP: who gives work, who may do it, and by which rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.workshop.rules import SHIPPED
from tests.journeys.story import Visit
from tests.system import Running


def paths(visit: Visit) -> str:
    return f"/workshop/v1/work-orders/{visit.id}"


def new_rules(**change: Any) -> dict[str, Any]:
    effective = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {"rules": SHIPPED[0].model_dump(mode="json") | {"version": 2, "effective": effective} | change}


async def told(visit: Visit, event: str) -> dict[str, Any]:
    """The fields of the last event of a kind."""
    entries = (await visit.timeline())["entries"]
    return dict([each["data"] for each in entries if each["event"] == f"workshop.{event}.v1"][-1])


async def test_a_vehicle_that_was_not_handed_over_is_given_to_nobody(running: Running) -> None:
    """W-04."""
    visit = await Visit(running).received()
    answer = await running.send(f"{paths(visit)}/dispatch", {"team": "A 组"}, "workshop_supervisor")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "The vehicle has not been handed over to the workshop yet.",
    )


async def test_an_advisor_gives_work_to_the_own_team_the_director_to_any(running: Running) -> None:
    """W-20, K-12: who it is, the token says."""
    for role, mode in (("advisor", "own_team"), ("workshop_supervisor", "to_team")):
        visit = await (await Visit(running).received()).handed_over()
        given = await running.post(f"{paths(visit)}/dispatch", {"team": "A 组"}, role)
        visit.position = given["position"]
        assert (await told(visit, "work_dispatched"))["mode"] == mode


async def test_who_is_urgent_is_dispatched_before_who_came_earlier(running: Running) -> None:
    """W-03, W-05."""
    first = await (await Visit(running, "wx01").received()).handed_over()
    second = await (await Visit(running, "wx01").received()).handed_over()
    await running.post(f"{paths(first)}/priority", {"priority": "urgent"}, "workshop_supervisor", "wx01")
    for visit, out_of_order in ((second, True), (first, False)):
        given = await running.post(
            f"{paths(visit)}/dispatch", {"team": "A 组"}, "workshop_supervisor", "wx01"
        )
        visit.position = given["position"]
        assert (await told(visit, "work_dispatched"))["out_of_order"] is out_of_order


async def test_a_vehicle_goes_through_the_workshop(running: Running) -> None:
    """W-07 … W-19."""
    visit = await (await Visit(running).received()).dispatched()
    line_1 = {"line": 1, "code": "OIL", "name": "机油", "quantity": "4.5"}
    steps: list[tuple[str, str, dict[str, Any], str]] = [
        (
            "technician",
            "accept",
            {"fault_confirmed": True, "tools_checked": True},
            "vehicle_accepted_by_team",
        ),
        ("technician", "lines/1/start", {}, "line_started"),
        ("technician", "parts/await", {"line": 1, "parts": ["OIL"]}, "parts_awaited"),
        ("parts_clerk", "parts/pick", {"parts": [line_1], "technician": "technician-sh01"}, "parts_picked"),
        ("technician", "belongings", {"items": ["儿童座椅"]}, "belongings_in_the_way"),
        ("technician", "delay", {"minutes": 10, "cause": "parts", "explanation": "等机油"}, "delay_reported"),
        ("technician", "progress", {"done_at": "2026-03-02T08:00:00Z"}, "progress_recorded"),
        ("technician", "lines/1/complete", {}, "line_completed"),
        ("technician", "complete", {}, "repair_completed"),
        ("inspector", "test-drive", {"passed": False, "remarks": "异响"}, "test_drive_recorded"),
        ("inspector", "quality/fail", {"cause": "异响"}, "quality_failed"),
        ("workshop_supervisor", "rework", {}, "rework_ordered"),
        (
            "workshop_supervisor",
            "rework/cost",
            {"rework": 1, "cost_fen": 999, "leader": "sun", "responsible": "zhao"},
            "rework_cost_split",
        ),
        ("technician", "complete", {}, "repair_completed"),
        ("inspector", "test-drive", {"passed": True}, "test_drive_recorded"),
        ("inspector", "quality/pass", {}, "quality_passed"),
        ("technician", "wash", {}, "vehicle_washed"),
        ("workshop_supervisor", "hand-back", {"parking_place": "B12"}, "vehicle_returned"),
    ]
    for role, step, body, event in steps:
        answer = await running.send(f"{paths(visit)}/{step}", body, role)
        recorded = [each["type"] for each in answer.json().get("events", [])]
        assert (answer.status_code, f"workshop.{event}.v1" in recorded) == (201, True), (step, answer.text)
        visit.position = answer.json()["position"]
    assert (await told(visit, "rework_ordered"))["cause"] == "异响"
    assert [each["amount_fen"] for each in (await told(visit, "rework_cost_split"))["shares"]] == [200, 799]


async def test_a_technician_who_is_registered_works_in_their_trade(running: Running) -> None:
    """W-30."""
    site = "wx02"
    licence = {"person": "technician", "trade": "body_paint", "test_percent": 89, "valid_until": "2099-12-31"}
    refused = await running.send("/workshop/v1/licences", licence, "department_manager", site)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "A licence takes 90 percent in the practical test, not 89.",
    )
    visit = await (await Visit(running, site).received()).dispatched()
    ready = {"fault_confirmed": True, "tools_checked": True}
    await running.post(f"{paths(visit)}/accept", ready, "technician", site)
    started = await running.post(f"{paths(visit)}/lines/1/start", {}, "technician", site)
    visit.position = started["position"]
    person = (await told(visit, "line_started"))["technician"]
    await running.post(
        "/workshop/v1/licences", licence | {"person": person, "test_percent": 90}, "department_manager", site
    )
    other = await (await Visit(running, site).received()).dispatched()
    await running.post(f"{paths(other)}/accept", ready, "technician", site)
    answer = await running.send(f"{paths(other)}/lines/1/start", {}, "technician", site)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"{person[:1].upper()}{person[1:]} has no licence for mechatronic work.",
    )


async def test_a_find_is_mechatronic_work_unless_somebody_says_otherwise(running: Running) -> None:
    """W-30: or nobody would be asked for a licence."""
    find = {"description": "前刹车片", "price_fen": 1, "delay_minutes": 1}
    for said, trade in (({}, "mechatronic"), ({"trade": "body_paint"}, "body_paint")):
        visit = await (await Visit(running).received()).dispatched()
        found = await running.post(f"{paths(visit)}/repairs", find | said, "technician")
        visit.position = found["position"]
        assert (await told(visit, "repair_added"))["trade"] == trade


async def test_rules_of_the_workshop_are_published_for_their_site(running: Running) -> None:
    """X-14, X-15."""
    published = await running.send(
        "/workshop/v1/rules", new_rules(alarm_percent=90), "department_manager", "wx03"
    )
    assert published.status_code == 201, published.text
    found = (await running.get("/workshop/v1/rules", "technician", "wx03")).json()
    assert [(each["version"], each["alarm_percent"]) for each in found["rules"]] == [(1, 80), (2, 90)]
    elsewhere = (await running.get("/workshop/v1/rules", "technician", "wx04")).json()
    assert len(elsewhere["rules"]) == 1
    again = await running.send("/workshop/v1/rules", new_rules(), "department_manager", "wx03")
    assert (again.status_code, again.json()["detail"]) == (409, "The next version is 3.")
    senseless = await running.send(
        "/workshop/v1/rules", new_rules(check_percent=90, alarm_percent=80), "department_manager", "wx03"
    )
    assert senseless.status_code == 422
    everywhere = await running.get("/workshop/v1/rules", "region_auditor", "*")
    assert everywhere.status_code == 403

"""A customer who is dissatisfied, and what becomes of it."""

from typing import Any

from tests.system import Running

RAISED = {
    "channel": "phone",
    "subject": "repair_service",
    "severity": "major",
    "customer_name": "李雷",
    "phone": "13900001111",
    "narrative": "等了两个小时还没有人告诉我进度。\nNobody told me anything.",
}


async def test_a_complaint_is_raised_answered_and_resolved(running: Running) -> None:
    """C-32."""
    complaint = (await running.post("/customer-care/v1/complaints", RAISED, "care_agent"))["id"]
    path = f"/customer-care/v1/complaints/{complaint}"
    refused = await running.send(f"{path}/resolve", {"resolution": "apology"}, "care_manager")
    assert (refused.status_code, refused.json()["detail"]) == (409, "The customer has not been reached yet.")

    for outcome in ("not_reached", "reached"):
        tried = await running.post(f"{path}/contact", {"channel": "phone", "outcome": outcome}, "care_agent")
    before = (await _timeline(running, complaint, "care_agent", tried["position"]))["position"]
    resolved = await running.post(f"{path}/resolve", {"resolution": "apology"}, "care_manager")

    timeline = await _timeline(running, complaint, "care_agent", resolved["position"])
    assert (
        timeline.items()
        >= {
            "status": "resolved",
            "resolution": "apology",
            "attempts": 2,
            "severity": "major",
            "customer_name": None,
            "customer_name_hidden": True,
            "narrative_hidden": True,
        }.items()
    )
    happened = [entry["event"].split(".")[1] for entry in timeline["entries"]]
    assert [event for event in happened if not event.startswith(("deadline_", "escalated"))] == [
        "complaint_raised",
        "customer_contacted",
        "customer_contacted",
        "complaint_resolved",
    ]
    kept = {each["step"]: each["outcome"] for each in timeline["deadlines"].values()}
    assert kept.items() >= {"first_contact": "met", "agreement": "met", "handed_over": "pending"}.items()
    assert "李雷" not in str(timeline)
    then = await _timeline(running, complaint, "care_agent", as_of=before)
    assert then["status"] == "contacted"


async def test_personal_words_are_shown_on_request_with_a_reason(running: Running) -> None:
    raised = await running.post("/customer-care/v1/complaints", RAISED, "care_agent")
    await _timeline(running, raised["id"], "care_agent", raised["position"])
    path = f"/v1/complaints/{raised['id']}/reveal"
    clear = await running.send(path, {"reason": "calling the customer back"}, "care_agent")
    assert clear.json() == {name: RAISED[name] for name in ("customer_name", "phone", "narrative")}
    without = await running.send(path, {"reason": "  "}, "care_agent")
    assert without.status_code == 422


async def test_complaints_are_listed_latest_first_in_pages(running: Running) -> None:
    site, ids = "pages", []
    for _ in range(5):
        raised = await running.post("/customer-care/v1/complaints", RAISED, "care_agent", site)
        ids.append(raised["id"])
    await _timeline(running, raised["id"], "care_agent", raised["position"], site)
    listed: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        given = {"next": page["next"]} if page["next"] else {}
        page = (await running.get("/v1/complaints", "care_agent", site, limit=2, **given)).json()
        assert len(page["complaints"]) <= 2
        listed += [complaint["complaint_id"] for complaint in page["complaints"]]
        if page["next"] is None:
            break
    assert listed == ids[::-1]


async def test_a_timeline_is_read_in_pages(running: Running) -> None:
    raised = await running.post("/customer-care/v1/complaints", RAISED, "care_agent")
    path = f"/customer-care/v1/complaints/{raised['id']}/contact"
    for _ in range(4):
        tried = await running.post(path, {"channel": "phone", "outcome": "not_reached"}, "care_agent")
    whole = await _timeline(running, raised["id"], "care_agent", tried["position"])
    assert whole["next"] is None
    page = await _timeline(running, raised["id"], "care_agent", limit=4)
    pages = [page["entries"]]
    while page["next"]:
        page = await _timeline(running, raised["id"], "care_agent", limit=4, next=page["next"])
        pages.append(page["entries"])
    assert len(pages) > 2
    assert all(len(entries) == 4 for entries in pages[:-1])
    assert [entry for entries in reversed(pages) for entry in entries] == whole["entries"]
    assert sum("contacted" in entry["event"] for entry in whole["entries"]) == 4
    assert page["attempts"] == 4, "where it stands is on every page"


async def _timeline(
    running: Running, id: str, role: str, min_position: str = "0", site: str = "sh01", **params: Any
) -> dict[str, Any]:
    answer = await running.get(
        f"/v1/complaints/{id}/timeline", role, site, min_position=min_position, **params
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_who_works_at_several_sites_takes_each_complaint_on_where_it_is(running: Running) -> None:
    """C-27, C-40: the general manager of three sites signs and decides at each of them, and nowhere else."""
    everywhere = "sh03,sh04,sh05"
    for site in everywhere.split(","):
        raised = await running.post("/customer-care/v1/complaints", RAISED, "care_agent", site)
        path = f"/customer-care/v1/complaints/{raised['id']}"
        await running.post(f"{path}/contact", {"outcome": "reached"}, "care_agent", site)
        planned = await running.post(f"{path}/plan", {"plan": "修"}, "general_manager", everywhere)
        await running.post(f"{path}/carry-out", {}, "general_manager", everywhere)
        await running.post(f"{path}/call-back", {"outcome": "accepted"}, "care_manager", site)
        signed = await running.post(f"{path}/sign-off", {}, "general_manager", everywhere)
        assert signed["version"] > planned["version"]
        timeline = await _timeline(running, raised["id"], "region_auditor", signed["position"], site)
        assert (timeline["site"], timeline["status"]) == (site, "signed_off")
        link = await running.send(f"{path}/link", {}, "general_manager", everywhere)
        assert link.status_code == 200


async def test_another_sites_complaint_is_answered_like_a_missing_one(running: Running) -> None:
    raised = await running.post("/customer-care/v1/complaints", RAISED, "care_agent", "sh06")
    for step, body in (("sign-off", {}), ("plan", {"plan": "修"}), ("link", {})):
        answers = [
            await running.send(
                f"/customer-care/v1/complaints/{id}/{step}", body, "general_manager", "sh03,sh04"
            )
            for id in (raised["id"], "0" * 20)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert len({answer.json()["detail"] for answer in answers}) == 1

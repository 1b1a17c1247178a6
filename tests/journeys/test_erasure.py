"""A person asks to be forgotten: nothing is rewritten, and nobody can read their values any more."""

import asyncio
import subprocess
import sys
from typing import Any

from tests.journeys.story import Visit, eventually
from tests.journeys.test_board_stream import cards, watching
from tests.system import Running

RAISED = {
    "channel": "phone",
    "subject": "repair_service",
    "severity": "ordinary",
    "customer_name": "王小明",
    "narrative": "等了两个小时还没有人告诉我进度。",
}


async def test_an_erased_person_is_unreadable_everywhere(running: Running) -> None:
    visit = await (await Visit(running).received()).dispatched()
    before = await visit.work_order()
    subject = before["customer"]
    assert before["plate"] == visit.plate
    raised = await running.post("/customer-care/v1/complaints", RAISED | {"phone": visit.phone}, "care_agent")
    complaint = f"/v1/complaints/{raised['id']}"
    about = (
        await _get(running, f"{complaint}/timeline", "care_agent", min_position=raised["position"])
    ).json()
    assert about["customer"] == subject  # known by the phone number

    erased = await running.post(f"/customer-care/v1/subjects/{subject}/erase", {}, "care_manager")
    assert [event["type"] for event in erased["events"]] == ["customer_care.subject_erased.v1"]
    again = await running.send(f"/customer-care/v1/subjects/{subject}/erase", {}, "care_manager")
    assert (again.status_code, again.json()["events"]) == (200, [])

    await eventually(lambda: _is_erased(visit))
    card = await visit.card()
    order = await visit.work_order()
    then = await visit.work_order(as_of=before["position"])
    timeline = await visit.timeline()
    for document in (card, order, then, timeline["entries"][0]["data"]):
        assert (document["plate"], document["plate_erased"]) == (None, True)
    for path in (f"/v1/work-orders/{visit.id}/reveal", f"{complaint}/reveal"):
        revealed = await running.send(path, {"reason": "calling the customer"}, "care_manager")
        assert set(revealed.json().values()) == {None}

    log = await running.get("/v1/log", "integrator", "sh01", limit=1000, after=int(before["position"]) - 20)
    shown = [str(each) for each in (card, order, then, timeline)] + [log.text]
    for personal in (visit.plate, visit.phone, "王小明"):
        assert not any(personal in each for each in shown)

    since = {"Last-Event-ID": str(max(0, int(before["position"]) - 20))}
    async with asyncio.timeout(20), watching(running, **since) as lines:
        everything = await cards(lines, visit, card["last_event"])
    assert visit.plate not in str(everything)

    verified = await asyncio.to_thread(_verify, running)
    assert verified.returncode == 0, verified.stderr
    another = await Visit(running).received(phone=visit.phone)
    assert (await another.work_order())["customer"] != subject
    assert (await another.card())["plate"] == another.plate


async def _is_erased(visit: Visit) -> Any:
    """Keys are remembered for some seconds after an erasure elsewhere."""
    return (await visit.work_order()).get("plate_erased")


async def _get(running: Running, path: str, role: str, **params: Any) -> Any:
    answer = await running.get(path, role, **params)
    assert answer.status_code == 200, answer.text
    return answer


def _verify(running: Running) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ops", "verify", "--data", str(running.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)

"""A vehicle's way through the house, on real servers."""

from datetime import UTC, datetime
from typing import Any

from tests.journeys.story import Visit
from tests.system import Running

SERVICES = ("reception", "workshop")


async def test_a_visit_with_an_added_repair_and_a_rework(running: Running) -> None:
    visit = await Visit(running).received()
    assert (await visit.card()).items() >= {
        "column": "waiting",
        "waits_for": "advisor",
        "plate": visit.plate,
        "symptoms": ["刹车异响 brakes squeal"],
        "vin_check_digit": "mismatch",
    }.items()

    await visit.dispatched()
    assert await _stands(visit) == ("in_work", "technician")

    await visit.repair_added(line=2)
    assert await _stands(visit) == ("waiting_for_customer", "customer")
    too_early = await running.send(f"/workshop/v1/work-orders/{visit.id}/complete", {}, "technician")
    assert too_early.status_code == 409
    assert too_early.json()["detail"] == "The customer has not answered for line 2 yet."

    await visit.answered(2, "approve", channel="phone")
    assert await _stands(visit) == ("in_work", "technician")
    [line] = (await visit.card())["lines"]
    assert line["state"] == "released"

    await visit.work("complete")
    assert await _stands(visit) == ("in_check", "inspector")
    await visit.work("quality/fail", {"cause": "仍有异响 still noisy"})
    assert await _stands(visit) == ("in_check", "supervisor")
    await visit.work("rework")
    assert await _stands(visit) == ("in_work", "technician")
    await visit.work("complete")
    await visit.passed()
    assert await _stands(visit) == ("ready", "advisor")
    await visit.delivered()
    assert await _stands(visit) == ("delivered", "nobody")
    assert (await visit.card())["reworks"] == 1

    events = await visit.events()
    of = {service: [e.split(".")[1] for e in events if e.startswith(service)] for service in SERVICES}
    assert of["reception"] == [
        *("vehicle_received", "walk_around_recorded", "walk_around_signed"),
        *("quote_issued", "work_order_signed", "vehicle_handed_to_workshop"),
        *("approval_requested", "repair_approved", "vehicle_readied"),
        *("delivery_check_passed", "settlement_prepared", "gate_pass_prepared", "settlement_signed"),
        *("payment_received", "gate_pass_released", "vehicle_delivered"),
    ]
    assert [each for each in of["workshop"] if each != "progress_watch_set"] == [
        *("work_order_opened", "work_authorised", "vehicle_taken_in", "work_dispatched"),
        *("repair_added", "repair_released"),
        *("line_completed", "line_completed", "repair_completed"),
        *("quality_failed", "rework_ordered", "repair_completed"),
        *("test_drive_recorded", "quality_passed", "work_order_closed"),
    ]
    entries = (await visit.timeline())["entries"]
    ids = {entry["id"] for entry in entries}
    assert all(entry["causation_id"] in ids for entry in entries if entry["role"] == "policy")


async def test_a_declined_repair_is_dropped_and_the_answer_is_final(running: Running) -> None:
    visit = await (await Visit(running).received()).dispatched()
    await visit.repair_added(line=2)
    await visit.repair_added(line=3)
    await visit.answered(2, "decline", channel="in_person", reason="too_expensive")
    assert await _stands(visit) == ("waiting_for_customer", "customer")
    await visit.answered(3, "decline", channel="message", reason="later")
    assert await _stands(visit) == ("in_work", "technician")
    assert [line["state"] for line in (await visit.card())["lines"]] == ["dropped", "dropped"]

    path = f"/reception/v1/visits/{visit.id}/repairs/2/approve"
    again = await running.send(path, {}, "advisor")
    assert (again.status_code, again.json()["detail"]) == (409, "Line 2 was already declined.")


async def test_the_same_command_again_gets_the_same_answer(running: Running) -> None:
    visit = await (await Visit(running).received()).handed_over()
    path, body = f"/workshop/v1/work-orders/{visit.id}/dispatch", {"team": "B 组"}
    key = {"Idempotency-Key": f"dispatch-{visit.id}"}
    first = await running.send(path, body, "workshop_supervisor", headers=key)
    again = await running.send(path, body, "workshop_supervisor", headers=key)
    assert (first.status_code, first.text, first.headers["etag"]) == (201, again.text, again.headers["etag"])
    visit.position = first.json()["position"]
    assert (await visit.events()).count("workshop.work_dispatched.v1") == 1
    done = await running.send(path, body, "workshop_supervisor")
    assert (done.status_code, done.json()["events"]) == (200, [])


async def test_what_was_known_then_can_be_read_now(running: Running) -> None:
    visit = await Visit(running).received()
    before: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
    for step in (visit.dispatched, lambda: visit.repair_added(line=2)):
        before.append((await _position(visit), await visit.card(), await visit.timeline()))
        await step()
    moment = datetime.now(UTC)
    at_moment = await visit.card()
    await visit.answered(2, "approve")

    for position, card, timeline in before:
        then = await visit.card(as_of=position)
        assert _facts(then) == _facts(card)
        assert (await visit.timeline(as_of=position))["entries"] == timeline["entries"]
        assert _facts(await visit.work_order(as_of=position)).items() >= _facts(card).items()
    assert _facts(await visit.card(as_of=moment.isoformat())) == _facts(at_moment)
    missing = await running.get(f"/v1/work-orders/{visit.id}", "advisor", as_of=0)
    assert missing.status_code == 404


async def test_a_moment_the_view_has_not_reached_is_answered_as_what_it_is(running: Running) -> None:
    visit = await Visit(running).received()
    board = await running.get("/v1/sites/sh01/board", "advisor", as_of=10**15)
    assert board.json()["position"] <= await _position(visit)


async def _stands(visit: Visit) -> tuple[str, str]:
    card = await visit.card()
    return card["column"], card["waits_for"]


async def _position(visit: Visit) -> int:
    return int((await visit.timeline())["position"])


def _facts(card: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the moment of looking."""
    return {name: value for name, value in card.items() if name not in ("waiting_minutes", "risk")}

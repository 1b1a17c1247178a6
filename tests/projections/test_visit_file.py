"""The file of a visit, section by section."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from events import Event, event_classes
from events.reception import AppointmentCancelled, AppointmentMissed
from projections import views
from projections.facts import fact as read
from projections.projection import Document, to_json
from projections.rebuild import rebuild
from projections.timeline import entry
from projections.visit_file.projection import VISIT_FILE, evolve, is_open
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE
from tests.projections.log import documents, everything, given_log, view
from tests.projections.test_views import Conn, unseen
from tests.projections.whole_visit import VIN, WHOLE_VISIT, at, digest, old_book
from tests.recording import recorded


def file(facts: Sequence[Recorded]) -> Document:
    shown = reduce(evolve, map(read, facts), None)
    assert shown is not None
    return shown


def until(name: str, facts: Sequence[Recorded] = WHOLE_VISIT) -> Document:
    """The file right after the first event of this name."""
    n = next(n for n, fact in enumerate(facts) if type(fact.event).__name__ == name)
    return file(facts[: n + 1])


def test_the_file_and_the_timeline_have_every_event_of_a_visit() -> None:
    """P-03, P-12: whatever names a work order belongs to its visit."""
    of_visits = {
        event
        for type, event in event_classes().items()
        if type.startswith(("reception.", "workshop.")) and "work_order_id" in event.model_fields
    }
    assert of_visits == {*VISIT_FILE.handles} == {*WORK_ORDER_TIMELINE.handles}
    told = {type(fact.event).__name__ for fact in WHOLE_VISIT}
    assert {event.__name__ for event in of_visits} - told == {
        *("AppointmentCancelled", "AppointmentMissed", "RepairDeclined", "RepairDropped"),
        *("DiagnosisStarted", "DiagnosisCompleted", "RepairStarted", "QualityCheckStarted"),
    }


def test_from_the_appointment_the_file_says_who_comes_and_what_for() -> None:
    """R-15, R-56."""
    booked = file(WHOLE_VISIT[:3])
    assert (booked["customer"], booked["model"], booked["appointment"]["need"]) == ("c-1", "ID.4", "保养")
    assert (booked["appointment"]["number"], booked["appointment"]["state"]) == ("A-7", "booked")
    assert is_open(booked)


def test_a_moved_appointment_stands_where_it_was_moved_to() -> None:
    """R-12."""
    moved = until("AppointmentRescheduled")["appointment"]
    assert (moved["book"], moved["slot_at"], moved["state"]) == ("sh01.2026-03-02", to_text(at(0)), "booked")


def test_what_was_seen_and_signed_at_the_desk() -> None:
    """R-31 … R-58."""
    shown = until("VehicleHandedToWorkshop")
    assert (shown["vin"], shown["mileage_km"], shown["fuel_eighths"]) == (VIN, 48_211, 5)
    assert shown["mileage_less_because"] == "仪表更换"
    assert [each["description"] for each in shown["symptoms"]] == ["保养", "刹车异响"]
    assert shown["walk_around"]["signature"] == digest("c")
    assert shown["walk_around"]["damages"] == [{"view": "left", "x": 1, "y": 2, "kind": "dent", "note": None}]
    assert [photo["photo"] for photo in shown["photos"]] == [digest("a")]
    assert shown["quote"] | {"lines": len(shown["quote"]["lines"])} == {
        "revision": 1,
        "hash": digest("d"),
        "lines": 2,
        "total_fen": 80_000,
        "labour_minutes": 120,
        "promised_at": to_text(at(240)),
        "payment_method": "wechat",
        "old_parts": "return",
        "price_list": 1,
        "check_first": False,
        "at": to_text(at(9)),
        "signed_at": to_text(at(12)),
        "signature": digest("e"),
        "channel": "in_person",
    }
    assert (shown["warranty"]["2"]["verdict"], shown["warranty"]["2"]["granted"]) == ("unclear", False)
    assert shown["handed_over"] == {"keys": 2, "papers": ["行驶证"], "at": to_text(at(13))}
    assert "delivery" not in shown, "what has not happened is not there"


def test_another_revision_of_an_added_repair_is_another_question() -> None:
    """R-65: what was said of the first revision holds no longer."""
    revised = until("RepairRevised")["added"]["3"]
    assert (revised["revision"], revised["price_fen"], revised["state"]) == (2, 8_000, "added")
    assert "why" not in revised
    released = until("RepairReleased")
    assert released["added"]["3"]["state"] == "released"
    assert (released["added"]["3"]["channel"], released["added"]["3"]["delay_told"]) == ("phone", 20)
    assert released["workshop"]["tasks"]["3"] == {"description": "雨刮片"}


def test_parts_are_awaited_until_they_are_picked() -> None:
    """W-09."""
    assert until("PartsAwaited")["workshop"]["parts_awaited"]["2"]["parts"] == ["P-1"]
    picked = until("PartsPicked")["workshop"]
    assert "parts_awaited" not in picked
    assert [(slip["slip"], slip["signature"]) for slip in picked["slips"]] == [(1, digest("1"))]


def test_a_delay_says_its_cause_and_that_the_customer_knows() -> None:
    """W-11, W-34."""
    [delay] = until("DelayReported")["workshop"]["delays"]
    assert (delay["cause"], delay["minutes"], "told_at" in delay) == ("parts", 30, False)
    told = until("CustomerToldOfDelay")
    assert told["workshop"]["delays"][0]["told_at"] == to_text(at(75))
    assert told["promised_at"] == to_text(at(270))


def test_the_whole_way_through_the_workshop() -> None:
    """W-02, W-04 … W-19."""
    shown = file(WHOLE_VISIT)["workshop"]
    assert (shown["priority"], shown["team"], shown["mode"]) == ("high", "机电一组", "to_team")
    assert shown["tasks"]["1"] == {
        "description": "机油更换",
        "trade": "mechatronic",
        "labour_minutes": 60,
        "technician": "li.qiang",
        "started_at": to_text(at(17)),
        "completed_at": to_text(at(61)),
    }
    assert (shown["check_due_at"], shown["alarm_at"]) == (to_text(at(99)), to_text(at(111)))
    assert [check["passed"] for check in shown["checks"]] == [False, True, True]
    assert [(each["rework"], each.get("cost_fen")) for each in shown["reworks"]] == [(1, 1_000), (2, None)]
    assert (shown["returned"]["parking_place"], shown["completed_at"]) == ("B-12", to_text(at(160)))
    assert shown["belongings"]["agreed_at"] == to_text(at(22))


def test_what_else_is_in_the_way_stands_beside_what_was() -> None:
    """W-10."""
    bag = next(fact for fact in WHOLE_VISIT if type(fact.event).__name__ == "BelongingsInTheWay")
    bag = replace(bag, event=bag.event.model_copy(update={"items": ("高尔夫包",)}))
    assert file((*WHOLE_VISIT, bag))["workshop"]["belongings"]["items"] == ["儿童座椅", "高尔夫包"]


def test_a_vehicle_that_was_sent_back_is_not_ready() -> None:
    """W-18."""
    back = until("DeliveryCheckFailed")["delivery"]
    assert back == {"sent_back": [{"cause": "脏", "at": to_text(at(150))}]}


def test_what_was_paid_stays_when_the_settlement_is_prepared_anew() -> None:
    prepared = next(fact for fact in WHOLE_VISIT if type(fact.event).__name__ == "SettlementPrepared")
    settlement = file((*WHOLE_VISIT, prepared))["settlement"]
    assert (len(settlement["payments"]), "signed_at" in settlement) == (1, False)


def test_the_gate_pass_is_in_the_file_and_its_token_is_nowhere() -> None:
    """R-76, R-81."""
    assert all("token" not in entry(read(fact))["data"] for fact in WHOLE_VISIT)
    shown = file(WHOLE_VISIT)
    assert (shown["gate_pass"]["state"], shown["gate_pass"]["used_at"]) == ("used", to_text(at(210)))
    assert "secret" not in to_json(shown)
    assert not is_open(shown)


@pytest.mark.parametrize(
    "event", [AppointmentCancelled(**old_book, reason="customer"), AppointmentMissed(**old_book)]
)
def test_an_appointment_that_came_to_nothing_leaves_a_closed_file(event: Event) -> None:
    """K-24."""
    assert not is_open(file((*WHOLE_VISIT[:3], recorded(event, 1))))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, len(WHOLE_VISIT)), st.randoms(use_true_random=False))
def test_in_whichever_order_the_services_are_heard_the_file_is_the_same(until: int, chance: Any) -> None:
    known = WHOLE_VISIT[:until]
    streams = [[f for f in known if f.event.type.startswith(s)] for s in ("reception.", "workshop.")]
    heard = []
    while any(streams):
        heard.append(chance.choice([stream for stream in streams if stream]).pop(0))
    assert to_json(file(heard)) == to_json(file(known))


@settings(max_examples=100, deadline=None)
@given(st.permutations(WHOLE_VISIT))
def test_the_file_takes_facts_in_any_order(facts: list[Recorded]) -> None:
    """And any of them twice."""
    shown = file([*facts, *facts])
    for _, value in VISIT_FILE.columns.values():
        value(shown)


async def test_a_rebuilt_file_of_a_whole_visit_is_the_live_one(ledger: Ledger, conn: Conn) -> None:
    """And the file as of each position is the one that was seen then."""
    captured = []
    for fact in WHOLE_VISIT:
        await given_log(ledger, fact)
        captured.append(await documents(conn, build := await view(conn, VISIT_FILE)))
    before = await everything(conn, build)
    assert (await rebuild(conn, VISIT_FILE, unseen)).differences == []
    live = await views.live_build(conn, VISIT_FILE)
    assert live
    assert await everything(conn, live[0]) == before
    positions = range(1, len(WHOLE_VISIT) + 1)
    assert [await documents(conn, live[0], position) for position in positions] == captured

"""Appointments and the queue over HTTP."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from projections.work_order_board.cards import SITE_ZONE
from tests.api.conftest import Somebody
from tests.journeys.story import eventually
from tests.system import Running

APPOINTMENTS = "/reception/v1/appointments"
DAYS = "/reception/v1/days"
MAKE: dict[str, Any] = {
    "slot_at": "2032-03-02T10:00:00+08:00",
    "need": "空调不凉",
    "service": "problem",
    "operations": ["AC-DIAG"],
    "parts": [{"code": "COMPRESSOR", "quantity": 1}],
    "agreed": True,
    "member": True,
    "welcome": "surname",
    "customer_name": "王小明",
    "phone": "13812345678",
    "plate": "沪a12345",
}
VISIT = {
    "vin": "LSVAA4182E2123458",
    "plate": "沪A12345",
    "customer_name": "王小明",
    "phone": "13812345678",
    "mileage_km": 1,
    "symptoms": ["空调不凉"],
}


def on(clock: str) -> dict[str, Any]:
    return {**MAKE, "slot_at": f"2032-03-{clock}:00+08:00"}


def types(events: list[dict[str, Any]]) -> list[str]:
    return [each["type"].split(".")[1] for each in events]


async def test_an_appointment_is_made_once(somebody: Callable[..., Somebody]) -> None:
    """R-03, R-04, R-05: the same key gets the same answer; nothing personal is in clear."""
    advisor = somebody()
    answers = [
        await advisor.send(APPOINTMENTS, on("03T10:00"), headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    events = await advisor.recorded()
    assert types(events)[-3:] == ["appointment_requested", "bay_reserved", "appointment_confirmed"]
    assert not [text for text in ("王小明", "13812345678", "沪A12345") if text in str(events)]
    assert events[-3]["data"]["labour_minutes"] == 60
    assert [part["code"] for part in events[-3]["data"]["high_value_parts"]] == ["COMPRESSOR"]


@pytest.mark.parametrize(
    ("changed", "status", "sentence"),
    [
        ({"slot_at": "2020-03-03T10:00:00+08:00"}, 409, "The time of the appointment has passed already."),
        ({"slot_at": "2026-10-01T10:00:00+08:00"}, 409, "The time of the appointment has passed already."),
        ({"slot_at": "2027-01-01T10:00:00+08:00"}, 409, "The site is closed on 2027-01-01."),
        ({"slot_at": "2032-03-03T23:00:00+08:00"}, 409, "Nobody is received at 23:00."),
        ({"slot_at": "2032-03-03T09:15:00+08:00"}, 409, "09:15 is kept free, so that no delay lasts."),
        ({"slot_at": "2032-03-03T10:00:00"}, 422, "slot_at"),
        ({"agreed": False}, 409, "The customer has to agree to the time and to the parts first."),
        ({"operations": ["NOTHING"]}, 422, "The price list has no operation NOTHING."),
        ({"operations": []}, 422, "Name the operations, or estimate the minutes of labour."),
        ({"parts": [{"code": "NOTHING"}]}, 422, "The price list has no part NOTHING."),
        ({"parts": [{"code": "COMPRESSOR", "quantity": 0}]}, 422, "parts"),
        ({"channel": "fax"}, 422, "channel"),
        ({"need": ""}, 422, "need"),
        ({"phone": "1"}, 422, "phone"),
    ],
)
async def test_what_cannot_be_booked_is_refused(
    somebody: Callable[..., Somebody], changed: dict[str, Any], status: int, sentence: str
) -> None:
    """R-03, R-08, R-19, K-24: in the past, outside opening hours, on a holiday."""
    advisor = somebody()
    answer = await advisor.send(APPOINTMENTS, {**MAKE, **changed})
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.text
    assert await advisor.recorded() == []


async def test_a_day_that_is_none_is_refused(somebody: Callable[..., Somebody]) -> None:
    advisor = somebody()
    for day in ("2032-02-30", "tomorrow", "1900-01-01"):
        assert (await advisor.send(f"{DAYS}/{day}/open", {})).status_code == 422
    assert (await advisor.send(f"{DAYS}/2027-01-01/open", {})).status_code == 409


async def test_an_appointment_moves_to_another_day(
    running: Running, somebody: Callable[..., Somebody]
) -> None:
    """R-12: with its number; the day it was on lets go of it, and so does the workshop (R-10)."""
    advisor = somebody()
    head = (await running.get("/v1/status", "operator", "*")).json()["ledger"]["head"]
    made = (await advisor.send(APPOINTMENTS, on("04T10:00"))).json()
    path = f"{DAYS}/2032-03-04/appointments/{made['id']}/reschedule"
    stale = await advisor.send(path, {"slot_at": on("05T14:30")["slot_at"]}, headers={"If-Match": '"v99"'})
    assert stale.status_code == 412
    moved = await advisor.send(path, {"slot_at": on("05T14:30")["slot_at"]})
    assert moved.status_code == 201, moved.text
    cancel = f"{DAYS}/2032-03-04/appointments/{made['id']}/cancel"
    assert (await advisor.send(cancel, {})).status_code == 409, "the old day has let go of it already"
    numbers = [e["data"]["number"] for e in await advisor.recorded() if "number" in e["data"]]
    assert numbers == ["320304-01", "320304-01"]

    async def freed() -> set[str]:
        page = await running.get("/v1/log", "group_auditor", "*", after=head, limit=1000)
        types = {
            e["event"]["type"] for e in page.json()["events"] if e["event"]["correlation_id"] == made["id"]
        }
        return types & {"workshop.bay_freed.v1"} and types

    assert {"reception.appointment_rescheduled.v1", "workshop.bay_kept_free.v1"} <= await eventually(freed)
    again = await advisor.send(path, {"slot_at": on("06T14:30")["slot_at"]})
    assert again.status_code == 409


async def test_a_customer_comes_and_is_received_under_the_appointment(
    somebody: Callable[..., Somebody],
) -> None:
    """R-06, R-13, R-14: one id from the booking to the gate."""
    advisor = somebody()
    made = (await advisor.send(APPOINTMENTS, on("08T10:00"))).json()
    day = f"{DAYS}/2032-03-08"
    reminded = await advisor.send(f"{day}/appointments/{made['id']}/remind", {"outcome": "comes"})
    early = await advisor.send(f"{day}/arrivals", {"appointment_id": made["id"]})
    assert early.status_code == 409
    assert early.json()["detail"] == "Who comes is entered on the day on which they come."
    today = f"{DAYS}/{datetime.now(SITE_ZONE).date()}"
    arrived = await advisor.send(
        f"{today}/arrivals", {"service": "simple", "plate": "沪b1", "phone": "13812345679"}
    )
    left = await advisor.send(f"{today}/arrivals/{arrived.json()['id']}/leave", {})
    assert [each.status_code for each in (reminded, arrived, left)] == [201] * 3
    seen = types(await advisor.recorded())
    assert "appointment_reminded" in seen
    assert "appointment_kept" not in seen
    assert seen[-2:] == ["customer_arrived", "customer_left"]
    book = {"appointment_id": made["id"], "appointment_book": "sh01.2032-03-08"}
    known = {"arrival_id": arrived.json()["id"], "model": "Bora", "member": True, "fuel_eighths": 4}
    received = await advisor.send("/reception/v1/visits", {**VISIT, **book, **known})
    assert (received.status_code, received.json()["id"]) == (201, made["id"])
    data = (await advisor.recorded())[-1]["data"]
    assert {**data, **book, **known, "book": "sh01.2032-03-08"} == data
    other = await advisor.send("/reception/v1/visits", {**VISIT, **book, "vin": "LSVAA49J132047371"})
    assert other.status_code == 409
    assert other.json()["detail"] == "The vehicle of this appointment has been received already."


@pytest.mark.parametrize(
    "named",
    [
        {"appointment_id": "0" * 20},
        {"appointment_book": "sh01.2032-03-08"},
        {"appointment_id": "0" * 20, "appointment_book": "sh01.2032-03-08"},
        {"appointment_id": "0" * 20, "appointment_book": "sh02.2032-03-08"},
        {"appointment_id": "x", "appointment_book": "sh01.2032-03-08"},
        {"fuel_eighths": 9},
    ],
)
async def test_nobody_is_received_under_an_appointment_that_there_is_not(
    somebody: Callable[..., Somebody], named: dict[str, Any]
) -> None:
    """R-06."""
    advisor = somebody()
    assert (await advisor.send("/reception/v1/visits", {**VISIT, **named})).status_code == 422
    assert await advisor.recorded() == []


async def test_another_sites_appointment_is_none_here(somebody: Callable[..., Somebody]) -> None:
    made = (await somebody().send(APPOINTMENTS, on("09T10:00"))).json()
    stranger = somebody(site="sh02")
    named = {"appointment_id": made["id"], "appointment_book": "sh01.2032-03-09"}
    assert (await stranger.send("/reception/v1/visits", {**VISIT, **named})).status_code == 422
    cancel = await stranger.send(f"{DAYS}/2032-03-09/appointments/{made['id']}/cancel", {})
    assert cancel.status_code == 404

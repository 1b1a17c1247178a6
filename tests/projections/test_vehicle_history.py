"""The file of a vehicle across the sites of a group (P-03, R-47, R-56, X-06, K-17)."""

from dataclasses import replace
from typing import Any

import pytest

from eventlog import sql
from projections import reading
from projections.projection import to_json
from projections.reading import Views
from projections.visit_file.history import vehicle_history
from projections.visit_file.projection import VISIT_FILE
from tests.projections.log import view
from tests.projections.test_boards import ADVISOR, AUDITOR, Dealership, place  # noqa: F401
from tests.projections.test_visit_file import file
from tests.projections.whole_visit import VIN, WHOLE_VISIT

STRANGER = replace(ADVISOR, sites=frozenset({"bj01"}))
whole = file(WHOLE_VISIT)


def put_off(description: str, received_at: str, **more: Any) -> dict[str, Any]:
    line = {"line": 1, "description": description, "state": "dropped", "reason": "later"}
    return {
        "site": "sh01",
        "vin": VIN,
        "received_at": received_at,
        "mileage_km": 1,
        "added": {"1": line},
        **more,
    }


def test_the_latest_visit_comes_first_and_the_mileage_is_a_curve() -> None:
    earlier = {"site": "gz01", "vin": VIN, "received_at": "2025", "mileage_km": 20_000, "symptoms": []}
    shown = vehicle_history(VIN, [earlier, whole], ["sh01"])
    assert [visit["site"] for visit in shown["visits"]] == ["sh01", "gz01"]
    assert [each["mileage_km"] for each in shown["mileage"]] == [20_000, 48_211]
    assert shown["model"] == "ID.4"
    assert shown["next_service"]["due_km"] == 58_000
    assert shown["last_service"]["mileage_km"] == 48_211


def test_it_says_what_was_done_with_which_parts() -> None:
    """P-03, R-47, R-56; W-27: where a part comes from."""
    [visit] = vehicle_history(VIN, [whole], ["sh01"])["visits"]
    assert [line["description"] for line in visit["work"]] == ["机油更换", "前刹车片"]
    assert [part["origin"] for part in visit["work"][1]["parts"]] == ["original"]
    assert [(line["description"], line["state"]) for line in visit["added"]] == [("雨刮片", "released")]
    assert (visit["reworks"], visit["warranty"]["2"]["granted"]) == (2, False)


def test_work_that_was_put_off_comes_back_until_it_is_done() -> None:
    """R-67: deferred work comes back at the next visit."""
    wipers, belt = put_off("雨刮片", "2025-01"), put_off("皮带", "2025-02")
    listed = vehicle_history(VIN, [wipers, belt], [])["recommendations"]
    assert [each["description"] for each in listed] == ["雨刮片", "皮带"]
    after = vehicle_history(VIN, [wipers, belt, whole], [])["recommendations"]
    assert [each["description"] for each in after] == ["皮带"], "the wipers were done at the whole visit"


@pytest.mark.parametrize("reason", ["too_expensive", "elsewhere", "not_needed", "other"])
def test_what_the_customer_does_not_want_is_not_recommended_again(reason: str) -> None:
    refused = put_off("雨刮片", "2025-01")
    refused["added"]["1"]["reason"] = reason
    assert vehicle_history(VIN, [refused], [])["recommendations"] == []


def test_of_another_site_there_is_nothing_about_a_person_and_no_price() -> None:
    """K-17."""
    [visit] = vehicle_history(VIN, [whole], ["gz01"])["visits"]
    assert not visit["ours"]
    for hidden in ("c-1", "customer", "plate", "phone", "fen", "V9", "li.qiang"):
        assert hidden not in to_json(visit), hidden
    [own] = vehicle_history(VIN, [whole], ["*"])["visits"]
    assert (own["customer"], own["work_order_id"]) == ("c-1", "V9")


async def views_of(place: Dealership) -> Views:  # noqa: F811
    await view(place.conn, VISIT_FILE)
    return place.views(place.boards())


async def came(place: Dealership, id: str, site: str, minute: int) -> None:  # noqa: F811
    await place.receives(id, minute, site)


async def test_of_too_many_vehicles_at_a_site_the_latest_are_shown_in_order(
    place: Dealership,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for id, minute in (("1", 1), ("3", 3), ("2", 2)):
        await came(place, id, "sh01", minute)
    monkeypatch.setattr(reading, "VEHICLES", 2)
    files = await (await views_of(place)).visit_files(ADVISOR, "sh01")
    assert [each["work_order_id"] for each in files] == ["2", "3"]


async def test_the_visits_of_all_sites_are_shown_and_who_looked_is_recorded(place: Dealership) -> None:  # noqa: F811
    """X-06, K-17."""
    await came(place, "1", "sh01", 1)
    await came(place, "2", "gz01", 2)
    views = await views_of(place)
    at_home = replace(ADVISOR, sites=frozenset({"sh01"}))
    read = await views.vehicle(at_home, VIN)
    assert read
    shown = [(v["site"], v["ours"], v.get("plate"), v.get("work_order_id")) for v in read.document["visits"]]
    assert shown == [("gz01", False, None, None), ("sh01", True, "沪A1", "1")]
    async with place.keys.connection() as conn:
        looks = await sql.rows(conn, "SELECT site FROM keys.sight WHERE view = 'vehicle_file' ORDER BY site")
    assert looks == [("gz01",), ("sh01",)]


async def test_a_reader_without_people_sees_no_plate(place: Dealership) -> None:  # noqa: F811
    await came(place, "1", "sh01", 1)
    read = await (await views_of(place)).vehicle(AUDITOR, VIN)
    assert read
    [visit] = read.document["visits"]
    assert (visit["plate"], visit["plate_hidden"]) == (None, True)


async def test_the_file_as_it_was_known_earlier(place: Dealership) -> None:  # noqa: F811
    await came(place, "1", "sh01", 1)
    await came(place, "2", "gz01", 2)
    views = await views_of(place)
    then = await views.vehicle(STRANGER, VIN, as_of=1)
    assert then
    assert [visit["site"] for visit in then.document["visits"]] == ["sh01"]
    assert await views.vehicle(STRANGER, VIN, as_of=0) is None
    assert await views.vehicle(STRANGER, "WVWZZZ1JZXW000001") is None


async def test_a_customer_is_found_by_the_plate_of_the_car_they_came_with_last(place: Dealership) -> None:  # noqa: F811
    """R-15; what was looked up is recorded as a reveal, whether or not somebody was found."""
    await came(place, "1", "sh01", 1)
    await place.keyring.give("plate", "沪A 00009", place.customers["1"])
    views = await views_of(place)
    [found] = await views.vehicles_of(ADVISOR, "plate", "沪a·00009")
    assert (found["work_order_id"], found["vin"], found["open"]) == ("1", VIN, True)
    assert await views.vehicles_of(ADVISOR, "phone", "13800000000") == []
    assert await views.vehicles_of(STRANGER, "plate", "沪A00009") == [], "not at the caller's sites"
    reveals = await place.keyring.reveals(place.customers["1"])
    assert [(each.fields, each.about) for each in reveals] == [(["plate"], "look-up by plate")] * 2
    assert [each.fields for each in await place.keyring.reveals("nobody")] == [["phone"]]

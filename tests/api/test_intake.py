"""Intake over HTTP: what an advisor records beside the car, and the pictures that belong to it."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx2
import pytest
from PIL import Image

from events.walk_around import ITEMS
from services.reception.intake_api import LARGEST_PHOTO
from tests.api.conftest import Somebody
from tests.api.test_bad_input import refused
from tests.journeys.story import Visit, eventually
from tests.pictures import drawn, in_base64, photo
from tests.system import Running

CHECKS = [{"item": item, "ok": True} for item in ITEMS]
SCRATCH = {"view": "left", "x": 310, "y": 540, "kind": "scratch", "note": "5 cm"}
WALK_AROUND = {"checks": CHECKS, "damages": [SCRATCH], "fuel_eighths": 3}
STEPS = [
    ("symptoms", {"description": "oil change", "kind": "maintenance"}, "reception.symptom_recorded.v1"),
    (
        "papers",
        {"driving_licence": True, "maintenance_manual": True, "phone": False},
        "reception.papers_verified.v1",
    ),
    ("protective-set", {}, "reception.protective_set_fitted.v1"),
    ("valuables", {"items": ["sunglasses"]}, "reception.valuables_handed_over.v1"),
    ("walk-around", WALK_AROUND, "reception.walk_around_recorded.v1"),
    ("underbody", {"findings": []}, "reception.underbody_inspected.v1"),
    ("mobility", {"kind": "loan_car", "vehicle": "courtesy car 3"}, "reception.mobility_provided.v1"),
    ("manager", {}, "reception.manager_took_part.v1"),
]


@pytest.fixture(scope="module")
async def visit(running: Running) -> Visit:
    return await Visit(running).received(first_service=True, model="Passat", fuel_eighths=4)


@pytest.fixture
def manager(somebody: Callable[..., Somebody]) -> Somebody:
    return somebody("department_manager")


def at(visit: Visit, path: str) -> str:
    return f"/reception/v1/visits/{visit.id}/{path}"


async def take(
    somebody: Somebody, visit: Visit, body: bytes, query: str = "", **headers: str
) -> httpx2.Response:
    return await somebody.send(
        at(visit, f"photos{query}"), body, headers={"Content-Type": "image/jpeg", **headers}
    )


async def walked(manager: Somebody, visit: Visit, **changed: Any) -> str:
    """The hash of the walk-around that was just recorded."""
    answer = await manager.send(at(visit, "walk-around"), WALK_AROUND | changed)
    assert answer.status_code == 201, answer.text
    last = (await manager.recorded())[-1]
    assert last["type"] == "reception.walk_around_recorded.v1"
    return str(last["data"]["hash"])


@pytest.mark.parametrize(("path", "body", "event"), STEPS)
async def test_what_is_found_is_recorded_once(
    manager: Somebody, running: Running, path: str, body: dict[str, Any], event: str
) -> None:
    """R-31 … R-42, R-45, R-54, R-58: the second time there is nothing left to do."""
    visit = await Visit(running).received()
    once, again = [await manager.send(at(visit, path), body) for _ in range(2)]
    assert (once.status_code, again.status_code) == (201, 200), once.text
    assert [each["type"] for each in await manager.recorded()] == [event]


async def test_what_the_vehicle_is_like_is_recorded_when_it_comes(manager: Somebody) -> None:
    """R-32, R-34, R-37, R-40."""
    body = {
        "vin": "LSVAA4182E2123459",
        "plate": "沪A12345",
        "customer_name": "王",
        "phone": "13812345678",
        "mileage_km": 1_000,
        "symptoms": ["首保"],
        "model": "Passat",
        "first_service": True,
        "fuel_eighths": 8,
    }
    answer = await manager.send("/reception/v1/visits", body)
    assert answer.status_code == 201, answer.text
    [received] = await manager.recorded()
    assert {name: received["data"][name] for name in ("model", "first_service", "fuel_eighths")} == {
        "model": "Passat",
        "first_service": True,
        "fuel_eighths": 8,
    }


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("symptoms", {"description": ""}, "1 or more characters"),
        ("symptoms", {"description": "x", "kind": "wish"}, "'symptom' or 'maintenance'"),
        ("papers", {"driving_licence": True}, "this is required"),
        ("valuables", {"items": ["x"] * 31}, "30 entries at most"),
        ("walk-around", WALK_AROUND | {"fuel_eighths": 9}, "this must be 8 or less"),
        ("walk-around", WALK_AROUND | {"damages": [SCRATCH | {"x": 1001}]}, "this must be 1000 or less"),
        ("walk-around", WALK_AROUND | {"damages": [SCRATCH | {"view": "below"}]}, "this must be"),
        ("walk-around", WALK_AROUND | {"checks": [{"item": "wings", "ok": True}]}, "this must be"),
        ("walk-around", WALK_AROUND | {"checks": [{"item": "roof"}]}, "this is required"),
        ("walk-around/signature", {"hash": "0" * 64}, "Nothing was signed"),
        (
            "walk-around/signature",
            {"hash": "0" * 64, "signature": "x", "paper": "0" * 64},
            "send a signature or the photo of a signed paper, not both",
        ),
        ("walk-around/signature", {"hash": "x", "signature": "x"}, "does not look like such a value"),
        ("mobility", {"kind": "subsidy", "amount_fen": 0}, "this must be 1 or more"),
    ],
)
async def test_a_wrong_entry_is_refused(
    manager: Somebody, visit: Visit, path: str, body: dict[str, Any], sentence: str
) -> None:
    refused(await manager.send(at(visit, path), body), 422, sentence)
    assert await manager.recorded() == []


async def test_half_a_walk_around_is_refused(manager: Somebody, visit: Visit) -> None:
    """R-38."""
    answer = await manager.send(at(visit, "walk-around"), WALK_AROUND | {"checks": CHECKS[1:]})
    refused(answer, 409, "Not looked at yet: windscreen")
    assert await manager.recorded() == []


async def test_the_customer_signs_on_the_screen(manager: Somebody, running: Running) -> None:
    """R-33: and the signature can be looked at."""
    visit = await Visit(running).received()
    hash = await walked(manager, visit)
    sign = {"hash": hash, "signature": drawn()}
    assert (await manager.send(at(visit, "walk-around/signature"), sign)).status_code == 201
    assert (await manager.send(at(visit, "walk-around/signature"), sign)).status_code == 200
    signature = (await manager.recorded())[-1]["data"]["signature"]
    shown = await manager.send(at(visit, f"attachments/{signature}"), method="GET")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")


async def test_a_signature_of_nothing_is_refused(manager: Somebody, running: Running) -> None:
    """R-33."""
    visit = await Visit(running).received()
    hash = await walked(manager, visit)
    blank = in_base64(Image.new("RGBA", (600, 200)))
    answer = await manager.send(at(visit, "walk-around/signature"), {"hash": hash, "signature": blank})
    refused(answer, 422, "Nothing was signed")
    assert len(await manager.recorded()) == 1


async def test_the_customer_signs_on_paper(manager: Somebody, running: Running) -> None:
    """R-33: for who cannot sign on a screen."""
    visit = await Visit(running).received()
    hash = await walked(manager, visit)
    sign = {"hash": hash, "paper": "0" * 64}
    refused(
        await manager.send(at(visit, "walk-around/signature"), sign), 409, "Take a photo of the signed paper"
    )
    assert (await take(manager, visit, photo(colour="white"), "?of=paper")).status_code == 201
    sign["paper"] = (await manager.recorded())[-1]["data"]["photo"]
    assert (await manager.send(at(visit, "walk-around/signature"), sign)).status_code == 201


async def test_two_advisors_finish_the_same_intake(
    somebody: Callable[..., Somebody], running: Running
) -> None:
    """R-33: one of them does, the other is told; what the customer signed stays what was recorded."""
    visit = await Visit(running).received()
    one, other = somebody(), somebody()
    answers = await asyncio.gather(
        one.send(at(visit, "walk-around"), WALK_AROUND),
        other.send(at(visit, "walk-around"), WALK_AROUND | {"damages": []}),
    )
    assert sorted(each.status_code for each in answers) == [201, 409]
    [told] = [each for each in answers if each.status_code == 409]
    refused(told, 409, "Somebody else recorded revision 1 of this walk-around: look at it first.")
    stale = await one.send(at(visit, "papers"), STEPS[1][1], headers={"If-Match": '"v1"'})
    refused(stale, 412, "This has changed since you looked")


async def test_a_photo_is_kept_and_shown(manager: Somebody, running: Running) -> None:
    """R-33: to be seen, and not to be kept by a browser or taken for anything else."""
    visit = await Visit(running).received()
    once = await take(manager, visit, photo(), "?of=damage&note=door")
    again = await take(manager, visit, photo(), "?of=damage&note=door")
    assert (once.status_code, again.status_code) == (201, 200), once.text
    [taken] = await manager.recorded()
    assert {each: taken["data"][each] for each in ("of", "note", "width", "height")} == {
        "of": "damage",
        "note": "door",
        "width": 640,
        "height": 480,
    }
    shown = await manager.send(at(visit, f"attachments/{taken['data']['photo']}"), method="GET")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "no-store"
    assert Image.open(BytesIO(shown.content)).size == (640, 480)


async def test_a_photo_sent_again_is_answered_again(manager: Somebody, running: Running) -> None:
    visit = await Visit(running).received()
    key = {"Idempotency-Key": "photo"}
    once, again = [await take(manager, visit, photo(), "?of=damage", **key) for _ in range(2)]
    assert once.json() == again.json()
    other = await take(manager, visit, photo(), "?of=underbody", **key)
    refused(other, 422, "was used before with another body")
    assert len(await manager.recorded()) == 1


@pytest.mark.parametrize(
    ("body", "query", "status", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", 415, "Only photos in JPEG, PNG or WebP"),
        (b"<html></html>", "", 415, "Only photos in JPEG, PNG or WebP"),
        (photo((10_001, 10_000)), "", 422, "more than 50 megapixels"),
        (photo()[:400], "", 422, "damaged"),
        (photo(), "?of=people", 422, "of: this must be"),
        (photo(), "?note=" + "x" * 201, 422, "200 characters at most"),
        (b"\xff" * (LARGEST_PHOTO + 1), "", 413, f"larger than {LARGEST_PHOTO} bytes"),
    ],
    ids=["svg", "html", "bomb", "cut off", "of what", "long note", "too large"],
)
async def test_what_is_no_photo_is_refused(
    manager: Somebody, visit: Visit, body: bytes, query: str, status: int, sentence: str
) -> None:
    """R-33."""
    refused(await take(manager, visit, body, query), status, sentence)
    assert await manager.recorded() == []


async def test_only_a_photo_may_be_large(manager: Somebody, visit: Visit) -> None:
    heavy = photo((2000, 2000)) + b"\0" * (2 * 1024 * 1024)
    assert (await take(manager, visit, heavy)).status_code == 201
    refused(await manager.send(at(visit, "symptoms"), heavy), 413, "larger than 1048576 bytes")


async def test_another_site_neither_adds_nor_sees(
    somebody: Callable[..., Somebody], manager: Somebody, running: Running
) -> None:
    """X-02."""
    visit = await Visit(running).received()
    await take(manager, visit, photo())
    [taken] = await manager.recorded()
    stranger = somebody("department_manager", "gz01")
    assert (await take(stranger, visit, photo())).status_code == 404
    assert (await stranger.send(at(visit, "symptoms"), STEPS[0][1])).status_code == 404
    signing = {"hash": "0" * 64, "signature": drawn()}
    assert (await stranger.send(at(visit, "walk-around/signature"), signing)).status_code == 404
    path = at(visit, f"attachments/{taken['data']['photo']}")
    assert (await stranger.send(path, method="GET")).status_code == 404
    assert (await somebody("parts_clerk").send(path, method="GET")).status_code == 403


async def test_pictures_are_gone_with_their_customer(manager: Somebody, running: Running) -> None:
    """X-01: 410 for what was kept, and nothing more is kept."""
    visit = await Visit(running).received()
    await take(manager, visit, photo())
    [taken] = await manager.recorded()
    subject = (await visit.work_order())["customer"]
    await running.post(f"/customer-care/v1/subjects/{subject}/erase", {}, "care_manager")
    path = at(visit, f"attachments/{taken['data']['photo']}")

    async def is_gone() -> bool:
        return (await manager.send(path, method="GET")).status_code != 200

    await eventually(is_gone)
    gone = await manager.send(path, method="GET")
    refused(gone, 410, "This customer's data were erased, and this picture with them.")
    refused(await take(manager, visit, photo(colour="red")), 409, "This customer's data were erased")

"""Who gets through which door: every route, every role, at the own site, at another one, and nobody at all.

What a route needs is written down here once more, by hand: a route that is new, or that needs something else
than it did, fails until somebody has thought about it.
"""

import asyncio
import base64
import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from access.guard import SESSION_COOKIE, undeclared_routes
from access.issuer import AUDIENCE, ISSUER, Issuer
from access.roles import MAY, Action, Role
from eventlog.bus import connect
from events.walk_around import ITEMS
from ops.serving import APPS, create_apps
from services.customer_care.rulebook import SHIPPED
from services.reception.rules import SHIPPED_PRICES, SHIPPED_RULES
from services.workshop.rules import SHIPPED as WORKSHOP_RULES
from tests.journeys.story import Visit, eventually
from tests.nowhere import settings_of_nobody
from tests.pictures import drawn, photo
from tests.system import Running

PUBLIC: Final = None
SERVICE = {
    "GET /healthz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /v1/log": Action.LOG_READ,
    "POST /v1/parked/{parked_id}/discard": Action.PARKED_DECIDE,
    "POST /v1/parked/{parked_id}/retry": Action.PARKED_DECIDE,
}
NEEDS: dict[str, dict[str, Action | None]] = {
    "reception": SERVICE
    | {
        "POST /v1/approvals/{link}/approve": PUBLIC,
        "POST /v1/approvals/{link}/decline": PUBLIC,
        "POST /v1/visits/{visit_id}/repairs/{line}/link": Action.VISIT_ANSWER,
        "GET /v1/price-list": Action.BOARD_READ,
        "POST /v1/price-list": Action.SHOP_RULES_PUBLISH,
        "GET /v1/prices/{site}": PUBLIC,
        "GET /v1/rules": Action.BOARD_READ,
        "POST /v1/rules": Action.SHOP_RULES_PUBLISH,
        "POST /v1/appointments": Action.APPOINTMENT_BOOK,
        "POST /v1/days/{date}/appointments/{id}/cancel": Action.APPOINTMENT_BOOK,
        "POST /v1/days/{date}/appointments/{id}/remind": Action.APPOINTMENT_BOOK,
        "POST /v1/days/{date}/appointments/{id}/reschedule": Action.APPOINTMENT_BOOK,
        "POST /v1/days/{date}/arrivals": Action.QUEUE_KEEP,
        "POST /v1/days/{date}/arrivals/{id}/call-in": Action.QUEUE_KEEP,
        "POST /v1/days/{date}/arrivals/{id}/leave": Action.QUEUE_KEEP,
        "POST /v1/days/{date}/open": Action.APPOINTMENT_BOOK,
        "POST /v1/visits": Action.VISIT_RECEIVE,
        "POST /v1/visits/{visit_id}/belongings/consent": Action.VISIT_ANSWER,
        "POST /v1/visits/{visit_id}/delays/{delay}/told": Action.VISIT_QUOTE,
        "GET /v1/gate-key": PUBLIC,
        "GET /v1/visits/{visit_id}/gate-pass": Action.VISIT_CASH,
        "POST /v1/gate-passes/use": Action.GATE_PASS_USE,
        "POST /v1/visits/{visit_id}/credit": Action.VISIT_MANAGE,
        "POST /v1/visits/{visit_id}/deliver": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/delivery": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/delivery-check": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/delivery-check/send-back": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/follow-up": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/gate-pass/release": Action.VISIT_CASH,
        "POST /v1/visits/{visit_id}/joint-inspection": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/next-appointment": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/next-service": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/payments": Action.VISIT_CASH,
        "POST /v1/visits/{visit_id}/payments/refund": Action.VISIT_CASH,
        "POST /v1/visits/{visit_id}/protective-set/remove": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/settlement": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/settlement/signature": Action.VISIT_DELIVER,
        "POST /v1/visits/{visit_id}/hand-over": Action.VISIT_QUOTE,
        "POST /v1/visits/{visit_id}/mileage/correct": Action.VISIT_RECEIVE,
        "POST /v1/visits/{visit_id}/copies": Action.VISIT_QUOTE,
        "POST /v1/visits/{visit_id}/lines/{line}/warranty": Action.VISIT_CLAIM,
        "POST /v1/visits/{visit_id}/lines/{line}/warranty/ask": Action.VISIT_CLAIM,
        "POST /v1/visits/{visit_id}/lines/{line}/warranty/decide": Action.VISIT_CLAIM,
        "POST /v1/visits/{visit_id}/symptoms": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/papers": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/protective-set": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/valuables": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/photos": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/walk-around": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/walk-around/signature": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/underbody": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/mobility": Action.VISIT_INSPECT,
        "POST /v1/visits/{visit_id}/manager": Action.VISIT_MANAGE,
        "GET /v1/visits/{visit_id}/attachments/{sha256}": Action.PERSONAL_DATA_SEE,
        "POST /v1/visits/{visit_id}/quote": Action.VISIT_QUOTE,
        "POST /v1/visits/{visit_id}/repairs/{line}/approve": Action.VISIT_ANSWER,
        "POST /v1/visits/{visit_id}/repairs/{line}/decline": Action.VISIT_ANSWER,
        "POST /v1/visits/{visit_id}/sign": Action.VISIT_QUOTE,
    },
    "workshop": SERVICE
    | {
        "GET /v1/rules": Action.WORK_ORDER_READ,
        "GET /v1/licences": Action.WORK_ORDER_WORK,
        "POST /v1/licences": Action.STAFF_LICENSE,
        "POST /v1/rules": Action.SHOP_RULES_PUBLISH,
        "POST /v1/work-orders/{work_order_id}/accept": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/belongings": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/complete": Action.WORK_ORDER_COMPLETE,
        "POST /v1/work-orders/{work_order_id}/delay": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/dispatch": Action.WORK_ORDER_DISPATCH,
        "POST /v1/work-orders/{work_order_id}/hand-back": Action.WORK_ORDER_RETURN,
        "POST /v1/work-orders/{work_order_id}/lines/{line}/complete": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/lines/{line}/start": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/parts/await": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/parts/pick": Action.PARTS_PICK,
        "POST /v1/work-orders/{work_order_id}/priority": Action.WORK_ORDER_RETURN,
        "POST /v1/work-orders/{work_order_id}/progress": Action.WORK_ORDER_WORK,
        "POST /v1/work-orders/{work_order_id}/quality/fail": Action.WORK_ORDER_INSPECT,
        "POST /v1/work-orders/{work_order_id}/quality/pass": Action.WORK_ORDER_INSPECT,
        "POST /v1/work-orders/{work_order_id}/repairs": Action.WORK_ORDER_ADD_REPAIR,
        "POST /v1/work-orders/{work_order_id}/repairs/{line}/revise": Action.WORK_ORDER_ADD_REPAIR,
        "POST /v1/work-orders/{work_order_id}/rework": Action.WORK_ORDER_REWORK,
        "POST /v1/work-orders/{work_order_id}/rework/cost": Action.WORK_ORDER_COST,
        "POST /v1/work-orders/{work_order_id}/test-drive": Action.WORK_ORDER_INSPECT,
        "POST /v1/work-orders/{work_order_id}/wash": Action.WORK_ORDER_WORK,
    },
    "customer-care": SERVICE
    | {
        "POST /v1/complaints": Action.COMPLAINT_RAISE,
        "POST /v1/complaints/{complaint_id}/appeal": Action.COMPLAINT_APPEAL,
        "POST /v1/complaints/{complaint_id}/appeal/decide": Action.COMPLAINT_DECIDE,
        "POST /v1/complaints/{complaint_id}/archive": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/blame": Action.COMPLAINT_BLAME,
        "POST /v1/complaints/{complaint_id}/call-back": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/carry-out": Action.COMPLAINT_ANSWER,
        "POST /v1/complaints/{complaint_id}/cause": Action.COMPLAINT_ANSWER,
        "POST /v1/complaints/{complaint_id}/contact": Action.COMPLAINT_CONTACT,
        "POST /v1/complaints/{complaint_id}/give-up-reaching": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/hand-over": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/link": Action.COMPLAINT_READ,
        "POST /v1/links": Action.COMPLAINT_RAISE,
        "POST /v1/links/{link}/complaint": PUBLIC,
        "POST /v1/complaints/{complaint_id}/pause": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/plan": Action.COMPLAINT_ANSWER,
        "POST /v1/complaints/{complaint_id}/reclassify": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/report-to-region": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/resolve": Action.COMPLAINT_RESOLVE,
        "POST /v1/complaints/{complaint_id}/resume": Action.COMPLAINT_FOLLOW,
        "POST /v1/complaints/{complaint_id}/return": Action.COMPLAINT_ANSWER,
        "POST /v1/complaints/{complaint_id}/sign-off": Action.COMPLAINT_DECIDE,
        "POST /v1/complaints/{complaint_id}/tell": Action.COMPLAINT_ANSWER,
        "GET /v1/rules": Action.COMPLAINT_READ,
        "POST /v1/rulebook": Action.RULES_PUBLISH,
        "POST /v1/rulebook/simulate": Action.RULES_PUBLISH,
        "POST /v1/calendar": Action.RULES_PUBLISH,
        "POST /v1/subjects/{customer}/erase": Action.SUBJECT_ERASE,
    },
    "projections": {
        "GET /healthz": PUBLIC,
        "GET /metrics": PUBLIC,
        "GET /readyz": PUBLIC,
        "GET /v1/asyncapi.json": PUBLIC,
        "GET /v1/complaints": Action.COMPLAINT_READ,
        "GET /v1/complaints/statistics": Action.COMPLAINT_READ,
        "GET /v1/complaints/stream": Action.COMPLAINT_READ,
        "GET /v1/complaints/{id}/timeline": Action.COMPLAINT_READ,
        "GET /v1/complaints/{id}/timeline/stream": Action.COMPLAINT_READ,
        "GET /v1/log": Action.LOG_READ,
        "GET /v1/parked": Action.PARKED_READ,
        "GET /v1/sites": Action.BOARD_READ,
        "GET /v1/sites/{site}/appointments/statistics": Action.APPOINTMENT_READ,
        "GET /v1/sites/{site}/board": Action.BOARD_READ,
        "GET /v1/sites/{site}/board/stream": Action.BOARD_READ,
        "GET /v1/sites/{site}/days/{date}": Action.APPOINTMENT_READ,
        "GET /v1/status": Action.STATUS_READ,
        "GET /v1/vehicles/{vin}/history": Action.VEHICLE_READ,
        "POST /v1/vehicles/look-up": Action.VISIT_RECEIVE,
        "GET /v1/work-orders/{id}": Action.WORK_ORDER_READ,
        "GET /v1/work-orders/{id}/file": Action.WORK_ORDER_READ,
        "GET /v1/work-orders/{id}/forms": Action.WORK_ORDER_READ,
        "GET /v1/work-orders/{id}/forms/gate-pass.pdf": Action.VISIT_CASH,
        "GET /v1/work-orders/{id}/forms/{form}.pdf": Action.WORK_ORDER_READ,
        "GET /v1/work-orders/{id}/timeline": Action.WORK_ORDER_READ,
        "POST /v1/complaints/{id}/reveal": Action.PERSONAL_DATA_REVEAL,
        "POST /v1/work-orders/{id}/copies/link": Action.VISIT_QUOTE,
        "POST /v1/work-orders/{id}/reveal": Action.PERSONAL_DATA_REVEAL,
    },
}
BODIES: dict[str, Any] = {
    "visits": {
        "vin": "LSVAA4182E2123456",
        "plate": "沪A12345",
        "customer_name": "王",
        "phone": "13812345678",
        "mileage_km": 41_000,
        "symptoms": ["x"],
    },
    "appointments": {
        "slot_at": "2031-05-06T10:00:00+08:00",
        "need": "x",
        "service": "simple",
        "operations": ["OIL-FILTER"],
        "agreed": True,
        "customer_name": "王",
        "phone": "13812345678",
        "plate": "沪A12345",
    },
    "reschedule": {"slot_at": "2031-05-06T11:00:00+08:00"},
    "remind": {"outcome": "comes"},
    "complaints": {
        "channel": "phone",
        "subject": "other",
        "severity": "major",
        "customer_name": "王",
        "phone": "13812345678",
        "narrative": "…",
    },
    "decline": {"reason": "later"},
    "quote": {"lines": [{"operation": "BRAKES"}], "payment_method": "cash", "old_parts": "return"},
    "sign": {"hash": "0" * 64},
    "warranty": {"verdict": "unclear"},
    "told": {"promised_at": "2030-01-01T00:00:00Z"},
    "consent": {"items": ["x"]},
    "symptoms": {"description": "x"},
    "papers": {"driving_licence": True, "maintenance_manual": True, "phone": True},
    "valuables": {"items": []},
    "photos": photo(),
    "walk-around": {"checks": [{"item": each, "ok": True} for each in ITEMS], "fuel_eighths": 4},
    "underbody": {"findings": []},
    "mobility": {"kind": "subsidy", "amount_fen": 5_000},
    "correct": {"mileage_km": 41_000, "reason": "x"},
    "dispatch": {"team": "D 组"},
    "repairs": {"description": "x", "price_fen": 1, "delay_minutes": 1},
    "accept": {"fault_confirmed": True, "tools_checked": True},
    "await": {"line": 1, "parts": ["x"]},
    "belongings": {"items": ["x"]},
    "cost": {"rework": 1, "cost_fen": 1, "leader": "x", "responsible": "y"},
    "delay": {"minutes": 1, "cause": "parts", "explanation": "x"},
    "fail": {"cause": "x"},
    "hand-back": {"parking_place": "A1"},
    "licences": {"person": "x", "trade": "mechatronic", "test_percent": 95, "valid_until": "2099-01-01"},
    "pick": {"parts": [{"line": 1, "code": "x", "name": "x", "quantity": "1"}], "technician": "x"},
    "priority": {"priority": "urgent"},
    "progress": {"done_at": "2026-03-02T08:00:00Z"},
    "revise": {"description": "x", "price_fen": 1, "delay_minutes": 1},
    "test-drive": {"passed": True},
    "workshop rules": {"rules": WORKSHOP_RULES[0].model_dump(mode="json")},
    "links": {"visit_id": "0" * 20},
    "complaint": {"subject": "other", "customer_name": "王", "phone": "13812345678", "narrative": "…"},
    "contact": {"outcome": "reached"},
    "resolve": {"resolution": "apology"},
    "cause": {"cause": "x"},
    "plan": {"plan": "x"},
    "return": {"result": "x"},
    "call-back": {"outcome": "accepted"},
    "reclassify": {"subject": "other", "severities": ["major"], "reason": "x"},
    "pause": {"waiting": "for_parts"},
    "blame": {"person": "x"},
    "appeal": {"reason": "x"},
    "decide": {"granted": False},
    "rulebook": {"rulebook": SHIPPED.rulebooks[0].model_dump(mode="json")},
    "calendar": {"calendar": SHIPPED.calendars[0].model_dump(mode="json")},
    "simulate": {},
    "delivery-check": {
        "fault_gone": True,
        "old_parts_there": True,
        "clean_inside": True,
        "clean_outside": True,
        "nothing_left_behind": True,
    },
    "send-back": {"cause": "x"},
    "delivery": {"deliver_at": "2026-03-02T04:00:00Z"},
    "joint-inspection": {"old_parts_shown": True, "spare_wheel_and_tools": True, "cleanliness_shown": True},
    "next-service": {"due_on": "2026-09-02", "due_km": 58_000},
    "follow-up": {"call_from": "2026-03-04T04:00:00Z", "call_until": "2026-03-04T05:00:00Z"},
    "next-appointment": {"accepted": True},
    "signature": {"hash": "0" * 64, "signature": drawn()},
    "payments": {"amount_fen": 1, "method": "cash"},
    "refund": {"payment": 1, "amount_fen": 1, "reason": "x"},
    "credit": {"pay_by": "2026-04-01", "reason": "x"},
    "use": {"token": "BLG1.forged.pass"},
    "rules": {"rules": SHIPPED_RULES[0].model_dump(mode="json")},
    "price-list": {"price_list": SHIPPED_PRICES[0].model_dump(mode="json")},
    "discard": {"reason": "looking"},
    "reveal": {"reason": "looking"},
    "look-up": {"kind": "phone", "value": "13812345678"},
}
STALE = {"If-Match": '"v999"'}
"""Commands are given for a version that is not there: who gets through is answered 412, nothing changes."""
MISSING = {
    "visit_id": "0" * 20,
    "date": "2031-05-05",
    "line": "1",
    "delay": "1",
    "form": "reception",
    "work_order_id": "nowhere",
    "complaint_id": "nowhere",
    "customer": "c-00000000",
    "parked_id": "nowhere",
    "link": "nowhere",
    "id": "0" * 20,
    "site": "nowhere",
    "sha256": "0" * 64,
}
ASKING = ("reveal", "simulate", "/link", "/links", "/look-up")
"""Requests that are posted and record nothing about a thing that has a version."""
GROUP_WIDE = {"customer", "vin"}
"""A person is one person at all sites; whose id somebody knows, they may ask to be forgotten. What was done
to a vehicle is known to the group (K-17)."""


@pytest.fixture(scope="module")
async def things(running: Running, order: Visit) -> AsyncIterator[dict[str, dict[str, str]]]:
    """What there is at sh01, by the app and the name of the path's parameter."""
    complaint = await running.post("/customer-care/v1/complaints", BODIES["complaints"], "care_agent")
    path = f"/v1/complaints/{complaint['id']}/timeline"
    read = await running.get(path, "care_agent", min_position=complaint["position"])
    link = await running.post("/customer-care/v1/links", BODIES["links"], "advisor")
    appointment = await running.post("/reception/v1/appointments", BODIES["appointments"], "advisor")
    approval = await running.post(f"/reception/v1/visits/{order.id}/repairs/2/link", {}, "advisor")
    parked = await _park(running)
    shared = {"line": "2", "delay": "1", "site": "sh01"}
    taken = await picture_of(running, order.id)
    yield {
        "reception": shared
        | {
            "visit_id": order.id,
            "parked_id": parked["reception"],
            "date": "2031-05-06",
            "id": appointment["id"],
            "sha256": taken,
            "link": approval["path"].rpartition("/")[2],
        },
        "workshop": shared | {"work_order_id": order.id, "parked_id": parked["workshop"]},
        "customer-care": {
            "complaint_id": complaint["id"],
            "customer": read.json()["customer"],
            "link": link["path"].rpartition("/")[2],
            "parked_id": parked["customer-care"],
        },
        "projections": shared
        | {
            "form": "reception",
            "id": order.id,
            "vin": BODIES["visits"]["vin"],
            "complaint": complaint["id"],
            "date": "2031-05-06",
        },
    }
    for service, id in parked.items():
        await running.send(f"/{service}/v1/parked/{id}/discard", {"reason": "seen"}, "operator", "*")


async def picture_of(running: Running, visit_id: str, site: str = "sh01") -> str:
    """A photo of a visit, by its name."""
    headers = {"Authorization": f"Bearer {running.token('advisor', site)}"}
    path = f"/reception/v1/visits/{visit_id}/photos"
    answer = await running.client.post(path, content=BODIES["photos"], headers=headers)
    assert answer.status_code in (200, 201), answer.text
    feed = await running.get("/reception/v1/log", "group_auditor", "*", limit=1_000)
    [photo] = {
        each["event"]["data"]["photo"]
        for each in feed.json()["events"]
        if each["event"]["type"] == "reception.photo_taken.v1" and each["event"]["stream"].endswith(visit_id)
    }
    return str(photo)


async def _park(running: Running) -> dict[str, str]:
    """A message per service that no policy can handle, published by a stranger at sh01."""
    lines = (running.data / "environment").read_text().splitlines()
    bus = await connect(dict(line.split("=", 1) for line in lines)["BAYLEDGER_NATS_URL"], "stranger")
    for subject in (
        "reception.vehicle_received",
        "workshop.repair_added",
        "customer_care.subject_erased",
    ):
        await bus.jetstream().publish(f"aftersales.sh01.{subject}", b'"poison for the matrix"')
    await bus.close()
    poison = base64.b64encode(b'"poison for the matrix"').decode()

    async def found() -> dict[str, str] | None:
        answer = await running.get("/v1/parked", "operator", "*")
        ours = {
            each["service"]: each["parked_id"] for each in answer.json()["parked"] if each["body"] == poison
        }
        return ours if len(ours) == 3 else None

    return dict(await eventually(found))


def test_every_route_declares_what_it_needs(tmp_path: Path) -> None:
    """The positive control, an undeclared route that is found, stands beside the gate's own tests."""
    for name, app in create_apps(settings_of_nobody(tmp_path), APPS).items():
        assert undeclared_routes(app) == [], name


@pytest.mark.parametrize("app", NEEDS)
async def test_the_routes_are_the_ones_written_down_here(running: Running, app: str) -> None:
    assert set(await _operations(running, app)) == set(NEEDS[app])


async def test_every_route_for_every_role(running: Running, things: dict[str, dict[str, str]]) -> None:
    probes = [
        (app, operation, action, role)
        for app, operations in NEEDS.items()
        for operation, action in operations.items()
        for role in [*Role, None]
    ]
    at_once = asyncio.Semaphore(8)
    wrong: list[str] = []
    sent = 0

    async def probe(app: str, operation: str, action: Action | None, role: Role | None) -> None:
        nonlocal sent
        async with at_once:
            for site in ("sh01", "sh02") if role else ("",):
                sent += 1
                got = await _ask(running, app, operation, things[app], role, site)
                expected = _expected(app, operation, action, role, site)
                if got.status_code not in expected:
                    who = f"{role} at {site}" if role else "nobody"
                    wrong.append(f"{app} {operation} by {who}: {got.status_code}, not {expected}: {got.text}")
                elif site == "sh02" and got.status_code == 404:
                    absent = await _ask(running, app, operation, MISSING, role, site)
                    if _without_instance(got) != _without_instance(absent):
                        wrong.append(
                            f"{app} {operation} by {role}: another site's differs from a missing one"
                        )
                elif (
                    site == "sh02"
                    and got.status_code == 200
                    and "event-stream" not in got.headers["content-type"]
                    and (known := [id for id in ids_in(things[app]) if id in got.text])
                ):
                    wrong.append(f"{app} {operation} by {role} at sh02 shows {known}")

    await asyncio.gather(*(probe(*each) for each in probes))
    assert wrong == []
    assert sent >= 1_000


def ids_in(things: dict[str, str]) -> list[str]:
    """By which another site's things would be recognised."""
    return [id for name, id in things.items() if len(id) > 9 and name not in GROUP_WIDE]


def bad_tokens(running: Running) -> dict[str, str]:
    """Such that look like an operator's of all sites, and none is good."""
    folder = running.data / "secrets"
    key = load_pem_private_key((folder / "issuer.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    stranger = Ed25519PrivateKey.generate()
    public = Issuer(folder).jwks()["keys"][0]
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "role": "operator", "sites": ["*"], "exp": 4e9}

    def signed(by: Any = key, alg: str = "EdDSA", kid: str = public["kid"], **changed: Any) -> str:
        return jwt.encode(claims | changed, by, algorithm=alg, headers={"kid": kid})

    header, _, signature = signed(role="advisor").split(".")
    return {
        "forged": signed(stranger),
        "of an unknown key": signed(stranger, kid="another"),
        "expired": signed(exp=1_000_000_000),
        "not valid yet": signed(nbf=3_999_999_999),
        "for another audience": signed(aud="another"),
        "of another issuer": signed(iss="another"),
        "unsigned": signed("", "none"),
        "unsigned, in other letters": _relabelled(signed(), alg="nOnE") + ".",
        "signed with the public key": _hmac(_relabelled(signed(), alg="HS256"), public["x"]),
        "with claims put in": ".".join((header, signed().split(".")[1], signature)),
        "without signature": signed().rpartition(".")[0] + ".",
        "no token at all": "operator",
    }


def _relabelled(token: str, **header: str) -> str:
    """Header and claims of a token, with something else in the header; no signature."""
    head, claims, _ = token.split(".")
    labels = json.loads(base64.urlsafe_b64decode(head + "==")) | header
    return base64.urlsafe_b64encode(json.dumps(labels).encode()).decode().rstrip("=") + f".{claims}"


def _hmac(unsigned: str, secret: str) -> str:
    signature = hmac.digest(base64.urlsafe_b64decode(secret + "=="), unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_no_route_lets_a_bad_token_in(running: Running, things: dict[str, dict[str, str]]) -> None:
    at_once = asyncio.Semaphore(8)
    wrong: list[str] = []
    sent = 0

    async def probe(
        app: str, operation: str, action: Action | None, kind: str, headers: dict[str, str]
    ) -> None:
        nonlocal sent
        async with at_once:
            sent += 1
            got = await _ask(running, app, operation, things[app], None, "", headers)
            if got.status_code not in _expected(app, operation, action, None, ""):
                wrong.append(f"{app} {operation} with a token {kind}: {got.status_code}")

    await asyncio.gather(
        *(
            probe(app, operation, action, kind, headers)
            for app, operations in NEEDS.items()
            for operation, action in operations.items()
            for kind, token in bad_tokens(running).items()
            for headers in (
                {"Authorization": f"Bearer {token}"},
                {"Cookie": f"{SESSION_COOKIE}={token}", "Sec-Fetch-Site": "same-origin"},
            )
        )
    )
    assert wrong == []
    assert sent >= 1_000


async def test_the_good_one_among_the_bad_tokens_is_let_in(running: Running) -> None:
    """The same claims and the same key id, rightly signed."""
    key = load_pem_private_key((running.data / "secrets" / "issuer.pem").read_bytes(), password=None)
    header, claims, _ = bad_tokens(running)["expired"].split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"exp": 4e9}
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    assert isinstance(key, Ed25519PrivateKey)
    good = jwt.encode(told, key, algorithm="EdDSA", headers={"kid": kid})
    answer = await running.client.get("/v1/status", headers={"Authorization": f"Bearer {good}"})
    assert answer.status_code == 200


async def test_somebody_of_all_sites_sees_what_each_site_sees(
    running: Running, things: dict[str, dict[str, str]]
) -> None:
    order, complaint = things["projections"]["id"], things["projections"]["complaint"]
    for path in (
        "/v1/sites/sh01/board",
        f"/v1/work-orders/{order}",
        f"/v1/complaints/{complaint}/timeline",
        "/v1/complaints",
    ):
        everywhere = await running.get(path, "region_auditor", "*")
        here = await running.get(path, "region_auditor", "sh01")
        assert (everywhere.status_code, here.status_code) == (200, 200)
    assert "sh01" in (await running.get("/v1/sites", "region_auditor", "*")).json()["sites"]
    unknown = await running.get("/v1/sites/nowhere/board", "region_auditor", "*")
    assert unknown.status_code == 404


async def test_a_command_is_given_at_one_site(running: Running, things: dict[str, dict[str, str]]) -> None:
    for body, path in (
        (BODIES["visits"], "visits"),
        ({}, f"visits/{things['reception']['visit_id']}/deliver"),
    ):
        answer = await running.send(f"/reception/v1/{path}", body, "advisor", "*")
        assert (answer.status_code, "use one of the site" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize("role", ["group_auditor", "integrator"])
async def test_the_feed_of_a_service_is_for_readers_of_all_sites(running: Running, role: str) -> None:
    for service in ("reception", "workshop", "customer-care"):
        assert (await running.get(f"/{service}/v1/log", role, "sh01")).status_code == 403
        assert (await running.get(f"/{service}/v1/log", role, "*")).status_code == 200


async def test_the_log_of_some_sites_shows_these_only(running: Running, order: Visit) -> None:
    await Visit(running, "sh02").received()
    ours, all = [(await running.get("/v1/log", "integrator", s, limit=1000)).json() for s in ("sh02", "*")]
    assert {each["event"]["site"] for each in ours["events"]} == {"sh02"}
    assert {each["event"]["site"] for each in all["events"]} >= {"sh01", "sh02"}
    assert order.id not in json.dumps(ours)


async def test_references_to_another_sites_things_are_kept_and_show_nothing(
    running: Running, things: dict[str, dict[str, str]]
) -> None:
    """Services do not read each other's data: an id in a body opens nothing."""
    theirs = things["reception"]["visit_id"]
    body = BODIES["complaints"] | {"visit_id": theirs, "work_order_id": theirs, "phone": "15500000001"}
    raised = await running.post("/customer-care/v1/complaints", body, "care_agent", "sh02")
    path = f"/v1/complaints/{raised['id']}/timeline"
    timeline = await running.get(path, "care_agent", "sh02", min_position=raised["position"])
    assert timeline.status_code == 200
    assert (await running.get(f"/v1/work-orders/{theirs}", "care_agent", "sh02")).status_code == 404


async def _operations(running: Running, app: str) -> list[str]:
    prefix = "" if app == "projections" else f"/{app}"
    paths = (await running.client.get(f"{prefix}/openapi.json")).json()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def body_for(app: str, path: str) -> Any:
    """That a request's route takes; where two apps have a route of one name, under the app's as well."""
    name = path.rpartition("/")[2]
    return BODIES.get(f"{app} {name}", BODIES.get(name, {}))


def _parameters(operation: str) -> list[str]:
    return re.findall(r"{(\w+)}", operation)


def _expected(app: str, operation: str, action: Action | None, role: Role | None, site: str) -> set[int]:
    if action is PUBLIC:
        # Some message is parked here all the time; that does not make the system unready.
        return {200} if operation.startswith("GET") else {412}
    if role is None:
        return {401}
    if action not in MAY[role]:
        return {403}
    if operation == "GET /v1/log" and app != "projections":
        return {403}
    if operation.endswith("/gate-passes/use"):
        return {422}  # what nobody signed names no visit whose version could be compared
    names = set(_parameters(operation)) - {"line", "delay", "date", "sha256", "form"}
    if site == "sh02" and names and not names & GROUP_WIDE:
        return {404}
    if "/complaints/{id}/reveal" in operation and Action.COMPLAINT_READ not in MAY[role]:
        return {404}
    if operation.endswith("/gate-pass.pdf"):
        return {409}  # there is none yet
    asks = operation.startswith("GET") or operation.endswith(ASKING)
    return {200} if asks else {412}


@cache
def _bearer(running: Running, role: Role, site: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.token(role, site)}"}


async def _ask(
    running: Running,
    app: str,
    operation: str,
    ids: dict[str, str],
    role: Role | None,
    site: str,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> httpx2.Response:
    method, path = operation.split(" ")
    if path.startswith("/v1/complaints/{id}") and "complaint" in ids:
        ids = ids | {"id": ids["complaint"]}
    prefix = "" if app == "projections" else f"/{app}"
    headers = {**headers, **(_bearer(running, role, site) if role else {})}
    if method == "POST" and app != "projections":
        headers = headers | STALE
    body = body_for(app, path) if method == "POST" else None
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    request = running.client.build_request(method, prefix + path.format_map(ids), headers=headers, **sent)
    while True:
        answer = await running.client.send(request, stream=True)
        if "event-stream" not in answer.headers["content-type"]:
            await answer.aread()
        await answer.aclose()
        # Many questions at once: who finds no connection is asked to come again.
        if answer.status_code != 503 or "database is not available" not in answer.text:
            return answer


def _without_instance(answer: httpx2.Response) -> tuple[dict[str, str], dict[str, Any]]:
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "content-length")}
    return headers, {**answer.json(), "instance": ""}

"""What is sent wrongly is refused with a sentence, and nothing of it is recorded."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from access.issuer import AUDIENCE, ISSUER, Issuer
from services.workshop.rules import SHIPPED
from tests.api.conftest import Somebody
from tests.journeys.story import Visit
from tests.system import Running

VISITS = "/reception/v1/visits"
COMPLAINTS = "/customer-care/v1/complaints"
VISIT = {
    "vin": "LSVAA4182E2123457",
    "plate": "沪A12345",
    "customer_name": "王小明",
    "phone": "13812345678",
    "mileage_km": 1,
    "symptoms": ["刹车异响"],
}
COMPLAINT = {
    "channel": "phone",
    "subject": "other",
    "severity": "major",
    "customer_name": "王小明",
    "phone": "13812345678",
    "narrative": "等了两个小时。",
}
RULES = SHIPPED[0].model_dump(mode="json") | {"version": 2}
INSIDES = ("Traceback", "psycopg", "asyncpg", ".py", 'File "', "SELECT ", "127.0.0.1", "pydantic", "0x")
VIN = "a VIN has 17 letters and digits, without I, O and Q"
NUL = "the character NUL cannot be stored"


def refused(answer: httpx2.Response, status: int, detail: str) -> dict[str, Any]:
    """The problem document, with everything such a document must be."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert detail in problem["detail"]
    assert problem["detail"].endswith(".")
    assert problem["status"] == status
    assert not [inside for inside in INSIDES if inside in answer.text]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return problem


def altered(**fields: Any) -> str:
    return json.dumps(VISIT | fields)


def raw(number: str) -> str:
    return json.dumps(VISIT).replace('"mileage_km": 1', f'"mileage_km": {number}')


def more(text: str) -> str:
    return json.dumps(VISIT)[:-1] + f", {text}}}"


BODIES = {
    "cut off": ('{"vin": ', 400, "not valid JSON (character 8)"),
    "empty": ("", 422, "body: this is required"),
    "not utf-8": (b'{"vin": "\xff\xfe"}', 400, "JSON in UTF-8"),
    "a list": ("[]", 422, "must be a JSON object"),
    "null": ("null", 422, "must be a JSON object"),
    "a text": ('"visit"', 422, "must be a JSON object"),
    "nothing in it": ("{}", 422, "vin: this is required"),
    "2 MB": (b" " * 2_000_000, 413, "larger than 1048576 bytes"),
    "100 levels": (more('"x": ' + "[" * 100 + "]" * 100), 422, "at most 8 levels"),
    "100,000 levels": ("[" * 100_000, 400, "cannot be read"),
    "a field twice": (more('"mileage_km": 2'), 422, "names a field twice"),
    "an unknown field": (altered(milage=1), 422, "milage: there is no such field"),
    "a lone surrogate in a name": (more('"\\ud800": 1'), 422, "half of a character"),
    "text for a number": (altered(mileage_km="12"), 422, "mileage_km: this must be a whole number"),
    "true for a number": (altered(mileage_km=True), 422, "mileage_km: this must be a whole number"),
    "half a kilometre": (altered(mileage_km=0.5), 422, "mileage_km: this must be a whole number"),
    "negative mileage": (altered(mileage_km=-1), 422, "mileage_km: this must be 0 or more"),
    "1e400": (raw("1e400"), 422, "mileage_km: this must be a whole number"),
    "NaN": (raw("NaN"), 422, "mileage_km: this must be a whole number"),
    "30 digits": (raw("1" + "0" * 30), 422, "mileage_km: this must be 3000000 or less"),
    "5,000 digits": (raw("1" + "0" * 5_000), 400, "cannot be read"),
    "a number for text": (altered(plate=7), 422, "plate: this must be a text"),
    "text for a list": (altered(symptoms="noise"), 422, "symptoms: this must be a list"),
    "no symptom": (altered(symptoms=[]), 422, "symptoms: this must have 1 or more entries"),
    "21 symptoms": (altered(symptoms=["noise"] * 21), 422, "symptoms: this must have 20 entries at most"),
    "blanks for a name": (
        altered(customer_name=" \t "),
        422,
        "customer_name: this must have 1 or more characters",
    ),
    "a very long name": (
        altered(customer_name="王" * 201),
        422,
        "customer_name: this must have 200 characters at most",
    ),
    "a VIN with I": (altered(vin="ISVAA4182E2123456"), 422, VIN),
    "a VIN with O": (altered(vin="OSVAA4182E2123456"), 422, VIN),
    "a VIN with Q": (altered(vin="QSVAA4182E2123456"), 422, VIN),
    "a VIN of 16": (altered(vin="LSVAA4182E212345"), 422, VIN),
    "a VIN of 18": (altered(vin="LSVAA4182E21234567"), 422, VIN),
    "a VIN with a wide digit": (altered(vin="LSVAA4182E212345６"), 422, VIN),
    "a phone without digits": (altered(phone="-----"), 422, "five digits or more"),
    "a phone in words": (altered(phone="call me"), 422, "five digits or more"),
    "a promise without zone": (altered(promised_at="2026-01-31T14:00:00"), 422, "add a time zone"),
    "a promise beyond time": (altered(promised_at="9999-12-31T23:59:59-14:00"), 422, "between 2000 and 2099"),
    "a promise in words": (altered(promised_at="tomorrow"), 422, "promised_at: this must be a time"),
    "the past without zone": (altered(occurred_at="2026-01-31T14:00:00"), 422, "add a time zone"),
    "before all time": (altered(occurred_at="0001-01-01T00:00:00+14:00"), 422, "between 2000 and 2099"),
    "the future": (
        altered(occurred_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()),
        422,
        "cannot lie in the future",
    ),
    "NUL in a name": (altered(customer_name="王\0"), 422, f"customer_name: {NUL}"),
    "NUL in a plate": (altered(plate="沪\0A"), 422, f"plate: {NUL}"),
    "NUL in a symptom": (altered(symptoms=["noise", "\0"]), 422, f"symptoms: {NUL}"),
    "a lone surrogate in a symptom": (altered(symptoms=["\ud83d"]), 422, "symptoms.0: half of a character"),
    "half an emoji in a name": (altered(customer_name="\udc69"), 422, "customer_name: half of a character"),
}


@pytest.mark.parametrize(("body", "status", "detail"), BODIES.values(), ids=BODIES)
async def test_a_bad_visit_is_refused(
    somebody: Callable[..., Somebody], body: str | bytes, status: int, detail: str
) -> None:
    advisor = somebody()
    refused(await advisor.send(VISITS, body), status, detail)
    assert await advisor.recorded() == []


@pytest.mark.parametrize(
    ("path", "role", "body", "field"),
    [
        (COMPLAINTS, "care_agent", COMPLAINT | {"narrative": "a\0b"}, "narrative"),
        ("/workshop/v1/work-orders/{id}/dispatch", "workshop_supervisor", {"team": "\0"}, "team"),
        ("/workshop/v1/work-orders/{id}/quality/fail", "inspector", {"cause": "a\0"}, "cause"),
        (
            "/workshop/v1/work-orders/{id}/repairs",
            "technician",
            {"description": "\0pads", "price_fen": 1, "delay_minutes": 1},
            "description",
        ),
        ("/workshop/v1/rules", "department_manager", {"rules": RULES | {"owner": "a\0"}}, "rules"),
        ("/reception/v1/rules", "department_manager", {"rules": {"opening": {"\0": 1}}}, "rules"),
        ("/v1/work-orders/{id}/reveal", "advisor", {"reason": "why\0not"}, "reason"),
        ("/reception/v1/parked/0/discard", "operator", {"reason": "why\0not"}, "reason"),
    ],
)
async def test_nul_is_refused_in_every_text(
    somebody: Callable[..., Somebody], order: Visit, path: str, role: str, body: dict[str, Any], field: str
) -> None:
    person = somebody(role)
    refused(await person.send(path.format(id=order.id), body), 422, f"{field}: {NUL}")
    assert await person.recorded() == []


async def test_nobody_draws_nothing(somebody: Callable[..., Somebody], order: Visit) -> None:
    """W-09."""
    clerk = somebody("parts_clerk")
    part = {"line": 1, "code": "OIL", "name": "oil", "quantity": "0.000"}
    drawn = await clerk.send(
        f"/workshop/v1/work-orders/{order.id}/parts/pick", {"parts": [part], "technician": "zhao"}
    )
    refused(drawn, 422, "parts.0.quantity: draw more than nothing")
    assert await clerk.recorded() == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/work-orders/%00",
        "/v1/work-orders/a%00b/timeline",
        "/v1/complaints/%00/timeline",
        "/v1/complaints?next=%00",
        "/v1/sites/sh01/board?min_position=reception%00:1",
        "/reception/v1/visits/%00/deliver",
    ],
)
async def test_nul_is_refused_in_every_address(somebody: Callable[..., Somebody], path: str) -> None:
    refused(await somebody().send(path, method="GET"), 400, "The address holds the character NUL")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "image/png"])
async def test_another_content_type_is_told_the_right_one(
    somebody: Callable[..., Somebody], content_type: str
) -> None:
    advisor = somebody()
    answer = await advisor.send(VISITS, VISIT, headers={"Content-Type": content_type})
    refused(answer, 422, "must be a JSON object, sent as application/json")
    assert await advisor.recorded() == []


HEADERS = {
    "If-Match in words": ({"If-Match": "banana"}, 400, 'such as "v7"'),
    "If-Match of another server": ({"If-Match": '"33a64df5"'}, 400, 'such as "v7"'),
    "If-Match without quotes": ({"If-Match": "v1"}, 400, 'such as "v7"'),
    "If-Match without end": ({"If-Match": '"v' + "9" * 36 + '"'}, 400, 'such as "v7"'),
    "If-Match, very long": ({"If-Match": "v" * 41}, 422, "If-Match: this must have 40 characters at most"),
    "If-Match of what is not there yet": ({"If-Match": '"v3"'}, 412, "does not exist yet"),
    "a very long key": (
        {"Idempotency-Key": "k" * 201},
        422,
        "Idempotency-Key: this must have 200 characters at most",
    ),
    "an empty key": ({"Idempotency-Key": ""}, 422, "Idempotency-Key: this must have 1 or more characters"),
}


@pytest.mark.parametrize(("headers", "status", "detail"), HEADERS.values(), ids=HEADERS)
async def test_a_bad_header_is_refused(
    somebody: Callable[..., Somebody], headers: dict[str, str], status: int, detail: str
) -> None:
    advisor = somebody()
    refused(await advisor.send(VISITS, VISIT, headers=headers), status, detail)
    assert await advisor.recorded() == []


async def test_nul_in_a_header_reaches_nobody(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /reception/v1/visits HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\0b\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_a_malformed_trace_does_not_stop_business(somebody: Callable[..., Somebody]) -> None:
    advisor = somebody()
    assert (await advisor.send(VISITS, VISIT, headers={"traceparent": "nonsense"})).status_code == 201
    [event] = await advisor.recorded()
    assert event["traceparent"] is None


async def test_a_stale_version_is_told_the_current_one(
    somebody: Callable[..., Somebody], order: Visit
) -> None:
    supervisor = somebody("workshop_supervisor")
    path = f"/workshop/v1/work-orders/{order.id}/dispatch"
    answer = await supervisor.send(path, {"team": "C 组"}, headers={"If-Match": '"v1"'})
    problem = refused(answer, 412, "it is now at version 6")
    assert (problem["version"], answer.headers["etag"]) == (6, '"v6"')
    assert await supervisor.recorded() == []


async def test_a_key_belongs_to_one_body(somebody: Callable[..., Somebody]) -> None:
    advisor = somebody()
    key = {"Idempotency-Key": "the same"}
    first = await advisor.send(VISITS, VISIT, headers=key)
    refused(
        await advisor.send(VISITS, VISIT | {"mileage_km": 2}, headers=key), 422, "used before with another"
    )
    again = await advisor.send(VISITS, VISIT, headers=key)
    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert len(await advisor.recorded()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/reception/v1/visits/00000000000000000000/deliver",
        "/reception/v1/visits/00000000000000000000/repairs/1/approve",
        "/workshop/v1/work-orders/nowhere/complete",
        "/customer-care/v1/complaints/nowhere/resolve",
        "/customer-care/v1/subjects/c-00000000/erase",
        "/v1/work-orders/nowhere/reveal",
    ],
)
async def test_an_unknown_id_is_not_there(somebody: Callable[..., Somebody], path: str) -> None:
    person = somebody("care_manager" if "care" in path else "department_manager")
    body = {"resolution": "apology"} if "resolve" in path else {}
    body = {"reason": "calling"} if "reveal" in path else body
    refused(await person.send(path, body), 404, "compare the address and the id")
    assert await person.recorded() == []


MINE = Ed25519PrivateKey.generate()
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "role": "advisor", "sites": ["sh01"], "exp": 4e9}


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"aud": "another"}, "meant for somebody else"),
        ({"iss": "another"}, "issued by somebody else"),
        ({"exp": 1_000_000_000}, "The token has expired"),
        ({"nbf": 3_999_999_999}, "not valid yet"),
        ({"role": "king"}, "lacks a usable role"),
        ({"sites": []}, "lacks a usable sites"),
        ({"sites": ["sh01,sh02"]}, "lacks a usable sites"),
        ({"sites": ["aftersales.>"]}, "lacks a usable sites"),
        ({"sub": "eve\r\nActor: boss"}, "lacks a usable sub"),
    ],
)
async def test_a_token_that_is_not_for_this_is_nobody(
    running: Running, changed: dict[str, Any], detail: str
) -> None:
    key = load_pem_private_key((running.data / "secrets" / "issuer.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    token = jwt.encode(CLAIMS | changed, key, algorithm="EdDSA", headers={"kid": _kid(running)})
    await _is_nobody(running, f"Bearer {token}", detail)


async def test_a_forged_token_is_nobody(running: Running) -> None:
    kid = _kid(running)
    forged = jwt.encode(CLAIMS, MINE, algorithm="EdDSA", headers={"kid": kid})
    unsigned = jwt.encode(CLAIMS, "", algorithm="none", headers={"kid": kid})
    symmetric = jwt.encode(
        CLAIMS, "a secret of thirty-two characters", algorithm="HS256", headers={"kid": kid}
    )
    good = running.token("advisor", "sh01")
    header, _, signature = good.split(".")
    swapped = ".".join((header, forged.split(".")[1], signature))
    await _is_nobody(running, f"Bearer {forged}", "signature is not good")
    await _is_nobody(running, f"Bearer {swapped}", "signature is not good")
    await _is_nobody(running, f"Bearer {unsigned}", "must name its key")
    await _is_nobody(running, f"Bearer {symmetric}", "must name its key")
    await _is_nobody(running, f"Basic {good}", "needs a token")
    await _is_nobody(running, "", "needs a token")


def _kid(running: Running) -> str:
    kid: str = Issuer(running.data / "secrets").jwks()["keys"][0]["kid"]
    return kid


async def _is_nobody(running: Running, authorization: str, detail: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await running.client.post(VISITS, json=VISIT, headers=headers)
    refused(answer, 401, detail)
    assert answer.headers["www-authenticate"].startswith("Bearer")


QUERIES = {
    "/v1/sites/sh01/board?as_of=yesterday": (422, "as_of is a position, or a time with a zone"),
    "/v1/sites/sh01/board?as_of=": (422, "as_of is a position"),
    "/v1/sites/sh01/board?as_of=-1": (422, "as_of is a position"),
    "/v1/sites/sh01/board?as_of=2026-01-31T14:00:00": (422, "with a zone"),
    "/v1/sites/sh01/board?as_of=0001-01-01T00:00:00%2B14:00": (422, "as_of is a position"),
    "/v1/sites/sh01/board?as_of=99999999999999999999": (422, "as_of is a position"),
    "/v1/work-orders/{id}?as_of=1e3": (422, "as_of is a position"),
    "/v1/complaints?as_of=now": (422, "as_of is a position"),
    "/v1/sites/sh01/board?min_position=soon": (400, "min_position is a ledger position"),
    "/v1/sites/sh01/board?min_position=-1": (400, "min_position is a ledger position"),
    "/v1/sites/sh01/board?min_position=elsewhere:1": (400, "min_position is a ledger position"),
    "/v1/work-orders/{id}/timeline?min_position=1:1": (400, "min_position is a ledger position"),
    "/v1/complaints?limit=0": (422, "limit: this must be 1 or more"),
    "/v1/complaints?limit=-1": (422, "limit: this must be 1 or more"),
    "/v1/complaints?limit=1000000000": (422, "limit: this must be 200 or less"),
    "/v1/complaints?limit=many": (422, "limit: this must be a whole number"),
    "/v1/complaints?only_open=perhaps": (422, "only_open: this must be true or false"),
    "/v1/sites/sh01/board/stream?after=-1": (422, "after: this must be 0 or more"),
    "/v1/log?limit=0": (422, "limit: this must be 1 or more"),
    "/v1/log?limit=1001": (422, "limit: this must be 1000 or less"),
    "/v1/log?after=-1": (422, "after: this must be 0 or more"),
    "/v1/log?after=99999999999999999999999": (422, "after: this must be 4611686018427387904 or less"),
    "/v1/nowhere": (404, "nothing here by that name"),
    "/reception/v1/nowhere": (404, "nothing here by that name"),
}


@pytest.mark.parametrize(("path", "expected"), QUERIES.items(), ids=QUERIES)
async def test_a_bad_question_is_refused(
    somebody: Callable[..., Somebody], order: Visit, path: str, expected: tuple[int, str]
) -> None:
    person = somebody("integrator" if path.startswith("/v1/log") else "advisor")
    refused(await person.send(path.format(id=order.id), method="GET"), *expected)


async def test_a_position_far_ahead_is_told_how_far(somebody: Callable[..., Somebody]) -> None:
    far = ("reception:900000000000", "900000000000")
    questions = [somebody().send(f"/v1/sites/sh01/board?min_position={at}", method="GET") for at in far]
    for answer in await asyncio.gather(*questions):
        problem = refused(answer, 503, "This view is behind by 8999")
        assert "please ask again" in problem["detail"]
        assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_refused(somebody: Callable[..., Somebody], method: str) -> None:
    answer = await somebody().send(VISITS, method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        refused(answer, 405, "cannot be done with this method")
    read = await somebody().send("/v1/sites/sh01/board", {})
    refused(read, 405, "cannot be done with this method")


async def test_every_script_comes_back_as_it_was_sent(somebody: Callable[..., Somebody]) -> None:
    care, words = (
        somebody("care_agent"),
        {"customer_name": "𠮷野家 👩‍👩‍👧", "narrative": "𪚥𠀀 🚗💥 \u202e\u0001"},
    )
    raised = (await care.send(COMPLAINTS, COMPLAINT | words)).json()
    path = f"/v1/complaints/{raised['id']}"
    await care.send(f"{path}/timeline?min_position={raised['position']}", method="GET")
    clear = (await care.send(f"{path}/reveal", {"reason": "reading it"})).json()
    assert {name: clear[name] for name in words} == words

    advisor = somebody()
    visit = VISIT | {"plate": "𠮷A🚗1", "symptoms": ["龘靐齉 🔧", "\\u0000 is six characters"]}
    received = (await advisor.send(VISITS, visit)).json()
    path = f"/v1/work-orders/{received['id']}?min_position={received['position']}"
    shown = (await advisor.send(path, method="GET")).json()
    assert {name: shown[name] for name in ("plate", "symptoms")} == {
        name: visit[name] for name in ("plate", "symptoms")
    }


async def test_an_unforeseen_query_is_passed_over(somebody: Callable[..., Somebody]) -> None:
    answer = await somebody().send("/v1/sites/sh01/board?colour=red", method="GET")
    assert answer.status_code == 200

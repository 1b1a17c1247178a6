"""Another site's things, named in whatever place of a request: the answer is the one for what nobody has."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx2
import pytest

from access.issuer import Issuer
from access.roles import MAY, Role
from tests.api.test_access import BODIES, MISSING, NEEDS, STALE, body_for
from tests.journeys.story import Visit
from tests.system import Running

THEIRS, OURS = "sh11", "sh12"
"""Sites where nothing else happens."""
UNDECLARED = ("site", "work_order_id")
"""Names that no document has for a parameter or field here, and that somebody may try all the same."""
BEGIN = {"POST /v1/visits", "POST /v1/complaints"}
OF_ALL_SITES = {
    ("POST /v1/subjects/{customer}/erase", "path customer"),
    ("GET /v1/status", "query"),
    ("GET /v1/vehicles/{vin}/history", "path vin"),
}
"""A person is one person at all sites, and so is a vehicle, whose file says nothing of people elsewhere
(K-17); where the whole system stands moves on while it is asked."""
NO_DATE = re.compile('Input should be a valid date[^"]*')
"""Why, depends on how the text begins."""
PARTS = {"path": "path", "query": "query", "header": "headers"}
OF_THE_MOMENT = ("at", "position", "waiting_minutes", "minutes", "instance", "id", "until")
SIGNED = re.compile(r"\.[0-9a-f]+\.[0-9a-f]{64}")
"""The end of a link: until when it is valid, and the signature."""


class Pair(NamedTuple):
    """Something of the other site, and something like it that there is nowhere."""

    theirs: str
    nobodys: str


class Request(NamedTuple):
    path: dict[str, str]
    query: Mapping[str, str] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    body: dict[str, Any] | bytes | None = None


class Things(NamedTuple):
    ours: dict[str, str]
    pairs: dict[str, Pair]
    places: tuple[str, ...]
    """Times and positions of theirs."""
    shown: list[str]
    """What nobody at our site may read anywhere."""


async def story(running: Running, site: str, vin: str) -> tuple[Visit, str, str]:
    """A visit with an added repair, and by the same customer a complaint; gives the ids of it and of them."""
    visit = await (await (await Visit(running, site).received(vin=vin)).dispatched()).repair_added(line=2)
    complaint = BODIES["complaints"] | {"phone": visit.phone}
    raised = await running.post("/customer-care/v1/complaints", complaint, "care_agent", site)
    path = f"/v1/complaints/{raised['id']}/timeline"
    timeline = await running.get(path, "care_agent", site, min_position=raised["position"])
    return visit, raised["id"], timeline.json()["customer"]


@pytest.fixture(scope="module")
async def things(running: Running) -> Things:
    visit, complaint, customer = await story(running, THEIRS, "LSVAA4182E2199999")
    ours, our_complaint, _ = await story(running, OURS, "LSVAA4182E2177777")
    listed = await running.get("/v1/complaints", "care_agent", THEIRS)
    board = await running.get(f"/v1/sites/{THEIRS}/board", "advisor", THEIRS)
    [raised] = listed.json()["complaints"]
    return Things(
        ours={
            **MISSING,
            "visit_id": ours.id,
            "work_order_id": ours.id,
            "complaint_id": our_complaint,
            "work-orders": ours.id,
            "complaints": our_complaint,
            "site": OURS,
            "vin": "LSVAA4182E2177777",
        },
        pairs={
            "visit": Pair(visit.id, visit.id[::-1]),
            "complaint": Pair(complaint, complaint[::-1]),
            "customer": Pair(customer, "c-" + customer[:1:-1]),
            "site": Pair(THEIRS, "sh99"),
            "vin": Pair("LSVAA4182E2199999", "LSVAA4182E2188888"),
            "plate": Pair(visit.plate, "沪Z00000"),
            "phone": Pair(visit.phone, "19999999999"),
            "etag": Pair(board.headers["etag"], board.headers["etag"][::-1]),
            "cursor": Pair(raised["raised_at"] + complaint, raised["raised_at"] + complaint[::-1]),
        },
        places=(raised["raised_at"], board.json()["position"], f"reception:{visit.position}"),
        shown=[visit.id, complaint, customer, visit.plate, visit.phone, "LSVAA4182E2199999", THEIRS],
    )


def places(
    app: str, operation: str, described: dict[str, Any], ours: dict[str, str]
) -> dict[str, Callable[[str], Request]]:
    """Where a value can stand in a request that is otherwise as deep as one gets."""
    path = operation.split(" ")[1]
    ids = ours | ({"id": ours.get(path.split("/")[2], "nowhere")} if "{id}" in path else {})
    whole = Request(ids, body=body_for(app, path) if "requestBody" in described else None)
    found = [(PARTS[each["in"]], each["name"]) for each in described.get("parameters", [])]
    found += [("query", name) for name in UNDECLARED]
    if isinstance(whole.body, dict):
        found += [("body", name) for name in {*whole.body, *UNDECLARED}]
    return {f"{part} {name}": partial(_put, whole, part, name) for part, name in found}


def _put(whole: Request, part: str, name: str, value: str) -> Request:
    return whole._replace(**{part: {**getattr(whole, part), name: value}})


def comparable(answer: httpx2.Response, value: str) -> tuple[int, dict[str, str], Any]:
    headers = {name: text for name, text in answer.headers.items() if name not in ("date", "content-length")}
    text = SIGNED.sub("", _text(answer).replace(value, "<value>"))
    text = NO_DATE.sub("no date", text)
    return answer.status_code, headers, _lasting(json.loads(text)) if text.startswith("{") else text


def _text(answer: httpx2.Response) -> str:
    """Nothing of a stream: it does not end."""
    return "" if "event-stream" in answer.headers["content-type"] else answer.text


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in OF_THE_MOMENT}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


class Asking:
    """Each probe by somebody new, so that nobody's earlier question counts."""

    def __init__(self, running: Running, site: str) -> None:
        self.running = running
        self.site = site
        self.issuer = Issuer(running.data / "secrets")
        self.sent = 0
        self.at_once = asyncio.Semaphore(8)

    async def ask(self, app: str, operation: str, role: Role | None, request: Request) -> httpx2.Response:
        method, path = operation.split(" ")
        self.sent += 1
        headers = dict(request.headers)
        if role:
            token = self.issuer.token(f"prober-{self.sent}", role, [self.site], 3600)
            headers["Authorization"] = f"Bearer {token}"
        if method == "POST" and app != "projections" and operation not in BEGIN:
            headers = STALE | headers
        prefix = "" if app == "projections" else f"/{app}"
        built = self.running.client.build_request(
            method,
            prefix + path.format_map(request.path),
            params=request.query,
            headers={name.encode(): value.encode() for name, value in headers.items()},
            **({"content": request.body} if isinstance(request.body, bytes) else {"json": request.body}),
        )
        async with self.at_once:
            while True:
                answer = await self.running.client.send(built, stream=True)
                if "event-stream" not in answer.headers.get("content-type", ""):
                    await answer.aread()
                await answer.aclose()
                # Thousands of questions at once: who finds no connection is asked to come again.
                if answer.status_code != 503 or "database is not available" not in answer.text:
                    return answer


async def documents(running: Running) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """App, operation and its description, of all that the OpenAPI documents have."""
    found = []
    for app in NEEDS:
        prefix = "" if app == "projections" else f"/{app}"
        paths = (await running.client.get(f"{prefix}/openapi.json")).json()["paths"]
        found += [(app, f"{m.upper()} {path}", each) for path, ms in paths.items() for m, each in ms.items()]
    return iter(found)


def asker(app: str, operation: str) -> Role | None:
    action = NEEDS[app][operation]
    return next(role for role in Role if action in MAY[role]) if action else None


@pytest.mark.parametrize("begins", [False, True], ids=["what is there", "what begins"])
async def test_what_is_theirs_is_like_what_is_nobodys(running: Running, things: Things, begins: bool) -> None:
    asking = Asking(running, "sh13" if begins else OURS)
    wrong: list[str] = []
    accepted = 0

    async def probe(app: str, operation: str, place: str, put: Callable[[str], Request], pair: Pair) -> None:
        nonlocal accepted
        role = asker(app, operation)
        theirs, nobodys = [await asking.ask(app, operation, role, put(value)) for value in pair]
        accepted += theirs.status_code < 300
        if comparable(theirs, pair.theirs) != comparable(nobodys, pair.nobodys):
            wrong.append(f"{app} {operation} {place} {pair}: {_text(theirs)} but {_text(nobodys)}")
        shown = _text(theirs).replace(pair.theirs, "")
        if found := [each for each in things.shown if each in shown]:
            wrong.append(f"{app} {operation} {place} shows {found}")

    await asyncio.gather(
        *(
            probe(app, operation, place, put, pair)
            for app, operation, described in await documents(running)
            if (operation in BEGIN) is begins
            for place, put in places(app, operation, described, things.ours).items()
            if not {(operation, place), (operation, place.split(" ")[0])} & OF_ALL_SITES
            for kind, pair in things.pairs.items()
            if (place, kind) != ("query min_position", "phone")  # a number is a position, and waited for
        )
    )
    assert wrong == []
    assert asking.sent >= (400 if begins else 15_000)
    assert accepted > (asking.sent / 20 if begins else 800)


async def test_their_times_and_positions_show_nothing_of_theirs(running: Running, things: Things) -> None:
    asking = Asking(running, OURS)
    read = 0
    for app, operation, described in await documents(running):
        for place, put in places(app, operation, described, things.ours).items():
            if place not in (
                "query as_of",
                "query min_position",
                "query after",
                "query next",
                "headers last-event-id",
            ):
                continue
            for value in things.places:
                answer = await asking.ask(app, operation, asker(app, operation), put(str(value)))
                assert [each for each in things.shown if each in _text(answer)] == [], (
                    operation,
                    place,
                    value,
                )
                read += answer.status_code == 200
    assert read > 10


async def test_what_is_theirs_is_seen_by_those_who_may(running: Running, things: Things) -> None:
    """The same questions at the other site show it: the probes above do not miss it by asking wrongly."""
    asking = Asking(running, THEIRS)
    ids = {"work-orders": things.pairs["visit"].theirs, "complaints": things.pairs["complaint"].theirs}
    seen = ""
    for app, operation, _ in await documents(running):
        if operation.startswith("GET /v1") and app == "projections" and not operation.endswith("stream"):
            id = ids.get(operation.split("/")[2], "")
            of_theirs = {"id": id, "site": THEIRS, "vin": things.pairs["vin"].theirs}
            answer = await asking.ask(app, operation, asker(app, operation), Request(things.ours | of_theirs))
            seen += _text(answer)
    visit, complaint, customer, plate, phone, vin, site = things.shown
    assert all(each in seen for each in (visit, complaint, customer, plate, vin, site))
    assert phone not in seen  # that is shown on request only

"""Who gets through the gate."""

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from httpx2 import ASGITransport, AsyncClient

from access.guard import SESSION_COOKIE, needs, public, undeclared_routes
from access.issuer import AUDIENCE, ISSUER, Issuer
from access.problems import install
from access.roles import Action, Role
from access.tokens import Tokens

BOARD = "/sites/sh01/board"
VISITS = "/sites/sh01/visits"
READING = {"kilometres": 7}


def bearer(
    issuer: Issuer, role: Role = Role.ADVISOR, site: str = "sh01", lifetime: float = 60
) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token('wang.li', role, [site], lifetime)}"}


def session(issuer: Issuer, role: Role = Role.ADVISOR) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={issuer.token('wang.li', role, ['sh01'], 60)}"}


async def test_whoever_may_gets_in(client: AsyncClient, issuer: Issuer) -> None:
    answer = await client.get(BOARD, headers=bearer(issuer))
    assert (answer.status_code, answer.json()) == (200, {"actor": "wang.li"})


async def test_nobody_is_asked_who_they_are(client: AsyncClient) -> None:
    answer = await client.get(BOARD)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="bayledger"'
    assert (
        answer.json()["detail"]
        == "This needs a token; please sign in, or send one as `Authorization: Bearer`."
    )


@pytest.mark.parametrize("header", ["Bearer x.y.z", "Bearer ", "Basic d2FuZzpsaQ==", "nonsense"])
async def test_a_bad_header_is_nobody(client: AsyncClient, header: str) -> None:
    assert (await client.get(BOARD, headers={"Authorization": header})).status_code == 401


async def test_an_expired_token_is_told_so(client: AsyncClient, issuer: Issuer) -> None:
    answer = await client.get(BOARD, headers=bearer(issuer, lifetime=-3600))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.json()["detail"] == "The token has expired; please sign in again."


async def test_another_role_is_told_what_it_lacks(client: AsyncClient, issuer: Issuer) -> None:
    answer = await client.post(VISITS, json=READING, headers=bearer(issuer, Role.PARTS_CLERK))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "The role parts clerk does not include visit.receive."


async def test_another_sites_object_answers_like_a_missing_one(client: AsyncClient, issuer: Issuer) -> None:
    elsewhere = await client.get("/sites/sh02/board", headers=bearer(issuer))
    nowhere = await client.get("/sites/sh99/board", headers=bearer(issuer))
    assert elsewhere.status_code == nowhere.status_code == 404
    assert elsewhere.text.replace("sh02", "sh99") == nowhere.text
    assert dict(elsewhere.headers) == dict(nowhere.headers)


async def test_a_stranger_learns_nothing_from_a_malformed_request(client: AsyncClient) -> None:
    assert (await client.post(VISITS, json={"kilometres": "x"})).status_code == 401


async def test_web_pages_come_with_a_cookie(client: AsyncClient, issuer: Issuer) -> None:
    assert (await client.get(BOARD, headers=session(issuer))).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://bayledger.test"},
    ],
)
async def test_our_own_pages_may_change_things(
    client: AsyncClient, issuer: Issuer, origin: dict[str, str]
) -> None:
    assert (await client.post(VISITS, json=READING, headers=session(issuer) | origin)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://bayledger.test.evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://bayledger.test"},
    ],
)
async def test_a_strangers_page_cannot_use_our_cookie(
    client: AsyncClient, issuer: Issuer, origin: dict[str, str]
) -> None:
    answer = await client.post(VISITS, json=READING, headers=session(issuer) | origin)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "This request did not come from our own pages."


async def test_a_program_with_a_bearer_token_has_no_origin(client: AsyncClient, issuer: Issuer) -> None:
    assert (await client.post(VISITS, json=READING, headers=bearer(issuer))).status_code == 200


async def test_nobody_is_called_a_stranger_because_the_issuer_is_away(issuer: Issuer) -> None:
    app = FastAPI()
    app.state.tokens = Tokens("/nowhere/jwks.json", ISSUER, AUDIENCE)
    install(app)

    @app.get("/", dependencies=[needs(Action.STATUS_READ)])
    async def status() -> None: ...

    async with AsyncClient(transport=ASGITransport(app), base_url="http://bayledger.test") as client:
        answer = await client.get("/", headers=bearer(issuer))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_every_route_of_the_small_application_is_declared(app: FastAPI) -> None:
    assert undeclared_routes(app) == []


def test_the_description_of_the_api_and_plain_files_are_public(tmp_path: object) -> None:
    app = FastAPIOffline(redoc_url=None)
    app.mount("/static", StaticFiles(directory=str(tmp_path)))
    assert undeclared_routes(app) == []


def test_an_undeclared_route_is_found_wherever_it_hides() -> None:
    async def page() -> None: ...

    async def forgotten_in_a_mount(scope: object, receive: object, send: object) -> None: ...

    declared, undeclared, inner, outer = APIRouter(), APIRouter(), FastAPI(), FastAPI()
    declared.get("/a")(page)
    undeclared.get("/b")(page)
    undeclared.get("/c", dependencies=[Depends(page)])(page)
    undeclared.websocket("/d")(page)
    nested = APIRouter(prefix="/nested")
    nested.include_router(undeclared, prefix="/deep")
    inner.get("/e")(page)
    inner.get("/f", dependencies=[public])(page)
    outer.include_router(declared, prefix="/declared", dependencies=[needs(Action.BOARD_READ)])
    outer.include_router(nested)
    outer.mount("/inner", inner)
    outer.mount("/asgi", forgotten_in_a_mount)
    outer.add_route("/plain", page)  # type: ignore[arg-type]
    assert undeclared_routes(outer) == [
        "/nested/deep/b",
        "/nested/deep/c",
        "/nested/deep/d",
        "/inner/e",
        "/asgi",
        "/plain",
    ]

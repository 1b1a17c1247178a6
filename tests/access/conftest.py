"""A small application behind the real gate."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient
from psycopg.errors import DiskFull
from pydantic import BaseModel, Field

from access.guard import needs, public
from access.issuer import AUDIENCE, ISSUER, Issuer
from access.problems import MAX_BODY, install, missing
from access.roles import Action
from access.tokens import Principal, Tokens


class Reading(BaseModel):
    kilometres: Annotated[int, Field(ge=0)]
    phone: Annotated[str, Field(max_length=20)] = ""


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def app(issuer: Issuer) -> FastAPI:
    app = FastAPI()
    app.state.tokens = Tokens(str(issuer.jwks_file), ISSUER, AUDIENCE)
    install(app, {"/pictures/[0-9]+": 2 * MAX_BODY})
    router = APIRouter(prefix="/sites/{site}")

    @router.get("/board")
    async def board(site: str, who: Annotated[Principal, needs(Action.BOARD_READ)]) -> dict[str, Any]:
        if site == "sh99" or not who.at(site):
            raise missing()
        return {"actor": who.actor}

    @router.post("/visits", dependencies=[needs(Action.VISIT_RECEIVE)])
    async def receive(site: str, reading: Reading) -> dict[str, Any]:
        return {"kilometres": reading.kilometres}

    app.include_router(router)

    @app.post("/pictures/{number}", dependencies=[public])
    async def picture(number: int, request: Request) -> int:
        return len(await request.body())

    @app.get("/healthz", dependencies=[public])
    async def healthz() -> dict[str, Any]:
        return {}

    @app.get("/broken", dependencies=[public])
    async def broken() -> None:
        raise RuntimeError("13812345678 is in this text")

    @app.get("/full", dependencies=[public])
    async def full() -> None:
        raise DiskFull("could not extend file base/5/13812345678")

    @app.get("/stream", dependencies=[public])
    async def stream() -> StreamingResponse:
        async def endless() -> AsyncIterator[str]:
            while True:
                yield "data: still here\n\n"

        return StreamingResponse(endless(), media_type="text/event-stream")

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://bayledger.test") as client:
        yield client

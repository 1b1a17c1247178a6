"""The plain ways over HTTP that our apps are held against, in a process of their own."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

LIBRARY, LEDGER = "BENCHMARK_LIBRARY_DB", "BENCHMARK_LEDGER_DB"
OPEN_CARDS = """
FROM work_order_board_1 WHERE site = 'sh01' AND to_pos = 9223372036854775807 AND open
"""


class Visit(BaseModel):
    vin: str
    plate: str
    customer_name: str
    phone: str
    mileage_km: int
    symptoms: list[str]


class Card(BaseModel):
    model_config = ConfigDict(extra="allow")

    work_order_id: str
    site: str
    stage: str
    symptoms: list[str]
    first_at: str
    last_at: str
    waits_for: str
    column: str
    since: str


class ReceivedVehicle(Aggregate):
    @event("Received")
    def __init__(self, visit: dict[str, Any]) -> None:
        self.visit = visit


def library_environment(dsn: str) -> dict[str, str]:
    """pyeventsourcing on PostgreSQL, configured as its documentation does."""
    at = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(at["dbname"]),
        "POSTGRES_HOST": str(at["host"]),
        "POSTGRES_PORT": str(at["port"]),
        "POSTGRES_USER": str(at["user"]),
        "POSTGRES_PASSWORD": str(at["password"]),
        "POSTGRES_POOL_SIZE": "16",
        "POSTGRES_MAX_OVERFLOW": "64",
    }


def library(dsn: str) -> Application[UUID]:
    return Application(env=library_environment(dsn))


def create_app() -> FastAPI:
    saving = library(os.environ[LIBRARY])
    pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
        os.environ[LEDGER], min_size=1, max_size=12, open=False, kwargs={"autocommit": True}
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=False)
        gc.collect()  # the collector is tuned as in our apps
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/bare", status_code=201)
    async def bare(visit: Visit) -> dict[str, str]:
        return {"id": visit.phone}

    @app.post("/library", status_code=201)
    def save(visit: Visit) -> dict[str, str]:
        received = ReceivedVehicle(visit.model_dump())
        saving.save(received)
        return {"id": str(received.id)}

    @app.get("/board/pydantic")
    async def by_models() -> list[Card]:
        async with pool.connection() as conn:
            found = await (await conn.execute(f"SELECT document {OPEN_CARDS}".encode())).fetchall()
        return [Card.model_validate(document) for [document] in found]

    @app.get("/board/sql")
    async def by_sql() -> Response:
        async with pool.connection() as conn:
            query = f"SELECT json_agg(document ORDER BY document ->> 'since', key)::text {OPEN_CARDS}"
            [board] = await (await conn.execute(query.encode())).fetchone() or [None]
        return Response(board, media_type="application/json")

    screens: set[asyncio.Queue[bytes]] = set()

    @app.get("/screen")
    async def screen() -> Response:
        async def frames() -> AsyncIterator[bytes]:
            queue: asyncio.Queue[bytes] = asyncio.Queue()
            screens.add(queue)
            try:
                yield b": connected\n\n"
                while True:
                    yield await queue.get()
            finally:
                screens.discard(queue)

        return StreamingResponse(frames(), media_type="text/event-stream")

    @app.post("/change", status_code=201)
    async def change(request: Request) -> Response:
        frame = await request.body()
        for queue in screens:
            queue.put_nowait(frame)
        return Response(status_code=201)

    return app

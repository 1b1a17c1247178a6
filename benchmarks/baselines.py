"""The plain ways over HTTP that our apps are held against, in a process of their own."""

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
from starlette.responses import Response

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

    return app

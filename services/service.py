"""What every service is made of: an event store, its relay, its policies, its feed, and their routes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, Query
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from pydantic import Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from access.guard import needs, public
from access.keyring import Keyring, load_master_key
from access.pools import open_pool
from access.problems import Problem, install
from access.roles import Action
from access.tokens import Principal, Tokens
from eventlog.bus import connected, denied
from eventlog.parking import parked_stream
from eventlog.policies import Policies
from eventlog.readback import read_back
from eventlog.relay import relay
from eventlog.settings import Settings
from eventlog.store import EventStore, Unavailable, UnknownStream
from eventlog.supervise import end, supervise
from eventlog.timers import Timers
from services.commands_over_http import (
    Body,
    Caller,
    CommandRouter,
    answer,
    commanding,
    install_command_errors,
)

log = structlog.get_logger()

LONGEST_FEED_PAGE = 1_000


def open_keyring(settings: Settings) -> tuple[Keyring, AsyncConnectionPool[AsyncConnection[Any]]]:
    """The keyring and the pool to open around its use."""
    pool = open_pool(settings.keys_db, 4)
    return Keyring(pool, load_master_key(settings.secrets / "master.key")), pool


def create_service(
    title: str,
    settings: Settings,
    store: EventStore,
    policies: Policies,
    keyring: Keyring,
    keys: AsyncConnectionPool[AsyncConnection[Any]],
    routers: Sequence[APIRouter],
    timers: Timers | None = None,
    larger: Mapping[str, int] = MappingProxyType({}),
) -> FastAPI:
    """A service that answers commands as soon as its own database does, with or without the bus.

    `larger` gives the paths whose bodies may be larger than others (`access.problems.install`).
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await keys.open(wait=False)
        async with store.running():
            tasks = [
                asyncio.create_task(
                    supervise(f"{store.source}.relay", partial(_relay, store, settings.nats_url))
                ),
                asyncio.create_task(
                    supervise(f"{store.source}.readback", partial(_read_back, store, settings.nats_url))
                ),
                asyncio.create_task(
                    supervise(f"{store.source}.policies", partial(policies.run, settings.nats_url))
                ),
            ]
            if timers:
                tasks.append(asyncio.create_task(supervise(f"{store.source}.timers", timers.run)))
            try:
                yield
            finally:
                await end(*tasks)
                await keys.close()

    app = FastAPIOffline(
        title=f"Bayledger {title}",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.tokens = Tokens(settings.jwks, settings.issuer, settings.audience)
    app.state.keyring = keyring
    install(app, larger)
    install_command_errors(app)
    for router in [*routers, parked_api(store, policies), feed_api(store), health_api(store, timers)]:
        app.include_router(router)
    return app


async def _relay(store: EventStore, nats_url: str) -> None:
    async with connected(nats_url, f"{store.source}-relay") as bus:
        await relay(store, bus)


async def _read_back(store: EventStore, nats_url: str) -> None:
    async with connected(nats_url, f"{store.source}-readback") as bus:
        await read_back(store, bus)


class Reason(Body):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


def parked_api(store: EventStore, policies: Policies) -> APIRouter:
    """What an operator decides about messages that a policy could not handle."""
    router = CommandRouter(prefix="/v1/parked", tags=["parked"])

    @router.command("/{parked_id}/retry")
    async def retry(parked_id: str, caller: Annotated[Caller, commanding(Action.PARKED_DECIDE)]) -> Response:
        """Hand the message to its policy once more; how it went is recorded."""
        metadata = caller.metadata(parked_id, Body(), await site_of(parked_id, caller))
        return answer(
            store.source, parked_id, await policies.retry(parked_id, metadata, caller.expected_version)
        )

    @router.command("/{parked_id}/discard")
    async def discard(
        parked_id: str, body: Reason, caller: Annotated[Caller, commanding(Action.PARKED_DECIDE)]
    ) -> Response:
        """Settle the message without handling it."""
        metadata = caller.metadata(parked_id, body, await site_of(parked_id, caller))
        return answer(
            store.source,
            parked_id,
            await policies.discard(parked_id, body.reason, metadata, caller.expected_version),
        )

    async def site_of(parked_id: str, caller: Caller) -> str:
        """An operator may run several sites: a decision belongs to the site of its message."""
        history = await store.stream(parked_stream(parked_id))
        if not history or not caller.principal.at(history[0].metadata.site):
            raise UnknownStream(parked_id)
        return history[0].metadata.site

    return router


def feed_api(store: EventStore) -> APIRouter:
    """The service's own log, from any position: how the ledger refills what the bus lost."""
    router = APIRouter(prefix="/v1", tags=["log"])

    @router.get("/log")
    async def log_page(
        principal: Annotated[Principal, needs(Action.LOG_READ)],
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=LONGEST_FEED_PAGE)] = 500,
    ) -> Response:
        """Events behind a position in commit order, each as the canonical JSON that was stored and hashed."""
        if not principal.at("*"):
            raise Problem(403, "A service's own feed is for readers of all sites; read /v1/log instead.")
        page = await store.page(after, limit)
        return Response(page.to_json(), media_type="application/json")

    return router


def health_api(store: EventStore, timers: Timers | None = None) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", dependencies=[public])
    async def healthz() -> dict[str, str]:
        return {"status": "running"}

    @router.get("/readyz", dependencies=[public])
    async def readyz() -> Response:
        """Ready when the event store answers; the bus may be away, but it may not refuse us."""
        try:
            await store.relayed()
        except (Unavailable, LookupError):
            return JSONResponse({"status": f"the event store of {store.source} is away"}, 503)
        if denied(store.source):
            return JSONResponse({"status": f"the bus refuses {store.source}; see the log"}, 503)
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", dependencies=[public], response_class=PlainTextResponse)
    async def metrics() -> Response:
        registry = CollectorRegistry()
        head = Gauge(
            "bayledger_store_head", "Last position of the event store", ["source"], registry=registry
        )
        relayed = Gauge(
            "bayledger_relayed", "Position up to which events are on the bus", ["source"], registry=registry
        )
        page = await store.page(2**62, 1)
        head.labels(store.source).set(page.head)
        relayed.labels(store.source).set(await store.relayed())
        if timers:
            failing = Gauge(
                "bayledger_timers_failing", "Timers that have rung in vain", ["source"], registry=registry
            )
            failing.labels(store.source).set(await timers.failing())
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return router

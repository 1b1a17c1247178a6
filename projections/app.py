"""Puts ledger and views together. Nothing else constructs anything."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx2
import psycopg
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from access.keyring import Keyring, load_master_key
from access.pools import open_pool
from access.problems import install
from access.sights import Sights
from access.signed_link import Links
from access.tokens import Tokens
from eventlog.checkpoints import SigningKey, run_checkpoints
from eventlog.follow import Wake
from eventlog.ingest import run_ledger
from eventlog.ledger import Ledger
from eventlog.settings import Settings
from eventlog.supervise import end, supervise
from projections.api import api, health_api
from projections.board_stream import BoardStream
from projections.boards import Boards
from projections.catalogue import PROJECTIONS
from projections.complaint_stream import ComplaintStream
from projections.feeds import open_feeds
from projections.forms.desk import FormsDesk
from projections.live import LiveViews
from projections.reading import Views
from projections.web.appointment_pages import appointment_pages
from projections.web.cashier_pages import cashier_pages
from projections.web.complaint_pages import complaint_pages
from projections.web.forms_pages import forms_api, forms_pages
from projections.web.gate_pages import gate_pages
from projections.web.intake_pages import intake_pages
from projections.web.pages import pages
from projections.web.quote_pages import quote_pages
from projections.web.rules_pages import rules_pages
from projections.web.vehicle_pages import vehicle_pages
from projections.web.workshop_pages import workshop_pages


def create_app(settings: Settings) -> FastAPI:
    client = httpx2.AsyncClient(timeout=10)
    wake = Wake(settings.ledger_db)
    ledger = Ledger(settings.ledger_db, open_feeds(settings, client), wake.grown)
    keys = open_pool(settings.keys_db, 6)
    keyring = Keyring(keys, load_master_key(settings.secrets / "master.key"))
    pool = open_pool(settings.ledger_db, 12)
    live = LiveViews(pool, PROJECTIONS, wake)
    boards = Boards(pool, keyring)
    sights = Sights(keys)
    views = Views(pool, live, boards, keyring, sights)
    desk = FormsDesk(views, client, settings.reception_url)
    stream = BoardStream(live, boards)
    complaint_stream = ComplaintStream(pool, live, views)
    key = SigningKey(settings.secrets / "ledger.key")
    tasks: dict[str, Callable[[], Awaitable[None]]] = {
        "ledger": partial(run_ledger, ledger, settings.nats_url),
        "checkpoints": partial(run_checkpoints, ledger, key, settings.checkpoints),
        "wake": wake.run,
        "views": live.run,
        "board.stream": stream.run,
        "complaint.stream": complaint_stream.run,
        "sights": sights.run,
    }

    running: dict[str, asyncio.Task[None]] = {}

    async def before_it_stops() -> None:
        """While the services still answer: screens end, and nobody is asked any more."""
        await stream.end()
        await complaint_stream.end()
        await end(*(task for name, task in running.items() if name == "ledger"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=False)
        await keys.open(wait=False)
        async with ledger.running():
            running.update({name: asyncio.create_task(supervise(name, task)) for name, task in tasks.items()})
            try:
                yield
            finally:
                await before_it_stops()
                await end(*running.values())
                await client.aclose()
                with suppress(psycopg.Error):
                    await sights.write()
                await pool.close()
                await keys.close()

    app = FastAPIOffline(title="Bayledger", version="1", lifespan=lifespan, redoc_url=None)
    app.state.tokens = Tokens(settings.jwks, settings.issuer, settings.audience)
    app.state.keyring = keyring
    app.state.before_it_stops = before_it_stops
    install(app)
    app.include_router(api(views, stream, complaint_stream, pool))
    app.include_router(health_api(pool))
    app.include_router(appointment_pages(views))
    app.include_router(forms_api(views, Links(keyring), desk))
    app.include_router(complaint_pages(views, Links(keyring)))
    app.include_router(forms_pages(views, Links(keyring), desk))
    app.include_router(vehicle_pages(views))
    app.include_router(quote_pages(views, Links(keyring)))
    app.include_router(cashier_pages(views))
    app.include_router(gate_pages())
    app.include_router(workshop_pages(views))
    app.include_router(rules_pages(views))
    app.include_router(intake_pages(views))
    app.include_router(pages(views, stream))
    return app

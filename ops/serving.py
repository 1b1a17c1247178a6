"""One web origin out of several apps, served in our own event loop."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from socket import socket

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from access.headers import SecurityHeaders
from access.problems import http_problem
from eventlog.settings import Settings
from ops.http_protocol import Protocol
from projections.web.problem_pages import ProblemPages

APPS = ("reception", "workshop", "customer-care", "projections")


def create_apps(settings: Settings, names: tuple[str, ...]) -> dict[str, FastAPI]:
    """The apps by name, each complete with its background work."""
    from projections.app import create_app as projections
    from services.customer_care.app import create_app as customer_care
    from services.reception.app import create_app as reception
    from services.workshop.app import create_app as workshop

    makers: Mapping[str, Callable[[Settings], FastAPI]] = {
        "reception": reception,
        "workshop": workshop,
        "customer-care": customer_care,
        "projections": projections,
    }
    apps = {name: makers[name](settings) for name in names}
    for app in apps.values():
        make_routes(app)
    return apps


def make_routes(app: FastAPI) -> None:
    """FastAPI makes the routes of a router when somebody asks for the first of them, and answers nobody
    meanwhile, under load for a tenth of a second and more: so we ask."""
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "", "root_path": "", "headers": []})


def one_origin(apps: Mapping[str, FastAPI]) -> Starlette:
    """`/reception`, `/workshop`, `/customer-care`, the projections at `/`: the same paths in every set-up."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    mounts = [Mount("" if name == "projections" else f"/{name}", app) for name, app in apps.items()]
    return Starlette(
        routes=mounts,
        lifespan=lifespan,
        # An address with a line break in it belongs to none of the apps.
        exception_handlers={HTTPException: http_problem},
        middleware=[Middleware(SecurityHeaders), Middleware(ProblemPages)],
    )


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn would raise them again after it has stopped."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def serve(
    apps: Mapping[str, FastAPI], host: str, port: int, started: Callable[[], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, then let open requests and streams end."""
    config = uvicorn.Config(
        one_origin(apps),
        host=host,
        port=port,
        http=Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stopping.set)
    serving = asyncio.create_task(server.serve())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    if not serving.done():
        # What start-up made lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        if started:
            started()
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if "projections" in apps:
            await apps["projections"].state.before_it_stops()
        server.should_exit = True
    await serving

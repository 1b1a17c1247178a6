"""Who may do what on the bus, tried on a real server as each of the services."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from nats.aio.client import Client
from nats.errors import Error as BusError
from nats.errors import TimeoutError as NothingCame
from nats.js.api import ConsumerConfig, StreamConfig
from structlog.testing import capture_logs

from eventlog.bus import STREAM, connect, denied, inbox, policy_consumer, provision
from eventlog.store import EventStore
from events.reception import VehicleReceived
from ops.bus_identities import identities
from ops.nats import Nats
from services.service import health_api
from tests.journeys.story import eventually

OTHERS = {"reception": "workshop", "workshop": "reception", "customer_care": "reception"}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    with Nats(tmp_path_factory.mktemp("bus"), identities=identities()) as server:
        owner = await connect(server.url, "owner")
        await provision(owner.jetstream(), [])
        await owner.close()
        yield server


@asynccontextmanager
async def being(server: Nats, identity: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection of one of the identities, and what the server refused to it."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    url = server.url_of(identity)
    client = await nats.connect(url, error_cb=note, inbox_prefix=inbox(url))
    try:
        yield client, refused
    finally:
        await client.close()


async def until_said(refused: list[str], text: str) -> None:
    async def said() -> bool:
        return any(text in each.lower() for each in refused)

    await eventually(said)


async def messages(server: Nats) -> int:
    owner = await connect(server.url, "owner")
    try:
        return (await owner.jetstream().stream_info(STREAM)).state.messages
    finally:
        await owner.close()


@pytest.mark.parametrize("identity", [*OTHERS])
async def test_a_service_publishes_its_own_events(server: Nats, identity: str) -> None:
    before = await messages(server)
    async with being(server, identity) as (client, refused):
        for context in (identity, "policies"):
            await client.jetstream().publish(f"aftersales.sh01.{context}.something", b"{}")
    assert refused == []
    assert await messages(server) == before + 2


@pytest.mark.parametrize("identity", [*OTHERS, "ledger"])
async def test_nobody_publishes_in_the_name_of_another(server: Nats, identity: str) -> None:
    before = await messages(server)
    async with being(server, identity) as (client, refused):
        await client.publish(f"aftersales.sh01.{OTHERS.get(identity, 'reception')}.vehicle_received", b"{}")
        await until_said(refused, "permissions violation for publish")
    assert await messages(server) == before


@pytest.mark.parametrize("identity", [*OTHERS, "ledger"])
@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.STREAM.DELETE.AFTERSALES",
        "$JS.API.STREAM.PURGE.AFTERSALES",
        "$JS.API.STREAM.UPDATE.AFTERSALES",
        "$JS.API.STREAM.MSG.DELETE.AFTERSALES",
        "$JS.API.STREAM.MSG.GET.AFTERSALES",
        "$JS.API.DIRECT.GET.AFTERSALES",
        "$JS.API.STREAM.CREATE.MIRROR",
        "$JS.API.CONSUMER.DELETE.AFTERSALES.workshop-whenever_vehicle_received_open_work_order",
        "$JS.API.CONSUMER.CREATE.AFTERSALES.spy",
        "$JS.API.CONSUMER.CREATE.AFTERSALES.spy.aftersales.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.AFTERSALES.spy",
        "$JS.API.CONSUMER.MSG.NEXT.AFTERSALES.another",
    ],
)
async def test_the_stream_and_its_consumers_are_the_owners(server: Nats, identity: str, subject: str) -> None:
    async with being(server, identity) as (client, refused):
        with pytest.raises(NothingCame):
            await client.request(subject, b"{}", timeout=0.1)
        await until_said(refused, f'permissions violation for publish to "{subject.lower()}"')


@pytest.mark.parametrize("identity", [*OTHERS, "ledger"])
@pytest.mark.parametrize(
    "subject", ["aftersales.>", "_INBOX.>", "_INBOX_bayledger.>", "$JS.>", ">", "$SYS.>"]
)
async def test_nobody_listens_in(server: Nats, identity: str, subject: str) -> None:
    async with being(server, identity) as (client, refused):
        await client.subscribe(subject)
        await until_said(refused, f'permissions violation for subscription to "{subject.lower()}"')


async def test_a_consumer_of_ones_own_has_the_filter_of_the_code(server: Nats) -> None:
    """Name and filter are in the subject of the request, and the server compares them with its body."""
    durable = "workshop-whenever_vehicle_received_open_work_order"
    async with being(server, "workshop") as (client, refused):
        js = client.jetstream(timeout=1)
        await provision(js, [policy_consumer(durable, VehicleReceived)])
        wider = ConsumerConfig(name=durable, durable_name=durable, filter_subject="aftersales.>")
        with pytest.raises(NothingCame):
            await js.add_consumer(STREAM, config=wider)
        await until_said(refused, "permissions violation for publish")


async def test_a_service_makes_a_lost_stream_anew_and_changes_none(tmp_path: Path) -> None:
    with Nats(tmp_path, identities=identities()) as server:
        async with being(server, "reception") as (client, refused):
            js = client.jetstream(timeout=1)
            assert await provision(js, []) == [f"stream {STREAM} created"]
            assert await provision(js, []) == []
            with pytest.raises(NothingCame):
                await js.update_stream(StreamConfig(name=STREAM, subjects=["aftersales.>"], max_msgs=1))
            await until_said(refused, "permissions violation for publish")


async def test_a_refusal_is_not_silent(server: Nats, fresh_database: Callable[[str], Awaitable[str]]) -> None:
    store = EventStore("impostor", await fresh_database("impostor"))
    await store.provision()
    app = FastAPI()
    app.include_router(health_api(store))
    bus = await connect(server.url_of("reception"), "impostor-relay")
    try:
        async with (
            store.running(),
            AsyncClient(transport=ASGITransport(app), base_url="http://bayledger.test") as client,
        ):
            assert (await client.get("/readyz")).status_code == 200
            with pytest.raises(NothingCame), capture_logs() as logged:
                await bus.jetstream(timeout=1).publish("aftersales.sh01.workshop.repair_added", b"{}")
            refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()) == (
            503,
            {"status": "the bus refuses impostor; see the log"},
        )
        assert "permissions violation for publish" in logged[0]["error"].lower()
        assert not denied("workshop")
    finally:
        await bus.close()


async def test_nor_is_a_wrong_password(server: Nats) -> None:
    with pytest.raises((BusError, TimeoutError)):
        await connect(server.url_of("reception").replace("//reception:", "//workshop:"), "intruder-relay")
    assert denied("intruder")

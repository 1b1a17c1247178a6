"""Who may do what on the bus, tried on a real server as each of the services."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import nkeys  # type: ignore[import-untyped]
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from nats.aio.client import Client
from nats.errors import Error as BusError
from nats.errors import TimeoutError as NothingCame
from nats.js.api import ConsumerConfig, StreamConfig
from structlog.testing import capture_logs

from eventlog.bus import STREAM, connect, denied, inbox, policy_consumer, provision, seed_file
from eventlog.store import EventStore
from events.reception import VehicleReceived
from ops.bus_identities import OWNER, identities, public_key
from ops.bus_identities import seed_file as seed_in
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
    client = await nats.connect(url, error_cb=note, inbox_prefix=inbox(url), nkeys_seed=seed_file(url))
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
        "$JS.API.CONSUMER.DELETE.AFTERSALES.another-readback",
        "$JS.API.CONSUMER.CREATE.AFTERSALES",
        "$JS.API.CONSUMER.PAUSE.AFTERSALES.another",
        "$JS.API.CONSUMER.MSG.NEXT.AFTERSALES.another",
        "$JS.API.STREAM.SNAPSHOT.AFTERSALES",
        "$JS.API.STREAM.RESTORE.AFTERSALES",
        "$JS.API.STREAM.LEADER.STEPDOWN.AFTERSALES",
        "$JS.API.STREAM.LIST",
        "$JS.API.ACCOUNT.PURGE.ACCOUNT",
        "$SYS.REQ.SERVER.PING",
        "$JS.ACK.AFTERSALES.another.1.1.1.1.0",
        "_INBOX_another.1",
    ],
)
async def test_the_stream_its_consumers_and_inboxes_are_their_owners(
    server: Nats, identity: str, subject: str
) -> None:
    async with being(server, identity) as (client, refused):
        with pytest.raises(NothingCame):
            await client.request(subject, b"{}", timeout=0.1)
        await until_said(refused, f'permissions violation for publish to "{subject.lower()}"')


@pytest.mark.parametrize("identity", [*OTHERS, "ledger"])
@pytest.mark.parametrize(
    "subject", ["aftersales.>", "_INBOX.>", "_INBOX_bayledger.>", "_INBOX_another.>", "$JS.>", ">", "$SYS.>"]
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


@pytest.mark.parametrize("identity", [*OTHERS, "ledger", OWNER])
async def test_a_key_that_the_server_does_not_know_opens_nothing(
    server: Nats, identity: str, tmp_path: Path
) -> None:
    public_key(tmp_path, identity)  # made anew, and known to nobody
    forged = server.url_of(identity).replace(str(server.data), str(tmp_path))
    with pytest.raises((BusError, TimeoutError)):
        await connect(forged, f"intruder-{identity}")
    assert denied(f"intruder-{identity}")


async def test_a_public_key_without_its_seed_opens_nothing(server: Nats) -> None:
    """What the server's configuration holds is of no use to who reads it."""
    nonce, answer = await hello(server)
    owner = {"nkey": public_key(server.data, OWNER), "verbose": True}
    for stolen in ({}, {"sig": ""}, {"sig": signature(server, "reception", nonce)}):
        assert "Authorization Violation" in await answer(owner | stolen)
        nonce, answer = await hello(server)
    earlier = signature(server, OWNER, nonce)
    assert await answer(owner | {"sig": earlier}) == "+OK"
    _, answer = await hello(server)
    assert "Authorization Violation" in await answer(owner | {"sig": earlier})


async def hello(server: Nats) -> tuple[str, Callable[[dict[str, Any]], Awaitable[str]]]:
    """What the server wants to have signed, and a way to sign in by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    nonce: str = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]

    async def sign_in(options: dict[str, Any]) -> str:
        writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        said = (await reader.readline()).decode().strip()
        writer.close()
        return said

    return nonce, sign_in


def signature(server: Nats, identity: str, nonce: str) -> str:
    pair = nkeys.from_seed(bytearray(seed_in(server.data, identity).read_bytes()))
    return base64.urlsafe_b64encode(pair.sign(nonce.encode())).rstrip(b"=").decode()


async def test_the_servers_configuration_holds_no_seed(server: Nats) -> None:
    configuration = (server.data / "nats.conf").read_text()
    for identity in (*server.identities, OWNER):
        assert seed_in(server.data, identity).read_text() not in configuration
        assert public_key(server.data, identity) in configuration
    assert "password" not in configuration


async def test_a_seed_that_others_may_read_is_not_used(server: Nats, tmp_path: Path) -> None:
    public_key(tmp_path, "reception")
    seed_in(tmp_path, "reception").chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        await connect(server.url_of("reception").replace(str(server.data), str(tmp_path)), "careless")


async def test_who_was_let_in_comes_back_after_the_server_was_away(tmp_path: Path) -> None:
    with Nats(tmp_path, identities=identities()) as server:
        bus = await connect(server.url_of("reception"), "reception-relay")
        try:
            await provision(bus.jetstream(), [])
            server.kill()
            server.start()

            async def carries() -> bool:
                with suppress(BusError):
                    await bus.jetstream(timeout=1).publish("aftersales.sh01.reception.something", b"{}")
                    return True
                return False

            await eventually(carries)
        finally:
            await bus.close()

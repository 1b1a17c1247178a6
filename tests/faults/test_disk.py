"""The disk under everything is full, or loses its power: what was acknowledged is there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from access.keyring import load_master_key
from access.roles import Role
from eventlog.bus import STREAM, connect, provision
from eventlog.checkpoints import SigningKey
from eventlog.store import EventStore
from ops import nats as nats_module
from ops.nats import Nats
from ops.postgres import Postgres
from tests.eventlog.conftest import dispatch
from tests.faults.cluster import APPS, HOUR, SITES, Cluster, eventually
from tests.faults.conftest import VISITS
from tests.faults.disk import Disk

pytestmark = pytest.mark.faults

SITE = SITES[0]
LONG_STORY = ["刹车异响" * 50] * 10


@dataclass(frozen=True, slots=True)
class Machine:
    """A Bayledger of its own, on a disk of its own; the bus on another one."""

    cluster: Cluster
    disk: Disk
    disk_of_the_bus: Disk


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    with (
        Disk(folder / "disk", folder / "data", size=400) as disk,
        Disk(folder / "disk-of-the-bus", folder / "data" / "nats", size=200) as disk_of_the_bus,
        Cluster(folder / "data", sync=True) as cluster,
    ):
        await cluster.provision()
        for app in APPS:
            cluster.start(app)
        await cluster.ready(*APPS)
        yield Machine(cluster, disk, disk_of_the_bus)
        await cluster.client.aclose()


async def receive(cluster: Cluster) -> httpx2.Response:
    """The answer, whatever it is."""
    body = {
        "vin": "LSVAA49J132047371",
        "plate": "沪A12345",
        "customer_name": "王伟",
        "phone": "13812345678",
        "mileage_km": 40_000,
        "symptoms": LONG_STORY,
    }
    headers = {"Authorization": f"Bearer {cluster.token(Role.ADVISOR, SITE)}"}
    return await cluster.client.post(
        f"{cluster.url('reception')}/reception/v1/visits", json=body, headers=headers
    )


def keys_of_the_issuer(cluster: Cluster) -> bytes:
    return Path(cluster.settings.jwks).read_bytes()


async def test_the_disk_is_full(machine: Machine) -> None:
    """Injected: not one block is left for PostgreSQL, NATS, checkpoints and logs while people work; then
    there is room again. Expected: 507 with a sentence for what cannot be recorded, the board is still shown
    (without the personal data that nobody can be recorded to have seen); all goes on by itself as soon as
    NATS is restarted, which refuses a stream it once had no room for until then."""
    cluster = machine.cluster
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "full"))
    await cluster.acknowledged(VISITS)
    machine.disk.fill()
    machine.disk_of_the_bus.fill()

    async def refused() -> httpx2.Response | None:
        answer = await receive(cluster)
        return answer if answer.status_code >= 500 else None

    answer = await eventually(refused)
    assert answer.status_code == 507, answer.text
    assert "disk of the database is full" in answer.json()["detail"]
    keys = keys_of_the_issuer(cluster)
    for role in (Role.ADVISOR, Role.TECHNICIAN):
        token = cluster.issue(role, SITE, since=-HOUR, until=HOUR)
        board = await cluster.client.get(
            f"{cluster.url('projections')}/v1/sites/{SITE}/board",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert board.status_code == 200, board.text
        assert board.json()["cards"]
    assert keys_of_the_issuer(cluster) == keys
    assert not people.done()
    machine.disk.free()
    machine.disk_of_the_bus.free()
    cluster.nats.stop()
    cluster.nats.start()
    await people
    await cluster.recovered(before + VISITS)


async def test_the_disk_of_the_bus_is_full(machine: Machine) -> None:
    """Injected: not one block is left for NATS alone. Expected: commands are answered and in the ledger
    meanwhile; what follows from them happens when there is
    room and NATS is restarted."""
    cluster = machine.cluster
    before = await cluster.closed()
    machine.disk_of_the_bus.fill()
    people = asyncio.create_task(cluster.work(VISITS, "bus full"))
    received = {(await cluster.receive(SITE, f"bus full {n}", LONG_STORY)) for n in range(VISITS)}

    async def in_the_ledger() -> bool:
        return {f"visit-{id}" for id in received} <= {row.stream for row in await cluster.rows()}

    await eventually(in_the_ledger)
    assert await cluster.closed() < before + VISITS
    machine.disk_of_the_bus.free()
    cluster.nats.stop()
    cluster.nats.start()
    await people
    await cluster.recovered(before + VISITS)


async def test_the_power_fails(machine: Machine) -> None:
    """Injected: while people work, from one moment on nothing reaches the disks any more and what only the
    kernel held is gone; every process is dead. Expected: every acknowledged command is there."""
    cluster = machine.cluster
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "power"))
    await cluster.acknowledged(VISITS)
    machine.disk.lose_power()
    machine.disk_of_the_bus.lose_power()
    for app in APPS:
        cluster.kill(app)
    cluster.postgres.kill()
    cluster.nats.kill()
    machine.disk.power_up(machine.disk_of_the_bus)
    cluster.nats.start()
    cluster.postgres.start()
    for app in APPS:
        cluster.start(app)
    await people
    await cluster.recovered(before + VISITS)


def test_the_power_fails_when_a_key_was_just_made(tmp_path: Path) -> None:
    """Injected: as above, right after the master key and the key of the ledger were made for the first time.
    Expected: both are there, and the same."""
    with Disk(tmp_path / "disk", tmp_path / "data", size=20) as disk:
        master, ledger = disk.folder / "master.key", disk.folder / "ledger.key"
        before = load_master_key(master), SigningKey(ledger).id
        disk.lose_power()
        disk.power_up()
        assert master.exists()
        assert ledger.exists()
        assert (load_master_key(master), SigningKey(ledger).id) == before


# The control: what a server that does not wait for its disk had acknowledged is gone

ACKNOWLEDGED = 50


async def kept_by_postgres(disk: Disk, *, sync: bool) -> int:
    server = Postgres(disk.folder / "postgres", sync=sync)
    with server:
        server.create_databases(["reception"])
        await EventStore("reception", server.dsn("reception")).provision()
        disk.flush()
        async with EventStore("reception", server.dsn("reception")).running() as store:
            for n in range(ACKNOWLEDGED):
                await dispatch(store, f"order-{n}")
            disk.lose_power()
        server.kill()
        disk.power_up()
        server.start()
        async with EventStore("reception", server.dsn("reception")).running() as store:
            return len((await store.page(0, 1000)).events)


async def kept_by_nats(disk: Disk, *, sync: bool) -> int:
    with pytest.MonkeyPatch.context() as patch:
        if not sync:
            lazy = nats_module.CONFIGURATION.replace("sync_interval: always", "sync_interval: 2m")
            patch.setattr(nats_module, "CONFIGURATION", lazy)
        with Nats(disk.folder / "nats") as server:
            bus = await connect(server.url, "before")
            await provision(bus.jetstream(), ())
            disk.flush()
            for n in range(ACKNOWLEDGED):
                await bus.jetstream().publish("aftersales.sh01.workshop.test", f"{n}".encode())
            disk.lose_power()
            await bus.close()
            server.kill()
            disk.power_up()
            server.start()
            bus = await connect(server.url, "after")
            state = (await bus.jetstream().stream_info(STREAM)).state
            await bus.close()
            return state.messages


@pytest.mark.parametrize("sync", [True, False], ids=["waits for the disk", "does not"])
@pytest.mark.parametrize("kept", [kept_by_postgres, kept_by_nats], ids=["PostgreSQL", "NATS"])
async def test_a_server_keeps_through_a_power_cut_what_it_waited_for(
    kept: Callable[..., Awaitable[int]], sync: bool, tmp_path: Path
) -> None:
    with Disk(tmp_path / "disk", tmp_path / "data", size=200) as disk:
        assert (await kept(disk, sync=sync) == ACKNOWLEDGED) == sync

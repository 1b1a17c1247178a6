"""Our apps, each in its own process as in production, and the plain ways in another."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from psycopg import AsyncConnection

from access.issuer import Issuer
from access.roles import Role
from benchmarks import baselines
from benchmarks.load import http
from eventlog.settings import Settings
from ops.demo import vin
from ops.nats import Nats
from ops.postgres import Postgres
from ops.processes import LOOPBACK, spawn, stop, usable_port
from ops.provision import provision

NUMBER = count(1)
CUSTOMERS = 1_000
SERVICES = ("reception", "workshop", "customer_care")


@dataclass(frozen=True, slots=True)
class Apps:
    settings: Settings
    environment: dict[str, str]
    ports: dict[str, int]
    data: Path

    def bearer(self, site: str, actor: str = "bench") -> str:
        return f"Bearer {Issuer(self.settings.secrets).token(actor, Role.ADVISOR, [site], 3600)}"

    def visits(self, site: str) -> Iterator[bytes]:
        """Vehicles received at a site, each for another of a thousand customers."""
        bearer = self.bearer(site)
        for n in NUMBER:
            yield http(
                "POST", "/reception/v1/visits", visit(n), Authorization=bearer, Idempotency_Key=f"key-{n}"
            )

    def correction(self, site: str, visit_id: str) -> bytes:
        """The mileage of a vehicle was read wrongly."""
        body = json.dumps({"mileage_km": 40_001, "reason": "read wrongly"}).encode()
        path = f"/reception/v1/visits/{visit_id}/mileage/correct"
        key = f"correct-{visit_id}"
        return http("POST", path, body, Authorization=self.bearer(site), Idempotency_Key=key)

    @asynccontextmanager
    async def serving(self, name: str, *command: str) -> AsyncIterator[int]:
        """A process, and the port at which it answers."""
        port, path = self.ports[name], self.data / f"{name}.log"
        with path.open("ab") as log:
            process = spawn(
                [sys.executable, "-m", *command, "--port", str(port)],
                log=log,
                env={**os.environ, **self.environment},
            )

        async def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"{name} did not start: {path.read_text()}")
            return await listens(port)

        try:
            await until(ready)
            yield port
        finally:
            await asyncio.to_thread(stop, process, signal.SIGTERM, 20)

    def ours(self, name: str) -> AbstractAsyncContextManager[int]:
        return self.serving(name, "ops", "serve", name)

    def plain(self) -> AbstractAsyncContextManager[int]:
        return self.serving(
            "plain", "uvicorn", "--factory", "benchmarks.baselines:create_app", "--no-access-log"
        )


async def installed(postgres: Postgres, nats: Nats, data: Path, name: str = "bench") -> Apps:
    """The databases, keys and addresses of one installation."""
    secrets = data / "secrets"
    secrets.mkdir(parents=True)
    ports = {each: usable_port(0) for each in ("reception", "projections", "plain")}
    away = f"http://{LOOPBACK}:{usable_port(0)}"
    Issuer(secrets)
    found: dict[str, str] = {
        **{f"{each}_db": postgres.dsn(f"{name}_{each}") for each in (*SERVICES, "ledger", "keys")},
        **{f"{each}_url": away for each in SERVICES},
        "reception_url": f"http://{LOOPBACK}:{ports['reception']}/reception",
        "nats_url": nats.url,
        "secrets": str(secrets),
        "checkpoints": str(data / "checkpoints"),
        "jwks": str(secrets / "jwks.json"),
    }
    settings = Settings.model_validate(found)
    await provision(settings)
    postgres.create_databases(["bench_http_library"])
    environment = {f"BAYLEDGER_{each.upper()}": value for each, value in found.items()}
    environment |= {
        baselines.LIBRARY: postgres.dsn("bench_http_library"),
        baselines.LEDGER: settings.ledger_db,
    }
    return Apps(settings, environment, ports, data)


def visit(n: int) -> bytes:
    customer = n % CUSTOMERS
    return json.dumps(
        {
            "vin": vehicle_of(customer),
            "plate": f"沪A{customer:05}",
            "customer_name": f"customer {customer}",
            "phone": f"138{customer:08}",
            "mileage_km": 40_000,
            "symptoms": ["noise from the front left"],
        }
    ).encode()


@cache
def vehicle_of(customer: int) -> str:
    return vin(random.Random(customer))


async def level(settings: Settings) -> bool:
    """Whether the board shows all that reception has recorded."""
    async with await AsyncConnection.connect(settings.reception_db) as conn:
        [head] = await (await conn.execute("SELECT max(notification_id) FROM events")).fetchone() or [0]
    async with await AsyncConnection.connect(settings.ledger_db) as conn:
        query = """
        SELECT s.pos >= %s AND (SELECT count(*) > 0 AND bool_and(position = h.seq) FROM projection)
        FROM ledger_source s, ledger_head h WHERE s.source = 'reception'
        """
        found = await (await conn.execute(query, (head,))).fetchone()
    return bool(found and found[0])


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)

"""A whole Bayledger on one machine: its own PostgreSQL and NATS servers, and all apps in one process."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from fastapi import FastAPI
from rich.console import Console

from access.issuer import Issuer
from access.roles import Role
from eventlog.settings import Settings
from ops.bus_identities import IDENTITY_OF, identities
from ops.environment import own_data_folder, write
from ops.nats import Nats
from ops.postgres import Postgres
from ops.processes import LOOPBACK, usable_port
from ops.provision import provision
from ops.serving import APPS, create_apps, serve

SITES = ("sh01", "sh02", "hz01")
DEMO_ROLES = {
    Role.ADVISOR: SITES[:1],
    Role.ASSISTANT: SITES[:1],
    Role.WORKSHOP_SUPERVISOR: SITES[:1],
    Role.TECHNICIAN: SITES[:1],
    Role.INSPECTOR: SITES[:1],
    Role.PARTS_CLERK: SITES[:1],
    Role.CLAIMS_CLERK: SITES[:1],
    Role.CASHIER: SITES[:1],
    Role.CARE_AGENT: SITES[:1],
    Role.CARE_MANAGER: SITES[:1],
    Role.DEPARTMENT_MANAGER: SITES[:1],
    Role.GENERAL_MANAGER: SITES,
    Role.REGION_AUDITOR: ("*",),
    Role.GROUP_AUDITOR: ("*",),
    Role.INTEGRATOR: SITES,
    Role.OPERATOR: ("*",),
}
TWELVE_HOURS = 12 * 3600.0

Play = Callable[[str, Issuer, Console], Coroutine[Any, Any, None]]


def up(data: Path, port: int, play: Play | None, console: Console) -> None:
    """Start everything, serve until Ctrl-C, stop what was started. Raises Unusable."""
    data = own_data_folder(data.resolve())
    port = usable_port(port)
    with ExitStack() as servers:
        with console.status("Starting PostgreSQL and NATS …"):
            postgres = servers.enter_context(Postgres(data / "postgres"))
            nats = servers.enter_context(Nats(data / "nats", identities=identities()))
        settings = write(data, _variables(data, port, postgres, nats))
        issuer = Issuer(settings.secrets)
        console.print(f"PostgreSQL and NATS run on {LOOPBACK}; data in {data}")
        buses = {app: nats.url_of(identity) for app, identity in IDENTITY_OF.items()}
        uvloop.run(_run(settings, buses, port, issuer, play, console))
        console.print("Stopped.")


async def _run(
    settings: Settings,
    buses: Mapping[str, str],
    port: int,
    issuer: Issuer,
    play: Play | None,
    console: Console,
) -> None:
    for change in await provision(settings):
        console.print(f"  {change}", style="dim")
    address = f"http://{LOOPBACK}:{port}"
    playing: list[asyncio.Task[None]] = []

    def started() -> None:
        _welcome(address, issuer, Console())
        if play:
            playing.append(asyncio.create_task(play(address, issuer, console)))

    try:
        apps: dict[str, FastAPI] = {}
        for name in APPS:
            apps |= create_apps(settings.model_copy(update={"nats_url": buses[name]}), (name,))
        await serve(apps, LOOPBACK, port, started)
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


def _welcome(address: str, issuer: Issuer, console: Console) -> None:
    console.print(
        f"\nBayledger is at [bold]{address}[/]. Sign in as one of (links hold for twelve hours):\n",
        soft_wrap=True,
    )
    for role, sites in DEMO_ROLES.items():
        token = issuer.token(f"demo-{role}", role, sites, TWELVE_HOURS)
        where = "all sites" if "*" in sites else ", ".join(sites)
        console.print(f"[bold]{role}[/] ({where})", highlight=False)
        console.print(f"  {address}/sign-in#token={token}", soft_wrap=True, highlight=False, style="dim")
    console.print("\nCtrl-C stops it; the same command continues where it stopped.", highlight=False)


def _variables(data: Path, port: int, postgres: Postgres, nats: Nats) -> dict[str, str]:
    address = f"http://{LOOPBACK}:{port}"
    databases = ("reception", "workshop", "customer_care", "ledger", "keys")
    secrets = data / "secrets"
    secrets.mkdir(exist_ok=True, mode=0o700)
    return {
        **{f"BAYLEDGER_{name.upper()}_DB": postgres.dsn(name) for name in databases},
        "BAYLEDGER_NATS_URL": nats.url,
        "BAYLEDGER_SECRETS": str(secrets),
        "BAYLEDGER_CHECKPOINTS": str(data / "checkpoints"),
        "BAYLEDGER_JWKS": str(secrets / "jwks.json"),
        "BAYLEDGER_RECEPTION_URL": f"{address}/reception",
        "BAYLEDGER_WORKSHOP_URL": f"{address}/workshop",
        "BAYLEDGER_CUSTOMER_CARE_URL": f"{address}/customer-care",
    }

"""What the commands print, and where they get it."""

import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from psycopg import AsyncConnection
from rich.console import Console
from rich.table import Table

from access.issuer import Issuer
from access.keyring import Keyring
from access.roles import Role
from eventlog.settings import Settings
from eventlog.store import EventStore
from ops.processes import Unusable
from projections.parked_messages import queries
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.projection import Projection
from projections.rebuild import Progress, RebuildFailed, Rebuilt, rebuild
from projections.status import status
from projections.views import live_build
from services.service import open_keyring


@asynccontextmanager
async def ledger_connection(settings: Settings) -> AsyncIterator[AsyncConnection[Any]]:
    async with await AsyncConnection.connect(settings.ledger_db, autocommit=True, connect_timeout=5) as conn:
        yield conn


@asynccontextmanager
async def store_of(settings: Settings, service: str) -> AsyncIterator[EventStore]:
    """A service's event store, open for appending. Raises Unusable for a service there is not."""
    addresses = {
        "reception": settings.reception_db,
        "workshop": settings.workshop_db,
        "customer_care": settings.customer_care_db,
    }
    if service not in addresses:
        raise Unusable(f"there is no service {service}: choose one of {', '.join(addresses)}")
    async with EventStore(service, addresses[service]).running() as store:
        yield store


@asynccontextmanager
async def keyring_of(settings: Settings) -> AsyncIterator[Keyring]:
    """The keys of people. Opens without waiting for them: only what is sealed or read needs them."""
    keyring, pool = open_keyring(settings)
    await pool.open(wait=False)
    try:
        yield keyring
    finally:
        await pool.close()


async def status_of(settings: Settings) -> dict[str, Any]:
    async with ledger_connection(settings) as conn:
        return await status(conn)


async def rebuild_view(settings: Settings, projection: Projection, tell: Progress, dry_run: bool) -> Rebuilt:
    """In two processes where two processors are left for PostgreSQL. Raises Unusable when one is lost."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # documents by the thousand, none of which leads back to itself
    processes = 2 if len(os.sched_getaffinity(0)) >= 4 else 1
    async with ledger_connection(settings) as conn:
        try:
            return await rebuild(conn, projection, tell, dry_run, processes)
        except RebuildFailed as why:
            raise Unusable(f"{projection.name} was not rebuilt: {why}") from None


async def parked_messages(settings: Settings, all: bool) -> list[dict[str, Any]]:
    async with ledger_connection(settings) as conn:
        live = await live_build(conn, PARKED_MESSAGES)
        return await queries.parked_messages(conn, live[0], settled_too=all) if live else []


async def decide_parked(
    settings: Settings, parked_id: str, decision: str, body: dict[str, str], token: str | None
) -> str:
    """Tell the service that parked the message; what came of it. Raises Unusable as the service put it."""
    found = [each for each in await parked_messages(settings, True) if each["parked_id"] == parked_id]
    if not found:
        raise Unusable(f"there is no parked message {parked_id}")
    addresses = {
        "reception": settings.reception_url,
        "workshop": settings.workshop_url,
        "customer-care": settings.customer_care_url,
    }
    token = token or Issuer(settings.secrets).token("cli-operator", Role.OPERATOR, ["*"], 60)
    async with httpx2.AsyncClient(timeout=60) as client:
        try:
            answer = await client.post(
                f"{addresses[found[0]['service']]}/v1/parked/{parked_id}/{decision}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
        except httpx2.HTTPError as why:
            raise Unusable(f"the service {found[0]['service']} does not answer: {why}") from None
    if answer.status_code >= 400:
        raise Unusable(answer.json()["detail"])
    return ", ".join(event["type"] for event in answer.json()["events"]) or "nothing to do"


def print_status(now: dict[str, Any], console: Console) -> None:
    checkpoint = now["checkpoint"]
    signed = (
        f"signed up to {checkpoint['seq']} at {checkpoint['time']}" if checkpoint else "no checkpoint yet"
    )
    chain = now["ledger"]["chain"][:16]
    console.print(f"ledger: {now['ledger']['head']} events, chain {chain}, {signed}", soft_wrap=True)
    sources = Table("source", "position", "head", "behind", "seconds", "compared", "stopped")
    for s in now["sources"]:
        numbers = (s["position"], s["head"], s["behind"], s["seconds"], f"{s['compared_seconds_ago']} s ago")
        sources.add_row(s["source"], *map(str, numbers), s["stopped"] or "")
    console.print(sources)
    views = Table("view", "version", "build", "position", "behind", "skipped")
    for v in now["views"]:
        views.add_row(v["name"], *(str(v[n]) for n in ("version", "build", "position", "behind", "skipped")))
    console.print(views)
    console.print(f"parked messages: {now['parked']}")


def print_rebuilt(name: str, rebuilt: Rebuilt, as_json: bool) -> None:
    if as_json:
        differences = [
            {"key": d.key, "event": d.event, "fields": {k: list(v) for k, v in d.fields.items()}}
            for d in rebuilt.differences
        ]
        print(
            json.dumps(
                {
                    "view": name,
                    "position": rebuilt.position,
                    "documents": rebuilt.documents,
                    "differing": rebuilt.differing,
                    "switched": rebuilt.switched,
                    "differences": differences,
                },
                ensure_ascii=False,
            )
        )
        return
    done = "switched" if rebuilt.switched else "not switched"
    print(
        f"{name}: {rebuilt.documents} documents at position {rebuilt.position},"
        f" {rebuilt.differing} differ, {done}"
    )
    for d in rebuilt.differences:
        print(
            f"  {d.key} (event {d.event}): "
            + "; ".join(f"{k}: {a!r} → {b!r}" for k, (a, b) in d.fields.items())
        )


def print_parked(found: list[dict[str, Any]], console: Console) -> None:
    if not found:
        console.print("No message waits for a decision.")
        return
    table = Table("id", "site", "service", "policy", "attempts", "since", "status", "reason")
    for each in found:
        names = ("parked_id", "site", "service", "policy", "attempts", "parked_at", "status", "reason")
        table.add_row(*(str(each[name]) for name in names))
    console.print(table)

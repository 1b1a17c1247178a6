"""A day of three sites: whole visits from the appointment to the gate, as the demo plays them, in a hurry.

`python -m tests.day --visits 300` starts a Bayledger of its own, prints one line, and exits 1 if a vehicle is
not through the gate, a message is parked, the chain does not hold or anything is behind.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from access.issuer import Issuer
from ops.demo import Shop
from ops.up import SITES
from tests.journeys.story import eventually
from tests.system import Running, at_rest

AT_ONCE = 4
"""Vehicles that are served at the same moment, at each site."""


async def played(running: Running, visits: int) -> tuple[Counter[str], list[str]]:
    """How many vehicles stand where after so many visits, and what is wrong."""
    async with httpx2.AsyncClient(timeout=60) as client:
        issuer = Issuer(running.data / "secrets")
        shops = [Shop(site, running.url, issuer, client, pace=0.0) for site in SITES]
        for shop in shops:
            await shop.open_around_the_clock()
        turns = {shop: asyncio.Semaphore(AT_ONCE) for shop in shops}

        async def one(shop: Shop) -> None:
            async with turns[shop]:
                await shop.serve()

        async with asyncio.TaskGroup() as customers:
            for n in range(visits):
                customers.create_task(one(shops[n % len(shops)]))

        async def settled() -> bool:
            return at_rest((await running.get("/v1/status", "operator", "*")).json())

        await eventually(settled, within=60)
        columns: Counter[str] = Counter()
        for site in SITES:
            board = (await running.get(f"/v1/sites/{site}/board", "advisor", site)).json()
            columns.update(card["column"] for card in board["cards"])
    parked = (await running.get("/v1/parked", "operator", "*")).json()["parked"]
    wrong = [f"parked: {each['reason']}" for each in parked]
    return columns, wrong


async def day(visits: int, folder: Path) -> bool:
    running = Running(folder / "data")
    began = time.monotonic()
    try:
        running.start()
        columns, wrong = await played(running, visits)
        verified = await asyncio.to_thread(_verify, running.data)
    finally:
        running.stop()
    print(
        f"visits={visits} delivered={columns['delivered']} parked={len(wrong)} events={verified['events']}"
        f" chain={'good' if verified['good'] else 'broken'} seconds={time.monotonic() - began:.0f}"
    )
    return columns["delivered"] == visits and not wrong and verified["good"]


def _verify(data: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "ops", "verify", "--json", "--data", str(data)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.day", description=__doc__)
    arguments.add_argument("--visits", type=int, default=300)
    with tempfile.TemporaryDirectory(prefix="bayledger-day-") as folder:
        raise SystemExit(0 if asyncio.run(day(arguments.parse_args().visits, Path(folder))) else 1)


if __name__ == "__main__":
    main()

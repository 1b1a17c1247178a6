"""What the documentation tells people to type works, and says what it says there."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from eventlog.bus import connect
from ops.postgres import Postgres, binaries
from tests.journeys.story import Visit, eventually
from tests.system import Running, at_rest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"<!-- run -->\n```console\n(.*?)```", re.DOTALL)
RESTORE = re.compile(r"<!-- restore -->\n```console\n(.*?)```", re.DOTALL)
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if BLOCK.search(page.read_text()))
END = "@@ end @@"


class Command:
    """A `$` line with the lines it goes on over, and the output shown below it, `…` standing for anything."""

    def __init__(self, lines: list[str]) -> None:
        heredoc = re.search(r"<<'(\w+)'", lines[0])
        taken = lines.index(heredoc[1]) + 1 if heredoc else 1
        self.text = "\n".join([lines[0].removeprefix("$ "), *lines[1:taken]])
        self.expected = [line for line in lines[taken:] if line.strip("… ")]

    def missing(self, output: str) -> list[str]:
        """Shown lines that did not come."""
        return [
            line
            for line in self.expected
            if not re.search(".*".join(map(re.escape, line.split("…"))), output)
        ]


def commands(page: str, blocks: "re.Pattern[str]" = BLOCK) -> list[Command]:
    found: list[list[str]] = []
    for block in blocks.findall((DOCS / page).read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append([])
            found[-1].append(line)
    return [Command(lines) for lines in found]


def run(wanted: list[Command], folder: Path, system: Running, **variables: str) -> None:
    """All commands in one shell, as a reader would type them; the first that fails ends it."""
    if not (data := folder / "bayledger-data").exists():
        data.symlink_to(system.data)
    script = "".join(f"{{ {each.text}\n}} || exit 1\necho '{END}'\n" for each in wanted)
    programs = f"{Path(sys.executable).parent}:{binaries()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash"],
        input=script.replace("127.0.0.1:8080", f"127.0.0.1:{system.port}"),
        cwd=folder,
        env={**os.environ, **variables, "PATH": programs, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    outputs = done.stdout.split(f"{END}\n")
    for number, command in enumerate(wanted):
        came = outputs[number] if number < len(outputs) else ""
        assert number < len(outputs) - 1, f"$ {command.text}\nfailed:\n{came}"
        assert not command.missing(came), f"$ {command.text}\nlacks {command.missing(came)} in:\n{came}"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Running]:
    yield from started(tmp_path / "installation")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A system with a visit, a checkpoint and a message that no policy can handle."""
    for running in started(tmp_path_factory.mktemp("docs") / "installation"):
        asyncio.run(Visit(running).received())
        running.stop()
        running.start()  # at its start it signs what has no checkpoint yet
        asyncio.run(send_nonsense(running))
        yield running


def started(data: Path) -> Iterator[Running]:
    running = Running(data)
    try:
        running.start()
        yield running
    finally:
        if running.process:
            running.stop()


async def send_nonsense(running: Running) -> None:
    """Returns when it is parked."""
    bus = await connect(variables(running)["BAYLEDGER_NATS_URL"], "stranger")
    await bus.jetstream().publish("aftersales.sh01.workshop.repair_added", b"nonsense")
    await bus.close()
    await eventually(lambda: status(running, "parked"))


def variables(running: Running) -> dict[str, str]:
    lines = (running.data / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


async def status(running: Running, what: str) -> Any:
    headers = {"Authorization": f"Bearer {running.token('operator', '*')}"}
    async with httpx2.AsyncClient(base_url=running.url) as client:
        return (await client.get("/v1/status", headers=headers)).json()[what]


async def everything_arrived(running: Running) -> bool:
    return at_rest({name: await status(running, name) for name in ("healthy", "sources", "views")})


async def stopped(running: Running) -> str | None:
    """Why the ledger takes nothing more from a source."""
    return next((each["stopped"] for each in await status(running, "sources") if each["stopped"]), None)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_type_works(page: str, system: Running, tmp_path: Path) -> None:
    run(commands(page), tmp_path, system)


async def test_a_restored_store_is_refused_until_it_was_made_whole_as_the_page_says(
    fresh: Running, tmp_path: Path
) -> None:
    await Visit(fresh).received()
    lost = await Visit(fresh).received()
    await eventually(lambda: everything_arrived(fresh))
    fresh.stop()
    with Postgres(fresh.data / "postgres") as server:
        cut = "DELETE FROM events WHERE notification_id = (SELECT max(notification_id) FROM events)"
        with psycopg.connect(server.dsn("reception")) as connection:
            connection.execute(cut.encode())
    fresh.start()
    assert await eventually(lambda: stopped(fresh)) == "its store ends at position 1, the ledger holds 2"
    fresh.stop()
    page = commands("how-to/restore-a-backup.md", RESTORE)
    with Postgres(fresh.data / "postgres") as server:
        addresses = {f"BAYLEDGER_{name.upper()}_DB": server.dsn(name) for name in ("reception", "ledger")}
        run(page, tmp_path, fresh, **{**variables(fresh), **addresses})
    fresh.start()
    await Visit(fresh).received()
    answer = await fresh.get(f"/v1/work-orders/{lost.id}", "advisor")
    assert answer.status_code == 200
    await eventually(lambda: everything_arrived(fresh))

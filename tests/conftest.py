"""Real servers for the tests, started once, on free loopback ports, gone with the test session."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count

import psycopg
import pytest
from psycopg import sql

from ops.nats import Nats
from ops.postgres import Postgres
from tests.system import Running

NUMBER = count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres"), sync=False) as server:
        yield server


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def fresh_database(postgres_server: Postgres) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Call it with a prefix for the address of a new, empty database, which is dropped after the test."""
    names: list[str] = []
    async with await psycopg.AsyncConnection.connect(
        postgres_server.dsn("postgres"), autocommit=True
    ) as connection:

        async def make(prefix: str) -> str:
            names.append(name := f"{prefix}_{next(NUMBER)}")
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return postgres_server.dsn(name)

        yield make
        for name in names:
            await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A whole Bayledger in a process of its own, started once."""
    system = Running(tmp_path_factory.mktemp("running") / "data")
    try:
        system.start()
        yield system
    finally:
        if system.process:
            system.stop()

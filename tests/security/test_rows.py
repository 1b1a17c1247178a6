"""What the database itself shows to a read: guarded views, and of the ledger only positions and times."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege

from eventlog import sql
from eventlog.ledger import Ledger
from projections import views
from projections.catalogue import PROJECTIONS
from tests.projections.log import view

READABLE = """
SELECT table_name, column_name FROM information_schema.column_privileges
WHERE grantee = 'bayledger_reader' AND table_name NOT IN (
    SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity
)
"""
"""Columns that a read may see of every site."""


@pytest.fixture
async def conn(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[AsyncConnection[Any]]:
    ledger = Ledger(await fresh_database("rows"), {})
    await ledger.provision()
    async with ledger.running(), ledger.pool.connection() as conn:
        await views.provision(conn)
        await conn.execute("GRANT SELECT ON ledger, checkpoint TO bayledger_reader")  # as it once was
        await views.provision(conn)
        for projection in PROJECTIONS:
            await view(conn, projection)
        yield conn


async def test_a_read_sees_no_event_of_any_site_in_the_ledger(conn: AsyncConnection[Any]) -> None:
    shown = await sql.rows(conn, READABLE)
    of_views = {column for table, column in shown if table == "projection"}
    assert of_views == {"name", "build", "version", "position", "skipped", "status"}
    assert {each for each in shown if each[0] != "projection"} == {
        ("ledger", "seq"),
        ("ledger", "recorded_at"),
    }


@pytest.mark.parametrize("table", ["ledger", "ledger_source", "ledger_head", "checkpoint"])
async def test_and_the_database_refuses_it(conn: AsyncConnection[Any], table: str) -> None:
    await conn.execute("SET ROLE bayledger_reader")
    with pytest.raises(InsufficientPrivilege):
        await conn.execute(f"SELECT * FROM {table}")

"""What the database itself shows to a read: guarded views, how far they are, and nothing of the ledger."""

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
from tests.system import Running

READABLE = """
SELECT table_name, column_name FROM information_schema.column_privileges
WHERE grantee = 'bayledger_reader' AND table_name NOT IN (
    SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity
)
"""
"""Columns that a read may see of every site."""


LOOSE = {
    "relations open to a read that no row security guards": """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND (has_table_privilege('bayledger_reader', c.oid, 'SELECT')
            OR has_any_column_privilege('bayledger_reader', c.oid, 'SELECT'))
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity)""",
    "relations that a read may change": """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND (has_table_privilege('bayledger_reader', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
            OR has_any_column_privilege('bayledger_reader', c.oid, 'INSERT, UPDATE, REFERENCES'))""",
    "policies that do not ask for the site": """
        SELECT tablename || '.' || policyname FROM pg_policies
        WHERE roles && '{bayledger_reader,public}'
        AND NOT (cmd = 'SELECT' AND qual ~ 'site = .*bayledger.sites')""",
    "powers of the reader": """
        SELECT rolname FROM pg_roles WHERE rolname = 'bayledger_reader'
        AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication)""",
    "roles that the reader may take on": """
        SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'bayledger_reader'::regrole""",
    "what the reader owns": """
        SELECT classid::regclass::text FROM pg_shdepend
        WHERE refobjid = 'bayledger_reader'::regrole AND deptype = 'o'""",
    "schemas in which the reader creates": """
        SELECT nspname FROM pg_namespace WHERE has_schema_privilege('bayledger_reader', oid, 'CREATE')""",
    "functions that run as somebody else": """
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE prosecdef AND has_function_privilege('bayledger_reader', oid, 'EXECUTE')""",
}
"""What the catalogue must not have, so that a read sees the rows of its sites and nothing else."""
SHARED = {"projection"}
"""Of this a read sees the columns above."""

LOOSENED = {
    "GRANT SELECT ON ledger_head TO PUBLIC": "ledger_head",
    "GRANT SELECT (source) ON ledger_source TO bayledger_reader": "ledger_source",
    "ALTER TABLE complaint_timeline_1 DISABLE ROW LEVEL SECURITY": "complaint_timeline_1",
    "ALTER TABLE complaint_timeline_1 NO FORCE ROW LEVEL SECURITY": "complaint_timeline_1",
    "CREATE VIEW short AS TABLE complaint_timeline_1; GRANT SELECT ON short TO bayledger_reader": "short",
    "CREATE TABLE news (site text); GRANT SELECT ON news TO bayledger_reader": "news",
    "GRANT UPDATE ON parked_messages_1 TO bayledger_reader": "parked_messages_1",
    "CREATE POLICY more ON parked_messages_1 USING (true)": "parked_messages_1.more",
    "ALTER ROLE bayledger_reader BYPASSRLS": "bayledger_reader",
    "GRANT pg_read_all_data TO bayledger_reader": "pg_read_all_data",
    "ALTER TABLE parked_messages_1 OWNER TO bayledger_reader": "pg_class",
    "GRANT CREATE ON SCHEMA public TO bayledger_reader": "public",
    "CREATE FUNCTION peek() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": "peek()",
}


async def loose(conn: AsyncConnection[Any]) -> set[str]:
    return {name for query in LOOSE.values() for [name] in await sql.rows(conn, query)}


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
            await views.new_build(conn, projection, "building")
        yield conn


async def test_the_catalogue_has_nothing_loose(conn: AsyncConnection[Any]) -> None:
    """Also not in what is just being rebuilt."""
    assert await loose(conn) == SHARED


@pytest.mark.parametrize("change", LOOSENED)
async def test_and_would_show_it(conn: AsyncConnection[Any], change: str) -> None:
    async with conn.transaction(force_rollback=True):
        await conn.execute(change)
        assert LOOSENED[change] in await loose(conn) - SHARED
    assert await loose(conn) == SHARED


@pytest.mark.parametrize("database", ["reception", "workshop", "customer_care", "ledger", "keys"])
async def test_nor_has_any_database_of_a_running_system(running: Running, database: str) -> None:
    lines = (running.data / "environment").read_text().splitlines()
    address = dict(line.split("=", 1) for line in lines)[f"BAYLEDGER_{database.upper()}_DB"]
    async with await AsyncConnection.connect(address, autocommit=True) as conn:
        assert await loose(conn) == (SHARED if database == "ledger" else set())


async def test_of_every_site_a_read_sees_how_far_the_views_are(conn: AsyncConnection[Any]) -> None:
    columns = ("name", "build", "version", "position", "skipped", "status")
    assert set(await sql.rows(conn, READABLE)) == {("projection", column) for column in columns}


@pytest.mark.parametrize("table", ["ledger", "ledger_source", "ledger_head", "checkpoint"])
async def test_and_the_database_refuses_it(conn: AsyncConnection[Any], table: str) -> None:
    await conn.execute("SET ROLE bayledger_reader")
    with pytest.raises(InsufficientPrivilege):
        await conn.execute(f"SELECT * FROM {table}")

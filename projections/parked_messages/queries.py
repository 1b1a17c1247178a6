"""Which messages wait for an operator?"""

from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from eventlog import sql
from projections.projection import Document
from projections.views import Build


async def parked_messages(
    conn: AsyncConnection[Any], build: Build, *, settled_too: bool = False
) -> list[Document]:
    """Oldest first; of the sites that the connection's role may see."""
    query = SQL(
        "SELECT document FROM {} WHERE to_pos = 9223372036854775807 AND (waiting OR %s) ORDER BY from_pos"
    ).format(Identifier(build.table))
    return [document for [document] in await sql.rows(conn, query, (settled_too,))]

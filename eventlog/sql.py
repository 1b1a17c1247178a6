"""Small readings of a PostgreSQL connection."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.abc import Params, QueryNoTemplate


async def row(conn: AsyncConnection[Any], query: QueryNoTemplate, params: Params = ()) -> tuple[Any, ...]:
    """The one row of a query that always has one; LookupError if it has none."""
    found = await (await conn.execute(query, params)).fetchone()
    if found is None:
        raise LookupError("no row")
    return tuple(found)


async def rows(
    conn: AsyncConnection[Any], query: QueryNoTemplate, params: Params = ()
) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query, params)).fetchall()

"""Connection pools that open when their database is there, and refuse within two seconds when it is not."""

from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool


def open_pool(address: str, most: int) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """To be opened with `await pool.open(wait=False)` where it is used."""
    return AsyncConnectionPool(
        address, min_size=1, max_size=most, timeout=2, open=False, kwargs={"autocommit": True}
    )

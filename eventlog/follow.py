"""Reading the ledger: in order, from a position the reader itself keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from eventlog.ledger import CHANNEL

Row = tuple[int, str]
"""Position in the ledger and the canonical JSON of its event."""


async def read(conn: AsyncConnection[Any], after: int, limit: int) -> Sequence[Row]:
    """The next rows of the ledger; a position, once read, has nothing new below it."""
    rows = await conn.execute(
        "SELECT seq, body FROM ledger WHERE seq > %s ORDER BY seq LIMIT %s", (after, limit)
    )
    return await rows.fetchall()


async def head(conn: AsyncConnection[Any]) -> int:
    """The last position of the ledger."""
    row = await (await conn.execute("SELECT seq FROM ledger_head")).fetchone()
    return int(row[0]) if row else 0


class Wake:
    """Tells waiting readers that the ledger has grown. A hint: they look again after a second anyway."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._grown = asyncio.Condition()

    async def run(self) -> None:
        """Listen until cancelled or the connection breaks."""
        async with await AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=2) as conn:
            await conn.execute(f"LISTEN {CHANNEL}")
            async for _ in conn.notifies():
                async with self._grown:
                    self._grown.notify_all()

    async def wait(self, at_most: float) -> None:
        try:
            async with asyncio.timeout(at_most), self._grown:
                await self._grown.wait()
        except TimeoutError:
            return

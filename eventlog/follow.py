"""Reading the ledger: in order, from a position the reader itself keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from eventlog.ledger import CHANNEL
from eventlog.tail import Tail

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
    """Tells waiting readers that the ledger has grown. A hint: they look again after a second anyway.

    It holds what was appended last in this process, so that readers who keep up need not ask the database.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._next = asyncio.Event()
        self._head = 0
        self._recent: Tail[str] = Tail()

    async def run(self) -> None:
        """Listen until cancelled or the connection breaks."""
        async with await AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=2) as conn:
            await conn.execute(f"LISTEN {CHANNEL}")
            async for notification in conn.notifies():
                self._wake(int(notification.payload))

    def grown(self, rows: Sequence[Row]) -> None:
        """Rows that were committed here: known sooner than PostgreSQL tells."""
        self._recent.extend(rows)
        self._wake(rows[-1][0])

    def since(self, after: int) -> list[Row]:
        """The rows behind a position, in order and without a gap, if all of them are held; otherwise none."""
        return self._recent.since(after)

    @property
    def next(self) -> asyncio.Event:
        """Set when the ledger grows from now on: to be taken before looking, to be waited for afterwards."""
        return self._next

    def _wake(self, head: int) -> None:
        if head > self._head:
            self._head = head
            self._next.set()
            self._next = asyncio.Event()

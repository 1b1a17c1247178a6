"""What was appended last in this process, for readers who keep up with it."""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import Generic, TypeVar

B = TypeVar("B")

RECENT = 2_000


class Tail(Generic[B]):
    """Positions and bodies, in order and without a gap: what somebody else appended in between empties it."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, B]] = deque(maxlen=RECENT)

    @property
    def last(self) -> int:
        """The last position that was appended here."""
        return self._rows[-1][0] if self._rows else 0

    def extend(self, rows: Sequence[tuple[int, B]]) -> None:
        for row in rows:
            if row[0] != self.last + 1:
                self._rows.clear()
            self._rows.append(row)

    def since(self, after: int) -> list[tuple[int, B]]:
        """The rows behind a position, if all of them are held; otherwise none."""
        if not self._rows or after + 1 < self._rows[0][0]:
            return []
        latest_first = takewhile(lambda row: row[0] > after, reversed(self._rows))
        return list(latest_first)[::-1]

"""Checks the chain: of the database here, or of an export on a machine that has nothing else."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from eventlog import sql
from eventlog.checkpoints import (
    CHUNK,
    Link,
    Verified,
    extend,
    from_line,
    merkle_root,
    read_links,
    signed_by,
    to_line,
)
from eventlog.settings import Settings
from ops.processes import Unusable

Tell = Callable[[int, int | None], None]


@dataclass(slots=True)
class Result:
    events: int
    chain: str
    bad: str | None
    checkpoints: int = 0

    @property
    def good(self) -> bool:
        return self.bad is None

    def as_dict(self) -> dict[str, Any]:
        return {
            "good": self.good,
            "events": self.events,
            "chain": self.chain,
            "bad": self.bad,
            "checkpoints": self.checkpoints,
        }

    def sentence(self) -> str:
        if self.bad:
            return f"The chain does not hold: {self.bad}."
        return (
            f"{self.events} events verified against {self.checkpoints} signed checkpoints;"
            f" chain head {self.chain}."
        )


class Checker:
    """Follows a chain and compares it with signed checkpoints on the way: the head they name, and the Merkle
    root over the events since the checkpoint before."""

    def __init__(self, checkpoints: list[dict[str, Any]], public_key: bytes) -> None:
        self._verified = Verified()
        self._bad: str | None = None
        self._expected = sorted(checkpoints, key=lambda document: document["seq"], reverse=True)
        self._hashes: list[str] = []
        for document in checkpoints:
            if not signed_by(public_key, document):
                self._bad = f"the checkpoint at position {document['seq']} is not signed by this key"
        self._count = len(checkpoints)

    def add(self, rows: Sequence[Link]) -> None:
        while rows and not self._verified.bad:
            ahead = self._expected[-1]["seq"] - self._verified.seq if self._expected else 0
            part, rows = (rows[:ahead], rows[ahead:]) if ahead > 0 else (rows, [])
            extend(self._verified, part)
            if ahead > 0:
                after = self._expected[-1]["after"]
                self._hashes += [hash for seq, _, _, _, hash, _, _ in part if seq > after]
            if len(part) == ahead and not self._verified.bad:
                self._compare()

    def _compare(self) -> None:
        """The signed checkpoints about the position that is reached."""
        seq = self._verified.seq
        stands = {"hash": self._verified.chain, "merkle_root": merkle_root(self._hashes)}
        while self._expected and self._expected[-1]["seq"] == seq:
            if not stands.items() <= self._expected.pop().items():
                self._verified.bad = f"position {seq}: a signed checkpoint says otherwise"
        self._hashes = []

    def result(self) -> Result:
        bad = self._verified.bad or self._bad
        if bad is None and self._expected:
            bad = f"position {self._expected[-1]['seq']} is missing, a signed checkpoint names it"
        return Result(self._verified.seq, self._verified.chain, bad, self._count)


async def verify_database(settings: Settings, tell: Tell) -> Result:
    """The ledger against its own chain, every checkpoint file, and the head it claims."""
    checkpoints = await asyncio.to_thread(_documents, sorted(settings.checkpoints.glob("[0-9]*.json")))
    checker = Checker(checkpoints, (settings.secrets / "ledger.pub").read_bytes() if checkpoints else b"")
    async with await AsyncConnection.connect(settings.ledger_db, autocommit=True) as conn:
        [head, chain] = await sql.row(conn, "SELECT seq, chain FROM ledger_head")
        done = 0
        async with aclosing(read_links(conn)) as chunks:
            async for rows in chunks:
                checker.add(rows)
                done += len(rows)
                tell(done, max(head, done))
    tell(done, max(head, done))
    result = checker.result()
    if result.good and (result.events < head or (result.events == head and result.chain != chain)):
        result.bad = f"position {result.events + 1} is missing at the end"
    return result


def verify_export(export: Path, checkpoints: list[Path], public_key: Path, tell: Tell) -> Result:
    """An export against checkpoints that left the system earlier. Raises Unusable for unreadable files."""
    with _readable():
        checker = Checker(_documents(checkpoints), public_key.read_bytes())
        with export.open("rb") as lines:
            done, numbered = 0, enumerate(lines, start=1)
            while rows := [_link(line, number) for number, line in islice(numbered, CHUNK)]:
                checker.add(rows)
                done += len(rows)
                tell(done, None)
    return checker.result()


async def export_log(settings: Settings, out: Path, tell: Tell) -> int:
    """Write the ledger as lines; the number of events."""
    done = 0
    with _readable(), out.open("wb") as file:
        async with await AsyncConnection.connect(settings.ledger_db, autocommit=True) as conn:
            [head] = await sql.row(conn, "SELECT seq FROM ledger_head")
            async with aclosing(read_links(conn)) as chunks:
                async for rows in chunks:
                    file.writelines(map(to_line, rows))
                    done += len(rows)
                    tell(done, head)
    tell(done, done)
    return done


def _link(line: bytes, number: int) -> Link:
    try:
        return from_line(line)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unusable(f"line {number} of the export is not a line of an export") from None


def _documents(files: list[Path]) -> list[dict[str, Any]]:
    with _readable():
        documents = []
        for file in files:
            try:
                document = json.loads(file.read_text())
                documents.append({**document, "seq": int(document["seq"]), "after": int(document["after"])})
            except (ValueError, KeyError, TypeError, RecursionError):
                raise Unusable(f"{file} is not a checkpoint") from None
        return documents


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as why:
        raise Unusable(f"{why.filename}: {why.strerror}") from None

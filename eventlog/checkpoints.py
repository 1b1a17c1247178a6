"""Signed statements of how the ledger stood, kept outside its database.

A chain alone can be recomputed by whoever edits the database; a checkpoint that left it earlier cannot.
"""

import asyncio
import base64
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from psycopg import AsyncConnection

from eventlog import sql
from eventlog.ledger import GENESIS, Ledger, link
from eventlog.recorded import canonical, event_hash

EVERY_EVENTS = 1_000
EVERY_SECONDS = 60.0
LOOK_EVERY = 2.0
CHUNK = 2_000


class SigningKey:
    """An Ed25519 key, made on first use, for its owner's eyes; the public half lies beside it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A link appears whole or not at all, whatever ends this process or the power.
            handle, draft = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(
                    Ed25519PrivateKey.generate().private_bytes(
                        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
                    )
                )
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
            os.unlink(draft)
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")
        self._key = key
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if not (half := path.with_suffix(".pub")).exists() or half.read_bytes() != public:
            half.write_bytes(public)
        self.public = public
        self.id = hashlib.sha256(public).hexdigest()[:16]

    def sign(self, document: dict[str, Any]) -> dict[str, Any]:
        statement = document | {"key_id": self.id}
        return statement | {"signature": base64.b64encode(self.signature(canonical(statement))).decode()}

    def signature(self, said: bytes) -> bytes:
        return self._key.sign(said)


def signed_by(public_pem: bytes, document: dict[str, Any]) -> bool:
    """Whether the owner of this key signed the statement; what is no Ed25519 key has signed nothing."""
    statement = {name: value for name, value in document.items() if name != "signature"}
    try:
        key = load_pem_public_key(public_pem)
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(base64.b64decode(document["signature"]), canonical(statement))
    except (InvalidSignature, UnsupportedAlgorithm, KeyError, TypeError, ValueError):
        return False
    return True


def merkle_root(leaves: Iterable[str]) -> str:
    """Root over event hashes (hex, in order); a lone last node is carried up as it is."""
    level = [bytes.fromhex(leaf) for leaf in leaves]
    while len(level) > 1:
        pairs = [hashlib.sha256(a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0].hex() if level else hashlib.sha256(b"").hexdigest()


async def checkpoint(ledger: Ledger, key: SigningKey, folder: Path) -> dict[str, Any] | None:
    """Sign the ledger's head into the database and a file of its own; None if nothing came since the last."""
    async with ledger.pool.connection() as conn, conn.transaction():
        [seq, chain] = await sql.row(conn, "SELECT seq, chain FROM ledger_head FOR UPDATE")
        [last] = await sql.row(conn, "SELECT coalesce(max(seq), 0) FROM checkpoint")
        if seq == last:
            return None
        between = "SELECT hash FROM ledger WHERE seq > %s AND seq <= %s ORDER BY seq"
        document = key.sign(
            {
                "seq": seq,
                "hash": chain,
                "after": last,
                "merkle_root": merkle_root(hash for [hash] in await sql.rows(conn, between, (last, seq))),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        await conn.execute("INSERT INTO checkpoint VALUES (%s, %s)", (seq, json.dumps(document)))
    await asyncio.to_thread(_write, folder, document)
    return document


def _write(folder: Path, document: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{document['seq']:012}.json"
    with unfinished.open("w") as file:
        file.write(json.dumps(document, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / f"{document['seq']:012}.json")


async def run_checkpoints(ledger: Ledger, key: SigningKey, folder: Path) -> None:
    """Sign every thousand events, and at least once a minute while events come; until cancelled."""
    async with ledger.pool.connection() as conn:
        last = await sql.rows(conn, "SELECT document FROM checkpoint ORDER BY seq DESC LIMIT 1")
    for [document] in last:
        # It is in the database first: a crash, or a folder out of reach, may have come before its file.
        await asyncio.to_thread(_write, folder, document)
    while True:
        await checkpoint(ledger, key, folder)
        signed = await _last(ledger, "SELECT coalesce(max(seq), 0) FROM checkpoint")
        for _ in range(int(EVERY_SECONDS // LOOK_EVERY)):
            await asyncio.sleep(LOOK_EVERY)
            if await _last(ledger, "SELECT seq FROM ledger_head") - signed >= EVERY_EVENTS:
                break


async def _last(ledger: Ledger, query: LiteralString) -> int:
    async with ledger.pool.connection() as conn:
        [seq] = await sql.row(conn, query)
    return int(seq)


Link: TypeAlias = tuple[int, str, str, int, str, str, bytes]
"""seq, source, epoch, pos, hash, chain and body: a row of the ledger, as the database or an export has it."""


@dataclass(slots=True)
class Verified:
    """How far a chain held. `bad` names the first position that does not, and why."""

    seq: int = 0
    chain: str = GENESIS
    bad: str | None = None


def extend(verified: Verified, rows: Iterable[Link]) -> None:
    """Check more rows; after the first bad one nothing more is believed."""
    if verified.bad:
        return
    last, before = verified.seq, verified.chain
    for seq, source, epoch, pos, hash, chain, body in rows:
        if seq != last + 1:
            verified.bad = f"position {last + 1} is missing"
        elif event_hash(body) != hash:
            verified.bad = f"position {seq}: the event was changed after it was recorded"
        elif link(before, seq, source, epoch, pos, hash) != chain:
            verified.bad = f"position {seq}: the chain is broken"
        else:
            last, before = seq, chain
            continue
        break
    verified.seq, verified.chain = last, before


async def read_links(conn: AsyncConnection[Any]) -> AsyncGenerator[Sequence[Link], None]:
    """The whole ledger in order, in chunks: the next one is on its way while one is looked at."""
    async with conn.transaction(), conn.cursor("verify", binary=True) as cursor:
        await cursor.execute(
            "SELECT seq, source, epoch, pos, hash, chain, convert_to(body, 'UTF8') FROM ledger ORDER BY seq"
        )
        coming = asyncio.create_task(cursor.fetchmany(CHUNK))
        try:
            while rows := await coming:
                coming = asyncio.create_task(cursor.fetchmany(CHUNK))
                await asyncio.sleep(0)  # the question leaves before the answer is needed
                yield rows
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


def to_line(row: Link) -> bytes:
    """A row as a line of an export: everything a verifier without the system needs."""
    seq, source, epoch, pos, hash, chain, body = row
    head = {"seq": seq, "source": source, "epoch": epoch, "pos": pos}
    return canonical(head | {"hash": hash, "chain": chain, "event": body.decode()}) + b"\n"


def from_line(line: bytes) -> Link:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no line of an export."""
    try:
        row = json.loads(line)
    except RecursionError as why:
        raise ValueError("nested too deeply") from why
    body = row["event"].encode()
    return row["seq"], row["source"], row["epoch"], row["pos"], row["hash"], row["chain"], body

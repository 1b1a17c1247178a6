"""Photos and signatures: kept beside the log, each under the key of the customer whose visit it belongs to.

An event names an attachment by the SHA-256 of its clear content. Erasing the customer makes it unreadable.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from psycopg import AsyncConnection

from access.keyring import Erased, Keyring
from access.problems import Problem, missing
from access.tokens import Principal
from eventlog.store import EventStore, UnknownStream
from events.reception import Digest, VehicleReceived
from services.reception import pictures
from services.reception.pictures import Picture
from services.reception.visit import visit_stream

AT_ONCE = 2
"""Pictures decoded at the same time: each may take 200 MB while it is."""
Signature: TypeAlias = str
"""A PNG in base64, as a canvas gives it."""


@dataclass(frozen=True, slots=True)
class Photo:
    sha256: Digest
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Attachment:
    content: bytes
    media_type: str


async def provision(reception_db: str) -> None:
    """Creates the table beside the events; repeated and concurrent calls are harmless."""
    async with await AsyncConnection.connect(reception_db) as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(7404)")
        await conn.execute(_TABLE)


class Attachments:
    """Keeping raises UnknownStream for a visit that is not at the site; everything raises Unavailable or
    psycopg.OperationalError while a database is away."""

    def __init__(self, reception: EventStore, keyring: Keyring) -> None:
        self._reception = reception
        self._keyring = keyring
        self._decoding = asyncio.Semaphore(AT_ONCE)

    async def keep_signature(self, site: str, visit_id: str, drawn: Signature) -> Digest:
        """The same signature twice is one attachment. Raises the problem of what is no signature."""
        customer = await self._customer(site, visit_id)
        picture = await asyncio.to_thread(pictures.signature, drawn)
        return await self._keep(site, visit_id, customer, picture)

    async def keep_photo(self, site: str, visit_id: str, body: bytes) -> Photo:
        """The same photo twice is one attachment. Raises the problem of what is no photo."""
        customer = await self._customer(site, visit_id)
        async with self._decoding:
            picture = await asyncio.to_thread(pictures.photo, body)
        return Photo(await self._keep(site, visit_id, customer, picture), picture.width, picture.height)

    async def read(self, who: Principal, visit_id: str, sha256: Digest) -> Attachment:
        """Raises the problem of one that is missing, of another site, or of a customer who was erased."""
        async with self._reception.pool.connection() as conn:
            found = await (await conn.execute(_READ, (visit_id, sha256))).fetchone()
        if found is None or not who.at(found[0]):
            raise missing()
        _, subject, media_type, box = found
        content = await self._keyring.unseal_bytes(subject, _context(visit_id, sha256), box)
        if content is None:
            raise Problem(410, "This customer's data were erased, and this picture with them.")
        return Attachment(content, media_type)

    async def _customer(self, site: str, visit_id: str) -> str:
        history = await self._reception.stream(visit_stream(visit_id))
        begun = history[0] if history else None
        if begun is None or begun.metadata.site != site or not isinstance(begun.event, VehicleReceived):
            raise UnknownStream(visit_id)
        return begun.event.customer

    async def _keep(self, site: str, visit_id: str, customer: str, picture: Picture) -> Digest:
        sha256 = hashlib.sha256(picture.content).hexdigest()
        try:
            box = await self._keyring.seal_bytes(customer, _context(visit_id, sha256), picture.content)
        except Erased:
            raise Problem(
                409, "This customer's data were erased; nothing more can be noted about them."
            ) from None
        async with self._reception.pool.connection() as conn:
            await conn.execute(_KEEP, (site, visit_id, customer, sha256, picture.media_type, box))
        return sha256


def _context(visit_id: str, sha256: Digest) -> str:
    return f"reception.attachment.{visit_id}.{sha256}"


_TABLE = """
CREATE TABLE IF NOT EXISTS attachment (
    site text NOT NULL,
    visit_id text,
    subject text NOT NULL,
    sha256 text,
    media_type text NOT NULL,
    box bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (visit_id, sha256)
)
"""
_KEEP = """
INSERT INTO attachment (site, visit_id, subject, sha256, media_type, box) VALUES (%s, %s, %s, %s, %s, %b)
ON CONFLICT DO NOTHING
"""
_READ = "SELECT site, subject, media_type, box FROM attachment WHERE (visit_id, sha256) = (%s, %s)"

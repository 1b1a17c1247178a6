"""The keys of people: a personal value can be read as long as its subject's key exists, and no longer."""

import base64
import binascii
import hmac
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from access.batches import Batches
from access.normal_forms import normal_form
from access.problems import Problem
from access.reveal_limit import reveal_limit
from access.secret_file import secret_file
from access.tokens import Principal
from events.event import Sealed

KEYS_REMEMBERED = 10.0
"""Seconds a process may still read a subject after another process erased it."""
_MOST_REMEMBERED = 20_000
_MOST_AT_ONCE = 100
"""People found, or added, by one statement; each may take a lock per identifier."""
_Digest: TypeAlias = tuple[str, bytes]
"""Kind and keyed hash of an identifier."""
_Digests: TypeAlias = tuple[_Digest, ...]
_SCHEMA = Path(__file__).with_suffix(".sql").read_bytes()
_NONCE = 12


class Erased(Exception):
    """The subject's key was destroyed; nothing more can be sealed for them."""


class UnknownSubject(LookupError):
    """There never was a key for this subject here: not an erasure, but a wrong or damaged key database."""


class Tampered(Exception):
    """A sealed value is not what was sealed: changed, or put in another's place."""


class WrongMasterKey(Exception):
    """The keys in this database were wrapped by another master key."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Somebody asked for personal data of a subject, and why."""

    at: datetime
    actor: str
    role: str
    subject: str
    fields: list[str]
    reason: str
    about: str


@dataclass(frozen=True, slots=True)
class _Person:
    """A living subject, as the database had it just now."""

    subject: str
    wrapped_key: bytes


class Keyring:
    """Seals and unseals personal values, finds subjects by blind index, and destroys keys.

    Every method raises psycopg.OperationalError (of which PoolTimeout is one) when the key database is
    away. A key read once is remembered for `KEYS_REMEMBERED` seconds, for unsealing only.
    """

    def __init__(
        self, pool: AsyncConnectionPool, master_key: bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._wrapping = AESGCM(_derived(master_key, "wrap"))
        self._index_key = _derived(master_key, "blind index")
        self._body_key = _derived(master_key, "fingerprint")
        self._remembered: dict[str, tuple[AESGCM | None, float]] = {}
        self._found = Batches(self._find_people, _MOST_AT_ONCE)
        self._added = Batches(self._add_people, _MOST_AT_ONCE)
        self._given = Batches(self._give, _MOST_AT_ONCE)

    async def provision(self) -> None:
        """Creates what is missing; repeated and concurrent calls are harmless.

        Raises WrongMasterKey instead of letting a second master key into the same database.
        """
        ours = self.fingerprint(b"master key")
        async with self._pool.connection() as connection, connection.transaction():
            await _one_at_a_time(connection, ["provision"])
            await connection.execute(_SCHEMA)
            await connection.execute(
                "INSERT INTO keys.master_key (fingerprint) VALUES (%s) ON CONFLICT DO NOTHING", (ours,)
            )
            stored = await (await connection.execute("SELECT fingerprint FROM keys.master_key")).fetchone()
        if stored != (ours,):
            raise WrongMasterKey("the keys in this database were wrapped by another master key")

    async def subject_for(self, identifiers: Mapping[str, str]) -> str:
        """The subject known by one of `identifiers` (kind → value), or a new one.

        The first known identifier in the given order decides, and unknown ones are added to its subject.
        Concurrent calls that share an identifier agree. An identifier without content ("-") identifies
        nobody; with none left, the subject is new.
        """
        return (await self._person(identifiers)).subject

    async def seal_for(
        self, identifiers: Mapping[str, str], texts: Mapping[str, str]
    ) -> tuple[str, dict[str, Sealed]]:
        """The subject as by `subject_for`, and `texts` (context → text) under the key it has now.

        Calls at the same time share a statement; those that need a new subject share another, and its commit.
        """
        person = await self._person(identifiers)
        key = self._unwrapped(person.subject, person.wrapped_key)
        return person.subject, {
            context: _sealed(key, person.subject, context, text) for context, text in texts.items()
        }

    async def _person(self, identifiers: Mapping[str, str]) -> _Person:
        digests = tuple(
            (kind, digest) for kind, value in identifiers.items() if (digest := self._digest(kind, value))
        )
        return await self._found.ask(digests) or await self._added.ask(digests)

    async def _find_people(self, wanted: Sequence[_Digests]) -> Sequence[_Person | None]:
        """Those of whom every identifier is known; their first one decides."""
        async with self._pool.connection() as connection:
            known = await _living(connection, set(chain.from_iterable(wanted)))
        return [known[each[0]] if each and known.keys() >= set(each) else None for each in wanted]

    async def _add_people(self, wanted: Sequence[_Digests]) -> Sequence[_Person]:
        """The people, with what was unknown about them added, as if they had come one after the other."""
        digests = set(chain.from_iterable(wanted))
        new: list[_Person] = []
        people: list[_Person] = []
        async with self._pool.connection() as connection, connection.transaction():
            await _one_at_a_time(connection, sorted(digest.hex() for _, digest in digests))
            known = await _living(connection, digests)
            learned = sorted(digests - known.keys())
            for each in wanted:
                person = next((known[digest] for digest in each if digest in known), None)
                if person is None:
                    person = self._new_person()
                    new.append(person)
                people.append(person)
                known |= {digest: person for digest in each if digest not in known}
            await connection.execute(
                _ADD,
                (
                    [person.subject for person in new],
                    [person.wrapped_key for person in new],
                    [kind for kind, _ in learned],
                    [digest for _, digest in learned],
                    [known[each].subject for each in learned],
                ),
            )
        return people

    async def find(self, kind: str, value: str) -> str | None:
        """The subject known by this phone, plate …, or None."""
        digest = self._digest(kind, value)
        if digest is None:
            return None
        async with self._pool.connection() as connection:
            known = await _living(connection, [(kind, digest)])
        return known[kind, digest].subject if known else None

    async def give(self, kind: str, value: str, subject: str) -> None:
        """From now on this plate … is of this subject: whoever had it before is no longer found by it.

        Repeating it is harmless, and writes nothing; nothing is given to somebody who was erased, or by what
        identifies nobody. Calls at the same time share a statement.
        """
        if digest := self._digest(kind, value):
            await self._given.ask((kind, digest, subject))

    async def _give(self, given: Sequence[tuple[str, bytes, str]]) -> Sequence[None]:
        """Of one identifier only the last counts."""
        last = {(kind, digest): (kind, digest, subject) for kind, digest, subject in given}
        async with self._pool.connection() as connection:
            columns = [list(column) for column in zip(*last.values(), strict=True)]
            await connection.execute(_GIVE, columns, prepare=False)
        return [None] * len(given)

    async def knows(self, subject: str) -> bool:
        """Whether there is, or was before an erasure, such a person."""
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT FROM keys.subject_key WHERE subject = %s", (subject,))
            return found.rowcount == 1

    async def seal(self, subject: str, context: str, text: str) -> Sealed:
        """`text` under the subject's key. Raises Erased, UnknownSubject."""
        return (await self.seal_many(subject, {context: text}))[context]

    async def seal_many(self, subject: str, texts: Mapping[str, str]) -> dict[str, Sealed]:
        """The same for several values (context → text) with one look at the key."""
        # Never from memory: a value sealed under a key destroyed meanwhile would be lost at once.
        key = (await self._load([subject]))[subject]
        if key is None:
            raise Erased(f"the data of {subject} was erased")
        return {context: _sealed(key, subject, context, text) for context, text in texts.items()}

    async def unseal_many(self, sealed: Sequence[Sealed], *, afresh: bool = False) -> list[str | None]:
        """The values in the same order; None where the subject was erased.

        At most one query; `afresh` makes it one that no remembered key answers. Raises Tampered, and
        UnknownSubject where no key ever was.
        """
        now = self._clock()
        keys: dict[str, AESGCM | None] = {}
        for subject in {each.subject for each in sealed}:
            key, until = self._remembered.get(subject, (None, now))
            if until > now and not afresh:
                keys[subject] = key
        if unread := {each.subject for each in sealed} - keys.keys():
            loaded = await self._load(unread)
            if len(self._remembered) + len(loaded) > _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered.update(
                (subject, (key, now + KEYS_REMEMBERED)) for subject, key in loaded.items()
            )
            keys |= loaded
        return [None if (key := keys[each.subject]) is None else _unsealed(key, each) for each in sealed]

    async def seal_bytes(self, subject: str, context: str, data: bytes) -> bytes:
        """`data` under the subject's key, as a box to keep beside the log. Raises Erased, UnknownSubject."""
        key = (await self._load([subject]))[subject]
        if key is None:
            raise Erased(f"the data of {subject} was erased")
        return _boxed(key, subject, context, data)

    async def unseal_bytes(self, subject: str, context: str, box: bytes) -> bytes | None:
        """The data in the box; None where the subject was erased, whichever process erased them.

        Raises Tampered, and UnknownSubject where no key ever was.
        """
        key = (await self._load([subject]))[subject]
        try:
            return None if key is None else _unboxed(key, subject, context, box)
        except (InvalidTag, ValueError):
            raise Tampered(f"{context} of {subject} is not what was sealed") from None

    async def erase(self, subject: str) -> None:
        """Destroys the subject's key: every value sealed for them is unreadable, everywhere, for ever.

        This process stops reading them now, others within `KEYS_REMEMBERED` seconds. Repeating it is
        harmless. A backup of the key database brings the key back: erase again after restoring one.
        Raises UnknownSubject.
        """
        async with self._pool.connection() as connection, connection.transaction():
            erased = await connection.execute(
                "UPDATE keys.subject_key SET wrapped_key = NULL, "
                "destroyed_at = coalesce(destroyed_at, now()) WHERE subject = %s",
                (subject,),
            )
            if erased.rowcount == 0:
                raise UnknownSubject(subject)
            await connection.execute("DELETE FROM keys.blind_index WHERE subject = %s", (subject,))
        self._remembered[subject] = None, self._clock() + KEYS_REMEMBERED

    async def record_reveal(
        self, principal: Principal, subject: str, fields: Iterable[str], reason: str, about: str
    ) -> None:
        """Call it before showing anything: once it returns, the reveal is on disk and cannot be removed.

        `about` names the visit or complaint in question. Raises a 429 problem, and records nothing, for
        somebody who has asked as often as `reveal_limit` allows, of whichever process and in whatever role.
        """
        limit = reveal_limit(datetime.now(UTC))
        async with self._pool.connection() as connection, connection.transaction():
            await _one_at_a_time(connection, [f"reveals by {principal.actor}"])
            full = await connection.execute(
                _FULL, (limit.window, principal.actor, limit.window, limit.number)
            )
            if wait := await full.fetchone():
                raise Problem(
                    429,
                    f"You have looked up personal data {limit.number} times within {limit.minutes} minutes, "
                    f"the most that is allowed; please go on in {math.ceil(wait[0] / 60)} minutes.",
                    headers={"Retry-After": str(wait[0])},
                )
            await connection.execute(
                "INSERT INTO keys.reveal (actor, role, subject, fields, reason, about) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                (principal.actor, principal.role.value, subject, list(fields), reason, about),
            )

    async def reveals(self, subject: str) -> list[Reveal]:
        """Who asked for this subject's data, oldest first."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Reveal)) as cursor,
        ):
            await cursor.execute(
                "SELECT at, actor, role, subject, fields, reason, about FROM keys.reveal "
                "WHERE subject = %s ORDER BY id",
                (subject,),
            )
            return await cursor.fetchall()

    def fingerprint(self, body: bytes) -> str:
        """Tells two command bodies apart without revealing either: keyed, so that no phone can be guessed."""
        return hmac.digest(self._body_key, body, "sha256").hex()

    def _digest(self, kind: str, value: str) -> bytes | None:
        normal = normal_form(kind, value)
        return hmac.digest(self._index_key, f"{kind}|{normal}".encode(), "sha256") if normal else None

    def _new_person(self) -> _Person:
        subject = f"c-{uuid7().hex}"
        nonce = os.urandom(_NONCE)
        wrapped = nonce + self._wrapping.encrypt(nonce, AESGCM.generate_key(256), subject.encode())
        return _Person(subject, wrapped)

    async def _load(self, subjects: Iterable[str]) -> dict[str, AESGCM | None]:
        wanted = list(subjects)
        async with self._pool.connection() as connection:
            rows = await (
                await connection.execute(
                    "SELECT subject, wrapped_key FROM keys.subject_key WHERE subject = ANY(%s)", (wanted,)
                )
            ).fetchall()
        keys = {subject: wrapped and self._unwrapped(subject, wrapped) for subject, wrapped in rows}
        for subject in wanted:
            if subject not in keys:
                raise UnknownSubject(subject)
        return keys

    def _unwrapped(self, subject: str, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(self._wrapping.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], subject.encode()))
        except InvalidTag:
            raise Tampered(f"the key of {subject} is not the one that was stored") from None


_FULL = """
SELECT greatest(1, ceil(extract(epoch FROM at + %s - now())))::int FROM keys.reveal
WHERE actor = %s AND at > now() - %s ORDER BY at DESC OFFSET %s - 1 LIMIT 1
"""
"""Seconds until the reveal that has to pass before another is allowed; no row while there is room."""


def load_master_key(path: Path) -> bytes:
    """The key from `BAYLEDGER_MASTER_KEY` (base64 of 32 bytes), else from the file, made on first use."""
    text = os.environ.get("BAYLEDGER_MASTER_KEY") or secret_file(
        path, lambda: base64.b64encode(os.urandom(32))
    )
    key = base64.b64decode(text, validate=True)
    if len(key) != 32:
        raise ValueError("the master key must be base64 of 32 bytes")
    return key


def _derived(master_key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=f"bayledger {purpose}".encode()).derive(master_key)


def _authenticated(subject: str, context: str) -> bytes:
    return f"{subject}|{context}".encode()


def _sealed(key: AESGCM, subject: str, context: str, text: str) -> Sealed:
    box = _boxed(key, subject, context, text.encode())
    return Sealed(subject=subject, context=context, box=base64.b64encode(box).decode())


def _unsealed(key: AESGCM, sealed: Sealed) -> str:
    try:
        box = base64.b64decode(sealed.box, validate=True)
        return _unboxed(key, sealed.subject, sealed.context, box).decode()
    except (InvalidTag, binascii.Error, ValueError):
        raise Tampered(f"{sealed.context} of {sealed.subject} is not what was sealed") from None


def _boxed(key: AESGCM, subject: str, context: str, data: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, data, _authenticated(subject, context))


def _unboxed(key: AESGCM, subject: str, context: str, box: bytes) -> bytes:
    return key.decrypt(box[:_NONCE], box[_NONCE:], _authenticated(subject, context))


async def _living(connection: AsyncConnection, digests: Collection[_Digest]) -> dict[_Digest, _Person]:
    rows = await (
        await connection.execute(
            "SELECT kind, digest, subject, wrapped_key FROM keys.blind_index "
            "JOIN keys.subject_key USING (subject) "
            "JOIN unnest(%s::text[], %b::bytea[]) AS wanted (kind, digest) USING (kind, digest) "
            "WHERE wrapped_key IS NOT NULL",
            ([kind for kind, _ in digests], [digest for _, digest in digests]),
            prepare=False,  # a plan made while the tables were empty would stay bad for ever
        )
    ).fetchall()
    return {(kind, digest): _Person(subject, wrapped) for kind, digest, subject, wrapped in rows}


_ADD = """
WITH added AS (
    INSERT INTO keys.subject_key (subject, wrapped_key) SELECT * FROM unnest(%s::text[], %b::bytea[])
)
INSERT INTO keys.blind_index (kind, digest, subject) SELECT * FROM unnest(%s::text[], %b::bytea[], %s::text[])
ON CONFLICT (kind, digest) DO UPDATE SET subject = excluded.subject
"""
"""In the way of an index row can only be one left by an erasure that came between."""


_GIVE = """
INSERT INTO keys.blind_index (kind, digest, subject)
SELECT kind, digest, wanted.subject
FROM unnest(%s::text[], %b::bytea[], %s::text[]) AS wanted (kind, digest, subject)
JOIN keys.subject_key USING (subject) LEFT JOIN keys.blind_index AS had USING (kind, digest)
WHERE wrapped_key IS NOT NULL AND had.subject IS DISTINCT FROM wanted.subject
ORDER BY kind, digest FOR SHARE OF subject_key
ON CONFLICT (kind, digest) DO UPDATE SET subject = excluded.subject
WHERE blind_index.subject <> excluded.subject
"""
"""In one order, so that two never wait in a circle."""


async def _one_at_a_time(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Holds a lock per name until the transaction ends; sorted, so that two never wait in a circle."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name",
        ([f"keys {name}" for name in names],),
    )

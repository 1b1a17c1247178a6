"""Who is asking: a signed token names a person, their role and their sites."""

import asyncio
import hashlib
import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jwt
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from access.roles import MAY, SITE, Action, Role

ALGORITHMS = ["ES256", "EdDSA"]
LEEWAY = 30.0
"""Seconds by which the issuer's clock may differ from ours."""
_KEYS_HOLD = 300.0
_RETRY_AFTER = 10.0
_REMEMBERED = 10_000


class Unauthenticated(Exception):
    """Nobody we know is asking; the message is a sentence."""


class IssuerAway(Exception):
    """The issuer's keys cannot be read at present, so nobody can be recognised."""


@dataclass(frozen=True, slots=True)
class Principal:
    actor: str
    role: Role
    sites: frozenset[str]
    """The sites of this person; `*` stands for all."""
    expires: float

    def may(self, action: Action) -> bool:
        return action in MAY[self.role]

    def at(self, site: str) -> bool:
        return site in self.sites or "*" in self.sites

    @property
    def site(self) -> str | None:
        """The only site of this person, or None when there are several."""
        return next(iter(self.sites)) if len(self.sites) == 1 and "*" not in self.sites else None


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Goes into the headers of messages."""
Site = Annotated[str, Field(pattern=rf"^(\*|{SITE})$")]


class _Claims(BaseModel):
    sub: Name
    role: Role
    sites: Annotated[frozenset[Site], Field(min_length=1)]
    exp: FiniteFloat
    nbf: FiniteFloat = 0.0


class Keys:
    """The issuer's public keys, read from a JWKS address or file.

    Read again every five minutes and for an unknown key id, but never more often than every ten seconds,
    so that forged tokens cannot make us call the issuer. While the issuer is away the known keys hold.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")
        self._one_reader = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK | None:
        # An unknown key waits for a reading under way; known ones hold meanwhile.
        if kid not in self._keys or self._may_read(kid):
            async with self._one_reader:
                if self._may_read(kid):
                    await self._read()
        if not self._keys:
            raise IssuerAway(f"the keys at {self._source} cannot be read")
        return self._keys.get(kid)

    def _may_read(self, kid: str) -> bool:
        now = self._clock()
        wanted = kid not in self._keys or now - self._read_at > _KEYS_HOLD
        return wanted and now - self._tried_at > _RETRY_AFTER

    async def _read(self) -> None:
        self._tried_at = self._clock()
        try:
            document = json.loads(await asyncio.to_thread(self._load))
            keys = [jwt.PyJWK(each) for each in document["keys"] if each.get("kty") in ("EC", "OKP")]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
            return
        self._keys = {key.key_id: key for key in keys if key.key_id and key.algorithm_name in ALGORITHMS}
        self._read_at = self._tried_at

    def _load(self) -> bytes:
        if not self._source.startswith(("https://", "http://")):
            return Path(self._source).read_bytes()
        with urllib.request.urlopen(self._source, timeout=5) as answer:
            return bytes(answer.read(1024 * 1024))


class Tokens:
    """Recognises tokens of one issuer that are meant for us.

    A token is checked once and then remembered by its hash until it expires or its key is withdrawn.
    """

    def __init__(self, keys: str, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._keys = Keys(keys, clock)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._remembered: dict[bytes, tuple[Principal, str]] = {}

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated for a token that is not good now, IssuerAway when that cannot be known."""
        digest = hashlib.sha256(token.encode()).digest()
        principal, kid = self._remembered.get(digest) or self._check_form(token)
        if principal is None or await self._keys.key(kid) is None:
            principal = await self._check(token, kid)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = principal, kid
        if principal.expires + LEEWAY <= self._clock():
            self._remembered.pop(digest, None)
            raise Unauthenticated("The token has expired; please sign in again.")
        return principal

    @staticmethod
    def _check_form(token: str) -> tuple[None, str]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unauthenticated(
                "The token is malformed; please copy all of it, or sign in again."
            ) from None
        if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
            raise Unauthenticated(
                f"The token must name its key and be signed with {' or '.join(ALGORITHMS)};"
                " please send one of the issuer."
            )
        return None, header["kid"]

    async def _check(self, token: str, kid: str) -> Principal:
        key = await self._keys.key(kid)
        if key is None:
            raise Unauthenticated(
                "The token was signed with a key its issuer does not list; please sign in again."
            )
        try:
            # Times are compared below, with the clock we were given.
            claims = _Claims.model_validate(
                jwt.decode(
                    token,
                    key,
                    algorithms=ALGORITHMS,
                    issuer=self._issuer,
                    audience=self._audience,
                    options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
                )
            )
        except jwt.InvalidIssuerError:
            raise Unauthenticated(
                "The token was issued by somebody else; please send one of this system's issuer."
            ) from None
        except jwt.InvalidAudienceError:
            raise Unauthenticated(
                "The token is meant for somebody else; please send one that is for this system."
            ) from None
        except jwt.PyJWTError:
            raise Unauthenticated("The token's signature is not good; please sign in again.") from None
        except ValidationError as error:
            fields = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
            raise Unauthenticated(
                f"The token lacks a usable {fields}; please tell whoever issues the tokens."
            ) from None
        if claims.nbf > self._clock() + LEEWAY:
            raise Unauthenticated("The token is not valid yet; please compare the clocks, or try later.")
        return Principal(claims.sub, claims.role, claims.sites, claims.exp)

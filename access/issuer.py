"""The small issuer a laptop needs: it signs tokens for whoever holds its folder."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from access.roles import Role
from access.secret_file import secret_file

ISSUER = "bayledger-embedded"
AUDIENCE = "bayledger"


class Issuer:
    """Signs with the Ed25519 key in `folder`, made on first use; verifiers read `jwks_file` beside it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        key = load_pem_private_key(secret_file(folder / "issuer.pem", _new_key), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        self._key = key
        self._kid = hashlib.sha256(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[
            :16
        ]
        self._clock = clock
        self.jwks_file = folder / "jwks.json"
        jwks = json.dumps(self.jwks())
        # Only when it is another one, and whole: verifiers read it at any time, and a disk may be full.
        if not self.jwks_file.exists() or self.jwks_file.read_text() != jwks:
            draft = folder / f".jwks-{os.getpid()}.json"
            draft.write_text(jwks)
            draft.replace(self.jwks_file)

    def jwks(self) -> dict[str, Any]:
        public = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._kid, "alg": "EdDSA", "use": "sig"}]}

    def token(self, actor: str, role: Role, sites: Iterable[str], lifetime: float) -> str:
        """A token for `lifetime` seconds from now."""
        now = int(self._clock())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": actor,
            "role": role,
            "sites": sorted(sites),
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._kid})


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

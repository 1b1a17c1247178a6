"""What the QR code of a gate pass says: signed by the house, so that a gate can check it without a connection
(R-76, R-81).

`BLG1.<payload>.<signature>`: the payload is JSON, the signature Ed25519 over all that stands before it; both
in base64url. Whether the pass was revoked or used already, only the house knows.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from eventlog.checkpoints import SigningKey
from eventlog.recorded import canonical

KIND = "BLG1"


class Forged(Exception):
    """Not signed by the house, or damaged."""


@dataclass(frozen=True, slots=True)
class Token:
    site: str
    pass_id: str
    visit_id: str
    vin_ends: str
    """The last six characters: who stands at the gate compares them with the car."""
    valid_until: datetime


def make(key: SigningKey, token: Token) -> str:
    payload = {
        "site": token.site,
        "pass": token.pass_id,
        "visit": token.visit_id,
        "vin": token.vin_ends,
        "until": token.valid_until.isoformat(),
    }
    said = f"{KIND}.{_encode(canonical(payload))}"
    return f"{said}.{_encode(key.signature(said.encode()))}"


def read(public_pem: bytes, text: str) -> Token:
    """Raises Forged for what the owner of the key has not signed, and ValueError for what is no key."""
    try:
        key = load_pem_public_key(public_pem)
    except UnsupportedAlgorithm as why:
        raise ValueError("not a public key") from why
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not the public key of a gate")
    said, _, signature = text.strip().rpartition(".")
    kind, _, payload = said.partition(".")
    try:
        key.verify(_decode(signature), said.encode())
        if kind != KIND:
            raise Forged("not a gate pass")
        fields = json.loads(_decode(payload))
        until = datetime.fromisoformat(fields["until"])
        return Token(fields["site"], fields["pass"], fields["visit"], fields["vin"], until)
    except (InvalidSignature, ValueError, KeyError, TypeError) as why:
        raise Forged("not signed by this house") from why


def verdict(public_pem: bytes, text: str, site: str | None, now: datetime) -> tuple[bool, str]:
    """Whether a gate without a connection opens, and one sentence for whoever stands there."""
    try:
        token = read(public_pem, text)
    except Forged:
        return False, "forged: this house has not signed it"
    if site is not None and token.site != site:
        return False, f"of another site: {token.site}"
    until = f"{token.valid_until:%Y-%m-%d %H:%M %Z}"
    if now > token.valid_until:
        return False, f"expired: it was valid until {until}"
    return True, f"valid until {until}: the VIN ends with {token.vin_ends}"


def _encode(said: bytes) -> str:
    return base64.urlsafe_b64encode(said).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error as why:
        raise ValueError("not base64url") from why

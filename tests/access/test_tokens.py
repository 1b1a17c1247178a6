"""Which tokens are believed."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from access.issuer import AUDIENCE, ISSUER, Issuer
from access.roles import Action, Role
from access.tokens import LEEWAY, IssuerAway, Principal, Tokens, Unauthenticated

NOON = 1_700_000_000.0
KEY = Ed25519PrivateKey.generate()
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "wang.li",
    "role": "advisor",
    "sites": ["sh01"],
    "exp": int(NOON) + 3600,
}


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def jwks(**keys: Ed25519PrivateKey) -> str:
    return json.dumps(
        {
            "keys": [
                OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid}
                for kid, key in keys.items()
            ]
        }
    )


def republish(keys: Path, listed: str) -> None:
    keys.write_text(listed)


def withdraw(keys: Path) -> None:
    keys.unlink()


def signed(claims: dict[str, Any], key: Ed25519PrivateKey = KEY, kid: str = "k1") -> str:
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid})


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    mac = hmac.digest(secret, body.encode(), hashlib.sha256) if secret else b""
    return f"{body}.{part(mac)}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(jwks(k1=KEY))
    return path


@pytest.fixture
def tokens(keys: Path, clock: Clock) -> Tokens:
    return Tokens(str(keys), ISSUER, AUDIENCE, clock)


async def test_a_good_token_names_person_role_and_sites(tokens: Tokens) -> None:
    assert await tokens.verify(signed(CLAIMS)) == Principal(
        "wang.li", Role.ADVISOR, frozenset({"sh01"}), CLAIMS["exp"]
    )


async def test_es256_is_accepted_as_well(tokens: Tokens, keys: Path) -> None:
    key = ec_key(SECP256R1())
    republish(
        keys, json.dumps({"keys": [ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "ec"}]})
    )
    token = jwt.encode(CLAIMS, key, algorithm="ES256", headers={"kid": "ec"})
    assert (await tokens.verify(token)).actor == "wang.li"


async def test_a_token_for_several_audiences_is_also_for_us(tokens: Tokens) -> None:
    assert (await tokens.verify(signed(CLAIMS | {"aud": ["crm", AUDIENCE]}))).actor == "wang.li"


def without(claim: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name != claim}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (CLAIMS | {"exp": int(NOON - LEEWAY)}, "expired"),
        (CLAIMS | {"nbf": int(NOON + LEEWAY) + 1}, "not valid yet"),
        (CLAIMS | {"aud": "crm"}, "meant for somebody else"),
        (CLAIMS | {"iss": "https://elsewhere.example"}, "issued by somebody else"),
        (CLAIMS | {"role": "emperor"}, "lacks a usable role"),
        (CLAIMS | {"sites": []}, "lacks a usable sites"),
        (CLAIMS | {"sites": "*"}, "lacks a usable sites"),
        (CLAIMS | {"sub": ""}, "lacks a usable sub"),
        (CLAIMS | {"exp": "never"}, "lacks a usable exp"),
        (without("exp"), "lacks a usable exp"),
        (without("role"), "lacks a usable role"),
        (without("sites"), "lacks a usable sites"),
        (without("sub"), "lacks a usable sub"),
        (without("iss"), "signature|somebody|claim"),
        (without("aud"), "signature|somebody|claim"),
    ],
)
async def test_a_token_that_does_not_fit_is_refused(tokens: Tokens, claims: dict[str, Any], why: str) -> None:
    with pytest.raises(Unauthenticated, match=why):
        await tokens.verify(signed(claims))


async def test_a_small_difference_of_clocks_is_forgiven(tokens: Tokens) -> None:
    await tokens.verify(signed(CLAIMS | {"exp": int(NOON) - 5, "nbf": int(NOON) + 5}))


async def test_a_token_signed_by_a_stranger_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthenticated, match="signature is not good"):
        await tokens.verify(signed(CLAIMS, key=Ed25519PrivateKey.generate()))


async def test_a_changed_claim_is_noticed(tokens: Tokens) -> None:
    head, _, signature = signed(CLAIMS).split(".")
    manager = by_hand({}, CLAIMS | {"role": "general_manager"}, None).split(".")[1]
    with pytest.raises(Unauthenticated, match="signature is not good"):
        await tokens.verify(f"{head}.{manager}.{signature}")


async def test_an_unsigned_token_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthenticated, match="signed with ES256 or EdDSA"):
        await tokens.verify(by_hand({"alg": "none", "kid": "k1"}, CLAIMS, None))


async def test_the_public_key_is_not_a_shared_secret(tokens: Tokens) -> None:
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(Unauthenticated, match="signed with ES256 or EdDSA"):
        await tokens.verify(by_hand({"alg": "HS256", "kid": "k1"}, CLAIMS, public))


async def test_a_header_that_claims_another_algorithm_is_refused(tokens: Tokens) -> None:
    token = jwt.encode(CLAIMS, ec_key(SECP256R1()), algorithm="ES256", headers={"kid": "k1"})
    with pytest.raises(Unauthenticated, match="signature is not good"):
        await tokens.verify(token)


async def test_rsa_keys_of_the_issuer_are_not_used(tokens: Tokens, keys: Path) -> None:
    key = rsa_key(65537, 2048)
    listed = json.loads(jwks(k1=KEY))
    listed["keys"].append(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "rsa"})
    republish(keys, json.dumps(listed))
    with pytest.raises(Unauthenticated, match="signed with ES256 or EdDSA"):
        await tokens.verify(jwt.encode(CLAIMS, key, algorithm="RS256", headers={"kid": "rsa"}))


@pytest.mark.parametrize("nonsense", ["", "x", "a.b.c", "é.è.ê", "." * 5000])
async def test_nonsense_is_refused(tokens: Tokens, nonsense: str) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(nonsense)


async def test_a_token_that_names_no_key_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthenticated, match="must name its key"):
        await tokens.verify(jwt.encode(CLAIMS, KEY, algorithm="EdDSA"))


async def test_a_believed_token_ends_when_it_expires(tokens: Tokens, clock: Clock) -> None:
    token = signed(CLAIMS)
    await tokens.verify(token)
    clock.now = CLAIMS["exp"] + LEEWAY
    with pytest.raises(Unauthenticated, match="expired"):
        await tokens.verify(token)


async def test_a_new_key_of_the_issuer_is_found(tokens: Tokens, keys: Path, clock: Clock) -> None:
    await tokens.verify(signed(CLAIMS))
    new = Ed25519PrivateKey.generate()
    republish(keys, jwks(k1=KEY, k2=new))
    clock.now += 11
    assert (await tokens.verify(signed(CLAIMS, new, "k2"))).actor == "wang.li"


async def test_a_withdrawn_key_ends_its_tokens_within_five_minutes(
    tokens: Tokens, keys: Path, clock: Clock
) -> None:
    token = signed(CLAIMS)
    await tokens.verify(token)
    republish(keys, jwks(k2=Ed25519PrivateKey.generate()))
    clock.now += 301
    with pytest.raises(Unauthenticated, match="does not list"):
        await tokens.verify(token)


async def test_known_keys_hold_while_the_issuer_is_away(tokens: Tokens, keys: Path, clock: Clock) -> None:
    await tokens.verify(signed(CLAIMS))
    withdraw(keys)
    clock.now += 301
    assert (await tokens.verify(signed(CLAIMS | {"sub": "zhao.min"}))).actor == "zhao.min"


async def test_nobody_is_refused_because_the_issuer_is_away(tmp_path: Path, clock: Clock) -> None:
    tokens = Tokens(str(tmp_path / "absent.json"), ISSUER, AUDIENCE, clock)
    with pytest.raises(IssuerAway):
        await tokens.verify(signed(CLAIMS))


class Published(BaseHTTPRequestHandler):
    calls = 0

    def do_GET(self) -> None:
        type(self).calls += 1
        body = jwks(k1=KEY).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def published() -> Iterator[str]:
    Published.calls = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/jwks"
        server.shutdown()
        thread.join()


async def test_forged_tokens_do_not_make_us_call_the_issuer(published: str, clock: Clock) -> None:
    tokens = Tokens(published, ISSUER, AUDIENCE, clock)
    answers = await asyncio.gather(
        *(tokens.verify(signed(CLAIMS, kid=f"unknown-{n}")) for n in range(20)),
        tokens.verify(signed(CLAIMS)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unauthenticated] * 20 + [Principal]
    assert Published.calls == 1


async def test_the_embedded_issuer_is_believed(tmp_path: Path, clock: Clock) -> None:
    issuer = Issuer(tmp_path, clock)
    again = Issuer(tmp_path, clock)
    tokens = Tokens(str(issuer.jwks_file), ISSUER, AUDIENCE, clock)
    principal = await tokens.verify(again.token("op", Role.OPERATOR, ["*"], lifetime=60))
    assert principal == Principal("op", Role.OPERATOR, frozenset({"*"}), NOON + 60)
    assert (tmp_path / "issuer.pem").stat().st_mode & 0o777 == 0o600
    assert "d" not in issuer.jwks()["keys"][0]


def test_an_issuer_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    Issuer(tmp_path)
    (tmp_path / "issuer.pem").chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        Issuer(tmp_path)


def test_a_person_is_at_the_sites_of_the_token_only() -> None:
    advisor = Principal("wang.li", Role.ADVISOR, frozenset({"sh01"}), NOON)
    regional = Principal("liu", Role.REGION_AUDITOR, frozenset({"sh01", "sh02"}), NOON)
    operator = Principal("op", Role.OPERATOR, frozenset({"*"}), NOON)
    assert (advisor.site, regional.site, operator.site) == ("sh01", None, None)
    assert [who.at("sh02") for who in (advisor, regional, operator)] == [False, True, True]
    assert advisor.may(Action.VISIT_RECEIVE)
    assert not regional.may(Action.VISIT_RECEIVE)

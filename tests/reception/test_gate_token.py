"""A gate pass that a gate can check by itself."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from eventlog.checkpoints import SigningKey
from ops.cli import app
from services.reception.gate_token import Forged, Token, make, read, verdict

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
token = Token("sh01", "p1", "0" * 20, "123456", NOW + timedelta(hours=24))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey(tmp_path_factory.mktemp("secrets") / "gate.pem")


def test_a_token_says_what_the_gate_needs_to_know(key: SigningKey) -> None:
    """R-76, R-81: site, pass, visit, the end of the VIN, and until when."""
    text = make(key, token)
    assert text.startswith("BLG1.")
    assert read(key.public, f" {text}\n") == token
    assert make(key, token) == text


def test_a_gate_without_a_connection_opens_for_a_pass_that_holds(key: SigningKey) -> None:
    """R-81."""
    text = make(key, token)
    for site in ("sh01", None):
        assert verdict(key.public, text, site, NOW) == (
            True,
            "valid until 2026-03-03 04:00 UTC: the VIN ends with 123456",
        )
    late = NOW + timedelta(hours=24, seconds=1)
    assert verdict(key.public, text, "sh01", late) == (
        False,
        "expired: it was valid until 2026-03-03 04:00 UTC",
    )
    assert verdict(key.public, text, "gz01", NOW) == (False, "of another site: sh01")


def test_a_pass_that_another_house_signed_is_forged(key: SigningKey, tmp_path: Path) -> None:
    stranger = SigningKey(tmp_path / "gate.pem")
    assert verdict(key.public, make(stranger, token), None, NOW) == (
        False,
        "forged: this house has not signed it",
    )


def test_a_pass_whose_words_were_changed_is_forged(key: SigningKey) -> None:
    kind, _, signature = make(key, token).split(".")
    longer = {"site": "sh01", "pass": "p1", "visit": "0" * 20, "vin": "123456"}
    longer["until"] = (NOW + timedelta(days=365)).isoformat()
    payload = base64.urlsafe_b64encode(json.dumps(longer).encode()).decode().rstrip("=")
    with pytest.raises(Forged):
        read(key.public, f"{kind}.{payload}.{signature}")


def test_something_else_that_the_key_signed_is_no_pass(key: SigningKey) -> None:
    said = make(key, token).rpartition(".")[0].replace("BLG1", "BLG2")
    signature = base64.urlsafe_b64encode(key.signature(said.encode())).decode().rstrip("=")
    with pytest.raises(Forged):
        read(key.public, f"{said}.{signature}")
    for payload in (
        b"[]",
        b"{}",
        b'{"site":1}',
        b"\xff",
        b'{"site":"a","pass":"b","visit":"c","vin":"d","until":5}',
    ):
        said = f"BLG1.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}"
        signature = base64.urlsafe_b64encode(key.signature(said.encode())).decode().rstrip("=")
        with pytest.raises(Forged):
            read(key.public, f"{said}.{signature}")


@given(st.text(max_size=300))
def test_whatever_is_scanned_is_a_pass_or_forged(key: SigningKey, text: str) -> None:
    with pytest.raises(Forged):
        read(key.public, text)


@given(st.integers(0, 400), st.sampled_from("ABCxyz019-_"))
def test_one_other_character_makes_it_forged(key: SigningKey, place: int, character: str) -> None:
    text = make(key, token)
    place %= len(text) - 1  # the last one holds bits that mean nothing
    changed = text[:place] + character + text[place + 1 :]
    if changed != text:
        with pytest.raises(Forged):
            read(key.public, changed)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["gate-check", *words])
    return result.exit_code, result.stdout.strip()


def test_the_command_says_in_a_sentence_whether_the_gate_opens(key: SigningKey, tmp_path: Path) -> None:
    """K-20: on a machine without the system."""
    (public := tmp_path / "gate.pub").write_bytes(key.public)
    good = replace(token, valid_until=datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
    where = ("--public-key", str(public), "--site", "sh01")
    code, said = run(make(key, good), *where)
    assert (code, said.partition(" ")[0]) == (0, "valid")
    for bad, words in (
        (make(key, replace(good, site="gz01")), "of another site: gz01"),
        (make(key, token), "expired: it was valid until 2026-03-03 04:00 UTC"),
        ("BLG1.x.y", "forged: this house has not signed it"),
    ):
        assert run(bad, *where) == (1, words)
    assert run("BLG1.x.y", "--public-key", str(tmp_path / "none.pub"))[0] == 2
    (tmp_path / "text.pub").write_text("not a key")
    assert run("BLG1.x.y", "--public-key", str(tmp_path / "text.pub"))[0] == 2

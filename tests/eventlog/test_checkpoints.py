"""Whoever changes the past is found out: by the chain, or by a checkpoint that left the database earlier."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from eventlog import checkpoints
from eventlog.checkpoints import SigningKey, checkpoint, merkle_root, run_checkpoints, signed_by
from eventlog.ledger import GENESIS, Ledger, link
from eventlog.recorded import canonical, event_hash
from eventlog.settings import Settings
from eventlog.store import EventStore
from ops.processes import Unusable
from ops.verify import Result, export_log, verify_database, verify_export
from tests.eventlog.conftest import dispatch_many, eventually, in_background

PROJECT = Path(__file__).parents[2]


def quiet(done: int, total: int | None) -> None:
    pass


class Evidence:
    """A ledger of thirty events, signed after the tenth and after the twentieth."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.key = SigningKey(folder / "ledger.key")
        anywhere = dict.fromkeys(
            ("nats_url", "reception_db", "workshop_db", "customer_care_db", "keys_db", "jwks"), ""
        )
        urls = dict.fromkeys(("reception_url", "workshop_url", "customer_care_url"), "")
        self.settings = Settings.model_validate(
            {
                **anywhere,
                **urls,
                "ledger_db": str(ledger.pool.conninfo),
                "secrets": folder,
                "checkpoints": self.checkpoints,
            }
        )

    async def verify(self) -> Result:
        return await verify_database(self.settings, quiet)

    async def export(self) -> Path:
        out = self.folder / "export.jsonl"
        await export_log(self.settings, out, quiet)
        return out

    @property
    def files(self) -> list[Path]:
        return sorted(self.checkpoints.glob("*.json"))

    async def change(self, *statements: str) -> None:
        async with self.ledger.pool.connection() as conn:
            for statement in statements:
                await conn.execute(statement.encode())

    async def recompute(self) -> None:
        """What whoever owns the database can do: make the chain fit again, head included."""
        async with self.ledger.pool.connection() as conn, conn.transaction():
            rows = await conn.execute("SELECT seq, source, epoch, pos, body FROM ledger ORDER BY seq")
            chain, seq = GENESIS, 0
            for seq, source, epoch, pos, body in await rows.fetchall():
                hash = event_hash(body.encode())
                chain = link(chain, seq, source, epoch, pos, hash)
                await conn.execute(
                    "UPDATE ledger SET hash = %s, chain = %s WHERE seq = %s", (hash, chain, seq)
                )
            await conn.execute("UPDATE ledger_head SET seq = %s, chain = %s", (seq, chain))


@pytest.fixture
async def evidence(ledger: Ledger, store: EventStore, tmp_path: Path) -> Evidence:
    evidence = Evidence(ledger, tmp_path)
    for part in ("morning", "noon", "evening"):
        await dispatch_many(store, 10, part)
        await ledger.refill("reception")
        if part != "evening":
            assert await checkpoint(ledger, evidence.key, evidence.checkpoints)
    return evidence


FORGE = "UPDATE ledger SET body = replace(body, 'A 组', 'B 组') WHERE seq = 5"


async def test_an_untouched_ledger_verifies(evidence: Evidence) -> None:
    result = await evidence.verify()
    assert (result.good, result.events, result.checkpoints) == (True, 30, 2)
    assert "30 events verified against 2 signed checkpoints" in result.sentence()


@pytest.mark.parametrize(
    ("damage", "because"),
    [
        (FORGE, "position 5: the event was changed after it was recorded"),
        ("UPDATE ledger SET pos = 99 WHERE seq = 5", "position 5: the chain is broken"),
        ("UPDATE ledger SET source = 'workshop' WHERE seq = 5", "position 5: the chain is broken"),
        ("UPDATE ledger SET chain = repeat('0', 64) WHERE seq = 5", "position 5: the chain is broken"),
        ("DELETE FROM ledger WHERE seq = 5", "position 5 is missing"),
        ("DELETE FROM ledger WHERE seq = 30", "position 30 is missing at the end"),
        ("DELETE FROM ledger WHERE seq > 15", "position 20 is missing, a signed checkpoint names it"),
        ("DELETE FROM ledger", "position 10 is missing, a signed checkpoint names it"),
    ],
)
async def test_damage_is_found_at_its_position(evidence: Evidence, damage: str, because: str) -> None:
    await evidence.change(damage)
    assert (await evidence.verify()).bad == because


async def test_an_edit_with_a_recomputed_chain_is_found_by_the_checkpoint_outside(evidence: Evidence) -> None:
    await evidence.change(FORGE)
    await evidence.recompute()
    assert (await evidence.verify()).bad == "position 10: a signed checkpoint says otherwise"


async def test_without_a_checkpoint_outside_such_an_edit_verifies(evidence: Evidence) -> None:
    """The control: the chain alone proves nothing against whoever can recompute it."""
    await evidence.change(FORGE)
    await evidence.recompute()
    for file in evidence.files:
        file.unlink()
    assert (await evidence.verify()).good


async def test_a_cut_end_with_a_recomputed_head_is_found_by_the_checkpoint_outside(
    evidence: Evidence,
) -> None:
    await evidence.change("DELETE FROM ledger WHERE seq > 12")
    await evidence.recompute()
    assert (await evidence.verify()).bad == "position 20 is missing, a signed checkpoint names it"


async def test_a_checkpoint_signed_by_another_key_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    other = SigningKey(tmp_path / "other.key")
    document = json.loads(evidence.files[0].read_text())
    assert signed_by(tmp_path.joinpath("ledger.pub").read_bytes(), document)
    forged = other.sign({name: document[name] for name in document if name != "signature"})
    evidence.files[0].write_text(json.dumps(forged))
    assert "position 10 is not signed by this key" in str((await evidence.verify()).bad)


async def test_a_changed_checkpoint_is_refused(evidence: Evidence) -> None:
    document = json.loads(evidence.files[0].read_text())
    evidence.files[0].write_text(json.dumps({**document, "time": "2020-01-01T00:00:00+00:00"}))
    assert "is not signed by this key" in str((await evidence.verify()).bad)


async def test_an_export_verifies_on_a_machine_without_the_system(evidence: Evidence) -> None:
    export = await evidence.export()
    await evidence.change("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    result = verify_export(export, evidence.files, evidence.folder / "ledger.pub", quiet)
    assert (result.good, result.events, result.checkpoints) == (True, 30, 2)


async def test_a_changed_export_is_found_out(evidence: Evidence) -> None:
    export = await evidence.export()
    lines = export.read_bytes().splitlines(keepends=True)
    public = evidence.folder / "ledger.pub"
    for changed, because in (
        (
            [*lines[:4], lines[4].replace("A 组".encode(), "B 组".encode()), *lines[5:]],
            "position 5: the event",
        ),
        ([*lines[:4], *lines[5:]], "position 5 is missing"),
        (lines[:15], "position 20 is missing"),
        ([], "position 10 is missing"),
    ):
        export.write_bytes(b"".join(changed))
        assert because in str(verify_export(export, evidence.files, public, quiet).bad)


async def test_the_key_of_another_ledger_verifies_nothing(evidence: Evidence, tmp_path: Path) -> None:
    SigningKey(tmp_path / "other.key")
    result = verify_export(await evidence.export(), evidence.files, tmp_path / "other.pub", quiet)
    assert "is not signed by this key" in str(result.bad)


async def test_a_checkpoint_proves_the_events_since_the_last(evidence: Evidence) -> None:
    [_, document] = [json.loads(file.read_text()) for file in evidence.files]
    async with evidence.ledger.pool.connection() as conn:
        rows = await conn.execute("SELECT hash FROM ledger WHERE seq > 10 AND seq <= 20 ORDER BY seq")
        hashes = [hash for [hash] in await rows.fetchall()]
    assert (document["after"], document["seq"]) == (10, 20)
    assert document["merkle_root"] == merkle_root(hashes)


async def test_a_checkpoint_is_signed_once(evidence: Evidence) -> None:
    assert await checkpoint(evidence.ledger, evidence.key, evidence.checkpoints)
    assert await checkpoint(evidence.ledger, evidence.key, evidence.checkpoints) is None


async def test_a_checkpoint_whose_file_was_lost_in_a_crash_is_written_again(evidence: Evidence) -> None:
    """It is in the database before it is outside: a crash in between must not leave it inside for ever."""
    evidence.files[1].unlink()
    async with in_background(run_checkpoints(evidence.ledger, evidence.key, evidence.checkpoints)):

        async def all_there() -> bool:
            return [file.stem for file in evidence.files] == ["000000000010", "000000000020", "000000000030"]

        await eventually(all_there)
    assert (await evidence.verify()).checkpoints == 3


async def test_checkpoints_follow_the_events(
    evidence: Evidence, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_EVENTS", 5)
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.05)
    async with in_background(run_checkpoints(evidence.ledger, evidence.key, evidence.checkpoints)):
        await dispatch_many(store, 5, "night")
        await evidence.ledger.refill("reception")

        async def signed(seq: int) -> bool:
            return evidence.files[-1].stem == f"{seq:012}"

        await eventually(partial(signed, 35))


def test_a_signing_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first, again = SigningKey(tmp_path / "ledger.key"), SigningKey(tmp_path / "ledger.key")
    assert first.id == again.id
    assert (tmp_path / "ledger.key").stat().st_mode & 0o077 == 0


def test_a_root_over_an_odd_number_carries_the_last_one_up() -> None:
    a, b, c = (event_hash(canonical(n)) for n in range(3))
    assert merkle_root([a]) == a
    assert merkle_root([a, b, c]) != merkle_root([a, b])
    assert merkle_root([a, b, c]) != merkle_root([a, b, c, c])


# Files that are none

GARBAGE = {
    "empty": b"",
    "binary": b"\xff\x00\xfe",
    "null": b"null",
    "list": b"[]",
    "other": b'{"seq": 1}',
    "odd types": b'{"seq": [], "hash": {}, "signature": 7, "event": 3, "source": 1, "chain": null}',
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_damaged_file_is_named_in_one_sentence(evidence: Evidence, garbage: str) -> None:
    export, public = await evidence.export(), evidence.folder / "ledger.pub"
    broken = evidence.folder / "broken"
    broken.write_bytes(GARBAGE[garbage])
    with pytest.raises(Unusable, match="is not a checkpoint"):
        verify_export(export, [broken], public, quiet)
    assert "is not signed by this key" in str(verify_export(export, evidence.files, broken, quiet).bad)
    if GARBAGE[garbage]:
        with pytest.raises(Unusable, match="line 1 of the export"):
            verify_export(broken, evidence.files, public, quiet)


async def test_a_line_of_an_export_that_is_nested_without_end_is_named(evidence: Evidence) -> None:
    broken = evidence.folder / "broken"
    broken.write_bytes(b"[" * 100_000)
    with pytest.raises(Unusable, match="line 1 of the export"):
        verify_export(broken, evidence.files, evidence.folder / "ledger.pub", quiet)


async def test_the_command_answers_in_one_sentence_whatever_it_is_given(evidence: Evidence) -> None:
    broken = evidence.folder / "broken"
    broken.write_bytes(b"\xff")
    good = {
        "--export": await evidence.export(),
        "--checkpoint": evidence.files[0],
        "--public-key": evidence.folder / "ledger.pub",
    }
    for option, file, code, sentence in (
        ("--export", broken, 2, "line 1 of the export"),
        ("--export", evidence.folder / "absent", 2, "No such file"),
        ("--checkpoint", broken, 2, "is not a checkpoint"),
        ("--public-key", broken, 1, "is not signed by this key"),
        ("--public-key", good["--public-key"], 0, "30 events verified"),
    ):
        given = [str(word) for pair in (good | {option: file}).items() for word in pair]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "ops", "verify", *given],
            capture_output=True,
            text=True,
            cwd=PROJECT,
        )
        assert done.returncode == code, done.stderr
        assert sentence in (done.stderr if code == 2 else done.stdout)
        assert "Traceback" not in done.stderr

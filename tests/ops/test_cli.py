"""The `bayledger` command: results on stdout, progress on stderr, honest exit codes."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

import psycopg
import pytest

from eventlog.bus import connect
from projections.catalogue import PROJECTIONS
from tests.journeys.story import Visit, eventually
from tests.system import Running, at_rest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
HISTORY = DATA / "repair_example" / "repair_example.xes.gz"
TRUTH = DATA / "truth" / "repair_example.json"
MAPPING = ROOT / "mappings" / "repair_example.toml"
SITE = "history"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A system of this module's own: its health and its log are part of what is tested."""
    system = Running(tmp_path_factory.mktemp("cli") / "data")
    try:
        system.start()
        yield system
    finally:
        system.stop()


def bayledger(*arguments: object, python: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BAYLEDGER_")}
    command = [sys.executable, *python, "-m", "ops", *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env=environment | {"COLUMNS": "200"},
    )
    assert "Traceback" not in done.stderr
    return done


def refused(done: "subprocess.CompletedProcess[str]", why: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("bayledger: ")
    assert why in sentence


async def healthy(system: Running) -> bool:
    """Whether everything recorded has reached every view."""
    status = (await system.get("/v1/status", "operator", "*")).json()
    compared = all(source["compared_seconds_ago"] <= 3 for source in status["sources"])
    return at_rest(status) and compared


def test_help_does_not_load_the_system() -> None:
    done = bayledger("--help", python=("-X", "importtime"))
    assert done.returncode == 0
    assert "Progress and logs go to stderr" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"fastapi", "nats", "faststream", "psycopg", "eventsourcing", "uvicorn", "jwt"}


def test_wrong_usage_is_two(tmp_path: Path) -> None:
    for arguments in (["status", "--jason"], []):
        assert bayledger(*arguments).returncode == 2
    nowhere = ("--data", tmp_path / "nowhere")
    refused(bayledger("status", *nowhere), "start one with `bayledger up`")
    refused(bayledger("rebuild", "nothing", *nowhere), "name a view to rebuild (work_order_board")
    refused(bayledger("serve", "nothing", *nowhere), "there is no app nothing: choose one of reception")
    refused(bayledger("token", "--role", "king", "--site", "sh01", *nowhere), "there is no role king")
    refused(bayledger("token", "--role", "advisor", "--site", "a,b", *nowhere), "cannot name a site")
    refused(bayledger("verify", "--export", tmp_path), "checked against a --checkpoint and the --public-key")
    broken = ("--mapping", ROOT / "pyproject.toml", "--site", "sh01")
    refused(bayledger("import", HISTORY, *broken, *nowhere), "pyproject.toml")


def test_a_system_that_stands_still_is_named(tmp_path: Path) -> None:
    address = "postgresql://bayledger:secret@127.0.0.1:1"
    databases = ("reception", "workshop", "customer_care", "ledger", "keys")
    variables = {f"BAYLEDGER_{name.upper()}_DB": f"{address}/{name}" for name in databases}
    environment = tmp_path / "environment"
    environment.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    refused(bayledger("status", "--data", tmp_path), "the configuration is incomplete or wrong: BAYLEDGER_")
    names = (
        "NATS_URL",
        "SECRETS",
        "CHECKPOINTS",
        "JWKS",
        "RECEPTION_URL",
        "WORKSHOP_URL",
        "CUSTOMER_CARE_URL",
    )
    variables |= {f"BAYLEDGER_{name}": str(tmp_path) for name in names}
    environment.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    for command in ("status", "verify"):
        done = bayledger(command, "--data", tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "bayledger: the database does not answer" in done.stderr
        assert "secret" not in done.stderr


async def test_status_verify_and_rebuild(system: Running) -> None:
    await Visit(system).received()
    await eventually(lambda: healthy(system))
    data = ("--data", system.data)

    status = bayledger("status", "--json", *data)
    assert (status.returncode, status.stderr) == (0, "")
    assert json.loads(status.stdout).items() >= {"healthy": True, "parked": 0}.items()
    told = bayledger("status", *data).stdout
    assert all(word in told for word in ("reception", "work_order_board", "parked messages: 0"))

    verified = bayledger("verify", "--json", *data)
    assert verified.returncode == 0
    assert json.loads(verified.stdout).items() >= {"good": True, "events": 2, "bad": None}.items()
    assert "events" in verified.stderr
    assert bayledger("verify", *data).stdout.startswith("2 events verified against ")

    dry = bayledger("rebuild", "--all", "--dry-run", "--json", *data)
    assert dry.returncode == 0
    lines = [json.loads(line) for line in dry.stdout.splitlines()]
    assert [(line["differing"], line["switched"]) for line in lines] == [(0, False)] * len(PROJECTIONS)
    rebuilt = bayledger("rebuild", "work_order_board", *data)
    assert rebuilt.stdout == "work_order_board: 1 documents at position 2, 0 differ, switched\n"
    assert rebuilt.returncode == 0


async def test_a_token_opens_the_door(system: Running) -> None:
    done = bayledger("token", "--role", "advisor", "--site", "sh01", "--data", system.data)
    assert (done.returncode, done.stderr) == (0, "")
    headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
    assert (await system.client.get("/v1/sites/sh01/board", headers=headers)).status_code == 200
    assert (await system.client.get("/v1/sites/sh02/board", headers=headers)).status_code == 404


async def test_an_operator_decides_about_parked_messages(system: Running) -> None:
    data = ("--data", system.data)
    lines = (system.data / "environment").read_text().splitlines()
    bus = await connect(dict(line.split("=", 1) for line in lines)["BAYLEDGER_NATS_URL"], "stranger")
    for poison in (b"not an event", b"{}"):
        await bus.jetstream().publish("aftersales.sh01.workshop.repair_added", poison)
    await bus.close()

    async def parked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(bayledger("parked", "list", "--json", *data).stdout)
        return found if len(found) == 2 else []

    first, second = await eventually(parked)
    id = first["parked_id"]
    assert bayledger("status", *data).returncode == 1
    told = bayledger("parked", "list", *data).stdout
    assert id in told
    assert "whenever_repair_added_request_approval" in told
    shown = bayledger("parked", "show", id, *data)
    assert (shown.returncode, json.loads(shown.stdout)["reason"]) == (0, first["reason"])

    retried = bayledger("parked", "retry", id, *data)
    assert (retried.returncode, retried.stdout) == (0, "policies.message_retried.v1\n")
    for each in (first, second):
        discarded = bayledger("parked", "discard", each["parked_id"], "--reason", "a stranger's", *data)
        assert (discarded.returncode, discarded.stdout) == (0, "policies.message_discarded.v1\n")
    again = bayledger("parked", "retry", id, *data)
    refused(again, "This message was already discarded.")
    refused(bayledger("parked", "show", "nothing", *data), "there is no parked message nothing")

    async def settled() -> bool:
        return bayledger("parked", "list", *data).stdout == "No message waits for a decision.\n"

    await eventually(settled)
    await eventually(lambda: healthy(system))
    assert bayledger("status", *data).returncode == 0
    every = json.loads(bayledger("parked", "list", "--all", "--json", *data).stdout)
    assert {each["discarded_because"] for each in every} == {"a stranger's"}


@pytest.mark.skipif(not HISTORY.exists(), reason=f"no {HISTORY.name} in ../shared/data")
async def test_the_history_of_another_system_shows_in_the_views(system: Running, tmp_path: Path) -> None:
    truth = json.loads(TRUTH.read_text())
    data = ("--data", system.data)
    rejects = ("--rejects", tmp_path / "rejects.jsonl")
    take_over = ("import", HISTORY, "--mapping", MAPPING, "--site", SITE, "--json", *rejects, *data)
    first = bayledger(*take_over)
    assert first.returncode == 0
    told = json.loads(first.stdout)
    counted = {"cases": truth["cases"], "events": truth["events"], "rejected": 0, "unknown": {}}
    counted |= {"digest": told["digest"]}
    assert told == counted | {"added": truth["events"], "already": 0}
    assert HISTORY.name in first.stderr
    assert json.loads(bayledger(*take_over).stdout) == counted | {"added": 0, "already": truth["events"]}
    await eventually(lambda: healthy(system), within=60, every=0.2)

    board = (await system.get(f"/v1/sites/{SITE}/board", "advisor", SITE)).json()
    assert len(board["cards"]) == truth["not_archived"]
    cards = await _every_card(system)
    assert len(cards) == truth["cases"]
    assert sum("delivered_at" in card for card in cards) == truth["archived"]
    assert sum(card["reworks"] for card in cards) == truth["restarts_total"]
    assert sum(card["reworks"] > 0 for card in cards) == truth["cases_with_rework"]
    took = [_seconds(card) for card in cards]
    assert (mean(took), median(took), max(took)) == pytest.approx(
        tuple(truth["throughput_s"][name] for name in ("mean", "median", "max"))
    )
    # P-01: the times in the columns are all of the time.
    archived = [card for card in cards if "delivered_at" in card]
    assert all(sum(card["dwell"].values()) == _seconds(card, "delivered_at") for card in archived)
    ends = Counter(card["last_event"].split(".")[1] for card in cards)
    assert ends == {
        "work_order_closed": truth["end"]["Archive Repair+complete"],
        "quality_passed": ends["quality_passed"],
        "quality_failed": truth["end"]["Test Repair+complete"] - ends["quality_passed"],
        "customer_informed": truth["end"]["Inform User+complete"],
        "repair_completed": truth["end"]["Repair (Complex)+complete"],
        "repair_started": truth["end"]["Repair (Complex)+start"],
    }
    one = (await system.get(f"/v1/work-orders/{cards[0]['work_order_id']}", "advisor", SITE)).json()
    assert one.items() >= {name: cards[0][name] for name in ("last_event", "reworks", "column")}.items()


async def test_an_export_is_checked_without_the_system(system: Running, tmp_path: Path) -> None:
    out = tmp_path / "log.jsonl"
    done = bayledger("export", "--out", out, "--data", system.data)
    events = len(out.read_bytes().splitlines())
    assert (done.returncode, done.stdout) == (0, f"{events} events written to {out}\n")

    async def signed() -> list[Path]:
        return sorted((system.data / "checkpoints").glob("[0-9]*.json"))

    [checkpoint, *_] = await eventually(signed)
    against = ("--checkpoint", checkpoint, "--public-key", system.data / "secrets" / "ledger.pub")
    good = bayledger("verify", "--export", out, *against)
    assert (good.returncode, good.stdout[:20]) == (0, f"{events} events verified"[:20])
    lines = out.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"sh01", b"sh09", 1)
    out.write_bytes(b"".join(lines))
    bad = bayledger("verify", "--export", out, "--json", *against)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["bad"].startswith("position 2")


async def _every_card(system: Running) -> list[dict[str, Any]]:
    """Also those delivered long ago, which the board of today does not show."""
    lines = (system.data / "environment").read_text().splitlines()
    dsn = dict(line.split("=", 1) for line in lines)["BAYLEDGER_LEDGER_DB"]
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        live = "SELECT build FROM projection WHERE name = 'work_order_board' AND status = 'live'"
        [build] = await (await conn.execute(live)).fetchone() or ()
        query = psycopg.sql.SQL(
            "SELECT document FROM {} WHERE to_pos = 9223372036854775807 AND site = %s"
        ).format(psycopg.sql.Identifier(f"work_order_board_{build}"))
        return [document for [document] in await (await conn.execute(query, (SITE,))).fetchall()]


def _seconds(card: dict[str, Any], until: str = "last_at") -> float:
    first, last = (datetime.fromisoformat(card[name]) for name in ("first_at", until))
    return (last - first).total_seconds()

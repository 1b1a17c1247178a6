"""Personal values are nowhere in clear: not in a database, not on the bus, in no log, file or backup."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ops.postgres import Postgres, binaries
from tests.journeys.story import Visit, eventually
from tests.pictures import written_into
from tests.system import Running, at_rest

NAME = "欧阳金丝雀 Canarina"
PHONE = "17912349876"
PLATE = "沪CANARY9"
NARRATIVE = "金丝雀在唱歌 the canary sang at the desk for hours"
SYMPTOM = "排气管异响 a control string nobody seals"
PERSONAL = (NAME, "金丝雀", "Canarina", PHONE, PLATE, "CANARY9", NARRATIVE, "the canary sang")
DATABASES = ("reception", "workshop", "customer_care", "ledger", "keys")


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A system that has seen the canary; nothing else is in it."""
    system = Running(tmp_path_factory.mktemp("canary") / "data")
    try:
        system.start()
        yield system
    finally:
        system.stop()


async def test_a_canary_is_found_nowhere(left_behind: Running) -> None:
    system = left_behind
    await _live(system)
    assert system.stop() == 0
    system.start()  # signs a checkpoint

    async def signed() -> list[Path]:
        return list((system.data / "checkpoints").glob("*.json"))

    await eventually(signed)
    assert system.stop() == 0

    files = {path: path.read_bytes() for path in _files(system.data)}
    assert len(files) > 500
    dumps = _dumps(system.data)
    places = {str(path.relative_to(system.data.parent)): content for path, content in files.items()} | dumps

    control = _spellings(SYMPTOM)
    cluster, bus = system.data / "postgres", system.data / "nats" / "jetstream"
    for folder in (cluster, bus):
        seen = [path for path in files if path.is_relative_to(folder) and _found(files[path], control)]
        assert seen, f"the control string is not in {folder}: this scan would find nothing"
    assert {name for name in dumps if _found(dumps[name], control)} == {
        "dump of reception",
        "dump of workshop",
        "dump of ledger",
    }
    for kind in ("data.log", "environment", "checkpoints", "postgres.log", "nats.log"):
        assert any(kind in place for place in places), f"no {kind} was looked into"

    personal = {text: _spellings(text) for text in PERSONAL}
    leaks = [
        (place, text)
        for place, content in places.items()
        for text, spellings in personal.items()
        if _found(content, spellings)
    ]
    assert leaks == []


async def _live(system: Running) -> None:
    """A visit and a complaint, read, revealed, sent wrongly, and refused: whatever might end in a log."""
    visit = await Visit(system).received(
        customer_name=NAME, phone=PHONE, plate=PLATE, symptoms=[SYMPTOM], occurred_at=None
    )
    await visit.dispatched()
    photos = f"/reception/v1/visits/{visit.id}/photos?of=damage"
    advisor = {"Authorization": f"Bearer {system.token('advisor', 'sh01')}"}
    for told_by_the_camera in (PLATE, NAME, PHONE, NARRATIVE):
        taken = await system.client.post(photos, content=written_into(told_by_the_camera), headers=advisor)
        assert taken.status_code < 300, taken.text
    assert (await visit.card())["plate"] == PLATE
    said = {"customer_name": NAME, "phone": PHONE, "narrative": NARRATIVE}
    kind = {"channel": "phone", "subject": "other", "severity": "major"}
    raised = await system.post("/customer-care/v1/complaints", said | kind, "care_agent")
    path = f"/v1/complaints/{raised['id']}"
    await system.get(f"{path}/timeline", "care_agent", min_position=raised["position"])
    revealed = await system.send(f"{path}/reveal", {"reason": "calling back"}, "care_agent")
    assert revealed.json() == said
    wrong = await system.send("/reception/v1/visits", said | {"plate": PLATE, NAME: PHONE}, "advisor")
    assert wrong.status_code == 422

    async def settled() -> bool:
        status = (await system.get("/v1/status", "operator", "*")).json()
        return at_rest(status) and status["ledger"]["head"] >= 4

    await eventually(settled)


def _files(data: Path) -> list[Path]:
    """Everything the system wrote, its output included."""
    return [path for path in data.rglob("*") if path.is_file()] + [data.with_suffix(".log")]


def _dumps(data: Path) -> dict[str, bytes]:
    with Postgres(data / "postgres") as server:
        return {
            f"dump of {name}": subprocess.run(
                [binaries() / "pg_dump", "--dbname", server.dsn(name)],
                stdout=subprocess.PIPE,
                check=True,
                timeout=60,
                env={**os.environ, "PGCLIENTENCODING": "UTF8"},
            ).stdout
            for name in DATABASES
        }


def _spellings(text: str) -> set[bytes]:
    """How the text may stand in a file; base64 in its three alignments, without the ends that vary."""
    plain = text.encode()
    codes = {base64.b64encode(b" " * shift + plain)[4:-4] for shift in range(3)} if len(plain) > 11 else set()
    return codes | {
        plain,
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        quote(text).encode(),
        json.dumps(text)[1:-1].encode(),
        json.dumps(json.dumps(text)[1:-1])[1:-1].encode(),
        plain.hex().encode(),
    }


def _found(content: bytes, spellings: set[bytes]) -> bool:
    return any(spelling in content for spelling in spellings)

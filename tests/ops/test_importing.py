"""The history of another system becomes events: each row once, in its order, or rejected with a reason."""

import asyncio
import csv
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from eventlog.recorded import Metadata, Recorded, decode
from eventlog.store import EventStore, Unavailable
from events.workshop import CustomerInformed, RepairCompleted, RepairStarted, WorkOrderOpened
from ops.importing import BadMapping, Imported, Mapping, Unreadable, import_history, load_mapping
from ops.importing.readers import Row, opened, rows
from ops.postgres import Postgres

PROJECT = Path(__file__).parents[2]
DATA = PROJECT.parent / "shared" / "data"
REPAIRS = DATA / "repair_example" / "repair_example.xes.gz"
REPAIR_MAPPING = PROJECT / "mappings" / "repair_example.toml"
SAMPLES = Path(__file__).parent / "samples"
SITE = "sh01"

with_repairs = pytest.mark.skipif(not REPAIRS.exists(), reason=f"needs {REPAIRS}")


@pytest.fixture
async def store(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("workshop", await fresh_database("importing"))
    await store.provision()
    async with store.running():
        yield store


@pytest.fixture
def rejects(tmp_path: Path) -> Path:
    return tmp_path / "rejects.jsonl"


def silent(done: int, total: int) -> None:
    pass


async def imported(
    file: Path, store: EventStore, rejects: Path, mapping: Mapping | None = None, site: str = SITE
) -> Imported:
    """What came of it, but for the digest, which has a test of its own."""
    mapping = mapping or load_mapping(REPAIR_MAPPING)
    result = await import_history(file, mapping, store, site=site, rejects=rejects, progress=silent)
    return replace(result, digest="")


async def held(store: EventStore) -> int:
    """How many events there are; positions have holes where a transaction was cut off or lost a race."""
    return len((await store.page(0, 20_000)).events)


async def streams(store: EventStore) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = defaultdict(list)
    for event in (await store.page(0, 1_000_000)).events:
        found[(recorded := decode(event.body)).stream].append(recorded)
    return dict(found)


def rejected(rejects: Path) -> list[tuple[int, str, str]]:
    return [(line["line"], line["case"], line["reason"]) for line in reject_lines(rejects)]


def reject_lines(rejects: Path) -> list[Any]:
    if not rejects.exists():
        return []
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert lines, "an empty reject file"
    assert rejects.stat().st_mode & 0o077 == 0, "others may read it"
    return lines


def varied(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The repair mapping with some of its text replaced."""
    text = REPAIR_MAPPING.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (path := tmp_path / "mapping.toml").write_text(text)
    return path


AS_CSV = (
    ('format = "xes"', 'format = "csv"\nencoding = "gb18030"\ndelimiter = ";"'),
    ("case:concept:name", "order no"),
    ('columns = ["concept:name", "lifecycle:transition"]', 'columns = ["step", "phase"]'),
    ("time:timestamp", "when"),
    ('format = "iso"', 'format = "%d-%m-%Y %H:%M"\nzone = "Europe/Amsterdam"'),
)
HEADING = "order no;when;step;phase;defectType;defectFixed"
OPENED = "A 1/7;29-02-2016 01:16;Register;complete;;"
INFORMED = "A 1/7;29-02-2016 01:20;Inform User;complete;;"


@pytest.fixture
def csv_mapping(tmp_path: Path) -> Mapping:
    return load_mapping(varied(tmp_path, *AS_CSV))


def csv_file(tmp_path: Path, *lines: str) -> Path:
    (file := tmp_path / "orders.csv").write_text("\n".join([HEADING, *lines]), encoding="gb18030")
    return file


# A whole history


@with_repairs
async def test_a_history_is_here_as_it_was_there(store: EventStore, rejects: Path) -> None:
    truth = json.loads((DATA / "truth" / "repair_example.json").read_text())
    steps: list[tuple[int, int]] = []
    result = await import_history(
        REPAIRS,
        load_mapping(REPAIR_MAPPING),
        store,
        site=SITE,
        rejects=rejects,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert replace(result, digest="") == Imported(
        cases=1104, events=11855, added=11855, already=0, rejected=0
    )
    assert rejected(rejects) == []
    assert steps == sorted(steps)
    assert steps[-1] == (2 * REPAIRS.stat().st_size,) * 2

    cases = [[(there(r), r.occurred_at) for r in history] for history in (await streams(store)).values()]
    paths = [[activity for activity, _ in case] for case in cases]
    assert len(cases) == truth["cases"]
    assert Counter(activity for path in paths for activity in path) == truth["activities"]
    assert Counter(path[0] for path in paths) == truth["start"]
    assert Counter(path[-1] for path in paths) == truth["end"]
    assert len(set(map(tuple, paths))) == truth["variants"]
    steps_between = Counter(f"{a} -> {b}" for path in paths for a, b in pairwise(path))
    assert {step: steps_between[step] for step in truth["dfg"]} == truth["dfg"]
    reworks = [path.count("Restart Repair+complete") for path in paths]
    assert (sum(reworks), sum(map(bool, reworks))) == (truth["restarts_total"], truth["cases_with_rework"])
    repairs = Counter(
        str(sum(a.startswith("Repair (") and a.endswith("start") for a in path)) for path in paths
    )
    assert repairs == truth["repairs_per_case"]

    times = [at for case in cases for _, at in case]
    assert (str(min(times)), str(max(times))) == (truth["first_ts"], truth["last_ts"])
    took = [(case[-1][1] - case[0][1]).total_seconds() for case in cases]
    assert {
        "mean": statistics.mean(took),
        "median": statistics.median(took),
        "p90": statistics.quantiles(took, n=10, method="inclusive")[8],
        "max": max(took),
        "zero": took.count(0),
    } == pytest.approx(truth["throughput_s"])

    repeated = await imported(REPAIRS, store, rejects)
    assert repeated == Imported(cases=1104, events=11855, added=0, already=11855, rejected=0)


def there(recorded: Recorded) -> str:
    """The source's name of an event."""
    event = recorded.event
    kind = str(event.kind).capitalize() if isinstance(event, RepairStarted | RepairCompleted) else ""
    return {
        "work_order_opened": "Register+complete",
        "diagnosis_started": "Analyze Defect+start",
        "diagnosis_completed": "Analyze Defect+complete",
        "repair_started": f"Repair ({kind})+start",
        "repair_completed": f"Repair ({kind})+complete",
        "quality_check_started": "Test Repair+start",
        "quality_passed": "Test Repair+complete",
        "quality_failed": "Test Repair+complete",
        "rework_ordered": "Restart Repair+complete",
        "customer_informed": "Inform User+complete",
        "work_order_closed": "Archive Repair+complete",
    }[event.type.split(".")[1]]


async def test_an_imported_event_says_when_it_happened_and_names_nobody(
    store: EventStore, rejects: Path
) -> None:
    await imported(SAMPLES / "repairs.xes", store, rejects)
    [first, *_] = (await streams(store))["work_order-repair_example-7"]
    assert first.event == WorkOrderOpened(work_order_id="repair_example-7")
    assert first.metadata == Metadata(
        site=SITE,
        actor="import",
        role="import",
        correlation_id="repair_example-7",
        command_id="import:repair_example-7:1",
        occurred_at=datetime(1970, 1, 2, 11, 23, tzinfo=UTC),
    )
    assert all(b"Frederic" not in event.body for event in (await store.page(0, 100)).events)


@with_repairs
async def test_the_same_facts_from_another_format_are_the_same_events(
    store: EventStore, rejects: Path, tmp_path: Path
) -> None:
    await imported(REPAIRS, store, rejects)
    mapping = load_mapping(REPAIR_MAPPING)
    with opened(REPAIRS) as raw:
        found = [row.values for row in rows(raw, mapping.file, ())]
    columns = sorted({column for values in found for column in values})
    with gzip.open(tmp_path / "repairs.csv.gz", "wt", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(found)
    (tmp_path / "repairs.jsonl").write_text("\n".join(map(json.dumps, found)))
    for name, form in (("repairs.csv.gz", "csv"), ("repairs.jsonl", "jsonl")):
        other = load_mapping(varied(tmp_path, ('format = "xes"', f'format = "{form}"')))
        result = await imported(tmp_path / name, store, rejects, other)
        assert result == Imported(cases=1104, events=11855, added=0, already=11855, rejected=0)


# Rows that mean nothing here


async def test_a_row_without_a_meaning_is_rejected_alone(store: EventStore, rejects: Path) -> None:
    result = await imported(SAMPLES / "repairs.xes", store, rejects)
    assert result == Imported(cases=1, events=8, added=3, already=0, rejected=5)
    assert rejected(rejects) == [
        (17, "7", "'1970-01-32T12:30:00' is no time in the format 'iso'"),
        (22, "7", "the mapping does not know the activity 'Paint+start'"),
        (27, "7", "it has no 'defectFixed'"),
        (33, "7", "the time '1970-01-02T12:55:00' has no zone, and the mapping names none"),
        (46, "8", "its case does not begin with workshop.work_order_opened.v1"),
    ]
    assert reject_lines(rejects)[1]["row"] == {
        "case:concept:name": "7",
        "time:timestamp": "1970-01-02T12:31:00.000+01:00",
        "concept:name": "Paint",
        "lifecycle:transition": "start",
    }

    again = await imported(SAMPLES / "repairs.xes", store, rejects)
    assert again == Imported(cases=1, events=8, added=0, already=3, rejected=5)


async def test_a_broken_line_is_rejected_alone(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    file = csv_file(
        tmp_path,
        OPENED,
        '"A 1/7"x;29-02-2016 01:17;Inform User;complete;;',
        "A 1/7;29-02-2016",
        'A 1/7;29-02-2016 01:18;Analyze Defect;complete;"异响,\n左前";',
        "",
        ";29-02-2016 01:19;Inform User;complete;;",
        "A 1/7;29-02-2016 01:19;Register;complete;;",
        "A 1/7;29-02-2016 01:19;Archive Repair;complete;;maybe",
        INFORMED,
    )
    result = await imported(file, store, rejects, csv_mapping)
    assert result == Imported(cases=1, events=8, added=3, already=0, rejected=5)
    assert [(line, reason) for line, _, reason in rejected(rejects)] == [
        (3, "the line is not CSV: ';' expected after '\"'"),
        (4, "it has 2 fields, the heading 6"),
        (8, "it has no 'order no'"),
        (9, "its case has begun before: a second workshop.work_order_opened.v1"),
        (10, "the mapping does not know 'defectFixed' = 'maybe'"),
    ]
    [(name, history)] = (await streams(store)).items()
    assert name == "work_order-repair_example-A~20~1~2f~7"
    assert history[1].event.model_dump()["defect"] == "异响,\n左前"
    assert history[0].occurred_at == datetime(2016, 2, 29, 0, 16, tzinfo=UTC)


async def test_a_broken_json_line_is_rejected_alone(store: EventStore, rejects: Path, tmp_path: Path) -> None:
    row = {
        "case:concept:name": 5,
        "time:timestamp": "2016-02-29T01:16Z",
        "concept:name": "Register",
        "lifecycle:transition": "complete",
    }
    closed = row | {"concept:name": "Archive Repair", "defectFixed": True}
    odd = row | {"concept:name": "Analyze Defect", "defectType": "\ud800"}
    lines = [json.dumps(row), "{", "[1]", json.dumps(odd), json.dumps(odd | {"defectType": "\0"})]
    (file := tmp_path / "orders.jsonl").write_text("\n".join([*lines, json.dumps(closed)]))
    mapping = load_mapping(varied(tmp_path, ('format = "xes"', 'format = "jsonl"')))
    result = await imported(file, store, rejects, mapping)
    assert result == Imported(cases=1, events=6, added=2, already=0, rejected=4)
    assert [line for line, _, _ in rejected(rejects)] == [2, 3, 4, 5]


async def test_rejects_that_are_mended_leave_no_file(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    await imported(
        csv_file(tmp_path, OPENED, "A 1/7;soon;Inform User;complete;;"), store, rejects, csv_mapping
    )
    assert len(rejected(rejects)) == 1
    result = await imported(csv_file(tmp_path, OPENED, INFORMED), store, rejects, csv_mapping)
    assert result == Imported(cases=1, events=2, added=1, already=1, rejected=0)
    assert rejected(rejects) == []


# Order


async def test_columns_can_order_the_rows_of_a_case(store: EventStore, rejects: Path, tmp_path: Path) -> None:
    mapping = load_mapping(varied(tmp_path, *AS_CSV, ("order = []", 'order = ["defectType"]')))
    file = csv_file(
        tmp_path,
        "1;01-03-2016 10:00;Inform User;complete;10;",
        "1;01-03-2016 10:00;Analyze Defect;start;9;",
        "2;01-03-2016 10:00;Register;complete;0;",
        "1;01-03-2016 10:00;Register;complete;0;",
    )
    await imported(file, store, rejects, mapping)
    history = (await streams(store))["work_order-repair_example-1"]
    assert [there(r) for r in history] == [
        "Register+complete",
        "Analyze Defect+start",
        "Inform User+complete",
    ]


# Once, whatever happens


@with_repairs
async def test_a_cancelled_import_is_completed_by_the_next(store: EventStore, rejects: Path) -> None:
    def stop_half_way(done: int, total: int) -> None:
        if done > total * 3 // 4:
            running.cancel()

    running = asyncio.create_task(
        import_history(
            REPAIRS,
            load_mapping(REPAIR_MAPPING),
            store,
            site=SITE,
            rejects=rejects,
            progress=stop_half_way,
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await running
    stored = await held(store)
    assert 0 < stored < 11855
    result = await imported(REPAIRS, store, rejects)
    assert result.added + result.already == await held(store) == 11855
    assert result.already >= stored


KILLED_HALF_WAY = """
import asyncio, os, signal, sys
from pathlib import Path
from typing import Any
from eventlog.store import EventStore, Unavailable
from ops.importing import import_history, load_mapping

def die(done, total):
    if done > total * 3 // 4:
        os.kill(os.getpid(), signal.SIGKILL)

async def main(dsn, mapping, file, site):
    async with EventStore("workshop", dsn).running() as store:
        await import_history(
            Path(file), load_mapping(Path(mapping)), store, site=site, rejects=Path("none"), progress=die
        )

asyncio.run(main(*sys.argv[1:]))
"""


@with_repairs
@pytest.mark.faults
async def test_a_killed_import_is_completed_by_the_next(
    fresh_database: Callable[[str], Awaitable[str]], rejects: Path
) -> None:
    store = EventStore("workshop", dsn := await fresh_database("killed"))
    await store.provision()
    killed = await asyncio.to_thread(
        subprocess.call,
        [sys.executable, "-c", KILLED_HALF_WAY, dsn, str(REPAIR_MAPPING), str(REPAIRS), SITE],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    assert killed == -signal.SIGKILL
    async with store.running():
        assert 0 < (await store.page(0, 1)).head < 11855
        result = await imported(REPAIRS, store, rejects)
        assert result.added + result.already == await held(store) == 11855
        assert {name: len(s) for name, s in (await streams(store)).items()} == {
            name: s[-1].version for name, s in (await streams(store)).items()
        }


async def test_two_imports_at_once_record_each_row_once(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    file = csv_file(
        tmp_path, *(row.replace("A 1/7", str(n)) for n in range(50) for row in (OPENED, INFORMED))
    )
    results = await asyncio.gather(*(imported(file, store, rejects, csv_mapping) for _ in range(2)))
    assert await held(store) == 100
    assert [result.cases for result in results] == [50, 50]


async def test_without_its_store_an_import_says_so(
    store: EventStore, rejects: Path, postgres_server: Postgres
) -> None:
    async with await AsyncConnection.connect(postgres_server.dsn("postgres"), autocommit=True) as admin:
        async with store.pool.connection() as conn:
            name = conn.info.dbname
        await admin.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
    with pytest.raises(Unavailable, match="the event store of workshop cannot be reached"):
        await imported(SAMPLES / "repairs.xes", store, rejects)


# A history that has changed since


async def test_a_case_that_has_grown_gets_its_new_events(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    await imported(csv_file(tmp_path, OPENED), store, rejects, csv_mapping)
    result = await imported(csv_file(tmp_path, OPENED, INFORMED), store, rejects, csv_mapping)
    assert result == Imported(cases=1, events=2, added=1, already=1, rejected=0)


async def test_a_long_case_is_recorded_in_parts(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    file = csv_file(tmp_path, OPENED, *[INFORMED] * 500)
    assert (await imported(file, store, rejects, csv_mapping)).added == 501
    [history] = (await streams(store)).values()
    assert [r.version for r in history] == list(range(1, 502))
    assert len({r.metadata.command_id for r in history}) == 501


async def test_work_done_here_since_is_kept(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    await imported(file := csv_file(tmp_path, OPENED), store, rejects, csv_mapping)
    [stream] = await streams(store)
    here = CustomerInformed(work_order_id=stream.removeprefix("work_order-"))
    ours = Metadata(site=SITE, actor="li", role="advisor", correlation_id="v", command_id="c")
    await store.append(stream, 1, [here], ours)
    assert (await imported(file, store, rejects, csv_mapping)).already == 1
    result = await imported(csv_file(tmp_path, OPENED, INFORMED), store, rejects, csv_mapping)
    assert (result.cases, result.added, result.rejected) == (0, 0, 2)
    assert rejected(rejects)[0][2].startswith(
        "its case is recorded otherwise: event 2 is workshop.customer_in"
    )


async def test_a_case_with_another_past_or_site_is_rejected_whole(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    await imported(file := csv_file(tmp_path, OPENED), store, rejects, csv_mapping)
    moved = csv_file(tmp_path, OPENED.replace("01:16", "01:17"), INFORMED)
    assert (await imported(moved, store, rejects, csv_mapping)).rejected == 2
    assert [line for line, _, _ in rejected(rejects)] == [2, 3]
    assert (await imported(file, store, rejects, csv_mapping, site="bj02")).rejected == 2
    assert rejected(rejects)[0][2] == "its case is recorded at another site"
    assert (await store.page(0, 1)).head == 1


async def test_the_same_case_id_of_another_source_is_another_case(
    store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    other = load_mapping(varied(tmp_path, *AS_CSV, ('source = "repair_example"', 'source = "old_dms"')))
    for mapping in (csv_mapping, other):
        assert (await imported(csv_file(tmp_path, OPENED), store, rejects, mapping)).added == 1
    assert len(await streams(store)) == 2


# Files that are not what they should be

XES = '<log xmlns="http://www.xes-standard.org/">'
BOMB = f'<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>{XES}<trace/></log>'
GZIPPED = gzip.compress(f"{XES}</log>".encode(), mtime=0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty"),
        (BOMB.encode(), "it declares a DOCTYPE, whose entities could be endless"),
        (b"<html></html>", "it is no XES log but <html>"),
        (f"{XES}<trace>".encode(), "no element found: line 1, column 49"),
        (b"order;when\n", "not well-formed (invalid token): line 1, column 5"),
        (f"{XES}{'<list>' * 100}".encode(), "its elements are nested more than 64 deep"),
        (
            f'{XES}<string key="{"x" * 2_000_000}"/></log>'.encode(),
            "it has an XML tag of more than 1048576 bytes",
        ),
        (b'<?xml version="1.0" encoding="klingon"?><log/>', "unknown encoding: klingon"),
        (GZIPPED[:-12], "it was cut off in the middle"),
        (GZIPPED[:-8] + b"12345678", "it is damaged (CRC check failed"),
    ],
)
async def test_a_foreign_or_damaged_log_is_refused_in_one_sentence(
    content: bytes, sentence: str, store: EventStore, rejects: Path, tmp_path: Path
) -> None:
    (file := tmp_path / "log.xes").write_bytes(content)
    with pytest.raises(Unreadable) as refused:
        await imported(file, store, rejects)
    assert str(refused.value).startswith(f"{file} cannot be imported: {sentence}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("编号;when\n", "its heading has no column 'defectFixed', 'defectType', 'order no', 'phase', 'step'"),
        (f"{HEADING};when\n", "its heading names a column twice"),
        (f'{HEADING}\n"1;x\n2;x\n', "a quote opened in line 2 is not closed properly"),
        (f"{HEADING}\n{'x' * 2_000_000}\n", "it has a line of more than 1048576 characters"),
    ],
)
async def test_a_foreign_or_damaged_table_is_refused_in_one_sentence(
    content: str, sentence: str, store: EventStore, rejects: Path, tmp_path: Path, csv_mapping: Mapping
) -> None:
    (file := tmp_path / "orders.csv").write_text(content, encoding="gb18030")
    with pytest.raises(Unreadable, match=r"orders\.csv cannot be imported: ") as refused:
        await imported(file, store, rejects, csv_mapping)
    assert sentence in str(refused.value)


async def test_a_file_in_another_encoding_or_absent_is_refused(
    store: EventStore, rejects: Path, tmp_path: Path
) -> None:
    mapping = load_mapping(varied(tmp_path, *AS_CSV, ("gb18030", "utf-8")))
    with pytest.raises(Unreadable, match=r"it is not written in utf-8$"):
        await imported(csv_file(tmp_path, OPENED.replace("Register", "登记")), store, rejects, mapping)
    with pytest.raises(Unreadable, match=r"cannot be read: No such file or directory$"):
        await imported(tmp_path / "nothing.csv", store, rejects, mapping)


@with_repairs
async def test_nothing_of_a_truncated_file_is_recorded(
    store: EventStore, rejects: Path, tmp_path: Path
) -> None:
    (file := tmp_path / "cut.xes.gz").write_bytes(REPAIRS.read_bytes()[:60_000])
    with pytest.raises(Unreadable, match=r"cut off in the middle$"):
        await imported(file, store, rejects)
    assert (await store.page(0, 1)).head == 0


def test_a_row_keeps_its_line_and_nested_attributes_stay_out(tmp_path: Path) -> None:
    (file := tmp_path / "log.xes").write_text(
        f"""{XES}<global scope="event"><string key="a" value="default"/></global>
        <event><string key="b" value="loose"/></event>
        <trace>
            <event><string key="a" value="1"><string key="c" value="nested"/></string></event>
            <string key="concept:name" value="late"/>
        </trace></log>"""
    )
    with opened(file) as raw:
        assert list(rows(raw, load_mapping(REPAIR_MAPPING).file, ())) == [
            Row(2, {"b": "loose"}),
            Row(4, {"case:concept:name": "late", "a": "1"}),
        ]


# Mappings that cannot be used


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("work_order_closed", "order_archived", "there is no event 'workshop.order_archived.v1'"),
        ("workshop.rework_ordered.v1", "reception.vehicle_delivered.v1", "is not an event of workshop"),
        ("defect_fixed =", "fixed =", "'workshop.work_order_closed.v1' has no field 'fixed'"),
        ('kind = "simple"', 'kind = "easy"', "'easy' is no 'kind': Input should be 'simple' or 'complex'"),
        ('id_field = "work_order_id"', 'id_field = "visit_id"', "needs its field 'work_order_id'"),
        ("{source}-{case}", "{case}", "case.id: needs both {source} and {case}"),
        ('format = "xes"', 'format = "xls"', "file.format: Input should be 'xes', 'csv', 'json' or 'jsonl'"),
        ('format = "xes"', 'format = "csv"\nencoding = "hex"', "file.encoding: 'hex' is not a text encoding"),
        ('format = "iso"', 'format = "iso"\nzone = "Mars/Base"', "time.zone: invalid timezone: Mars/Base"),
        ('format = "iso"', 'format = "%Y-%Q"', "time.format: 'Q' is a bad directive in format '%Y-%Q'"),
        ("when.true = {", "when.true = { evnt = 1,", "when.true.evnt: Extra inputs are not permitted"),
        ('column = "defectType"', 'colum = "defectType"', "column: Field required"),
        ("[activities]", "[activities", "is not TOML: "),
        (
            '"workshop.work_order_opened.v1" }',
            '"workshop.rework_ordered.v1" }',
            "no activity is the first event",
        ),
    ],
)
def test_a_bad_mapping_is_refused_in_one_sentence(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadMapping) as refused:
        load_mapping(varied(tmp_path, (old, new)))
    assert str(refused.value).startswith(f"the mapping {tmp_path / 'mapping.toml'} ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_personal_data_cannot_be_mapped(tmp_path: Path) -> None:
    path = varied(
        tmp_path,
        ('service = "workshop"', 'service = "customer_care"'),
        ('event = "workshop.work_order_closed.v1"', 'event = "customer_care.complaint_raised.v1"'),
    )
    text = path.read_text()
    path.write_text(
        text[: text.index("[activities]")].replace("work_order_id", "complaint_id")
        + """[activities.complained]
        event = "customer_care.complaint_raised.v1"
        fields.narrative = { column = "narrative" }
        fields.customer_name = { column = "name" }
        fields.phone = { column = "phone" }
        fields.customer = { column = "customer" }
        fields.channel = "phone"
        fields.subject = "other"
        fields.severity = "ordinary"
        """
    )
    with pytest.raises(BadMapping, match=r"'narrative' is personal data, which is not imported$"):
        load_mapping(path)


def test_an_absent_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadMapping, match=r"cannot be read: No such file or directory$"):
        load_mapping(tmp_path / "absent.toml")

"""Complaints of other systems become complaints here: each state in its order, known or not, nobody named."""

import csv
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from access.issuer import AUDIENCE, ISSUER, Issuer
from access.keyring import Keyring
from access.pools import open_pool
from access.problems import install
from access.roles import Role
from access.sights import Sights
from access.tokens import Tokens
from eventlog.bus import Arrival
from eventlog.follow import Wake
from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from eventlog.store import EventStore
from events.customer_care import ComplaintTakenOver, ForeignStateRecorded
from ops.importing import (
    BadMapping,
    Imported,
    Unreadable,
    as_recorded,
    import_history,
    load_mapping,
    log_digest,
    read_history,
    stream_digest,
)
from projections import steps, views
from projections.api import api
from projections.board_stream import BoardStream
from projections.boards import Boards
from projections.catalogue import PROJECTIONS
from projections.complaint_stream import ComplaintStream
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.live import LiveViews
from projections.projection import Document
from projections.reading import Views
from projections.web.pages import pages
from tests.ops.test_importing import reject_lines, rejected, silent, streams

PROJECT = Path(__file__).parents[2]
DATA = PROJECT.parent / "shared" / "data"
MAPPINGS = PROJECT / "mappings"
XES = DATA / "volvo_incidents" / "incidents.xes.gz"
CSV = DATA / "volvo_incidents" / "incidents.csv.gz"
SERVICENOW = DATA / "servicenow_incidents" / "incidents_890_cases.csv"
NHTSA = DATA / "nhtsa_complaints" / "complaints.json"
SITE = "sh01"


def needs(file: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not file.exists(), reason=f"needs {file}")


@pytest.fixture
async def store(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("customer_care", await fresh_database("care"))
    await store.provision()
    async with store.running():
        yield store


@pytest.fixture
async def keys(
    fresh_database: Callable[[str], Awaitable[str]],
) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[Any]]]:
    async with open_pool(await fresh_database("keys"), 4) as pool:
        yield pool


@pytest.fixture
async def keyring(keys: AsyncConnectionPool[AsyncConnection[Any]]) -> Keyring:
    keyring = Keyring(keys, bytes(32))
    await keyring.provision()
    return keyring


@pytest.fixture
def rejects(tmp_path: Path) -> Path:
    return tmp_path / "rejects.jsonl"


@pytest.fixture
async def ledger(store: EventStore, fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Ledger]:
    ledger = Ledger(await fresh_database("ledger"), {"customer_care": store.page})
    await ledger.provision()
    async with ledger.running():
        yield ledger


class Reader:
    """Somebody of customer care who looks at the views of all that was imported."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def json(self, path: str, **params: Any) -> Document:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def must_show(self, id: str, history: list[Recorded]) -> None:
        """The timeline of a complaint tells its history."""
        timeline = await self.json(f"/v1/complaints/{id}/timeline", limit=200)
        assert [(entry["id"], entry["at"], entry["data"]["state"]) for entry in timeline["entries"]] == [
            (r.id, to_text(r.occurred_at), state) for r, state in zip(history, states(history), strict=True)
        ]

    async def complaints(self, **params: Any) -> list[Document]:
        """All of the list, page by page."""
        page = await self.json("/v1/complaints", limit=200, **params)
        found = page["complaints"]
        while page["next"]:
            page = await self.json("/v1/complaints", limit=200, next=page["next"], **params)
            found += page["complaints"]
        return list(found)


def states(history: list[Recorded]) -> list[str]:
    return [
        r.event.state
        for r in history
        if isinstance(r.event, ComplaintTakenOver | ForeignStateRecorded) and r.event.state
    ]


Look = Callable[[], Awaitable[Reader]]


@pytest.fixture
async def look(
    store: EventStore,
    ledger: Ledger,
    keyring: Keyring,
    keys: AsyncConnectionPool[AsyncConnection[Any]],
    tmp_path: Path,
) -> AsyncIterator[Look]:
    """Call it when all is imported: the ledger and the view follow, and somebody looks."""
    issuer = Issuer(tmp_path / "issuer")
    token = issuer.token("zhao.min", Role.CARE_AGENT, ["*"], 3600)
    live = LiveViews(ledger.pool, PROJECTIONS, Wake(""))
    boards, sights = Boards(ledger.pool, keyring), Sights(keys)
    await sights.provision()
    reading = Views(ledger.pool, live, boards, keyring, sights)
    stream = BoardStream(live, boards)
    app = FastAPI()
    app.state.tokens = Tokens(str(issuer.jwks_file), ISSUER, AUDIENCE)
    install(app)
    app.include_router(api(reading, stream, ComplaintStream(ledger.pool, live, reading), ledger.pool))
    app.include_router(pages(reading, stream))

    async with AsyncClient(
        transport=ASGITransport(app),
        base_url="http://bayledger.test",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ) as client:

        async def follow() -> Reader:
            after = 0
            while (page := await store.page(after, 5_000)).events:
                await ledger.ingest([Arrival(page.source, page.epoch, event) for event in page.events])
                after = page.events[-1].pos
            async with ledger.pool.connection() as conn:
                await views.provision(conn)
                build = await views.new_build(conn, COMPLAINT_TIMELINE, "live")
                while (await steps.advance(conn, build, 5_000)).read:
                    pass
            return Reader(client)

        yield follow


Import = Callable[..., Awaitable[Imported]]


@pytest.fixture
def imported(store: EventStore, keyring: Keyring, rejects: Path) -> Import:
    async def run(file: Path, mapping: str | Path) -> Imported:
        """By the mapping of this name, or in this file."""
        path = MAPPINGS / f"{mapping}.toml" if isinstance(mapping, str) else mapping
        rules = load_mapping(path)
        return await import_history(file, rules, store, keyring, site=SITE, rejects=rejects, progress=silent)

    return run


def counts(result: Imported) -> dict[str, int]:
    return {name: getattr(result, name) for name in ("cases", "events", "added", "already", "rejected")}


def digest_of(log: Iterable[list[Recorded]]) -> str:
    return log_digest({history[0].stream: stream_digest(history) for history in log})


async def facts_of(file: Path, mapping: str) -> list[list[Recorded]]:
    """The history that a file tells, recorded nowhere."""
    rules = load_mapping(MAPPINGS / f"{mapping}.toml")
    cases, refused, _, _ = await read_history(file, rules, silent)
    assert not refused
    return [as_recorded(facts, rules, SITE) for facts in cases.values()]


# Volvo IT: states, teams, lines


@needs(XES)
async def test_an_incident_log_is_here_as_it_was_there(
    imported: Import, store: EventStore, rejects: Path, look: Look
) -> None:
    truth = json.loads((DATA / "truth" / "volvo_incidents.json").read_text())
    result = await imported(XES, "volvo_incidents_xes")
    assert counts(result) == {"cases": 7554, "events": 65533, "added": 65533, "already": 0, "rejected": 0}
    assert result.unknown == {"Unmatched/Unmatched": 5}
    assert reject_lines(rejects) == []

    again = await imported(CSV, "volvo_incidents_csv")
    assert counts(again) == counts(result) | {"added": 0, "already": 65533}
    assert again.digest == result.digest
    log = await streams(store)
    assert digest_of(log.values()) == result.digest, "the digest is one of what is recorded"

    reader = await look()
    complaints = {complaint["complaint_id"]: complaint for complaint in await reader.complaints()}
    histories = {name.removeprefix("complaint-"): history for name, history in log.items()}
    assert len(complaints) == truth["cases"]
    assert complaints.keys() == histories.keys()

    paths = {key: states(history) for key, history in histories.items()}
    assert Counter(state for path in paths.values() for state in path) == truth["activities"]
    assert Counter(path[0] for path in paths.values()) == truth["start"]
    assert Counter(path[-1] for path in paths.values()) == truth["end"]
    assert len(set(map(tuple, paths.values()))) == truth["variants"]
    assert Counter(f"{a} -> {b}" for path in paths.values() for a, b in pairwise(path)) == truth["dfg"]

    reopened = [complaint["reopened"] for complaint in complaints.values()]
    assert (sum(map(bool, reopened)), sum(reopened)) == (truth["reopened_cases"], truth["reopens_total"])
    handovers = [complaint["handovers"] for complaint in complaints.values()]
    assert sum(handovers) == truth["handovers_total"]
    assert sum(map(bool, handovers)) == truth["cases_with_team_handover"]
    assert Counter(complaint["impact"] for complaint in complaints.values()) == truth["cases_per_impact"]
    first_lines = Counter(history[0].event.model_dump()["line"] for history in histories.values())
    assert first_lines == truth["cases_per_first_line"]
    for key in sorted(paths, key=lambda key: len(paths[key]))[:: len(paths) // 20]:
        await reader.must_show(key, histories[key])

    took = [
        (moment(complaint["last_at"]) - moment(complaint["raised_at"])).total_seconds()
        for complaint in complaints.values()
    ]
    assert {
        "mean": statistics.mean(took),
        "median": statistics.median(took),
        "p90": statistics.quantiles(took, n=10, method="inclusive")[8],
        "max": max(took),
        "zero": took.count(0),
    } == pytest.approx(truth["throughput_s"])

    ended = {"Completed/Closed", "Completed/In Call", "Completed/Resolved", "Completed/Cancelled"}
    still_open = {complaint["complaint_id"] for complaint in await reader.complaints(only_open=True)}
    assert still_open == {key for key, path in paths.items() if path[-1] not in ended}
    assert sum(count for state, count in truth["end"].items() if state not in ended) == len(still_open) == 8


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@needs(XES)
async def test_xes_and_csv_tell_the_same_log() -> None:
    """Columns, separators and offsets differ; the digest does not, and one other team would change it."""
    xes = await facts_of(XES, "volvo_incidents_xes")
    table = await facts_of(CSV, "volvo_incidents_csv")
    assert digest_of(xes) == digest_of(reversed(table))
    assert "Frederic" not in str(xes[0]), "nobody who worked on an incident is named"
    xes[0][0] = replace(xes[0][0], event=xes[0][0].event.model_copy(update={"team": "another"}))
    assert digest_of(xes) != digest_of(table), "this check can fail"


# States that are the mapping's business

STATES = """
source = "desk"
service = "customer_care"
actor = "import"
missing = ["", "?"]
[file]
format = "csv"
[case]
column = "no"
id_field = "complaint_id"
stream_prefix = "complaint-"
first = "customer_care.complaint_taken_over.v1"
order = ["step"]
[time]
column = "at"
format = "%d-%m-%Y %H:%M"
zone = "UTC"
[activity]
columns = ["state"]
[states.first]
event = "customer_care.complaint_taken_over.v1"
[states.first.fields]
origin = "the desk"
team = { column = "team" }
components = { column = "parts", separator = ",", among = ["A", "A, B", "C"] }
[states.later]
event = "customer_care.foreign_state_recorded.v1"
fields = { team = { column = "team" } }
[states.meanings]
New = "open"
Done = "closed"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (path := tmp_path / "desk.toml").write_text(STATES)
    return path


def table(tmp_path: Path, *lines: str) -> Path:
    (file := tmp_path / "desk.csv").write_text("\n".join(["no,step,at,state,team,parts", *lines]))
    return file


async def test_any_state_may_be_the_first_and_an_unknown_one_is_kept_and_listed(
    imported: Import, store: EventStore, desk: Path, tmp_path: Path
) -> None:
    result = await imported(
        table(
            tmp_path,
            "1,10,01-02-2026 10:00,Done,?,",
            "2,1,01-02-2026 09:00,Lost,T1,",
            "1,9,01-02-2026 10:00,Escalated,T2,",
            "2,2,01-02-2026 09:00,Lost,T1,",
            "2,3,01-02-2026 09:00,?,T1,",
        ),
        desk,
    )
    assert counts(result) == {"cases": 2, "events": 5, "added": 4, "already": 0, "rejected": 1}
    assert result.unknown == {"Lost": 2, "Escalated": 1}
    log = await streams(store)
    assert [r.event for r in log["complaint-desk-1"]] == [
        ComplaintTakenOver(complaint_id="desk-1", origin="the desk", state="Escalated", team="T2"),
        ForeignStateRecorded(complaint_id="desk-1", state="Done", meaning="closed"),
    ]
    assert [r.event for r in log["complaint-desk-2"]] == [
        ComplaintTakenOver(complaint_id="desk-2", origin="the desk", state="Lost", team="T1"),
        ForeignStateRecorded(complaint_id="desk-2", state="Lost", team="T1"),
    ]


async def test_values_are_split_only_where_one_ends(
    imported: Import, store: EventStore, rejects: Path, desk: Path, tmp_path: Path
) -> None:
    await imported(
        table(
            tmp_path,
            '1,1,01-02-2026 10:00,New,,"A, B,C,A"',
            '2,1,01-02-2026 10:00,New,,"A,D"',
            '2,2,01-02-2026 11:00,Done,,"A"',
        ),
        desk,
    )
    [[taken_over]] = (await streams(store)).values()
    assert isinstance(taken_over.event, ComplaintTakenOver)
    assert taken_over.event.components == ("A, B", "C", "A")
    assert [(line, reason) for line, _, reason in rejected(rejects)] == [
        (3, "the mapping does not know what 'parts' goes on with: 'D'"),
        (4, "its case does not begin with customer_care.complaint_taken_over.v1"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('Done = "closed"', 'Done = "over"', "'over' is no 'meaning': Input should be 'open', 'waiting'"),
        (
            "[states.meanings]",
            "[activities]\nNew = { event = 'x' }\n[states.meanings]",
            "needs either `activities` or `states`",
        ),
        ('columns = ["state"]', "columns = []", "no column tells the state"),
        (
            '_taken_over.v1"\n[states.first.',
            '_raised.v1"\n[states.first.',
            "'first': 'customer_care.complaint_raised.v1' ",
        ),
        ('separator = ",", ', "", "`separator` and `among` go together"),
        (
            'event = "customer_care.foreign_state_recorded.v1"',
            'event = "customer_care.customer_contacted.v1"',
            "'later': 'customer_care.customer_contacted.v1' ",
        ),
        (
            '_recorded.v1"\nfields = {',
            '_recorded.v1"\nfields = { narrative = { column = "parts" },',
            "'customer_care.foreign_state_recorded.v1' has no field 'narrative'",
        ),
        (
            "origin =",
            "narrative = 'he said'\norigin =",
            "'narrative' is personal data, which is not imported",
        ),
    ],
)
def test_a_bad_mapping_of_states_is_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    assert old in STATES
    (path := tmp_path / "bad.toml").write_text(STATES.replace(old, new, 1))
    with pytest.raises(BadMapping) as refused:
        load_mapping(path)
    assert sentence in str(refused.value)


def test_a_mapping_says_either_what_happened_or_the_states(tmp_path: Path) -> None:
    (path := tmp_path / "bad.toml").write_text(STATES[: STATES.index("[states.first]")])
    with pytest.raises(BadMapping, match="needs either `activities` or `states`"):
        load_mapping(path)


# ServiceNow: an audit log


@needs(SERVICENOW)
async def test_an_audit_log_is_told_in_its_order_and_knows_no_future(
    imported: Import, store: EventStore, rejects: Path, look: Look
) -> None:
    result = await imported(SERVICENOW, "servicenow_incidents")
    assert counts(result) == {"cases": 890, "events": 5998, "added": 5998, "already": 0, "rejected": 0}
    assert result.unknown == {}
    there: dict[str, list[dict[str, str]]] = defaultdict(list)
    with SERVICENOW.open(newline="") as file:
        for row in csv.DictReader(file):
            there[f"complaint-servicenow-{row['number']}"].append(row)
    log = await streams(store)
    assert log.keys() == there.keys()
    for name, rows in there.items():
        rows.sort(key=lambda row: int(row["sys_mod_count"]))
        assert states(log[name]) == [row["incident_state"] for row in rows]
        assert [f"{r.occurred_at:%d-%m-%Y %H:%M}" for r in log[name]] == [r["sys_updated_at"] for r in rows]
    assert all(b'"?"' not in event.body for event in (await store.page(0, 10_000)).events)

    reader = await look()
    assert {complaint["status"] for complaint in await reader.complaints()} == {"closed"}
    for key in list(log)[::100]:
        await reader.must_show(key.removeprefix("complaint-"), log[key])
    assert reject_lines(rejects) == []
    again = await imported(SERVICENOW, "servicenow_incidents")
    assert counts(again) == counts(result) | {"added": 0, "already": 5998}


# NHTSA: narratives


@needs(NHTSA)
async def test_complaints_come_with_narratives_that_only_the_keyring_reads(
    imported: Import, store: EventStore, keyring: Keyring, rejects: Path
) -> None:
    there = {row["odiNumber"]: row for row in json.loads(NHTSA.read_text())}
    result = await imported(NHTSA, "nhtsa_complaints")
    assert counts(result) == {"cases": 1158, "events": 1161, "added": 1158, "already": 0, "rejected": 3}
    assert rejected(rejects) == [
        (line_of(NHTSA, odi), odi, reason)
        for odi, reason in (
            ("10359712", "1901-01-01 is before 1980-01-01, the earliest possible day"),
            ("10630212", "2012-05-13 is before 2013, the earliest possible by its 'year'"),
            ("11591116", "1999-10-12 is before 2019, the earliest possible by its 'year'"),
        )
    ]
    here = {
        int(name.removeprefix("complaint-nhtsa-")): r.event
        for name, [r] in (await streams(store)).items()
        if isinstance(r.event, ComplaintTakenOver)
    }
    assert len(here) == 1158
    sealed = [event.narrative for event in here.values() if event.narrative]
    told = await keyring.unseal_many(sealed)
    assert dict(zip(here, told, strict=True)) == {odi: there[odi]["summary"] for odi in here}
    assert len({each.subject for each in sealed}) == 1158, "everyone can be forgotten alone"
    assert {event.customer for event in here.values()} == {each.subject for each in sealed}
    bodies = [event.body for event in (await store.page(0, 2_000)).events]
    assert not any(b"COOLANT" in body for body in bodies)

    assert all(",".join(event.components) == there[odi]["component"] for odi, event in here.items())
    parts = Counter(part for event in here.values() for part in event.components)
    assert [part for part in parts if "," in part] == [part for part in parts if ", " in part]
    assert parts["FUEL SYSTEM, GASOLINE"] == sum(
        "FUEL SYSTEM, GASOLINE" in there[odi]["component"] for odi in here
    )

    again = await imported(NHTSA, "nhtsa_complaints")
    assert counts(again) == counts(result) | {"added": 0, "already": 1158}
    assert again.digest == result.digest == digest_of((await streams(store)).values())


def line_of(file: Path, odi: str) -> int:
    """Where the object with this number begins."""
    lines = file.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f'"odiNumber": {odi}'))
    return max(number for number in range(at) if lines[number] == "{") + 1


COMPLAINT = {
    "model": "911",
    "year": 2007,
    "date": "04/03/2020",
    "component": "ENGINE",
    "summary": "SMOKE.",
    "odiNumber": 7,
}


async def test_what_a_forgotten_customer_said_is_not_imported_again(
    imported: Import, store: EventStore, keyring: Keyring, tmp_path: Path, rejects: Path
) -> None:
    (file := tmp_path / "complaints.json").write_text(json.dumps([COMPLAINT]))
    await imported(file, "nhtsa_complaints")
    [[taken_over]] = (await streams(store)).values()
    assert isinstance(taken_over.event, ComplaintTakenOver)
    assert taken_over.event.customer
    assert taken_over.event.narrative
    await keyring.erase(taken_over.event.customer)
    again = await imported(file, "nhtsa_complaints")
    assert (again.added, again.already) == (0, 1)
    assert await keyring.unseal_many([taken_over.event.narrative]) == [None]

    file.write_text(json.dumps([COMPLAINT | {"summary": "FIRE."}]))
    other = await imported(file, "nhtsa_complaints")
    assert (other.added, other.already, other.rejected) == (0, 0, 1)
    [reject] = reject_lines(rejects)
    assert reject["reason"].startswith("its case is recorded otherwise: event 1 is ")
    assert "FIRE" not in reject["reason"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "it is no JSON array: see line 1"),
        ("[]", "what begins in line 1 is no JSON"),
        ('[\n{"odiNumber": 1},\n{"odiNumber"]', "what begins in line 3 is no JSON"),
        ('[{"odiNumber": 1}\n{"odiNumber": 2}]', "it is no JSON array: see line 1"),
        ('[{"odiNumber": 1}', "it is no JSON array: see line 1"),
        ('[{"odiNumber": 1}] {}', "it is no JSON array: see line 1"),
        (f"[{'[' * 100_000}", "what begins in line 1 is no JSON"),
    ],
)
async def test_a_damaged_json_file_is_refused(
    text: str, sentence: str, imported: Import, store: EventStore, tmp_path: Path
) -> None:
    (file := tmp_path / "complaints.json").write_text(text)
    with pytest.raises(Unreadable, match=f"{sentence}$"):
        await imported(file, "nhtsa_complaints")
    assert (await store.page(0, 1)).head == 0


async def test_what_is_no_complaint_in_a_json_file_is_rejected_alone(
    imported: Import, tmp_path: Path, rejects: Path
) -> None:
    (file := tmp_path / "complaints.json").write_text(
        "[\n" + ",\n".join(map(json.dumps, (COMPLAINT, 5, COMPLAINT | {"odiNumber": 8, "year": "new"}))) + "]"
    )
    result = await imported(file, "nhtsa_complaints")
    assert (result.added, result.rejected) == (1, 2)
    assert [(line, reason) for line, _, reason in rejected(rejects)] == [
        (3, "it is no JSON object"),
        (4, "'new' in 'year' is no year"),
    ]


# Long ones


async def test_a_timeline_of_50000_events_is_read_in_pages(
    imported: Import, desk: Path, tmp_path: Path, look: Look
) -> None:
    file = table(
        tmp_path,
        *(
            f"1,{n},{n % 28 + 1:02}-01-2026 10:00,{('New', 'Done', 'Waiting for parts')[n % 3]},Team {n % 7},"
            for n in range(50_000)
        ),
    )
    assert (await imported(file, desk)).added == 50_000
    reader = await look()
    for path, accept in (("/complaints/desk-1", "text/html"), ("/v1/complaints/desk-1/timeline", "*/*")):
        answer = await reader.client.get(path, headers={"Accept": accept})
        assert answer.status_code == 200
        assert len(answer.content) < 100_000, path
    ids: list[str] = []
    page = await reader.json("/v1/complaints/desk-1/timeline", limit=200)
    while page["next"]:
        ids = [entry["id"] for entry in page["entries"]] + ids
        page = await reader.json("/v1/complaints/desk-1/timeline", limit=200, next=page["next"])
    ids = [entry["id"] for entry in page["entries"]] + ids
    assert ids == [f"complaint-desk-1@{version}" for version in range(1, 50_001)]

    for language, origin in (("en", "Complaint from the desk"), ("zh-CN", "来自 the desk 的投诉")):
        headers = {"Accept": "text/html", "Accept-Language": language}
        shown = (await reader.client.get("/complaints/desk-1?next=101", headers=headers)).text
        assert origin in shown
        assert "<q>Waiting for parts</q>" in shown, "a state that nobody has given a meaning"
        assert 'href="?next=51"' in shown

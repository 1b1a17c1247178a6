"""The timelines: one entry per fact, dull and correct. The list of parked messages."""

from collections.abc import Sequence

from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from events.customer_care import ComplaintTakenOver, ForeignStateRecorded, Meaning
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.facts import Fact
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.projection import Document
from projections.timeline import entry
from projections.views import FOREVER, Build, heard
from projections.work_order_timeline.projection import WORK_ORDER_TIMELINE
from tests.projections.log import documents, given_log, view
from tests.projections.story import (
    DAY,
    VISIT,
    discarded,
    in_guangzhou,
    not_reached,
    parked,
    raised,
    reached,
    resolved,
    retried,
)
from tests.projections.test_views import Conn
from tests.recording import recorded


async def entries(conn: Conn, build: Build, key: str) -> list[Document]:
    async with conn.transaction():
        facts = await heard(conn, build, key, FOREVER, 100)
    return [entry(fact) for _, fact in facts if isinstance(fact, Fact)]


def entered(entries: Sequence[Document]) -> list[tuple[str, str, str]]:
    return [(entry["event"], entry["id"], entry["at"]) for entry in entries]


def facts(recorded: Sequence[Recorded]) -> list[tuple[str, str, str]]:
    return [(fact.event.type, fact.id, to_text(fact.occurred_at)) for fact in recorded]


async def test_a_work_order_has_an_entry_for_every_fact(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY)
    build = await view(conn, WORK_ORDER_TIMELINE)
    assert entered(await entries(conn, build, "V1")) == facts(VISIT)
    assert entered(await entries(conn, build, "V2")) == facts([in_guangzhou])
    assert (await entries(conn, build, "V1"))[0] | {"data": ...} == {
        "event": "reception.vehicle_received.v2",
        "id": "reception-V1@1",
        "at": "2026-03-02T00:01:00.000000+00:00",
        "recorded_at": "2026-03-02T00:01:00.000000+00:00",
        "actor": "wang.lei",
        "role": "advisor",
        "causation_id": None,
        "data": ...,
    }


async def test_a_complaint_shows_where_it_stands(ledger: Ledger, conn: Conn) -> None:
    """C-21 … C-25: every attempt counts, the first contact is the first time somebody was reached."""
    await given_log(ledger, raised, not_reached, reached, resolved)
    build = await view(conn, COMPLAINT_TIMELINE)
    stands = [(await documents(conn, build, position))["C1"] for position in (1, 2, 3, 4)]
    assert [(each["status"], each["attempts"]) for each in stands] == [
        ("raised", 0),
        ("raised", 1),
        ("contacted", 2),
        ("resolved", 2),
    ]
    since = [raised, raised, reached, resolved]
    assert [each["since"] for each in stands] == [to_text(fact.recorded_at) for fact in since]
    assert stands[-1]["first_contact_at"] == to_text(reached.recorded_at)
    assert stands[-1]["resolution"] == "goodwill"
    assert entered(await entries(conn, build, "C1")) == facts([raised, not_reached, reached, resolved])


async def test_a_complaint_of_another_system_shows_where_it_stands_there(ledger: Ledger, conn: Conn) -> None:
    """X-12. A state without a meaning is shown as it is called there, and reopens nothing."""
    began = ComplaintTakenOver(
        complaint_id="C2", origin="old DMS", state="Queued", meaning="open", team="A", product="911"
    )

    def moved(state: str, meaning: Meaning | None, team: str | None) -> ForeignStateRecorded:
        return ForeignStateRecorded(complaint_id="C2", state=state, meaning=meaning, team=team)

    history = [
        began,
        moved("Wait - User", "waiting", "B"),
        moved("Resolved", "resolved", None),
        moved("Unmatched", None, "B"),
        moved("In Progress", "open", "A"),
        moved("Closed", "closed", "A"),
    ]
    log = [recorded(event, minute) for minute, event in enumerate(history, start=1)]
    await given_log(ledger, *log)
    build = await view(conn, COMPLAINT_TIMELINE)
    stands = [(await documents(conn, build, position))["C2"] for position in range(1, len(log) + 1)]
    assert [
        (each["status"], each["ended"], each["team"], each["handovers"], each["reopened"]) for each in stands
    ] == [
        ("open", False, "A", 0, 0),
        ("waiting", False, "B", 1, 0),
        ("resolved", True, "B", 1, 0),
        ("Unmatched", True, "B", 1, 0),
        ("open", False, "A", 2, 1),
        ("closed", True, "A", 2, 1),
    ]
    assert [each["since"] for each in stands] == [to_text(fact.occurred_at) for fact in log]
    assert (stands[-1]["origin"], stands[-1]["product"]) == ("old DMS", "911")
    assert entered(await entries(conn, build, "C2")) == facts(log)


async def test_a_complaint_of_another_system_is_answered_here(ledger: Ledger, conn: Conn) -> None:
    taken_over = ComplaintTakenOver(complaint_id="C1", origin="old DMS", meaning="open")
    await given_log(ledger, recorded(taken_over, 1), not_reached, reached, resolved)
    build = await view(conn, COMPLAINT_TIMELINE)
    stands = [(await documents(conn, build, position))["C1"] for position in (1, 2, 3, 4)]
    assert [(each["status"], each["ended"]) for each in stands] == [
        ("open", False),
        ("open", False),
        ("contacted", False),
        ("resolved", False),  # until it is signed off and archived
    ]


async def test_a_parked_message_waits_until_it_is_settled(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, parked, retried, discarded)
    build = await view(conn, PARKED_MESSAGES)
    stands = [(await documents(conn, build, position))["P1"] for position in (1, 2, 3)]
    assert [(each["status"], each["retries"], each["reason"]) for each in stands] == [
        ("parked", 0, "JSONDecodeError: Expecting value"),
        ("parked", 1, "JSONDecodeError again"),
        ("discarded", 1, "JSONDecodeError again"),
    ]
    assert stands[-1]["discarded_because"] == "sent by a test of the bus"

"""The timelines: one entry per fact, dull and correct. The list of parked messages."""

from collections.abc import Sequence

from eventlog.ledger import Ledger
from eventlog.recorded import Recorded, to_text
from projections.complaint_timeline.projection import COMPLAINT_TIMELINE
from projections.parked_messages.projection import PARKED_MESSAGES
from projections.projection import Document
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


def entered(timeline: Document) -> list[tuple[str, str, str]]:
    return [(entry["event"], entry["id"], entry["at"]) for entry in timeline["entries"]]


def facts(recorded: Sequence[Recorded]) -> list[tuple[str, str, str]]:
    return [(fact.event.type, fact.id, to_text(fact.occurred_at)) for fact in recorded]


async def test_a_work_order_has_an_entry_for_every_fact(ledger: Ledger, conn: Conn) -> None:
    await given_log(ledger, *DAY)
    timelines = await documents(conn, await view(conn, WORK_ORDER_TIMELINE))
    assert entered(timelines["V1"]) == facts(VISIT)
    assert entered(timelines["V2"]) == facts([in_guangzhou])
    assert timelines["V1"]["entries"][0] | {"data": ...} == {
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
    assert entered(stands[-1]) == facts([raised, not_reached, reached, resolved])


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

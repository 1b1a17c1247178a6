"""Ledgers and stores that hold much already: valid events, chained, written in bulk."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from psycopg import AsyncConnection

from eventlog.ledger import GENESIS, Ledger, link
from eventlog.recorded import Metadata, Recorded, encode, event_hash
from eventlog.store import EventStore
from events import Event, Sealed
from events.reception import VehicleDelivered, VehicleReceived
from events.workshop import (
    DiagnosisCompleted,
    DiagnosisStarted,
    QualityCheckStarted,
    QualityPassed,
    RepairCompleted,
    RepairStarted,
    WorkDispatched,
    WorkOrderOpened,
)
from projections.views import provision

SOURCE, EPOCH = "bench", "epoch-1"
NUMBER = "00000000"
"""In a story: the number of its work order."""
ORDER = f"w{NUMBER}"
AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
TOGETHER = 500
"""Work orders that are in the house at the same time: their events are mixed."""

Story = Sequence[tuple[str, str]]
"""Of one work order: the type and the canonical text of each event."""

NOBODY = Sealed(subject="c-1", context="reception.vehicle_received.plate", box="x" * 48)


def received(plate: Sealed = NOBODY) -> Event:
    return VehicleReceived(
        visit_id=ORDER,
        work_order_id=ORDER,
        vin="LSVAA4182E2184847",
        vin_check_digit="ok",
        customer=plate.subject,
        customer_name=plate,
        phone=plate,
        plate=plate,
        mileage_km=40_000,
        symptoms=("noise from the front left",),
    )


DELIVERED = VehicleDelivered(visit_id=ORDER, work_order_id=ORDER, mileage_km=40_010)
WHOLE: Sequence[Event] = (
    received(),
    WorkOrderOpened(work_order_id=ORDER, visit_id=ORDER, symptoms=("noise from the front left",)),
    WorkDispatched(work_order_id=ORDER, team="A"),
    DiagnosisStarted(work_order_id=ORDER),
    DiagnosisCompleted(work_order_id=ORDER, defect="worn strut mount"),
    RepairStarted(work_order_id=ORDER, kind="simple"),
    RepairCompleted(work_order_id=ORDER, kind="simple"),
    QualityCheckStarted(work_order_id=ORDER),
    QualityPassed(work_order_id=ORDER, visit_id=ORDER),
    DELIVERED,
)
"""Ten events, about 400 bytes each."""


def story(events: Sequence[Event], site: str) -> Story:
    def text(version: int, event: Event) -> str:
        metadata = Metadata(
            site=site,
            actor="bench",
            role="advisor",
            correlation_id=ORDER,
            command_id=f"{ORDER}-{version}",
            occurred_at=AT,
        )
        recorded = Recorded(
            stream=f"work_order-{ORDER}", version=version, event=event, recorded_at=AT, metadata=metadata
        )
        return encode(recorded).decode()

    return [(event.type, text(version, event)) for version, event in enumerate(events, start=1)]


def bodies(stories: Iterator[Story]) -> Iterator[str]:
    """The events of all these work orders, as a ledger hears them."""
    number = 0
    while together := list(islice(stories, TOGETHER)):
        texts = [
            [text.replace(NUMBER, f"{n:08}") for _, text in each] for n, each in enumerate(together, number)
        ]
        number += len(together)
        for step in range(max(map(len, texts))):
            yield from (each[step] for each in texts if step < len(each))


async def fill_ledger(dsn: str, stories: Iterator[Story]) -> int:
    """A ledger as if it had ingested these events, with tables for views; the number of events."""
    await Ledger(dsn, {}).provision()
    seq, chain = 0, GENESIS
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        columns = "seq, source, epoch, pos, hash, chain, site, recorded_at, body"
        async with (
            conn.cursor() as cursor,
            cursor.copy(f"COPY ledger ({columns}) FROM STDIN".encode()) as copy,
        ):
            lines = []
            for seq, body in enumerate(bodies(stories), start=1):
                hash = event_hash(body.encode())
                chain = link(chain, seq, SOURCE, EPOCH, seq, hash)
                site = body[body.rindex('"site":"') + 8 :].partition('"')[0]
                lines.append(f"{seq}\t{SOURCE}\t{EPOCH}\t{seq}\t{hash}\t{chain}\t{site}\t{AT}\t{body}\n")
                if not seq % 1_000:
                    await copy.write("".join(lines))
                    lines = []
            await copy.write("".join(lines))
        await conn.execute("UPDATE ledger_head SET seq = %s, chain = %s", (seq, chain))
        await conn.execute(
            "INSERT INTO ledger_source (source, epoch, pos) VALUES (%s, %s, %s)", (SOURCE, EPOCH, seq)
        )
        await conn.execute("VACUUM ANALYZE ledger")
        await provision(conn)
    return seq


async def fill_store(store: EventStore, dsn: str, orders: int, told: Story) -> None:
    """A store in which so many work orders each went through the story."""
    await store.provision()
    insert = """
    INSERT INTO events (originator_id, originator_version, topic, state)
    SELECT 'work_order-w' || number, version, type, convert_to(replace(body, %(number)s, number), 'UTF8')
    FROM (SELECT lpad(n::text, 8, '0') AS number FROM generate_series(0, %(orders)s - 1) n) AS work_order,
        unnest(%(types)s::text[], %(bodies)s::text[]) WITH ORDINALITY AS step (type, body, version)
    ORDER BY number, version
    """
    types, texts = zip(*told, strict=True)
    given = {"number": NUMBER, "orders": orders, "types": list(types), "bodies": list(texts)}
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(insert, given)
        await conn.execute("VACUUM ANALYZE events")

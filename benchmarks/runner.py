"""The same rebuild with pyeventsourcing's own ProjectionRunner, as its documentation does it."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

PER_ORDER = 10


class Order(Aggregate):
    @event("Opened")
    def __init__(self, kind: str) -> None:
        self.kind = kind

    @event("Started")
    def start(self, kind: str) -> None:
        self.kind = kind


class Orders(Application[UUID]):
    pass


class Cards(PostgresTrackingRecorder):
    def __init__(self, datastore: PostgresDatastore, **given: Any) -> None:
        super().__init__(datastore, **given)
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS card (id uuid PRIMARY KEY, events int, kind text)").format()
        )

    def heard(self, id: UUID, kind: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO card VALUES (%s, 1, %s) ON CONFLICT (id)"
                " DO UPDATE SET events = card.events + 1, kind = excluded.kind",
                (id, kind),
            )


class Board(Projection[Cards]):
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.heard(domain_event.originator_id, domain_event.kind, tracking)


def fill(env: Mapping[str, str], many: int) -> None:
    orders = Orders(env=dict(env))
    for _ in range(many // PER_ORDER):
        order = Order("simple")
        for _ in range(PER_ORDER - 1):
            order.start("simple")
        orders.save(order)
    orders.close()


def rebuilt_per_second(env: Mapping[str, str], many: int) -> float:
    """From the first event to the last; what is shown is made anew."""
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Orders, projection_class=Board, view_class=Cards, env=dict(env)
    ) as runner:
        runner.wait(many, timeout=300)
        taken = time.perf_counter() - began
        with runner.view.datastore.transaction(commit=True) as cursor:
            cursor.execute(SQL("DROP TABLE card, {}").format(SQL(runner.view.tracking_table_name)))
    return many / taken

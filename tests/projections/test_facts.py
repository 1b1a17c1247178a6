"""Two ways to read a stored event, a fast one and a careful one: whatever is stored, they agree."""

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventlog.recorded import canonical, decode, encode
from events import event_classes
from events.upcasters import UPCASTERS
from projections.facts import UNREADABLE, Fact, Reader, fact
from tests.events.samples import SAMPLES, envelope
from tests.projections.story import DAY

EVERY = Reader(event_classes().values(), "work_order_id")
BODIES = sorted({*SAMPLES.values(), *map(encode, DAY)})
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**63, 10**30, 1.0, 1.5, "", "x", "1", [], {}, [1], {"a": 1}, ["a", 1]),
    *("2026-02-30T00:00:00.000000+00:00", "2026-03-02T08:00:00.123456789+08:00", "2026-03-02T00:00:00Z"),
    *("2026-03-02", "2026-03-02T00:00:00", 1_700_000_000, "2026-W10-1T00:00:00.000000+00:00"),
    *("2026-03-02 00:00:00.000000+00:00", "２０２６-03-02T00:00:00.000000+00:00", "\ud83d\ude97", "\\", "\n"),
    *("reception.vehicle_received.v1", "reception.vehicle_washed.v1", "workshop.repair_added.v1"),
)
"""Values that stand where others should."""


def carefully(body: bytes) -> Fact | None:
    try:
        return fact(decode(body))
    except UNREADABLE:
        return None


def same(body: bytes) -> bool:
    return (EVERY.read(body), list(EVERY.read_all([body]))) == (carefully(body), [carefully(body)])


@pytest.mark.parametrize("type", sorted({*event_classes(), *UPCASTERS}))
def test_both_agree_about_a_stored_event_of_every_type_and_version(type: str) -> None:
    body = SAMPLES[type]
    assert same(body)
    newer = envelope(type) | {"weather": "rain"}
    newer["data"] |= {"colour": "red"}
    assert EVERY.read(canonical(newer)) == EVERY.read(body) != None  # noqa: E711


CAREFULLY = {
    *("customer_care.rulebook_published.v1", "customer_care.calendar_published.v1"),
    *(
        "reception.appointment_confirmed.v1",
        "reception.appointment_day_opened.v1",
        "reception.appointment_requested.v1",
    ),
    *("reception.bay_reserved.v1", "reception.credit_released.v1", "reception.next_service_set.v1"),
    *("reception.price_list_published.v1", "reception.quote_issued.v1"),
    *("reception.reception_rules_published.v1", "reception.settlement_prepared.v1"),
    *("reception.walk_around_recorded.v1", "reception.work_order_signed.v1", "workshop.parts_picked.v1"),
    *("workshop.repair_revised.v1", "workshop.rework_cost_split.v1", "workshop.technician_licensed.v1"),
    *("workshop.work_authorised.v1", "workshop.workshop_rules_published.v1"),
}
"""Data within their data, dates and amounts have rules of their own, which the event class checks."""


@pytest.mark.parametrize("type", sorted(event_classes().keys() - CAREFULLY))
def test_todays_events_are_read_the_fast_way(type: str) -> None:
    """Otherwise all of the above would compare the careful way with itself."""
    assert isinstance(EVERY._facts.decode(SAMPLES[type]), Fact)


def places(part: Any) -> list[tuple[Any, ...]]:
    """The way to every value inside."""
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [way for name, value in inside for way in ((name,), *((name, *rest) for rest in places(value)))]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stored event of which some values are others, or gone."""
    stored = deepcopy(json.loads(draw(st.sampled_from(BODIES))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(stored)))
        within = stored
        for step in way:
            within = within[step]
        if draw(st.booleans()):
            within[last] = deepcopy(draw(st.sampled_from(ODD)))
        else:
            del within[last]
        if not stored:
            break
    return json.dumps(stored, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@settings(max_examples=1_500, deadline=None)
@given(damaged())
@example(b"")
@example(b"\n")
@example(b"{}\n{}")
@example(b"null")
@example(b"[]")
@example(b'{"type": 1}')
@example(b'{"type": "reception.vehicle_received.v1", "data": 3}')
@example(b"[" * 5_000)
def test_both_agree_about_damage(body: bytes) -> None:
    assert same(body)


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_the_document_of_an_event_is_known_without_reading_the_rest(body: bytes) -> None:
    found = EVERY.read(body)
    if isinstance(found, Fact):
        assert EVERY.keys([body]) == [getattr(found.data, "work_order_id", None)]


def test_a_looser_decoder_would_be_noticed() -> None:
    """The control: a decoder that takes any text for a time reads what the careful way does not."""
    odd = SAMPLES["workshop.repair_added.v1"].replace(b"+00:00", b"+00:00x")
    loose: Any = msgspec.defstruct("Loose", [("occurred_at", str)])
    assert msgspec.json.decode(odd, type=loose).occurred_at.endswith("x")
    assert (EVERY.read(odd), carefully(odd)) == (None, None)

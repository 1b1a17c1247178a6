"""What customer care does by itself. Every message may come twice."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Erased, Keyring, UnknownSubject
from eventlog.recorded import encode
from eventlog.store import EventStore
from events.customer_care import (
    ComplaintRaised,
    ComplaintTakenOver,
    DeadlineSet,
    SatisfactionCallMade,
    SubjectErased,
)
from services.customer_care.complaint import complaint_stream
from services.customer_care.policies import policies
from tests.customer_care.conftest import raise_complaint, tell
from tests.customer_care.test_complaint import T0, call_back, contact, resolve
from tests.recording import recorded

OBJECTS = "whenever_customer_objects_raise_again"
FORGET = "whenever_subject_erased_destroy_key"
VIN = "LSVAA4187E2184321"


async def test_a_forgotten_persons_key_is_destroyed(fresh_database: Callable[[str], Awaitable[str]]) -> None:
    address = await fresh_database("customer_care")
    async with AsyncConnectionPool(address, min_size=1) as pool:
        keyring = Keyring(pool, bytes(32))
        await keyring.provision()
        person = await keyring.subject_for({"phone": "13812345678"})
        phone = await keyring.seal(person, "customer_care.complaint_raised.phone", "13812345678")
        store = EventStore("customer_care", address)
        care = policies(store, keyring)

        for _ in range(2):
            await care.react(FORGET, encode(recorded(SubjectErased(customer=person), 1)))

        assert await keyring.unseal_many([phone]) == [None]
        with pytest.raises(Erased):
            await keyring.seal(person, "customer_care.complaint_raised.phone", "13812345678")


async def test_a_person_nobody_knows_is_an_error(fresh_database: Callable[[str], Awaitable[str]]) -> None:
    address = await fresh_database("customer_care")
    async with AsyncConnectionPool(address, min_size=1) as pool:
        keyring = Keyring(pool, bytes(32))
        await keyring.provision()
        store = EventStore("customer_care", address)
        care = policies(store, keyring)
        with pytest.raises(UnknownSubject):
            await care.react(FORGET, encode(recorded(SubjectErased(customer="c-1"), 1)))


async def test_who_objects_gets_a_new_form_linked_to_the_old_one(care: EventStore) -> None:
    """C-27. Delivered twice, raised once; whoever accepts gets none."""
    await raise_complaint(care, severity="grievance", further_severities=("major",), vin=VIN, at=T0)
    await tell(care, contact(1))
    await tell(care, resolve("apology", 2))
    await tell(care, call_back("objecting", 3))
    [cause] = [
        each
        for each in await care.stream(complaint_stream("C1"))
        if isinstance(each.event, SatisfactionCallMade)
    ]
    reacting = policies(care, Keyring(AsyncConnectionPool("", open=False), bytes(32)))
    for _ in range(2):
        await reacting.react(OBJECTS, encode(cause))
    begun = await care.streams_begun(
        ComplaintRaised, "sh01", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), 10
    )
    [again] = [stream for stream in begun if stream != complaint_stream("C1")]
    [raised, *deadlines] = await care.stream(again)
    assert isinstance(raised.event, ComplaintRaised)
    assert (raised.event.follows, raised.event.channel) == ("C1", "follow_up_call")
    assert (raised.event.visit_id, raised.event.vin) == ("V1", VIN)
    assert {raised.event.severity, *(raised.event.further_severities or ())} == {"grievance", "major"}
    assert raised.metadata.correlation_id == raised.event.complaint_id
    assert raised.metadata.causation_id == cause.id
    assert any(isinstance(each.event, DeadlineSet) for each in deadlines)


async def test_who_accepts_gets_no_new_form(care: EventStore) -> None:
    await raise_complaint(care, at=T0)
    accepted = SatisfactionCallMade(complaint_id="C1", outcome="accepted")
    reacting = policies(care, Keyring(AsyncConnectionPool("", open=False), bytes(32)))
    await reacting.react(OBJECTS, encode(recorded(accepted, 9)))
    stored = (await care.page(0, 100)).events
    assert len(stored) == 5  # the complaint and its four deadlines


async def test_a_complaint_from_another_system_is_not_raised_again_by_itself(care: EventStore) -> None:
    taken_over = ComplaintTakenOver(complaint_id="C1", origin="old DMS", meaning="open")
    await care.append(complaint_stream("C1"), 0, [taken_over], recorded(taken_over, 1).metadata)
    objecting = recorded(SatisfactionCallMade(complaint_id="C1", outcome="objecting"), 9)
    reacting = policies(care, Keyring(AsyncConnectionPool("", open=False), bytes(32)))
    await reacting.react(OBJECTS, encode(replace(objecting, stream=complaint_stream("C1"))))
    assert len((await care.page(0, 100)).events) == 1

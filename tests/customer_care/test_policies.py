"""What customer care does by itself. Every message may come twice."""

from collections.abc import Awaitable, Callable

import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Erased, Keyring, UnknownSubject
from eventlog.recorded import encode
from eventlog.store import EventStore
from events.customer_care import SubjectErased
from services.customer_care.policies import policies
from tests.recording import recorded

FORGET = "whenever_subject_erased_destroy_key"


async def test_a_forgotten_persons_key_is_destroyed(fresh_database: Callable[[str], Awaitable[str]]) -> None:
    address = await fresh_database("customer_care")
    async with AsyncConnectionPool(address, min_size=1) as pool:
        keyring = Keyring(pool, bytes(32))
        await keyring.provision()
        person = await keyring.subject_for({"phone": "13812345678"})
        phone = await keyring.seal(person, "customer_care.complaint_raised.phone", "13812345678")
        care = policies(EventStore("customer_care", address), keyring)

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
        care = policies(EventStore("customer_care", address), keyring)
        with pytest.raises(UnknownSubject):
            await care.react(FORGET, encode(recorded(SubjectErased(customer="c-1"), 1)))

"""Personal values: readable with their subject's key, and never without."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from psycopg import DatabaseError
from psycopg.errors import DiskFull
from psycopg_pool import AsyncConnectionPool

from access.keyring import (
    KEYS_REMEMBERED,
    Erased,
    Keyring,
    Tampered,
    UnknownSubject,
    WrongMasterKey,
    load_master_key,
)
from access.roles import Role
from access.tokens import Principal
from events.event import Sealed

MASTER = bytes(range(32))
PHONE = "13812345678"
NAME = "reception.vehicle_received.name"
PLATE = "reception.vehicle_received.plate"
AGENT = Principal("zhao.min", Role.CARE_AGENT, frozenset({"sh01"}), 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pool(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(await fresh_database("keys"), min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
async def keyring(pool: AsyncConnectionPool, clock: Clock) -> Keyring:
    keyring = Keyring(pool, MASTER, clock)
    await keyring.provision()
    return keyring


@pytest.fixture
async def customer(keyring: Keyring) -> str:
    return await keyring.subject_for({"phone": PHONE})


async def everything_in(pool: AsyncConnectionPool, table: str) -> str:
    async with pool.connection() as connection:
        return str(await (await connection.execute(f"SELECT * FROM keys.{table}")).fetchall())


async def test_what_was_sealed_can_be_read(keyring: Keyring, customer: str) -> None:
    sealed = await keyring.seal_many(customer, {NAME: "王丽", PLATE: "沪A12345"})
    assert await keyring.unseal_many([sealed[PLATE], sealed[NAME], sealed[PLATE]]) == [
        "沪A12345",
        "王丽",
        "沪A12345",
    ]
    assert sealed[NAME].context == NAME
    assert "王丽".encode() not in base64.b64decode(sealed[NAME].box)


async def test_the_same_value_never_looks_the_same(keyring: Keyring, customer: str) -> None:
    once, again = [await keyring.seal(customer, NAME, "王丽") for _ in range(2)]
    assert once.box != again.box


async def test_nothing_to_unseal_is_no_work(keyring: Keyring) -> None:
    assert await keyring.unseal_many([]) == []


def flipped(sealed: Sealed) -> Sealed:
    box = bytearray(base64.b64decode(sealed.box))
    box[-1] ^= 1
    return sealed.model_copy(update={"box": base64.b64encode(box).decode()})


@pytest.mark.parametrize(
    "change",
    [
        flipped,
        lambda sealed: sealed.model_copy(update={"context": PLATE}),
        lambda sealed: sealed.model_copy(update={"box": "not base64!"}),
        lambda sealed: sealed.model_copy(update={"box": ""}),
    ],
)
async def test_a_changed_or_misplaced_value_is_noticed(
    keyring: Keyring, customer: str, change: Callable[[Sealed], Sealed]
) -> None:
    sealed = await keyring.seal(customer, NAME, "王丽")
    with pytest.raises(Tampered, match=customer):
        await keyring.unseal_many([change(sealed)])


async def test_a_picture_is_sealed_like_a_value(keyring: Keyring, customer: str) -> None:
    """In its place and for its subject, and never looking the same."""
    box, again = [await keyring.seal_bytes(customer, NAME, b"\x00\xff") for _ in range(2)]
    assert box != again
    assert await keyring.unseal_bytes(customer, NAME, box) == b"\x00\xff"
    other = await keyring.subject_for({"phone": "13900000000"})
    for subject, context, wrong in ((customer, PLATE, box), (other, NAME, box), (customer, NAME, b"short")):
        with pytest.raises(Tampered):
            await keyring.unseal_bytes(subject, context, wrong)
    with pytest.raises(UnknownSubject):
        await keyring.unseal_bytes("c-nobody", NAME, box)


async def test_a_picture_is_gone_when_its_subject_is(keyring: Keyring, customer: str) -> None:
    box = await keyring.seal_bytes(customer, NAME, b"picture")
    await keyring.erase(customer)
    assert await keyring.unseal_bytes(customer, NAME, box) is None
    with pytest.raises(Erased):
        await keyring.seal_bytes(customer, NAME, b"another")


async def test_a_value_cannot_pose_as_somebody_elses(keyring: Keyring, customer: str) -> None:
    sealed = await keyring.seal(customer, NAME, "王丽")
    other = await keyring.subject_for({"phone": "13900000000"})
    with pytest.raises(Tampered):
        await keyring.unseal_many([sealed.model_copy(update={"subject": other})])


async def test_a_key_moved_to_another_subject_does_not_open(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    other = await keyring.subject_for({})
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE keys.subject_key SET wrapped_key = "
            "(SELECT wrapped_key FROM keys.subject_key WHERE subject = %s) WHERE subject = %s",
            (customer, other),
        )
    with pytest.raises(Tampered):
        await keyring.seal(other, NAME, "王丽")


async def test_a_subject_is_recognised_however_the_phone_was_typed(keyring: Keyring, customer: str) -> None:
    assert await keyring.subject_for({"phone": "+86 138-1234-5678"}) == customer
    assert await keyring.find("phone", "0086 138 1234 5678") == customer
    assert await keyring.find("phone", "13900000000") is None
    assert await keyring.find("phone", "-") is None


async def test_the_first_known_identifier_decides_and_the_others_are_learned(
    keyring: Keyring, customer: str
) -> None:
    assert await keyring.subject_for({"plate": "沪A12345", "phone": PHONE}) == customer
    assert await keyring.find("plate", "沪A·12345") == customer
    other = await keyring.subject_for({"phone": "13900000000"})
    assert await keyring.subject_for({"phone": "13900000000", "plate": "沪A12345"}) == other
    assert await keyring.find("plate", "沪A12345") == customer


async def test_people_without_a_phone_are_not_one_person(keyring: Keyring) -> None:
    assert await keyring.subject_for({"phone": "-"}) != await keyring.subject_for({"phone": "-"})


async def test_concurrent_calls_agree_on_one_subject(keyring: Keyring, pool: AsyncConnectionPool) -> None:
    other_process = Keyring(pool, MASTER)
    subjects = await asyncio.gather(
        *(
            each.subject_for(identifiers)
            for _ in range(10)
            for each in (keyring, other_process)
            for identifiers in ({"phone": PHONE, "plate": "沪A12345"}, {"plate": "沪A12345", "phone": PHONE})
        )
    )
    assert len(set(subjects)) == 1


async def test_a_value_is_sealed_for_whom_it_belongs_to(keyring: Keyring, customer: str) -> None:
    known, new = await asyncio.gather(
        keyring.seal_for({"phone": PHONE}, {NAME: "王丽"}),
        keyring.seal_for({"phone": "13900000000"}, {NAME: "赵敏"}),
    )
    assert known[0] == customer
    assert new[0] == await keyring.find("phone", "13900000000")
    assert await keyring.unseal_many([known[1][NAME], new[1][NAME]]) == ["王丽", "赵敏"]
    assert {known[1][NAME].subject, new[1][NAME].subject} == {customer, new[0]}


async def test_nothing_is_sealed_under_a_key_that_was_destroyed(keyring: Keyring, customer: str) -> None:
    """Neither by this process nor by another that has sealed for this person before."""
    await keyring.seal_for({"phone": PHONE}, {NAME: "王丽"})
    await Keyring(keyring._pool, MASTER).erase(customer)
    subject, sealed = await keyring.seal_for({"phone": PHONE}, {NAME: "王丽"})
    assert subject != customer
    assert await keyring.unseal_many([sealed[NAME]]) == ["王丽"]


async def test_many_new_people_at_once_are_as_many_subjects(
    keyring: Keyring, pool: AsyncConnectionPool
) -> None:
    phones = [f"139{n % 150:08}" for n in range(300)]
    other_process = Keyring(pool, MASTER)
    found = await asyncio.gather(
        *(
            each.seal_for({"phone": phone}, {NAME: phone})
            for phone in phones
            for each in (keyring, other_process)
        )
    )
    assert len({subject for subject, _ in found}) == 150
    assert await keyring.unseal_many([sealed[NAME] for _, sealed in found]) == [
        phone for phone in phones for _ in range(2)
    ]
    async with pool.connection() as connection:
        kept = await (await connection.execute("SELECT count(*) FROM keys.subject_key")).fetchone()
    assert kept == (150,)


async def test_a_full_disk_adds_nobody(keyring: Keyring, pool: AsyncConnectionPool) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "CREATE FUNCTION keys.full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;"
            "CREATE TRIGGER full_disk BEFORE INSERT ON keys.subject_key EXECUTE FUNCTION keys.full_disk()"
        )
    with pytest.raises(DiskFull):
        await keyring.seal_for({"phone": PHONE}, {NAME: "王丽"})
    async with pool.connection() as connection:
        await connection.execute("DROP TRIGGER full_disk ON keys.subject_key")
    assert await keyring.find("phone", PHONE) is None
    assert (await keyring.seal_for({"phone": PHONE}, {}))[0] == await keyring.find("phone", PHONE)


async def test_the_database_alone_does_not_give_a_phone_away(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    async with pool.connection() as connection:
        (digest,) = await (await connection.execute("SELECT digest FROM keys.blind_index")).fetchone() or (
            b"",
        )
    guesses = [PHONE, f"phone|{PHONE}", f"phone{PHONE}", f"phone:{PHONE}"]
    assert digest not in [hashlib.sha256(guess.encode()).digest() for guess in guesses]
    assert Keyring(pool, os.urandom(32))._digest("phone", PHONE) != digest
    assert keyring._digest("phone", PHONE) == digest


async def test_the_same_value_of_another_kind_is_another_entry(keyring: Keyring, customer: str) -> None:
    assert await keyring.find("name", PHONE) is None


async def test_after_an_erasure_nothing_can_be_read_or_sealed(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    other = await keyring.subject_for({"phone": "13900000000"})
    sealed = [await keyring.seal(customer, NAME, "王丽"), await keyring.seal(other, NAME, "赵敏")]
    assert await keyring.unseal_many(sealed) == ["王丽", "赵敏"]
    await keyring.erase(customer)
    assert await keyring.unseal_many(sealed) == [None, "赵敏"]
    with pytest.raises(Erased):
        await keyring.seal(customer, NAME, "王丽")
    assert await keyring.find("phone", PHONE) is None
    async with pool.connection() as connection:
        row = await (
            await connection.execute(
                "SELECT wrapped_key, destroyed_at IS NOT NULL FROM keys.subject_key WHERE subject = %s",
                (customer,),
            )
        ).fetchone()
    assert row == (None, True)


async def test_erasing_again_changes_nothing(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    await keyring.erase(customer)
    before = await everything_in(pool, "subject_key")
    await keyring.erase(customer)
    assert await everything_in(pool, "subject_key") == before


async def test_a_customer_who_returns_after_an_erasure_is_a_new_subject(
    keyring: Keyring, customer: str
) -> None:
    await keyring.erase(customer)
    returned = await keyring.subject_for({"phone": PHONE})
    assert returned != customer
    assert await keyring.unseal_many([await keyring.seal(returned, NAME, "王丽")]) == ["王丽"]


async def test_an_index_row_left_by_an_erasure_between_is_taken_over(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    await keyring.erase(customer)
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO keys.blind_index VALUES ('phone', %s, %s)",
            (keyring._digest("phone", PHONE), customer),
        )
    returned = await keyring.subject_for({"phone": PHONE})
    assert returned != customer
    assert await keyring.find("phone", PHONE) == returned


async def test_another_process_stops_reading_within_ten_seconds(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    there = Clock()
    other_process = Keyring(pool, MASTER, there)
    sealed = [await keyring.seal(customer, NAME, "王丽")]
    assert await other_process.unseal_many(sealed) == ["王丽"]
    await keyring.erase(customer)
    with pytest.raises(Erased):
        await other_process.seal(customer, NAME, "王丽")
    there.now += KEYS_REMEMBERED
    assert await other_process.unseal_many(sealed) == [None]


async def test_a_key_that_never_was_is_not_called_erased(keyring: Keyring) -> None:
    with pytest.raises(UnknownSubject):
        await keyring.unseal_many([Sealed(subject="c-unknown", context=NAME, box="")])
    with pytest.raises(UnknownSubject):
        await keyring.erase("c-unknown")


async def test_a_reveal_is_recorded_and_stays(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    await keyring.record_reveal(AGENT, customer, ["name", "phone"], "follow-up call", "visit-7")
    await keyring.erase(customer)
    (reveal,) = await keyring.reveals(customer)
    assert (reveal.actor, reveal.role, reveal.fields) == ("zhao.min", "care_agent", ["name", "phone"])
    assert (reveal.reason, reveal.about) == ("follow-up call", "visit-7")
    for change in ("DELETE FROM keys.reveal", "UPDATE keys.reveal SET actor = 'x'", "TRUNCATE keys.reveal"):
        with pytest.raises(DatabaseError, match="stays recorded"):
            async with pool.connection() as connection:
                await connection.execute(change)


async def test_a_fingerprint_tells_bodies_apart_and_needs_the_key(
    keyring: Keyring, pool: AsyncConnectionPool
) -> None:
    body = PHONE.encode()
    assert keyring.fingerprint(body) == keyring.fingerprint(body) != keyring.fingerprint(b"another body")
    assert keyring.fingerprint(body) != hashlib.sha256(body).hexdigest()
    assert keyring.fingerprint(body) != Keyring(pool, os.urandom(32)).fingerprint(body)


async def test_provisioning_again_and_at_once_keeps_what_is_there(
    keyring: Keyring, pool: AsyncConnectionPool, customer: str
) -> None:
    await asyncio.gather(*(Keyring(pool, MASTER).provision() for _ in range(4)))
    assert await keyring.find("phone", PHONE) == customer


async def test_a_second_master_key_does_not_get_in(keyring: Keyring, pool: AsyncConnectionPool) -> None:
    with pytest.raises(WrongMasterKey):
        await Keyring(pool, os.urandom(32)).provision()


def test_the_master_key_is_made_once_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAYLEDGER_MASTER_KEY", raising=False)
    path = tmp_path / "keys" / "master.key"
    made = load_master_key(path)
    assert len(made) == 32
    assert load_master_key(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["master.key"]


def test_the_environment_names_the_master_key_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYLEDGER_MASTER_KEY", base64.b64encode(MASTER).decode())
    assert load_master_key(tmp_path / "absent") == MASTER
    assert not (tmp_path / "absent").exists()
    monkeypatch.setenv("BAYLEDGER_MASTER_KEY", base64.b64encode(b"short").decode())
    with pytest.raises(ValueError, match="32 bytes"):
        load_master_key(tmp_path / "absent")


async def test_a_plate_is_of_whoever_came_with_it_last(keyring: Keyring) -> None:
    seller, buyer = [await keyring.subject_for({"phone": f"1380013800{n}"}) for n in (1, 2)]
    for owner in (seller, buyer, buyer):
        await keyring.give("plate", "沪A·12345", owner)
        assert await keyring.find("plate", "沪a12345") == owner


async def test_nothing_is_given_to_who_was_erased_or_by_what_says_nothing(keyring: Keyring) -> None:
    erased, other = [await keyring.subject_for({"phone": f"1380013800{n}"}) for n in (1, 2)]
    await keyring.give("plate", "沪A12345", other)
    await keyring.erase(erased)
    await keyring.give("plate", "沪A12345", erased)
    await keyring.give("plate", "-", other)
    assert await keyring.find("plate", "沪A12345") == other
    assert await keyring.find("plate", "-") is None

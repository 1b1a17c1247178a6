"""A Bayledger in small is killed at chosen points, its bus loses, repeats and shuffles: nothing is damaged.
Without the protection against it, the same check finds the damage."""

import asyncio
import multiprocessing
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import MaxPayloadError
from nats.js.errors import NotFoundError

from eventlog.bus import STREAM, connect, to_message
from eventlog.bus import subject as subject_of
from eventlog.ledger import Ledger
from eventlog.relay import publish
from eventlog.store import EventStore
from events.workshop import RepairAdded, WorkDispatched
from ops.nats import Nats
from tests.eventlog.conftest import Database, arrivals, chain, eventually
from tests.eventlog.conftest import empty_database as empty_database
from tests.faults import small
from tests.faults.cluster import findings, rows_of
from tests.faults.small import (
    COMPARISON,
    DESK,
    FILLED_AGAIN,
    MESSAGE_IDS,
    ORDER,
    POINTS,
    PROTECTIONS,
    SAME_COMMAND,
    SAME_KEY,
    SAME_STREAM,
    Answer,
    Places,
)

pytestmark = pytest.mark.faults

LINES = 15
"""Repairs before the fault, and as many after it."""

OTHER = 0
"""What the desk does besides."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.small"])


@dataclass(slots=True)
class Small:
    """The process, the servers it needs, and the people who send commands to it."""

    places: Places
    nats: Nats
    workshop: EventStore
    reception: EventStore
    ledger: Ledger
    without: tuple[str, ...]
    sent: int = 0
    deaths: int = 0
    """Those that people noticed."""
    answers: list[Answer] = field(default_factory=list)
    _running: list[tuple[BaseProcess, Connection]] = field(default_factory=list)

    def start(self, dies: str | None = None) -> None:
        ours, theirs = PROCESSES.Pipe()
        process = PROCESSES.Process(
            target=small.serve, args=(self.places, theirs, dies, self.without), daemon=True
        )
        process.start()
        theirs.close()
        self._running.append((process, ours))

    def turn(self) -> None:
        """People send their commands to the other process."""
        self._running.reverse()

    def kill(self) -> None:
        for process, line in self._running:
            process.kill()
            process.join()
            line.close()
        self._running.clear()

    async def add(self, count: int, within: float = 20) -> None:
        """That many more repairs. Who gets no answer starts the process again and sends the same again."""
        for _ in range(count):
            self.sent += 1
            key = f"add-{self.sent}"
            while not (answer := await asyncio.to_thread(self._ask, key, within)):
                self.kill()
                self.start()
                self.deaths += 1
                if SAME_KEY in self.without:
                    key = str(uuid.uuid4())
            self.answers.append(answer)

    def _ask(self, key: str, within: float) -> Answer | None:
        line = self._running[0][1]
        try:
            line.send((self.sent, key))
            if line.poll(within):
                answer: Answer = line.recv()
                return answer
        except (OSError, EOFError):
            pass
        return None

    @property
    def dead(self) -> bool:
        return bool(self.deaths) or not self._running[0][0].is_alive()

    async def told(self) -> list[int]:
        """The repairs that the desk gave to a team, in its order."""
        teams = [r.event for r in await self.reception.stream(DESK)]
        lines = [int(each.team.split()[1]) for each in teams if isinstance(each, WorkDispatched)]
        return [line for line in lines if line != OTHER]

    async def damage(self) -> set[str]:
        """The kinds of what is wrong when the last repair has come through, or nothing comes through."""
        await eventually(self._settled)
        told, wanted = await self.told(), list(range(1, self.sent + 1))
        lines = [r.event.line for r in await self.workshop.stream(ORDER) if isinstance(r.event, RepairAdded)]
        held = [(s.source, a.event.pos) for s in (self.workshop, self.reception) for a in await arrivals(s)]
        answers = [
            {
                "position": f"workshop:{answer.position}",
                "events": [{"type": RepairAdded.type, "version": answer.version}],
            }
            for answer in self.answers
        ]
        found = findings(await rows_of(self.places.ledger), held, answers)
        kinds = {kind for kind in ("lost", "doubled", "disordered") if getattr(found, kind)}
        assert (await chain(self.ledger)).bad is None
        for came in (told, lines):
            kinds |= {"lost"} if set(wanted) - set(came) else set()
            kinds |= {"doubled"} if len(came) > len(set(came)) else set()
            kinds |= {"disordered"} if (once := list(dict.fromkeys(came))) != sorted(once) else set()
        return kinds

    async def _settled(self) -> bool:
        bus = await connect(self.places.nats, "settled")
        try:
            js = bus.jetstream()
            policy = await js.consumer_info(STREAM, f"desk-{small.POLICY}")
            assert policy.delivered
            stuck = (policy.delivered.consumer_seq or 0) >= (policy.delivered.stream_seq or 0) + 5
            if stuck and policy.num_redelivered:
                return True
            ledger = await js.consumer_info(STREAM, "ledger")
            waiting = [policy.num_pending, policy.num_ack_pending, ledger.num_pending, ledger.num_ack_pending]
        finally:
            await bus.close()
        if any(waiting) or self.sent not in await self.told():
            return False
        for store in (self.workshop, self.reception):
            head = (await store.page(2**62, 1)).head
            if await store.relayed() < head:
                return False
        if COMPARISON in self.without:
            return True
        held = len(await arrivals(self.workshop)) + len(await arrivals(self.reception))
        return len(await rows_of(self.places.ledger)) >= held


Fault = Callable[[Small], Awaitable[None]]


def dying(point: str) -> Fault:
    async def fault(system: Small) -> None:
        system.start(dies=point)
        while not system.dead:
            await system.add(1)
        system.kill()
        system.start()
        await system.add(LINES)

    return fault


@asynccontextmanager
async def at_work(system: Small) -> AsyncIterator[Client]:
    """People work before and after what is done to the bus, over the connection of a stranger."""
    system.start()
    await system.add(LINES)

    async def heard() -> bool:
        return system.sent in await system.told()

    await eventually(heard)
    bus = await connect(system.places.nats, "stranger")
    try:
        yield bus
    finally:
        await bus.close()
    await system.add(LINES)


async def the_bus_is_killed(system: Small) -> None:
    async with at_work(system):
        await _while_nobody_reads(system, system.nats.kill)
        system.nats.start()
        system.start()


async def the_bus_loses_everything(system: Small) -> None:
    async with at_work(system):
        await _while_nobody_reads(system, system.nats.wipe)
        system.nats.start()
        system.start()


async def the_stream_is_deleted(system: Small) -> None:
    async with at_work(system) as bus:

        async def delete() -> None:
            await bus.jetstream().delete_stream(STREAM)

        await _while_nobody_reads(system, delete)
        system.start()


async def _while_nobody_reads(system: Small, lose: Callable[[], Any]) -> None:
    """The bus has acknowledged what policies and ledger have not had yet, and loses it."""
    await _published_unread(system)
    if asyncio.iscoroutine(losing := lose()):
        await losing


async def _published_unread(system: Small) -> None:
    """More repairs are recorded and on the bus, the process is dead, nobody has read them."""
    system.kill()
    before = (await system.workshop.page(2**62, 1)).head
    for _ in range(LINES):
        system.sent += 1
        handled = await system.workshop.handle(
            small.ADD, ORDER, system.sent, small.by(f"add-{system.sent}"), new=True
        )
        system.answers.append(Answer(ORDER, handled.version, handled.position))
    bus = await connect(system.places.nats, "relay")
    await publish(bus, await arrivals(system.workshop, after=before))
    carrier = str((await bus.jetstream().stream_info(STREAM)).created)
    for each in (carrier, SAME_STREAM):
        await system.workshop.set_relayed(each, (await system.workshop.page(2**62, 1)).head)
    await bus.close()


async def copies_come_after_the_window(system: Small) -> None:
    async with at_work(system) as bus:
        copies = [a for store in (system.workshop, system.reception) for a in await arrivals(store)]
        random.Random(1).shuffle(copies)
        for copy in copies:
            subject, headers, body = to_message(copy)
            # Another id is what the server sees after its window of two minutes.
            await bus.jetstream().publish(
                subject, body, headers={**headers, "Nats-Msg-Id": str(uuid.uuid4())}
            )


async def messages_vanish(system: Small) -> None:
    """Of those that only the ledger reads; its process is dead while they are on the stream."""
    async with at_work(system) as bus:
        js = bus.jetstream()
        system.kill()
        for n in range(LINES):
            await system.reception.handle(small.GIVE, DESK, f"line {OTHER}", small.by(f"more-{n}"))
        unread = (await arrivals(system.reception))[-LINES:]
        first = (await js.stream_info(STREAM)).state.last_seq + 1
        await publish(bus, unread)
        for place in range(first + 3, first + 6):
            await js.delete_msg(STREAM, place)
        system.start()


async def poison_comes(system: Small) -> None:
    async with at_work(system) as bus:
        js, subject = bus.jetstream(), subject_of(RepairAdded.type, "sh01")
        good = (await arrivals(system.workshop))[0].event.body
        unknown, newer = good.replace(b"_added.v1", b"_sung.v1"), good.replace(b"_added.v1", b"_added.v9")
        broken = good.replace(b'"line":1', b'"line":"first"')
        assert len({good, unknown, newer, broken}) == 4
        for poison in (b"no json", b"\xff", unknown, newer, broken):
            await js.publish(subject, poison)
        with pytest.raises(MaxPayloadError):  # a megabyte is what the bus takes at most
            await js.publish(subject, b"x" * (2**20 + 1))


async def two_run_at_once(system: Small) -> None:
    system.start()
    system.start()
    for _ in range(2):
        await system.add(LINES)
        system.turn()


FAULTS: dict[str, Fault] = {
    **{f"killed {point}": dying(point) for point in POINTS},
    "kill -9 of NATS": the_bus_is_killed,
    "the store of NATS lost": the_bus_loses_everything,
    "the stream deleted": the_stream_is_deleted,
    "copies after the window, shuffled": copies_come_after_the_window,
    "messages vanish from the stream": messages_vanish,
    "poison": poison_comes,
    "two of everything at once": two_run_at_once,
}


@pytest.fixture(scope="module")
def bus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def small_one(bus_server: Nats, empty_database: Database) -> AsyncIterator[Callable[..., Small]]:
    """Call it with the protections to go without."""
    names = ("workshop", "reception", "ledger")
    dsns = {name: await empty_database(name) for name in names}
    places = Places(**dsns, nats=bus_server.url)
    workshop, reception = EventStore("workshop", dsns["workshop"]), EventStore("reception", dsns["reception"])
    ledger = Ledger(dsns["ledger"], {})
    for part in (workshop, reception, ledger):
        await part.provision()
    bus = await connect(bus_server.url, "test")
    with suppress(NotFoundError):
        await bus.jetstream().delete_stream(STREAM)
    await bus.close()
    made: list[Small] = []

    def make(*without: str) -> Small:
        made.append(Small(places, bus_server, workshop, reception, ledger, without))
        return made[-1]

    async with workshop.running(), reception.running(), ledger.running():
        try:
            yield make
        finally:
            for system in made:
                system.kill()


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_damaged(small_one: Callable[..., Small], fault: str) -> None:
    """Injected: into all parts of the log in one process, each of the faults in the table below. Expected:
    the same as in the whole system."""
    system = small_one()
    await FAULTS[fault](system)
    assert await system.damage() == set()


# The control: without the protection the same check finds the damage

CONTROLS = [
    ("killed between commit and answer", [SAME_KEY], "doubled"),
    ("killed between commit and publish", ["a cursor that moves after the acknowledgement"], "lost"),
    ("killed between publish and cursor", [MESSAGE_IDS, SAME_COMMAND], "doubled"),
    ("killed between apply and acknowledgement in the ledger", [COMPARISON], "disordered"),
    (
        "killed between message and command in a policy",
        ["acknowledging a message after its command"],
        "lost",
    ),
    ("killed between command and acknowledgement in a policy", [SAME_COMMAND], "doubled"),
    ("kill -9 of NATS", ["a stream on disk", FILLED_AGAIN], "lost"),
    ("the store of NATS lost", [FILLED_AGAIN], "lost"),
    ("the stream deleted", [FILLED_AGAIN], "lost"),
    ("copies after the window, shuffled", [SAME_COMMAND], "doubled"),
    ("copies after the window, shuffled", [COMPARISON], "disordered"),
    ("messages vanish from the stream", [COMPARISON], "lost"),
    ("poison", ["parking"], "lost"),
    ("two of everything at once", [MESSAGE_IDS, SAME_COMMAND], "doubled"),
]


def test_every_fault_has_a_control() -> None:
    assert {fault for fault, _, _ in CONTROLS} == set(FAULTS)
    assert {each for _, without, _ in CONTROLS for each in without} == set(PROTECTIONS)


@pytest.mark.parametrize(("fault", "without", "kind"), CONTROLS)
async def test_without_its_protection_a_fault_does_damage(
    small_one: Callable[..., Small], fault: str, without: list[str], kind: str
) -> None:
    system = small_one(*without)
    await FAULTS[fault](system)
    assert kind in await system.damage()

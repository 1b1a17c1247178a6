"""The bus is set up in one place, and brought back to what is wanted whatever was there."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, StreamConfig
from nats.js.errors import NotFoundError

from eventlog.bus import STREAM, connect, ledger_consumer, policy_consumer, provision, subject, to_wire
from events.workshop import RepairAdded
from ops.nats import Nats
from ops.processes import usable_port

CONSUMERS = [ledger_consumer(), policy_consumer("reception-whenever_repair_added", RepairAdded)]


async def test_what_is_missing_is_created_once(bus: Client, js: JetStreamContext) -> None:
    await js.delete_stream(STREAM)
    created = await provision(js, CONSUMERS)
    assert created == [
        f"stream {STREAM} created",
        *(f"consumer {consumer.durable_name} created" for consumer in CONSUMERS),
    ]
    assert await provision(js, CONSUMERS) == []


async def test_a_stream_can_be_made_again_while_the_server_still_clears_the_old_one_away(
    nats_server: Nats, bus: Client, js: JetStreamContext
) -> None:
    """Given two that make it at once, of which one deletes it again and again, none of them fails."""
    deleted_often = asyncio.Event()

    async def provision_again_and_again() -> None:
        other = await connect(nats_server.url, "other")
        while not deleted_often.is_set():
            await provision(other.jetstream(), CONSUMERS)
        await other.close()

    async with asyncio.TaskGroup() as both:
        both.create_task(provision_again_and_again())
        for _ in range(300):
            with suppress(NotFoundError):
                await js.delete_stream(STREAM)
            await provision(js, ())
        deleted_often.set()


@pytest.mark.parametrize(
    "other",
    [
        {"max_age": 600.0},
        {"max_msgs": 10},
        {"max_bytes": 1_000_000},
        {"max_msg_size": 2_000},
        {"max_msgs_per_subject": 1},
        {"discard": DiscardPolicy.NEW},
        {"subjects": ["aftersales.sh01.>"]},
        {"duplicate_window": 1.0},
        {"allow_atomic": False},
        {"allow_direct": False},
    ],
    ids=str,
)
async def test_a_stream_with_other_limits_is_changed_and_keeps_its_messages(
    js: JetStreamContext, bus: Client, other: dict[str, object]
) -> None:
    wanted = (await js.stream_info(STREAM)).config
    await js.publish(subject(RepairAdded.type, "sh01"), b"{}")
    await js.update_stream(replace(wanted, **other))  # type: ignore[arg-type]
    assert await provision(js, ()) == [f"stream {STREAM} updated"]
    assert (await js.stream_info(STREAM)).config == wanted
    assert (await js.stream_info(STREAM)).state.messages == 1
    assert await provision(js, ()) == []


async def test_another_setting_of_the_operator_stays(js: JetStreamContext, bus: Client) -> None:
    wanted = (await js.stream_info(STREAM)).config
    await js.update_stream(replace(wanted, metadata={"rack": "3"}))
    assert await provision(js, ()) == []


async def test_a_durable_consumer_with_another_configuration_is_changed(
    js: JetStreamContext, bus: Client
) -> None:
    for consumer in CONSUMERS:
        different: ConsumerConfig = replace(consumer, ack_wait=1, max_deliver=3)
        await js.add_consumer(STREAM, config=different)
    assert await provision(js, CONSUMERS) == [
        f"consumer {consumer.durable_name} updated" for consumer in CONSUMERS
    ]
    for consumer in CONSUMERS:
        found = (await js.consumer_info(STREAM, str(consumer.durable_name))).config
        assert (found.ack_wait, found.max_deliver) == (consumer.ack_wait, -1)
    assert await provision(js, CONSUMERS) == []


async def test_the_streams_limits_can_lose_nothing_that_is_young(js: JetStreamContext, bus: Client) -> None:
    config: StreamConfig = (await js.stream_info(STREAM)).config
    assert (config.max_msgs, config.max_bytes, config.max_msgs_per_subject) == (-1, -1, -1)


async def test_an_absent_bus_is_an_error_soon() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await connect(f"nats://127.0.0.1:{usable_port(0)}", "test")
    assert time.monotonic() - began < 20
    assert not [task for task in asyncio.all_tasks() if "nats" in repr(task.get_coro())]


def test_headers_on_the_wire_cannot_forge_others() -> None:
    wire = to_wire("aftersales.sh01.x.y", {"actor": "li\r\npos: 7\n\rx", "plate": "沪A"}, b"{}")
    head, _, rest = wire.partition(b"\r\n")
    lines = "NATS/1.0\r\nactor: li pos: 7 x\r\nplate: 沪A\r\n\r\n".encode()
    assert head == b"HPUB aftersales.sh01.x.y %d %d" % (len(lines), len(lines) + 2)
    assert rest == lines + b"{}\r\n"

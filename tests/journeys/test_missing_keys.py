"""The keys database was restored from a backup that is older than a person in the log."""

import psycopg

from ops.environment import FILE
from tests.journeys.story import Visit, eventually
from tests.system import Running

SITE = "lost01"  # a site of its own: its board cannot be shown after this


async def test_a_missing_key_is_named_and_never_called_an_erasure(running: Running) -> None:
    visit = await Visit(running, SITE).received()
    customer = (await visit.work_order())["customer"]
    lines = (running.data / FILE).read_text().splitlines()
    address = dict(line.split("=", 1) for line in lines)["BAYLEDGER_KEYS_DB"]
    async with await psycopg.AsyncConnection.connect(address) as conn:
        await conn.execute("DELETE FROM keys.blind_index WHERE subject = %s", (customer,))
        await conn.execute("DELETE FROM keys.subject_key WHERE subject = %s", (customer,))

    async def refused() -> bool:  # a key that was just read is remembered for some seconds
        answer = await running.get(f"/v1/work-orders/{visit.id}", "advisor", SITE)
        return answer.status_code == 503 and "restore the newest backup" in answer.json()["detail"]

    await eventually(refused)

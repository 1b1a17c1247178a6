"""Deadlines that pass while nobody does anything: one event each, one message each, whatever happens."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from eventlog.store import EventStore
from eventlog.timers import Timers
from events.customer_care import DeadlineBreached, Escalated, NotificationSent
from services.customer_care import commands as do
from services.customer_care.complaint import complaint_stream
from services.customer_care.timers import complaint_timers
from tests.customer_care.conftest import Server, raise_complaint, tell, webhook


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def timers(care: EventStore, web: Server) -> Timers:
    timers = complaint_timers(care, [webhook(web.url)])
    await timers.provision()
    return timers


async def pass_time(timers: Timers) -> None:
    """Until nothing is due any more."""
    while True:
        while await timers.follow():
            pass
        if not await timers.ring():
            return


async def types(care: EventStore, id: str = "C1") -> Counter[str]:
    return Counter(type(recorded.event).__name__ for recorded in await care.stream(complaint_stream(id)))


async def test_each_deadline_that_passes_is_one_breach_and_one_message_for_each_level(
    care: EventStore, timers: Timers, web: Server, now: datetime
) -> None:
    """C-20 … C-22: three days without anybody doing anything."""
    await raise_complaint(care, at=now - timedelta(days=4))
    for _ in range(2):
        await pass_time(timers)
    seen = await types(care)
    assert (seen["DeadlineBreached"], seen["Escalated"], seen["NotificationSent"]) == (4, 16, 16)
    assert len(web.ids) == len(set(web.ids)) == 16


async def test_what_was_done_in_time_is_told_to_nobody(
    care: EventStore, timers: Timers, web: Server, now: datetime
) -> None:
    start = now - timedelta(minutes=40)
    await raise_complaint(care, at=start)
    await tell(
        care, do.HandOver(complaint_id="C1", at=start + timedelta(minutes=10), to="department_manager")
    )
    await pass_time(timers)
    assert not web.ids
    assert (await types(care))["DeadlineBreached"] == 0


async def test_a_major_complaint_is_told_at_once(
    care: EventStore, timers: Timers, web: Server, now: datetime
) -> None:
    """C-23."""
    await raise_complaint(care, severity="major", at=now)
    await pass_time(timers)
    [sent] = [
        r.event for r in await care.stream(complaint_stream("C1")) if isinstance(r.event, NotificationSent)
    ]
    assert sent.level == "general_manager"


async def test_a_message_that_was_not_accepted_is_sent_later_and_holds_up_nobody(
    care: EventStore, timers: Timers, web: Server, now: datetime
) -> None:
    await raise_complaint(care, severity="major", at=now)
    web.answer = 503
    while await timers.follow():
        pass
    await timers.ring()
    assert await timers.failing() == 1
    web.answer = 204
    await raise_complaint(care, "C2", severity="major", at=now)
    await pass_time(timers)
    assert [id.partition("@")[0] for id in web.ids] == ["complaint-C1", "complaint-C2"]
    async with care.pool.connection() as conn:
        await conn.execute("UPDATE timer SET again_at = now() WHERE attempts > 0")
    await pass_time(timers)
    assert Counter(web.ids) == {"complaint-C1@7": 2, "complaint-C2@7": 1}  # under the same id
    assert (await types(care))["NotificationSent"] == (await types(care, "C2"))["NotificationSent"] == 1


async def test_timers_made_anew_tell_nobody_again(
    care: EventStore, timers: Timers, web: Server, now: datetime
) -> None:
    await raise_complaint(care, at=now - timedelta(days=4))
    await pass_time(timers)
    before, sent = await types(care), len(web.ids)
    await timers.forget()
    await pass_time(timers)
    assert (await types(care), len(web.ids)) == (before, sent)


async def test_a_pause_silences_what_is_not_due(care: EventStore, timers: Timers, now: datetime) -> None:
    start = now - timedelta(hours=1)
    await raise_complaint(care, at=start)
    await tell(care, do.Pause(complaint_id="C1", at=start + timedelta(minutes=20), waiting="for_parts"))
    await pass_time(timers)
    assert (await types(care))["DeadlineBreached"] == 0
    await tell(care, do.Resume(complaint_id="C1", at=start + timedelta(minutes=50)))  # ten minutes were left
    await pass_time(timers)
    breached = [
        r.event for r in await care.stream(complaint_stream("C1")) if isinstance(r.event, DeadlineBreached)
    ]
    assert [(event.rule, event.due_at) for event in breached] == [("C-20", start + timedelta(hours=1))]


async def test_the_ladder_waits_for_its_time(care: EventStore, timers: Timers, now: datetime) -> None:
    await raise_complaint(care, at=now - timedelta(minutes=95))
    await pass_time(timers)
    levels = [
        r.event.level for r in await care.stream(complaint_stream("C1")) if isinstance(r.event, Escalated)
    ]
    assert levels == ["advisor", "department_manager"]  # 65 minutes after the form should have been there

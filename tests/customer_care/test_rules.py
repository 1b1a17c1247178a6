"""Rules that change: published by their owner, from then on, and tried out before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from eventlog.decider import Rejected
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.customer_care import CalendarPublished, ComplaintRaised, DeadlineSet, RulebookPublished
from events.rulebook import Calendar, Rulebook
from services.customer_care import commands as do
from services.customer_care.complaint import complaint_stream
from services.customer_care.published_rules import (
    PUBLISHED,
    PublishCalendar,
    PublishRulebook,
    rules_of,
    rules_stream,
)
from services.customer_care.rulebook import SHIPPED, Rules
from services.customer_care.simulation import Verdict, differences
from tests.customer_care.conftest import by, raise_complaint, tell
from tests.customer_care.test_complaint import contact
from tests.spec import Spec

NOW = datetime.now(UTC)
[book] = SHIPPED.rulebooks
[hours] = SHIPPED.calendars
second = book.model_copy(update={"version": 2, "effective": NOW})
publishing = Spec(PUBLISHED)


def stricter(minutes: int, version: int = 2, effective: datetime = NOW) -> Rulebook:
    """First contact within so many minutes, everything else as it is."""
    rules = tuple(
        rule.model_copy(update={"minutes": minutes}) if rule.step == "first_contact" else rule
        for rule in book.rules
    )
    return book.model_copy(update={"version": version, "effective": effective, "rules": rules})


def test_the_next_version_is_published() -> None:
    """X-14."""
    publishing.given().when(PublishRulebook(rulebook=second, at=NOW)).then(RulebookPublished(rulebook=second))
    calendar = hours.model_copy(update={"version": 2, "effective": NOW})
    publishing.given().when(PublishCalendar(calendar=calendar, at=NOW)).then(
        CalendarPublished(calendar=calendar)
    )


@pytest.mark.parametrize("version", [1, 3])
def test_no_version_is_left_out_or_there_twice(version: int) -> None:
    other = second.model_copy(update={"version": version})
    publishing.given().when(PublishRulebook(rulebook=other, at=NOW)).then_rejected("the next version is 2")
    publishing.given(RulebookPublished(rulebook=second)).when(
        PublishRulebook(rulebook=second, at=NOW)
    ).then_rejected("the next version is 3")


def test_a_version_cannot_hold_before_it_is_published() -> None:
    late = PublishRulebook(rulebook=second, at=NOW + timedelta(seconds=1))
    publishing.given().when(late).then_rejected("a new version holds from now on at the earliest")


def test_the_version_in_force_is_the_latest_that_is_effective() -> None:
    """X-15: one that was planned for later does not hold earlier, however it was published."""
    early, late = stricter(5, 2, NOW + timedelta(days=9)), stricter(7, 3, NOW + timedelta(days=3))
    rules = Rules([book, early, late], [hours])
    days = [rules.rulebook(NOW + timedelta(days=n)).version for n in (0, 2, 3, 8, 9, 99)]
    assert days == [1, 1, 3, 3, 2, 2]
    assert rules.rulebook(datetime(1999, 1, 1, tzinfo=UTC)).version == 1


async def publish(care: EventStore, command: PublishRulebook | PublishCalendar, site: str = "sh01") -> None:
    await care.handle(PUBLISHED, rules_stream(site), command, by(repr(command), site=site), new=True)


async def deadline(care: EventStore, rule: str, id: str = "C1") -> DeadlineSet:
    [found] = [
        r.event
        for r in await care.stream(complaint_stream(id))
        if isinstance(r.event, DeadlineSet) and r.event.rule == rule
    ]
    return found


async def test_a_site_has_its_own_rules_from_when_they_hold(care: EventStore) -> None:
    soon = NOW + timedelta(minutes=10)
    await publish(care, PublishRulebook(rulebook=stricter(5, effective=soon), at=NOW))
    await raise_complaint(care, "C1", at=NOW)
    await raise_complaint(care, "C2", at=soon)
    assert (await deadline(care, "C-22.contact", "C1")).rulebook == 1
    assert (await deadline(care, "C-22.contact", "C2")).due_at == soon + timedelta(minutes=5)
    assert (await rules_of(care, "hz01")).rulebook(soon).version == 1


async def test_working_hours_of_a_site_count_where_a_rule_asks_for_them(care: EventStore) -> None:
    """K-05."""
    working = tuple(
        rule.model_copy(update={"clock": "working_time"}) if rule.minutes else rule for rule in book.rules
    )
    await publish(care, PublishRulebook(rulebook=second.model_copy(update={"rules": working}), at=NOW))
    far = (NOW.hour + 12) % 23
    nights = Calendar.model_validate(
        {
            "version": 2,
            "owner": "night shop",
            "effective": NOW,
            "zone": "UTC",
            "week": [[{"opens": f"{far:02}:00", "closes": f"{far + 1:02}:00"}]] * 7,
        }
    )
    await publish(care, PublishCalendar(calendar=nights, at=NOW))
    await raise_complaint(care, at=NOW + timedelta(seconds=1))
    found = await deadline(care, "C-22.contact")
    assert (found.rulebook, found.calendar) == (2, 2)
    assert found.due_at.minute == found.due_at.second == 0  # two of its nightly hours later
    assert found.due_at - NOW > timedelta(hours=20)


async def history(care: EventStore, id: str) -> Sequence[Recorded]:
    return await care.stream(complaint_stream(id))


async def test_other_rules_are_tried_out_on_the_past_and_nothing_is_recorded(care: EventStore) -> None:
    start = NOW - timedelta(hours=3)
    await raise_complaint(care, "C1", at=start)
    await tell(care, contact().model_copy(update={"at": start + timedelta(minutes=90)}))
    await raise_complaint(care, "C2", at=NOW)
    streams = await care.streams_begun(
        ComplaintRaised, "sh01", NOW - timedelta(days=1), NOW + timedelta(days=1), 10
    )
    assert streams == [complaint_stream("C1"), complaint_stream("C2")]
    before = [await care.stream(stream) for stream in streams]
    found = differences(before, Rules([stricter(60)], [hours]), NOW + timedelta(minutes=5))
    assert {(each.complaint_id, each.rule) for each in found} >= {
        ("C1", "C-22.contact"),
        ("C2", "C-22.contact"),
    }
    contacts = {each.complaint_id: each for each in found if each.rule == "C-22.contact"}
    assert contacts["C1"].actual == Verdict(start + timedelta(hours=2), "met")
    assert contacts["C1"].simulated == Verdict(start + timedelta(hours=1), "breached")
    assert contacts["C2"].simulated == Verdict(NOW + timedelta(hours=1), "pending")
    assert [await care.stream(stream) for stream in streams] == before


async def test_the_same_rules_change_nothing(care: EventStore) -> None:
    """The control: whatever happened, told again under the same rules it ends in the same verdicts."""
    start = NOW - timedelta(hours=30)
    await raise_complaint(care, at=start, severity="grievance", channel="letter")
    for minutes, command in (
        (10, do.HandOver(complaint_id="C1", at=start, to="department_manager")),
        (100, contact()),
        (110, do.Pause(complaint_id="C1", at=start, waiting="for_parts")),
        (300, do.Resume(complaint_id="C1", at=start)),
    ):
        await tell(care, command.model_copy(update={"at": start + timedelta(minutes=minutes)}))
    found = differences([await history(care, "C1")], SHIPPED, NOW)
    # The clock task has not looked yet: what is overdue is not known to be, and nothing else differs.
    assert found
    assert {each.actual.outcome for each in found if each.actual} == {"pending"}
    assert {each.simulated.outcome for each in found if each.simulated} == {"breached"}


async def test_a_site_sees_its_own_complaints_only(care: EventStore) -> None:
    await raise_complaint(care, "C1", at=NOW)
    begun = care.streams_begun
    assert await begun(ComplaintRaised, "hz01", NOW - timedelta(days=1), NOW + timedelta(days=1), 10) == []
    assert await begun(ComplaintRaised, "sh01", NOW + timedelta(days=1), NOW + timedelta(days=2), 10) == []


def test_publishing_twice_is_refused_with_a_sentence() -> None:
    with pytest.raises(Rejected, match="the next version is 3"):
        PUBLISHED.decide(
            PublishRulebook(rulebook=second, at=NOW), PUBLISHED.fold([RulebookPublished(rulebook=second)])
        )

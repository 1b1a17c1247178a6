"""Rules and prices of a site: published from a time to come; what was told before stays as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventlog.recorded import Metadata
from eventlog.store import EventStore
from events.reception import PriceListPublished, ReceptionRulesPublished
from services.reception.pricing import WantedLine, priced
from services.reception.rules import (
    PRICE_LISTS,
    RECEPTION_RULES,
    SHIPPED_PRICES,
    SHIPPED_RULES,
    price_list_stream,
    price_lists_of,
)
from services.versions import Publish, in_force
from tests.spec import Spec

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
dearer = SHIPPED_PRICES[0].model_copy(
    update={
        "version": 2,
        "effective": LATER,
        "labour_hour_fen": {"mechatronic": 24_000, "body_paint": 30_000},
    }
)
patient = SHIPPED_RULES[0].model_copy(update={"version": 2, "effective": LATER, "patience_minutes": 10})
announced = PriceListPublished(price_list=dearer)
prices, rules = Spec(PRICE_LISTS), Spec(RECEPTION_RULES)


def test_the_next_version_is_published() -> None:
    """X-14, R-59."""
    prices.given().when(Publish(dearer, NOW)).then(announced)
    rules.given().when(Publish(patient, NOW)).then(ReceptionRulesPublished(rules=patient))


@pytest.mark.parametrize("version", [1, 3])
def test_no_version_is_left_out_or_there_twice(version: int) -> None:
    other = dearer.model_copy(update={"version": version})
    prices.given().when(Publish(other, NOW)).then_rejected("the next version is 2")
    prices.given(announced).when(Publish(dearer, NOW)).then_rejected("the next version is 3")


def test_prices_are_announced_before_they_hold() -> None:
    """R-59, X-18: nobody finds that prices have risen already."""
    late: Any = Publish(dearer, LATER + timedelta(seconds=1))
    prices.given().when(late).then_rejected("a new version holds from now on at the earliest")
    lists = PRICE_LISTS.fold([announced])
    brakes = [WantedLine(operation="BRAKES")]
    before, after = (priced(brakes, in_force(lists, at))[0] for at in (LATER - timedelta(seconds=1), LATER))
    assert (before.labour_fen, after.labour_fen) == (20_000, 24_000)


async def test_each_site_has_prices_of_its_own(reception: EventStore) -> None:
    """X-05, R-59."""
    by = Metadata(site="sh01", actor="li", role="department_manager", correlation_id="x", command_id="x")
    stream = price_list_stream("sh01")
    await reception.handle(PRICE_LISTS, stream, Publish(dearer, NOW), by, new=True)
    assert [each.version for each in await price_lists_of(reception, "sh01")] == [1, 2]
    assert [each.version for each in await price_lists_of(reception, "sh02")] == [1]


def test_the_catalogue_is_that_of_the_handbooks() -> None:
    """W-24 … W-27: seven of periodic maintenance, six of refined, repairs, and part groups with origins."""
    [shipped] = SHIPPED_PRICES
    groups = [operation.group.split()[0] for operation in shipped.operations]
    assert [groups.count(each) for each in ("periodic", "refined", "fault", "collision")] == [7, 6, 5, 4]
    assert {part.group.split()[0] for part in shipped.parts} == {
        "engine",
        "gearbox",
        "chassis",
        "electrics",
        "ac",
        "body",
    }
    assert {part.origin for part in shipped.parts} == {"original", "genuine", "aftermarket"}

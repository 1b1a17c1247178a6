"""The rules of licences."""

from datetime import UTC, date, datetime

import pytest

from events.workshop import TechnicianLicensed
from services.workshop.rules import SHIPPED
from services.workshop.staff import LicenseTechnician, staff_decider, staff_stream
from tests.spec import Spec
from tests.workshop.test_work_order import AT

staff = Spec(staff_decider(SHIPPED))
licensed = TechnicianLicensed(
    person="zhao", trade="mechatronic", test_percent=90, valid_until=date(2027, 3, 1)
)
license = LicenseTechnician(licensed, AT)


def test_who_passed_the_practical_test_is_licensed() -> None:
    """W-30."""
    staff.given().when(license).then(licensed)


def test_the_same_licence_twice_is_one() -> None:
    staff.given(licensed).when(license).then_nothing()


def test_a_licence_is_renewed() -> None:
    renewed = licensed.model_copy(update={"test_percent": 95, "valid_until": date(2028, 3, 1)})
    staff.given(licensed).when(LicenseTechnician(renewed, AT)).then(renewed)


@pytest.mark.parametrize("percent", [0, 89])
def test_less_than_90_percent_is_not_enough(percent: int) -> None:
    """W-30."""
    below = licensed.model_copy(update={"test_percent": percent})
    staff.given().when(LicenseTechnician(below, AT)).then_rejected(
        f"a licence takes 90 percent in the practical test, not {percent}"
    )


def test_a_licence_that_is_over_is_none() -> None:
    over = licensed.model_copy(update={"valid_until": date(2026, 3, 1)})
    staff.given().when(LicenseTechnician(over, AT)).then_rejected("this licence would have ended already")


def test_a_licence_is_over_when_its_last_day_is_over_at_the_site() -> None:
    """W-30: not when it is over in Greenwich."""
    last = licensed.model_copy(update={"valid_until": date(2026, 3, 2)})
    evening, night = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (15, 16))
    staff.given().when(LicenseTechnician(last, evening)).then(last)
    staff.given().when(LicenseTechnician(last, night)).then_rejected("this licence would have ended already")


def test_people_of_two_sites_are_not_taken_for_each_other() -> None:
    assert staff_stream("sh", "1-wang") != staff_stream("sh-1", "wang")

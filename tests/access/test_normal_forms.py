"""However it was typed, it is the same phone, the same plate."""

import pytest

from access.normal_forms import normal_form, normalise_phone, normalise_plate


@pytest.mark.parametrize(
    "typed",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "+86 138 1234 5678",
        "0086-13812345678",
        "8613812345678",
        "+86 (0) 138 1234 5678",
        "１３８１２３４５６７８",  # full-width, as a Chinese keyboard types them
    ],
)
def test_a_mobile_number_has_one_form(typed: str) -> None:
    assert normalise_phone(typed) == "13812345678"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("021-6888 8888", "02168888888"),
        ("+86 21 6888 8888", "02168888888"),
        ("+86 021 6888 8888", "02168888888"),
        ("+86 10 1234 5678", "01012345678"),
        ("010-12345678", "01012345678"),
        ("400-820-8820", "4008208820"),
        ("+1 415 555 2671", "+14155552671"),
        ("0049 170 1234567", "+491701234567"),
    ],
)
def test_other_numbers_keep_their_area_or_country(typed: str, normal: str) -> None:
    assert normalise_phone(typed) == normal


@pytest.mark.parametrize("typed", ["", "-", "无", "n/a", "0", "+86"])
def test_what_cannot_be_dialled_identifies_nobody(typed: str) -> None:
    assert normalise_phone(typed) == ""


@pytest.mark.parametrize("typed", ["沪A12345", "沪a 12345", "沪A·12345", "沪Ａ-123.45", " 沪A12345 "])
def test_a_plate_has_one_form(typed: str) -> None:
    assert normalise_plate(typed) == "沪A12345"


def test_a_name_is_compared_without_case_and_extra_space() -> None:
    assert normal_form("name", " Wang  LI ") == normal_form("name", "wang li")

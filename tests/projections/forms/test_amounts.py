"""Amounts in capitals, as bills have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.forms.amounts import DIGITS, PLACES, capitals, figures

WORTH: dict[str, int] = {place: 10**n for n, place in enumerate(PLACES) if place} | {"万": 10**4, "亿": 10**8}


@pytest.mark.parametrize(
    ("fen", "figure", "capital"),
    [
        (0, "¥0.00", "零元整"),
        (5, "¥0.05", "伍分"),
        (10, "¥0.10", "壹角"),
        (99, "¥0.99", "玖角玖分"),
        (100, "¥1.00", "壹元整"),
        (1_000, "¥10.00", "壹拾元整"),
        (10_005, "¥100.05", "壹佰元零伍分"),
        (100_100, "¥1,001.00", "壹仟零壹元整"),
        (168_032, "¥1,680.32", "壹仟陆佰捌拾元零叁角贰分"),
        (40_938, "¥409.38", "肆佰零玖元叁角捌分"),
        (1_000_000, "¥10,000.00", "壹万元整"),
        (10_700_053, "¥107,000.53", "壹拾万柒仟元零伍角叁分"),
        (600_714, "¥6,007.14", "陆仟零柒元壹角肆分"),
        (10_030_000_710, "¥100,300,007.10", "壹亿零叁拾万零柒元壹角"),
        (10**12, "¥10,000,000,000.00", "壹佰亿元整"),
    ],
)
def test_an_amount_is_written_by_the_rules_for_bills(fen: int, figure: str, capital: str) -> None:
    assert (figures(fen), capitals(fen)) == (figure, capital)


@given(st.integers(0, 10**12))
def test_capitals_say_what_the_figures_say(fen: int) -> None:
    text = capitals(fen)
    assert "零零" not in text
    yuan, _, rest = text.partition("元") if "元" in text else ("", "", text)
    assert number(yuan) * 100 + small(rest) == fen


def number(text: str) -> int:
    """The yuan that capitals stand for."""
    for unit in ("亿", "万"):
        before, found, after = text.partition(unit)
        if found:
            return number(before) * WORTH[unit] + number(after)
    total = digit = 0
    for letter in text:
        if letter in DIGITS:
            digit = DIGITS.index(letter)
        else:
            total, digit = total + digit * WORTH[letter], 0
    return total + digit


def small(text: str) -> int:
    text = text.removesuffix("整").lstrip("零")
    jiao, _, cents = text.partition("角") if "角" in text else ("", "", text)
    cents = cents.removesuffix("分")
    return 10 * (DIGITS.index(jiao) if jiao else 0) + (DIGITS.index(cents) if cents else 0)

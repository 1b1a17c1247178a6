"""The printed forms of a visit, as whoever holds the paper reads them."""

import base64
import json
import os
import re
import shutil
import subprocess
import tomllib
from typing import Any, get_args

import pytest

from events import lines, reception, workshop
from projections.forms.contents import FORMS, NotYet, stamp
from projections.forms.printing import HERE, pdf, printed
from tests.pictures import drawn
from tests.projections.printed_visit import file

PDFTOTEXT = shutil.which("pdftotext") or ""
PEOPLE = {"customer_name": "王小明", "phone": "13812345678", "plate": "沪A·12345"}
TEXTS: dict[str, tuple[str, ...]] = {
    "card": ("维修管理卡", "Repair-management card", "朗逸", "低速刹车时前轮有尖叫声", "2026-03-02 08:01"),
    "reception": (
        *("接车登记表", "Reception form", "低速刹车时前轮有尖叫声", "左侧老化", "划痕", "手机、太阳镜"),
        *("60,120 km", "5 / 8", "2026-03-02 08:08"),
    ),
    "work-order": (
        *("维修委托书", "新增项目须先联系客户，经客户授权后方可施工", "only after contact"),
        *("2026-03-02 13:00", "微信", "带走", "returned to the customer", "原厂", "副厂", "WB-600"),
        *("¥1,555.01", "壹仟伍佰伍拾伍元零壹分", "保修范围内", "另行报价"),
    ),
    "dispatch": ("派工单", "Dispatch order", "机电一组", "优先", "li.qiang", "客户在休息区等候", "合格"),
    "repair-order": ("进厂维修单", "更换空调滤芯", "同意", "交单时间", "2026-03-02 08:50", "壹佰贰拾捌元整"),
    "issue-slip": ("出库单", "Issue slip", "JZW698151A", "前刹车片", "li.qiang", "1" * 64),
    "settlement": (
        *("结算单", "Settlement", "2026-09-01", "70,000 km", "2026-03-04 08:00", "¥372.00"),
        *("叁佰柒拾贰元整", "保修", "¥1,175.01", "I-7", "genuine"),
    ),
    "gate-pass": ("出门证", "Gate pass", "GP-1", "已放行", "2026-03-03 09:00"),
}
READY_AT = {
    "card": 1,
    "reception": 1,
    "work-order": 10,
    "dispatch": 16,
    "repair-order": 50,
    "issue-slip": 60,
    "settlement": 202,
    "gate-pass": 203,
}
"""The minute of the printed visit from which on there is such a form."""


def made(name: str, people: dict[str, str] | None = None, token: str | None = None) -> bytes:
    return pdf(name, FORMS[name].contents(file()), PEOPLE if people is None else people, token)


def words(form: bytes) -> str:
    """What a form says, without its line ends."""
    if not PDFTOTEXT:
        why = "no pdftotext on this machine (apt-get install poppler-utils)"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    text = subprocess.run([PDFTOTEXT, "-raw", "-", "-"], input=form, capture_output=True, check=True).stdout
    return text.decode().replace("\n", "")


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_says_in_both_languages_what_happened(name: str) -> None:
    """R-13, R-34, R-50, R-52, R-64, W-09, R-76, R-77, R-78, R-79, R-81, K-19."""
    said = squeezed(words(made(name)))
    assert [text for text in TEXTS[name] if squeezed(text) not in said] == []


@pytest.mark.parametrize("name", FORMS)
def test_a_form_carries_the_hash_of_what_it_says(name: str) -> None:
    """K-22."""
    hash = stamp(FORMS[name].contents(file()))
    assert words(made(name)).count(hash) == 1
    assert hash[:16] in words(made(name))


@pytest.mark.parametrize("name", FORMS)
async def test_the_same_form_is_the_same_bytes(name: str) -> None:
    """K-22; its date is that of what it says, not of the printing."""
    first = await printed(FORMS[name], file(), PEOPLE)
    assert await printed(FORMS[name], file(), PEOPLE) == first
    assert b"/StructTreeRoot" in first, "tagged, for who cannot see it"


@pytest.mark.parametrize("name", FORMS)
def test_without_names_a_form_is_another_paper_with_the_same_hash(name: str) -> None:
    """K-22: whether a name was printed, or the customer was erased, changes nothing that is compared."""
    with_names, without = words(made(name)), words(made(name, people={}))
    for value in PEOPLE.values():
        assert value not in without
    assert squeezed(PEOPLE["plate"]) in squeezed(with_names)
    hash = stamp(FORMS[name].contents(file()))
    assert (hash in with_names, hash in without) == (True, True)


@pytest.mark.parametrize("name", ["reception", "work-order", "settlement"])
def test_what_the_customer_signed_stands_on_the_paper_of_who_may_see_it(name: str) -> None:
    """K-22: beside its time and hash, and without it the form has the same hash."""
    contents = FORMS[name].contents(file())
    signed = pdf(name, contents, PEOPLE, None, base64.b64decode(drawn()))
    assert b"/Subtype/Image" in signed.replace(b" ", b"")
    assert b"/Subtype/Image" not in made(name).replace(b" ", b"")
    assert words(signed) == words(made(name))


@pytest.mark.parametrize("name", FORMS)
def test_no_sealed_value_is_part_of_what_is_hashed(name: str) -> None:
    assert "box" not in json.dumps(FORMS[name].contents(file()), default=str)


@pytest.mark.parametrize("name", FORMS)
def test_there_is_no_form_of_what_has_not_happened(name: str) -> None:
    if READY_AT[name] > 1:
        with pytest.raises(NotYet, match=r"[a-z] yet\.$"):
            FORMS[name].contents(file(READY_AT[name] - 1))
    assert FORMS[name].contents(file(READY_AT[name]))["work_order"] == "V1"


def test_what_was_typed_is_never_code() -> None:
    assert '#eval("1") *b* $x$ <b>' in words(made("work-order"))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("有异响😀请检查", "有异响〓请检查"),
        ("한국 ไทย ⚠️", "〓〓〓〓〓⚠"),
        ("👨\u200d👩\u202e葛\U000e0100", "〓〓葛"),
        ("q\u0303 \ue000 \uffff \ufeff", "q〓〓〓"),
    ],
)
def test_a_character_that_the_font_lacks_does_not_keep_a_form_from_being_printed(
    typed: str, shown: str
) -> None:
    """K-22: the paper says that something stood there; what is compared is what was typed."""
    contents = FORMS["reception"].contents(file())
    contents |= {"symptoms": [("symptom", typed)]}
    form = pdf("reception", contents, PEOPLE | {"customer_name": "𠮷野"}, None)
    said = squeezed(words(form))
    assert shown in said
    assert "〓野" in said
    assert stamp(contents) in said
    assert b"pdfuaid" in form


@pytest.mark.parametrize("typed", ["\x00", "\x07", "\x0b", "\x1c", "\x7f", "\x85", "\u1680", "\u2028"])
def test_no_character_at_all_keeps_a_form_from_being_printed(typed: str) -> None:
    contents = FORMS["reception"].contents(file()) | {"symptoms": [("symptom", f"前{typed}后")]}
    assert stamp(contents) in words(pdf("reception", contents, PEOPLE, None))


def test_a_pass_that_is_not_released_says_so_and_has_nothing_to_scan() -> None:
    """R-76, K-20."""
    prepared = pdf("gate-pass", FORMS["gate-pass"].contents(file(203)), PEOPLE, None)
    assert "未放行，不得出门" in words(prepared)
    released = words(made("gate-pass", token="GP.secret.token"))
    assert "The gate scans this code" in released
    assert "GP.secret.token" not in released, "it is in the picture only"


def test_a_used_or_revoked_pass_is_not_printed_again() -> None:
    for state in ("used", "revoked"):
        gone = file() | {"gate_pass": file()["gate_pass"] | {"state": state}}
        with pytest.raises(NotYet, match=state):
            FORMS["gate-pass"].contents(gone)


def test_the_dispatch_order_is_another_one_after_rework() -> None:
    """W-17: it is signed again."""
    before, after = FORMS["dispatch"].contents(file(130)), FORMS["dispatch"].contents(file())
    assert stamp(before) != stamp(after)


def test_what_happens_later_leaves_a_signed_form_as_it_was() -> None:
    for name, minute in (("reception", 8), ("work-order", 12), ("issue-slip", 60)):
        assert stamp(FORMS[name].contents(file(minute))) == stamp(FORMS[name].contents(file())), name


CODES: dict[str, Any] = {
    "view": reception.CarView,
    "damage": reception.DamageKind,
    "photo": reception.PhotoOf,
    "warranty": reception.Verdict,
    "channel": reception.AnswerChannel,
    "reason": reception.DeclineReason,
    "origin": lines.PartOrigin,
    "payer": lines.Payer,
    "payment_method": lines.PaymentMethod,
    "old_parts": lines.OldParts,
    "trade": lines.Trade,
    "priority": workshop.Priority,
    "kind": reception.SymptomRecorded.model_fields["kind"].annotation,
    "mobility": reception.MobilityProvided.model_fields["kind"].annotation,
}


@pytest.mark.parametrize("kind", CODES)
def test_every_code_has_its_words(kind: str) -> None:
    known = tomllib.loads((HERE / "words.toml").read_text())
    assert set(known[kind]) == set(get_args(CODES[kind]))

"""Both languages say everything."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from starlette.requests import HTTPConnection

from access.problems import SENTENCES, WHY
from access.roles import Role
from events import customer_care, event_classes, lines, reception, rulebook, workshop
from events.walk_around import ENGINE_BAY, ITEMS
from projections.catalogue import PROJECTIONS
from projections.complaint_timeline.projection import STATUSES
from projections.unsealing import TEXTS
from projections.visit_file.cashier import Stand
from projections.web import intake_pages
from projections.web.cashier_pages import CHECK
from projections.web.i18n import (
    HERE,
    LANGUAGES,
    catalog,
    english,
    language_of,
    sentence_pattern,
    translate_sentence,
)
from projections.web.rules_pages import KINDS
from projections.web.steps import PROGRESS
from projections.work_order_board.projection import COLUMNS

CHINESE = list(catalog("zh-CN"))[1:]
"""Without the header."""
NAMES = {
    "event": tuple(event_classes()),
    "role": tuple(Role),
    "column": (*COLUMNS, "gone", "later"),
    "priority": get_args(workshop.Priority),
    "yes": ("yes", "no"),
    "drive": ("in_order", "not_in_order"),
    "cause": get_args(workshop.DelayCause),
    "channel": (
        *get_args(rulebook.Channel),
        *get_args(reception.AnswerChannel),
        *get_args(reception.BookingChannel),
    ),
    "appointment": ("booked", "kept", "moved", "cancelled", "missed"),
    "service": get_args(reception.ServiceKind),
    "booking": get_args(reception.BookingKind),
    "welcome": get_args(reception.Welcome),
    "reminder": get_args(reception.ReminderOutcome),
    "cancel": get_args(reception.CancelReason),
    "place": ("gap", "buffer"),
    "answer": ("yes", "no"),
    "reason": get_args(reception.DeclineReason),
    "subject": get_args(customer_care.Subject),
    "severity": get_args(rulebook.Severity),
    "outcome": get_args(customer_care.Outcome) + get_args(customer_care.Satisfaction),
    "resolution": get_args(customer_care.Resolution),
    "status": (*STATUSES, *get_args(customer_care.Meaning)),
    "step": (*PROGRESS, *get_args(rulebook.Step)),
    "level": get_args(rulebook.Level),
    "waiting": get_args(customer_care.Waiting),
    "raised": ("before_the_attempt", "after_the_attempt"),
    "origin": get_args(lines.PartOrigin),
    "trade": get_args(lines.Trade),
    "payer": get_args(lines.Payer),
    "payment": get_args(lines.PaymentMethod),
    "old_parts": get_args(lines.OldParts),
    "verdict": (*get_args(reception.Verdict), "granted", "refused"),
    "copies": ("paper", "link"),
    "settlement": get_args(Stand),
    "gate_pass": ("prepared", "released", "expired", "revoked", "used"),
    "delivery_check": (
        *CHECK,
        "test_driven",
        "old_parts_shown",
        "spare_wheel_and_tools",
        "cleanliness_shown",
    ),
    "appeal": ("filed", "granted", "refused"),
    "text": TEXTS,
    "source": ("reception", "workshop", "customer_care"),
    "view": tuple(projection.name for projection in PROJECTIONS),
    "intake": ("symptoms", "papers", "protective_set", "valuables", "walk_around", "underbody", "signature"),
    "told": ("symptom", "maintenance"),
    "papers": ("driving_licence", "maintenance_manual", "phone"),
    "item": ITEMS,
    "colour": tuple(ENGINE_BAY),
    "engine_bay": tuple(ENGINE_BAY.values()),
    "car_view": get_args(reception.CarView),
    "damage": get_args(reception.DamageKind),
    "spot": (*intake_pages.ACROSS, *intake_pages.DOWN),
    "photo_of": get_args(reception.PhotoOf),
    "mobility": ("loan_car", "subsidy"),
    "rules": tuple(KINDS),
    "rule": tuple(name for kind in KINDS.values() for _, name in kind.fields.values()),
}
ROOT = HERE.parent.parent


def asking(accept: str, cookie: str = "") -> HTTPConnection:
    headers = [(b"accept-language", accept.encode()), (b"cookie", cookie.encode())]
    return HTTPConnection({"type": "http", "headers": headers})


def texts(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def test_every_text_of_the_pages_is_translated_and_no_other() -> None:
    found = extract_from_dir(str(HERE / "templates"), [("**.html", "jinja2")])
    used = {id if isinstance(id, str) else id[0] for _, _, id, _, _ in found}
    assert used == {texts(message)[0] for message in CHINESE if message.context is None}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_is_translated_and_no_other(kind: str) -> None:
    used = {english(name) for name in NAMES[kind]}
    assert used == {message.id for message in CHINESE if message.context == kind}


def test_translations_are_complete() -> None:
    for message in CHINESE:
        assert message.string, message.id
        assert not message.fuzzy, message.id
        given = {name for text in texts(message) for name in re.findall(r"%\((\w+)\)s", text)}
        strings = (message.string,) if isinstance(message.string, str) else message.string
        for string in strings:
            used = set(re.findall(r"%\((\w+)\)s", string))
            assert used == given or (message.context == "problem" and used <= given), message.id


def refusals(path: Path) -> Iterator[str]:
    """The sentences with which a module refuses, with an X for each part that varies."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id not in (
            "Rejected",
            "Problem",
            "Unauthenticated",
            "Unavailable",
            "NotYet",
            "_who_are_you",
        ):
            continue
        for argument in call.args[:2]:
            match argument:
                case ast.Constant(value=str(text)):
                    yield text
                case ast.JoinedStr(values=parts) if len(parts) > 2:
                    yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in parts)


def test_every_refusal_is_translated() -> None:
    patterns = [sentence_pattern(str(m.id)) for m in CHINESE if m.context == "problem"]
    folders = ("access", "eventlog", "services", "projections")
    sentences = {s for folder in folders for path in (ROOT / folder).rglob("*.py") for s in refusals(path)}
    assert len(sentences) > 30
    lacking = [s for s in sentences if not any(p.fullmatch(s.rstrip(".") + ".") for p in patterns)]
    assert lacking == []


def test_what_is_sent_wrongly_is_answered_with_what_to_do() -> None:
    """A body too large, an id that is not there, half of a character, and each token that is not good."""
    tokens = [
        s for name in ("tokens", "guard") for s in refusals(ROOT / "access" / f"{name}.py") if "oken" in s
    ]
    assert len(tokens) > 8
    too_large = "The body is larger than 1048576 bytes; please send 1 MiB at most."
    for sentence in (*SENTENCES.values(), *tokens, too_large, WHY["string_unicode"]):
        assert "please" in sentence
        assert "请" in translate_sentence("zh-CN", sentence)


def test_a_refusal_keeps_what_it_is_about() -> None:
    sentence = "Line 4 was already declined."
    assert translate_sentence("zh-CN", sentence) == "第 4 项客户已答复：不做。"
    assert translate_sentence("en", sentence) == sentence
    assert translate_sentence("zh-CN", "Never said before.") == "Never said before."


@pytest.mark.parametrize(
    ("accept", "cookie", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "", "zh-CN"),
        ("zh-TW", "", "zh-CN"),
        ("de, en-GB;q=0.8, zh;q=0.7", "", "en"),
        ("en;q=0.1, zh;q=0.9", "", "zh-CN"),
        ("zh;q=0, en;q=0.5", "", "en"),
        ("", "", "en"),
        (";;q=,q=x", "", "en"),
        ("en", "bayledger_language=zh-CN", "zh-CN"),
        ("en", "bayledger_language=xx", "en"),
    ],
)
def test_the_reader_is_understood(accept: str, cookie: str, language: str) -> None:
    assert language_of(asking(accept, cookie)) == language
    assert language in LANGUAGES


def test_names_of_the_code_read_as_words() -> None:
    assert english("workshop.repair_added.v1") == "Repair added"
    assert english("waiting_for_customer") == "Waiting for customer"

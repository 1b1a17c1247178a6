"""What the pages say, in the reader's language.

English is the source; `locale/*.po` holds the other languages and is compiled when the process starts. The
sentence of a problem is translated by the messages with the context `problem`, whose `%(name)s` stand for
whatever is there.
"""

import re
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_skeleton, format_time
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader
from starlette.requests import HTTPConnection

from projections.work_order_board.cards import SITE_ZONE

HERE: Final = Path(__file__).parent
LANGUAGES: Final = {"en": "English", "zh-CN": "中文"}
LANGUAGE_COOKIE: Final = "bayledger_language"


def language_of(connection: HTTPConnection) -> str:
    """The language somebody chose, else the one their browser prefers."""
    chosen = connection.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for tag in _preferred(connection.headers.get("accept-language", "")):
        for language in LANGUAGES:
            if tag.partition("-")[0] == language.partition("-")[0]:
                return language
    return next(iter(LANGUAGES))


def _preferred(accepted: str) -> list[str]:
    weighted = []
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";q=")
        with_weight = re.fullmatch(r"\s*([01](?:\.\d{0,3})?)\s*", weight or "1")
        if with_weight and float(with_weight[1]) > 0:
            weighted.append((float(with_weight[1]), tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def english(value: str) -> str:
    """A name of the code as people read it: `workshop.repair_added.v1` is "Repair added"."""
    name = value.split(".")[1] if value.count(".") > 1 else value
    return name.replace("_", " ").capitalize()


def catalog(language: str) -> Catalog:
    """The messages of a language; none for the source."""
    path = HERE / "locale" / f"{language.replace('-', '_')}.po"
    if not path.exists():
        return Catalog()
    with path.open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"))


@cache
def _translations(language: str) -> NullTranslations:
    if language == next(iter(LANGUAGES)):
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    return Translations(compiled)


@cache
def _sentences(language: str) -> list[tuple[re.Pattern[str], str]]:
    return [
        (sentence_pattern(str(message.id)), str(message.string))
        for message in catalog(language)
        if message.context == "problem"
    ]


def sentence_pattern(message: str) -> re.Pattern[str]:
    """Matches the sentences that a message with `%(name)s` can become."""
    parts = re.split(r"%\((\w+)\)s", message)
    pieces = (f"(?P<{part}>.+)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return re.compile("".join(pieces), re.DOTALL | re.IGNORECASE)


def translate_sentence(language: str, sentence: str) -> str:
    """The sentence of a problem in a language; as it is when nobody translated it."""
    for pattern, translation in _sentences(language):
        if found := pattern.fullmatch(sentence):
            word = partial(_translations(language).pgettext, "word")
            return translation % {name: word(value) for name, value in found.groupdict().items()}
    return sentence


@cache
def environment(language: str) -> Environment:
    """The templates in one language."""
    locale = Locale.parse(language, sep="-")
    translations = _translations(language)
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]

    def label(kind: str, value: str) -> str:
        return translations.pgettext(kind, english(value))

    def moment(value: str | datetime) -> str:
        """The time of a day, with its date unless it is today."""
        at, now = local(value), datetime.now(SITE_ZONE)
        time = format_time(at, "HH:mm", locale=locale)
        if at.date() == now.date():
            return time
        day = format_skeleton("MMMd" if at.year == now.year else "yMMMd", at, locale=locale)
        return f"{day} {time}"

    def money(fen: int) -> str:
        return "¥" + format_decimal(Decimal(fen) / 100, "#,##0.00", locale=locale)

    templates.globals |= {"label": label, "language": language, "languages": LANGUAGES}
    templates.filters |= {"local": local, "moment": moment, "money": money, "plate": plate}
    templates.filters |= {"sentence": partial(translate_sentence, language)}
    templates.filters |= {"number": lambda value: format_decimal(value, locale=locale)}
    return templates


def local(value: str | datetime) -> datetime:
    """In the time zone of the site."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(SITE_ZONE)


def plate(text: str) -> str:
    """A Chinese plate as it is written on the vehicle: 沪A·12345."""
    return re.sub(r"^([\u4e00-\u9fff][A-Z])(?=[A-Z0-9]{5,6}$)", r"\1·", text)

"""Forms as PDF: the same form is the same bytes, on every machine and at any time."""

import asyncio
import io
import unicodedata
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import cast

import pylopdf_fonts_zh_cn
import segno
import typst
from PIL import ImageFont

from eventlog.recorded import canonical
from projections.forms.contents import Form, local, stamp
from projections.projection import Document

HERE = Path(__file__).parent
AT_ONCE = asyncio.Semaphore(2)
"""Forms are made beside the loop; more at once would only wait for the processor."""
GETA = "〓"
"""The printer's mark for a character that the font does not have."""


@cache
def _fonts() -> typst.Fonts:
    """Those of the package only: what a machine has installed changes nothing."""
    folder = pylopdf_fonts_zh_cn.sans_path().parent
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])


class _Printable(dict[int, str]):
    """What is printed for a character. What only joins, turns or varies others is left out."""

    def __init__(self) -> None:
        path = pylopdf_fonts_zh_cn.sans_path()
        self._font = ImageFont.truetype(path, 16, layout_engine=ImageFont.Layout.BASIC)
        self._lacking = bytes(self._font.getmask("\U0010ffff"))

    def __missing__(self, code: int) -> str:
        character = chr(code)
        varies = "VARIATION SELECTOR" in unicodedata.name(character, "")
        if character.isspace() or bytes(self._font.getmask(character)) != self._lacking:
            shown = character
        else:
            shown = "" if varies or unicodedata.category(character) == "Cf" else GETA
        self[code] = shown
        return shown


@cache
def _printable() -> _Printable:
    return _Printable()


async def printed(
    form: Form,
    file: Document,
    people: dict[str, str],
    token: str | None = None,
    signature: bytes | None = None,
) -> bytes:
    """The form of a visit as PDF, with the people and the signature that may stand on it. Raises NotYet.

    Nothing is fetched, and nothing of the data is code: they are handed over as JSON.
    """
    contents = form.contents(file)
    async with AT_ONCE:
        return await asyncio.to_thread(pdf, form.name, contents, people, token, signature)


def pdf(
    name: str, contents: Document, people: dict[str, str], token: str | None, signature: bytes | None = None
) -> bytes:
    hash = stamp(contents)
    data = {
        "contents": contents,
        "people": people,
        "hash": hash,
        "at": local(contents["at"]),
        "qr": _qr(f"bayledger {name} {contents['work_order']} sha256 {hash}"),
        "token": token and _qr(token),
        "signature": signature and {"format": _format(signature), "bytes": list(signature)},
    }
    # The hash is of what was said; only the paper goes without what the font does not have.
    printed_copy = canonical(data).decode().translate(_printable())
    compiler = typst.Compiler(
        HERE / f"{name}.typ",
        root=HERE,
        font_paths=_fonts(),
        sys_inputs={"data": printed_copy},
    )
    timestamp = datetime.fromisoformat(contents["at"]).replace(microsecond=0)
    try:
        made = compiler.compile(format="pdf", pdf_standards="ua-1", timestamp=timestamp)
    except typst.TypstError:
        # A text that cannot be read aloud, as one with a control character, is printed all the same.
        made = compiler.compile(format="pdf", timestamp=timestamp)
    return cast(bytes, made)


def _format(picture: bytes) -> str:
    """A signature is drawn, or the photo of a signed paper."""
    return "png" if picture.startswith(b"\x89PNG") else "jpg"


def _qr(text: str) -> str:
    svg = io.BytesIO()
    segno.make(text, micro=False, error="m").save(svg, kind="svg", border=2)
    return svg.getvalue().decode()

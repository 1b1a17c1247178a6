"""Forms as PDF: the same form is the same bytes, on every machine and at any time."""

import asyncio
import io
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import cast

import pylopdf_fonts_zh_cn
import segno
import typst

from eventlog.recorded import canonical
from projections.forms.contents import Form, local, stamp
from projections.projection import Document

HERE = Path(__file__).parent
AT_ONCE = asyncio.Semaphore(2)
"""Forms are made beside the loop; more at once would only wait for the processor."""


@cache
def _fonts() -> typst.Fonts:
    """Those of the package only: what a machine has installed changes nothing."""
    folder = pylopdf_fonts_zh_cn.sans_path().parent
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])


async def printed(form: Form, file: Document, people: dict[str, str], token: str | None = None) -> bytes:
    """The form of a visit as PDF, with the people who may stand on it. Raises NotYet.

    Nothing is fetched, and nothing of the data is code: they are handed over as JSON.
    """
    contents = form.contents(file)
    async with AT_ONCE:
        return await asyncio.to_thread(pdf, form.name, contents, people, token)


def pdf(name: str, contents: Document, people: dict[str, str], token: str | None) -> bytes:
    hash = stamp(contents)
    data = {
        "contents": contents,
        "people": people,
        "hash": hash,
        "at": local(contents["at"]),
        "qr": _qr(f"bayledger {name} {contents['work_order']} sha256 {hash}"),
        "token": token and _qr(token),
    }
    compiler = typst.Compiler(
        HERE / f"{name}.typ",
        root=HERE,
        font_paths=_fonts(),
        sys_inputs={"data": canonical(data).decode()},
    )
    made = compiler.compile(
        format="pdf",
        pdf_standards="ua-1",
        timestamp=datetime.fromisoformat(contents["at"]).replace(microsecond=0),
    )
    return cast(bytes, made)


def _qr(text: str) -> str:
    svg = io.BytesIO()
    segno.make(text, micro=False, error="m").save(svg, kind="svg", border=2)
    return svg.getvalue().decode()

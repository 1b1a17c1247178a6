"""What operators look at: how the system stands, and what a parked message says."""

import base64
from typing import Literal

from projections.projection import Document
from projections.status import SILENT

SHOWN = 600
"""Characters of a message that are shown."""

Standing = Literal["stopped", "silent", "parked", "behind", "well"]


def standing(status: Document) -> Standing:
    """The gravest of what there is to say about the system."""
    sources = {state_of(source) for source in status["sources"]}
    if "stopped" in sources:
        return "stopped"
    if "silent" in sources:
        return "silent"
    if status["parked"]:
        return "parked"
    return "well" if status["healthy"] and status["views"] else "behind"


def state_of(source: Document) -> Standing:
    if source["stopped"]:
        return "stopped"
    if source["compared_seconds_ago"] > SILENT:
        return "silent"
    return "behind" if source["late"] else "well"


def readable(body: str) -> str:
    """The beginning of a parked message as text, whatever its bytes are."""
    text = base64.b64decode(body).decode(errors="replace")
    shown = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text[:SHOWN])
    return shown + ("…" if len(text) > SHOWN else "")

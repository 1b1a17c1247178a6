"""Events as they are stored: one of every type and version there ever was."""

import json
from pathlib import Path
from typing import Any

SAMPLES = {
    path.stem: path.read_bytes().rstrip() for path in sorted(Path(__file__).parent.glob("samples/*.json"))
}
VEHICLE_RECEIVED_V1 = SAMPLES["reception.vehicle_received.v1"]


def envelope(type: str) -> dict[str, Any]:
    """The stored form, parsed."""
    parsed: dict[str, Any] = json.loads(SAMPLES[type])
    return parsed

"""The file of a vehicle: its visits at all sites of the group (P-03, R-47, R-56, X-06).

What was done to a vehicle is shared by the group. Who brought it is not: of another site's visits there is
nothing about a person, and no price (K-17).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from projections.projection import Document

_OF_VEHICLE = ("site", "received_at", "mileage_km", "mileage_less_because", "symptoms", "warranty")
_OF_VISIT = ("work_order_id", "customer", "plate", "plate_hidden", "plate_erased")
DONE = ("approved", "released")


def vehicle_history(vin: str, files: Iterable[Document], own: Sequence[str]) -> Document:
    """From the visits of a vehicle; `own` are the sites whose customers the reader may know."""
    received = (file for file in files if file.get("received_at") and file.get("vin") == vin)
    known = sorted(received, key=lambda file: str(file["received_at"]), reverse=True)
    visits = [_visit(file, "*" in own or file["site"] in own) for file in known]
    return {
        "vin": vin,
        "model": next((file["model"] for file in known if "model" in file), None),
        "visits": visits,
        "mileage": [
            {"at": file["received_at"], "mileage_km": file["mileage_km"]} for file in reversed(known)
        ],
        "recommendations": _recommendations(reversed(visits)),
        "last_service": _last_service(known),
        "next_service": _next_service(known),
    }


def _visit(file: Document, ours: bool) -> Document:
    shown = {name: file[name] for name in (*_OF_VEHICLE, *(_OF_VISIT if ours else ())) if name in file}
    return shown | {
        "ours": ours,
        "work": _work(file),
        "added": [
            {name: line[name] for name in ("line", "description", "state", "reason") if name in line}
            for line in file.get("added", {}).values()
        ],
        "reworks": len(file.get("workshop", {}).get("reworks", [])),
        "delivered_at": file.get("delivery", {}).get("delivered_at"),
    }


def _work(file: Document) -> list[Document]:
    """What was agreed at the beginning, with the parts and where they come from."""
    quote = file.get("quote", {})
    return [_line(line) for line in quote.get("lines", [])] if "signed_at" in quote else []


def _line(line: Document) -> Document:
    parts = [{name: part[name] for name in ("code", "name", "origin", "quantity")} for part in line["parts"]]
    return {"line": line["line"], "description": line["description"], "parts": parts}


def _recommendations(visits: Iterable[Document]) -> list[Document]:
    """What the customer put off, until a later visit does it, the earliest first (R-67)."""
    put_off: dict[str, Document] = {}
    for visit in visits:
        for line in visit["work"]:
            put_off.pop(line["description"], None)
        for line in visit["added"]:
            description = line.get("description")
            if line["state"] in DONE:
                put_off.pop(description, None)
            elif description and line.get("reason") == "later":
                recommended = {"description": description, "since": visit["received_at"]}
                put_off.setdefault(description, recommended | {"site": visit["site"]})
    return list(put_off.values())


def _last_service(visits: Iterable[Document]) -> Document | None:
    for file in visits:
        if at := file.get("delivery", {}).get("delivered_at"):
            return {"at": at, "site": file["site"], "mileage_km": file.get("mileage_km")}
    return None


def _next_service(visits: Iterable[Document]) -> Any:
    agreed = (file.get("delivery", {}).get("next_service") for file in visits)
    return next(filter(None, agreed), None)

"""What the workshop has to do, from the files of the vehicles that are there."""

from collections.abc import Iterable, Sequence
from typing import Any

from projections.projection import Document

_RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
_WORK_DONE = ("approved", "released")


def _shop(file: Document) -> Document:
    shop: Document = file.get("workshop", {})
    return shop


def to_dispatch(files: Iterable[Document]) -> list[Document]:
    """Vehicles in the waiting area, in the order of the board: by priority, then by arrival (W-03, W-05)."""
    waiting = (f for f in files if "taken_in_at" in _shop(f) and "team" not in _shop(f))
    return sorted(
        waiting,
        key=lambda f: (_RANKS[_shop(f).get("priority", "normal")], _shop(f)["taken_in_at"]),
    )


def at_work(files: Iterable[Document], team: str | None = None) -> list[Document]:
    """Vehicles that a team works on, who was promised first first."""
    given = (f for f in files if "team" in _shop(f) and "completed_at" not in _shop(f))
    return sorted(
        (f for f in given if team is None or _shop(f)["team"] == team),
        key=lambda f: (f.get("promised_at", "~"), f["received_at"]),
    )


def to_check(files: Iterable[Document]) -> list[Document]:
    """Vehicles whose work is done and not yet passed, since the longest first (W-15, W-18)."""
    done = [f for f in files if "completed_at" in _shop(f) and not checked(f)]
    return sorted(done, key=lambda f: str(_shop(f)["completed_at"]))


def checked(file: Document) -> Document | None:
    """The check after the last work, if it was passed."""
    check = next(iter(_shop(file).get("checks", [])[::-1]), None)
    since = _shop(file).get("completed_at", "~")
    return check if check and check["passed"] and check["at"] >= since else None


def last_check(file: Document) -> Document | None:
    """The check after the last work, whatever it found."""
    check: Document | None = next(iter(_shop(file).get("checks", [])[::-1]), None)
    return check if check and check["at"] >= _shop(file).get("completed_at", "~") else None


def last_drive(file: Document) -> Document | None:
    """The test drive after the last work."""
    drive: Document | None = next(iter(_shop(file).get("test_drives", [])[::-1]), None)
    return drive if drive and drive["at"] >= _shop(file).get("completed_at", "~") else None


def loads(files: Sequence[Document]) -> list[Document]:
    """Minutes of work that each team still has, by trade, who has most first (W-06)."""
    teams: dict[str, Document] = {}
    for file in at_work(files):
        team = teams.setdefault(_shop(file)["team"], {"orders": 0, "minutes": {}})
        team["orders"] += 1
        for task in _shop(file).get("tasks", {}).values():
            if "completed_at" not in task:
                trade = task.get("trade") or "mechatronic"
                team["minutes"][trade] = team["minutes"].get(trade, 0) + (task.get("labour_minutes") or 0)
    most = max((sum(team["minutes"].values()) for team in teams.values()), default=0)
    return sorted(
        ({"team": name, "most": most, **team} for name, team in teams.items()),
        key=lambda team: (-sum(team["minutes"].values()), team["team"]),
    )


def asked_for(file: Document) -> str | None:
    """Whether the desk is to ask how far the work is, or nobody knows (W-13): `check_due`, `alarm`."""
    shop = _shop(file)
    said = shop.get("progress", {}).get("at", "")
    for name, due in (("alarm", "alarm_at"), ("check_due", "check_due_at")):
        if shop.get(due, "") > said and "completed_at" not in shop:
            return name
    return None


def to_draw(files: Iterable[Document]) -> list[tuple[Document, list[Document]]]:
    """Vehicles at work and the parts that may be drawn for them (W-09)."""
    needed = ((file, parts_needed(file)) for file in at_work(files))
    return [(file, parts) for file, parts in needed if parts]


def parts_needed(file: Document) -> list[Document]:
    """Parts of the lines that may be worked on and were not drawn yet (W-09)."""
    lines: list[Any] = []
    if "signed_at" in file.get("quote", {}):
        lines += file["quote"]["lines"]
    lines += [line for line in file.get("added", {}).values() if line["state"] in _WORK_DONE]
    drawn = {(p["line"], p["code"]) for slip in _shop(file).get("slips", []) for p in slip["parts"]}
    return [
        {"line": line["line"], "code": part["code"], "name": part["name"], "quantity": str(part["quantity"])}
        for line in lines
        for part in line.get("parts") or []
        if (line["line"], part["code"]) not in drawn
    ]


def tasks(file: Document) -> list[Document]:
    """Lines that may be worked on, in their order."""
    found = _shop(file).get("tasks", {})
    return [{"line": int(line), **found[line]} for line in sorted(found, key=int)]

"""The versioned rules the views apply when somebody looks (X-14: each has an owner and an effective time)."""

import tomllib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from projections.projection import Document

Rule: TypeAlias = dict[str, Any]


@cache
def versions_of(rule: str) -> Sequence[Rule]:
    """All versions of a rule, the latest last."""
    text = files("projections").joinpath("rules.toml").read_text()
    found: list[Rule] = tomllib.loads(text)[rule]
    return sorted(found, key=lambda version: version["effective"])


def in_force(versions: Sequence[Rule], at: datetime) -> Rule:
    """The version of a rule that holds at a time; the first one holds for everything before it."""
    return next((v for v in reversed(versions) if v["effective"] <= at), versions[0])


def promise_risk(card: Document, at: datetime, versions: Sequence[Rule]) -> Document:
    """Whether the promised time is kept, by the version of the rule in force when the vehicle came.

    A promise is kept once the vehicle is ready, however late its customer comes for it.
    """
    if "promised_at" not in card or "delivered_at" in card:
        return {"level": "none"}
    rule = in_force(versions, datetime.fromisoformat(card["first_at"]))
    promised = datetime.fromisoformat(card["promised_at"])
    minutes = int((promised - at).total_seconds() // 60)
    if card["column"] == "ready":
        level = "on_time" if datetime.fromisoformat(card["since"]) <= promised else "late"
    elif minutes < 0:
        level = "late"
    else:
        level = "at_risk" if minutes < rule["at_risk_minutes"] else "on_time"
    return {"level": level, "minutes": minutes, "rule": f"promise_risk v{rule['version']}"}

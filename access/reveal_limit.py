"""How often one person may look up personal data: enough to work with, too little to copy a customer base."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class RevealLimit:
    """A version of the rule."""

    version: int
    owner: str
    effective: datetime
    number: int
    minutes: int

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.minutes)


VERSIONS = tuple(
    RevealLimit(**version)
    for version in tomllib.loads(files("access").joinpath("rules.toml").read_text())["reveal_limit"]
)


def reveal_limit(at: datetime, versions: tuple[RevealLimit, ...] = VERSIONS) -> RevealLimit:
    """The version in force at a time; the first one holds for everything before it."""
    return next((each for each in reversed(versions) if each.effective <= at), versions[0])

"""Versioned rules as data: each version has an owner and the time from which it holds (X-14, X-15)."""

from datetime import date, time
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

Severity: TypeAlias = Literal["grievance", "ordinary", "major"]
Channel: TypeAlias = Literal["phone", "in_person", "letter", "message", "website", "follow_up_call"]
Step: TypeAlias = Literal[
    "handed_over",
    "first_contact",
    "told",
    "agreement",
    "carried_out",
    "returned",
    "satisfaction_call",
    "archived",
]
"""What is done about a complaint and may have a deadline."""
Level: TypeAlias = Literal["advisor", "department_manager", "general_manager", "region"]
"""Who is told, from the one nearest to the customer upwards."""
Start: TypeAlias = Literal["raised", "carried_out", "signed_off"]
"""What sets the clock of a rule going."""
Clock: TypeAlias = Literal["around_the_clock", "working_time", "end_of_day"]

WallClock = Annotated[
    time, WithJsonSchema({"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]+)?)?$"})
]
"""Without a zone, which JSON Schema's own format of a time demands."""
Owner = Annotated[str, Field(min_length=1, max_length=100)]
Version = Annotated[int, Field(ge=1)]


class _Data(BaseModel):
    # People write these: a field that means nothing is a slip.
    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(_Data):
    """From one wall-clock time to a later one of the same day; midnight at its end is 00:00."""

    opens: WallClock
    closes: WallClock

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError("the times of a period are those of the site and carry no zone")
        if self.closes != time(0) and self.closes <= self.opens:
            raise ValueError(f"a period ends after it begins, unlike {self.opens} to {self.closes}")
        return self


def _apart(periods: tuple[Period, ...]) -> tuple[Period, ...]:
    in_order = tuple(sorted(periods, key=lambda period: period.opens))
    for earlier, later in pairwise(in_order):
        if earlier.closes == time(0) or later.opens < earlier.closes:
            raise ValueError(f"the periods from {earlier.opens} and from {later.opens} overlap")
    return in_order


Periods = Annotated[tuple[Period, ...], Field(max_length=10), AfterValidator(_apart)]


class Calendar(_Data):
    """The working hours of a site, from `effective` until a later version holds.

    `week` runs from Monday to Sunday. `days` are exceptions: a public holiday has no periods, a make-up
    workday has its own.
    """

    version: Version
    owner: Owner
    effective: AwareDatetime
    zone: ZoneInfo
    week: Annotated[tuple[Periods, ...], Field(min_length=7, max_length=7)]
    days: dict[date, Periods] = {}

    @model_validator(mode="after")
    def _works_at_all(self) -> Self:
        if not any(self.week):
            raise ValueError("a calendar needs working hours on one day of the week at least")
        return self

    def __hash__(self) -> int:
        return hash((self.version, self.effective, str(self.zone)))


class Rule(_Data):
    """A step, and how soon after its start it has to be done. Empty conditions match every complaint."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    step: Step
    starts: Start = "raised"
    severities: tuple[Severity, ...] = ()
    channels: tuple[Channel, ...] = ()
    clock: Clock = "around_the_clock"
    minutes: Annotated[int, Field(ge=1, le=60 * 24 * 366)] | None = None
    """None where the source gives none: such a rule sets no deadline (K-04)."""

    @model_validator(mode="after")
    def _how_long(self) -> Self:
        if self.clock == "end_of_day" and self.minutes is not None:
            raise ValueError(f"the rule {self.id} ends with the day and takes no minutes")
        return self


class Rung(_Data):
    """Who is told when a deadline has passed by so many minutes and the step is still not done."""

    level: Level
    minutes: Annotated[int, Field(ge=0, le=60 * 24 * 366)]


class Rulebook(_Data):
    """The deadlines of complaints and what follows when one passes."""

    version: Version
    owner: Owner
    effective: AwareDatetime
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=200)]
    ladder: Annotated[tuple[Rung, ...], Field(max_length=10)] = ()
    at_once: dict[Severity, Level] = {}
    """Who is told of a complaint of a severity as soon as it is known (C-23)."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """How often somebody has to have tried before a customer counts as unreachable (K-24)."""

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if twice := {id for id in ids if ids.count(id) > 1}:
            raise ValueError(f"the rule {min(twice)} is there twice")
        minutes = [rung.minutes for rung in self.ladder]
        if minutes != sorted(minutes) or len({rung.level for rung in self.ladder}) < len(minutes):
            raise ValueError("the ladder names each level once, the earliest first")
        return self

"""The shop's numbers as versioned data: each version has an owner and the time from which it holds (X-14).

Each site publishes versions of its own; until it has, the shipped ones hold. What was promised, due or asked
for under a version stays as it was under it.
"""

from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from events.lines import Fen, Minutes, PartOrigin, Trade
from events.rulebook import Calendar, Owner, Periods, Version

DispatchMode: TypeAlias = Literal["to_team", "own_team"]
"""The director gives work to teams, or an advisor to the team they lead (W-20, K-12)."""
Percent = Annotated[int, Field(ge=0, le=100)]
PositiveMinutes = Annotated[int, Field(ge=1, le=10_000)]


class _Rules(BaseModel):
    # People write these: a field that means nothing is a slip.
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReceptionRules(_Rules):
    """How a site books, receives, asks and hands over."""

    version: Version
    owner: Owner
    effective: AwareDatetime
    opening: Calendar
    """When vehicles are received."""

    slot_minutes: PositiveMinutes = 15
    """One reception (R-18)."""
    slots_between_buffers: Annotated[int, Field(ge=1, le=100)] = 3
    """After so many slots one stays free (R-19)."""
    gap_minutes: Annotated[int, Field(ge=0, le=1_000)] = 6
    """What two receptions save together: room for simple maintenance without an appointment (R-22, R-23)."""
    lead_time_hours: Annotated[int, Field(ge=0, le=10_000)] = 24
    """How long before its time an appointment has to be made (R-01)."""
    advisors: Annotated[int, Field(ge=1, le=100)] = 2
    bays: Annotated[int, Field(ge=1, le=200)] = 4
    high_value_fen: Fen = 100_000
    """A part from this price on is named when the appointment is made, and prepared (R-08)."""
    reminder_hours: Annotated[tuple[PositiveMinutes, ...], Field(min_length=1, max_length=5)] = (24, 12)
    """A reminder is due so long before the time: a day, or half of one (R-11)."""
    missed_after_minutes: PositiveMinutes = 30
    """Who has not come by then has missed the appointment (K-24)."""
    patience_minutes: PositiveMinutes = 8
    """How long a customer waits at ease (R-21)."""

    manager_from_fen: Fen = 1_000_000
    """From this sum on the manager takes part (R-58)."""
    peak: Periods = ()
    """When nobody hands over a major repair or an accident car (R-72)."""
    major_from_minutes: Minutes = 480
    """Labour from which on a repair is a major one."""
    follow_up_days: tuple[int, int] = (2, 3)
    """The quality call comes from the first to the last of these days after delivery (R-74, K-01)."""
    gate_pass_hours: PositiveMinutes = 24
    """How long a released gate pass opens the gate."""


class WorkshopRules(_Rules):
    """How a site's workshop is given work, watched and checked."""

    version: Version
    owner: Owner
    effective: AwareDatetime
    zone: ZoneInfo = ZoneInfo("Asia/Shanghai")
    """In which the site counts its days."""
    dispatch: Annotated[tuple[DispatchMode, ...], Field(min_length=1)] = ("to_team", "own_team")
    """The modes in which work may be given (W-20)."""
    check_percent: Percent = 70
    """Of the expected duration, after which somebody asks how it goes (W-13)."""
    alarm_percent: Percent = 80
    """By then it is known, or the alarm rings (W-13, W-14)."""
    test_drive: bool = True
    """A test drive comes before the quality check passes (W-18)."""
    wash: bool = True
    """The car is washed before it goes back to its advisor (W-18)."""
    rework_leader_percent: Percent = 20
    """Of what rework costs; the person responsible bears the rest (W-31)."""
    licence_percent: Percent = 90
    """The least in the practical test with which somebody is licensed (W-30)."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.check_percent > self.alarm_percent:
            raise ValueError("the alarm cannot ring before somebody has asked")
        return self


class Operation(_Rules):
    """Work that is sold by the piece (W-24 … W-26)."""

    code: Annotated[str, Field(pattern="^[A-Z0-9-]{2,20}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    group: Annotated[str, Field(min_length=1, max_length=40)]
    trade: Trade = "mechatronic"
    labour_minutes: Minutes


class PricedPart(_Rules):
    """A part that is kept, with its group (W-27)."""

    code: Annotated[str, Field(pattern="^[A-Z0-9-]{2,20}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    group: Annotated[str, Field(min_length=1, max_length=40)]
    origin: PartOrigin
    unit_fen: Fen


class PriceList(_Rules):
    """What an hour of labour and a part cost; public, and changes are announced (R-59, X-10)."""

    version: Version
    owner: Owner
    effective: AwareDatetime
    labour_hour_fen: dict[Trade, Fen]
    operations: tuple[Operation, ...]
    parts: tuple[PricedPart, ...]

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        codes = [each.code for each in self.operations] + [each.code for each in self.parts]
        if twice := {code for code in codes if codes.count(code) > 1}:
            raise ValueError(f"the code {min(twice)} is there twice")
        return self

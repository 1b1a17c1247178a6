"""What the rows of another system mean here: a TOML file, for no two sources agree on their columns."""

import re
import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as Values
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from events import Event, Sealed, event_classes
from ops.importing.readers import Layout, Row
from ops.processes import Unusable

LONGEST_CASE = 100
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BadMapping(Unusable):
    """The mapping cannot be used: one sentence. Nothing was recorded."""


class Unmapped(Exception):
    """A row that means nothing here, and why."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a row means."""

    row: int
    """Its number in the file."""
    case: str
    """The id of its case here."""
    event: Event
    """But for what is sealed in it."""
    occurred_at: datetime
    order: tuple[tuple[int, float, str], ...]
    personal: Values[str, str] = field(default_factory=dict)
    """What is to be sealed, by field."""
    unknown: str | None = None
    """The state of the case, if nobody has said what it means here."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Part):
    """A field's value is in a column, as it is or by a table of values. An empty one leaves the field out.

    With a `separator` it is several values out of `among`, which may contain the separator themselves.
    """

    column: str
    values: dict[str, Any] | None = None
    separator: str | None = Field(None, min_length=1)
    among: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _one_way_to_read_it(self) -> Self:
        if bool(self.separator) != bool(self.among) or (self.separator and self.values):
            raise ValueError("`separator` and `among` go together, and without `values`")
        return self

    def read(self, text: str) -> Any:
        if self.values is not None:
            if text not in self.values:
                raise Unmapped(f"the mapping does not know {self.column!r} = {text!r}")
            return self.values[text]
        return tuple(self._split(text, self.separator)) if self.separator else text

    def _split(self, text: str, separator: str) -> Iterator[str]:
        at, closed = 0, text + separator
        while at < len(closed):
            known = [part for part in self.among if closed.startswith(part + separator, at)]
            if not known:
                raise Unmapped(f"the mapping does not know what {self.column!r} goes on with: {text[at:]!r}")
            yield (longest := max(known, key=len))
            at += len(longest + separator)


class Becomes(Part):
    """The event that an activity is here. A field is a constant or a Column."""

    event: str
    fields: dict[
        str,
        Annotated[
            Annotated[Column, Tag("column")] | Annotated[Any, Tag("constant")],
            Discriminator(lambda field: "column" if isinstance(field, dict) else "constant"),
        ],
    ] = {}


class Choice(Part):
    """The event depends on the value of a column."""

    by: str
    when: dict[str, Becomes]


class Case(Part):
    """Which rows belong together, in which order, and where they are recorded."""

    column: str
    id: str = "{source}-{case}"
    id_field: str
    stream_prefix: str
    first: str
    """The event it begins with."""
    order: tuple[str, ...] = ()
    """Columns that put the rows of a case in order. Rows they leave equal stay in the order of the file, as
    do all rows if there are no such columns."""

    @field_validator("id")
    @classmethod
    def _keeps_sources_apart(cls, id: str) -> str:
        if "{source}" not in id or "{case}" not in id:
            raise ValueError("needs both {source} and {case}, or two sources would share a history")
        return id


class YearsBefore(Part):
    """More than so many years before the year in this column, nothing can have happened."""

    column: str
    years: int = Field(ge=0)


class Time(Part):
    """When it happened. A time that does not say its zone is in `zone`; an impossible one is rejected."""

    column: str
    format: str = "iso"
    zone: ZoneInfo | None = None
    earliest: date | None = None
    earliest_by: YearsBefore | None = None

    @field_validator("format")
    @classmethod
    def _readable(cls, format: str) -> str:
        if format != "iso":
            datetime.strptime(datetime.now(UTC).strftime(format), format)
        return format

    def read(self, text: str) -> datetime:
        try:
            at = (
                datetime.fromisoformat(text) if self.format == "iso" else datetime.strptime(text, self.format)
            )
            if at.tzinfo is None and self.zone is None:
                raise Unmapped(f"the time {text!r} has no zone, and the mapping names none")
            return (at if at.tzinfo else at.replace(tzinfo=self.zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Unmapped(f"{text!r} is no time in the format {self.format!r}") from None


class Activity(Part):
    """What happened, or the state it led to: these columns, joined. Without columns it is ""."""

    columns: tuple[str, ...]
    separator: str = "+"


class States(Part):
    """For a source that tells the states of a case: its first row is one event, every later row another.

    Both take the state as the source calls it in their field `state`, and what it is here in `meaning`. A
    state that `meanings` does not list is kept without a meaning, and the import names it.
    """

    first: Becomes
    later: Becomes
    meanings: dict[str, str] = {}


class Mapping(Part):
    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    service: Literal["reception", "workshop", "customer_care"]
    actor: str = Field(min_length=1)
    """Stands for everyone in the source: names of people do not enter the log."""
    missing: frozenset[str] = frozenset({""})
    """Values that mean there is none."""
    file: Layout
    case: Case
    time: Time
    activity: Activity
    activities: dict[
        str,
        Annotated[
            Annotated[Becomes, Tag("event")] | Annotated[Choice, Tag("choice")],
            Discriminator(lambda it: "choice" if isinstance(it, dict) and "by" in it else "event"),
        ],
    ] = {}
    states: States | None = None

    @model_validator(mode="after")
    def _speaks_our_language(self) -> Self:
        if bool(self.activities) == bool(self.states):
            raise ValueError("needs either `activities` or `states`")
        for activity, becomes in self._all():
            try:
                self._check(becomes)
            except ValueError as why:
                raise ValueError(f"{activity!r}: {why}") from None
        begins = [self.states.first] if self.states else [becomes for _, becomes in self._all()]
        if self.case.first not in {becomes.event for becomes in begins}:
            raise ValueError(f"no activity is the first event of a case, {self.case.first!r}")
        if self.states and not self.activity.columns:
            raise ValueError("no column tells the state")
        return self

    def _all(self) -> Iterator[tuple[str, Becomes]]:
        for activity, meaning in self.activities.items():
            for becomes in meaning.when.values() if isinstance(meaning, Choice) else [meaning]:
                yield activity, becomes
        if self.states:
            yield "first", self.states.first
            yield "later", self.states.later

    def _check(self, becomes: Becomes) -> None:
        event_class = event_classes().get(becomes.event)
        if event_class is None:
            raise ValueError(f"there is no event {becomes.event!r}")
        if not becomes.event.startswith(f"{self.service}."):
            raise ValueError(f"{becomes.event!r} is not an event of {self.service}")
        given = (
            becomes.fields.keys() | {self.case.id_field} | ({"state", "meaning"} if self.states else set())
        )
        for name, info in event_class.model_fields.items():
            if info.is_required() and name not in given:
                raise ValueError(f"{becomes.event!r} needs its field {name!r}")
        for name in given:
            if name not in event_class.model_fields:
                raise ValueError(f"{becomes.event!r} has no field {name!r}")
        for name, spec in becomes.fields.items():
            if _is_sealed(event_class, name):
                if not self._may_seal(event_class, spec):
                    raise ValueError(f"{name!r} is personal data, which is not imported")
            elif isinstance(spec, Column):
                _must_fit(event_class, name, *(spec.values or {}).values())
            else:
                _must_fit(event_class, name, spec)
        if self.states:
            _must_fit(event_class, "meaning", *self.states.meanings.values())

    def _may_seal(self, event_class: type[Event], spec: Any) -> bool:
        """What somebody said may be sealed under a key of its own, if the event that begins the case need not
        say who it was. Who somebody is stays out."""
        customer = event_class.model_fields.get("customer")
        begins = event_class.type == self.case.first and customer is not None and not customer.is_required()
        return begins and isinstance(spec, Column) and spec.values is None and not spec.among

    def first(self, fact: Fact, row: Row) -> Fact:
        """The fact that a row is, being the first of its case. Raises Unmapped."""
        assert self.states
        return self._fact(fact.row, fact.case, fact.occurred_at, fact.order, self.states.first, row)

    def fact(self, number: int, row: Row) -> Fact:
        """The one fact that a row is; with `states`, if it is not the first of its case.

        Raises Unmapped: nothing is guessed.
        """
        if row.broken:
            raise Unmapped(row.broken)
        case = self._needed(row, self.case.column)
        if len(case) > LONGEST_CASE:
            raise Unmapped(f"the case id is longer than {LONGEST_CASE} characters")
        id = self.case.id.replace("{source}", self.source).replace("{case}", _plain(case))
        at = self.time.read(self._needed(row, self.time.column))
        self._must_be_possible(row, at)
        becomes = self.states.later if self.states else self._becomes(row)
        order = tuple(
            (0, at.timestamp(), "") if column == self.time.column else _rank(self._needed(row, column))
            for column in self.case.order
        )
        return self._fact(number, id, at, order, becomes, row)

    def _fact(
        self,
        number: int,
        id: str,
        at: datetime,
        order: tuple[tuple[int, float, str], ...],
        becomes: Becomes,
        row: Row,
    ) -> Fact:
        event_class = event_classes()[becomes.event]
        data: dict[str, Any] = {self.case.id_field: id}
        personal: dict[str, str] = {}
        if self.states:
            state = self._state(row)
            data |= {"state": state, "meaning": self.states.meanings.get(state)}
        for name, spec in becomes.fields.items():
            value = self._field(row, spec) if isinstance(spec, Column) else spec
            kind = event_class.model_fields[name].annotation
            if isinstance(value, str) and (kind is datetime or datetime in get_args(kind)):
                value = self.time.read(value)
            if value is not None:
                (personal if _is_sealed(event_class, name) else data)[name] = value
        try:
            event = event_class.model_validate(data)
        except ValidationError as why:
            raise Unmapped(f"{becomes.event} does not take this row: {_sentence(why)}") from None
        unknown = data["state"] if self.states and data["meaning"] is None else None
        return Fact(number, id, event, at, order, personal, unknown)

    def _must_be_possible(self, row: Row, at: datetime) -> None:
        day = at.astimezone(self.time.zone or UTC).date()
        if self.time.earliest and day < self.time.earliest:
            raise Unmapped(f"{day} is before {self.time.earliest}, the earliest possible day")
        if by := self.time.earliest_by:
            year = self._needed(row, by.column)
            if re.fullmatch("[0-9]{4}", year) is None:
                raise Unmapped(f"{year!r} in {by.column!r} is no year")
            if day.year < (earliest := int(year) - by.years):
                raise Unmapped(f"{day} is before {earliest}, the earliest possible by its {by.column!r}")

    def _state(self, row: Row) -> str:
        present = [value for column in self.activity.columns if (value := self._value(row, column))]
        if not present:
            raise Unmapped("it tells no state")
        return self.activity.separator.join(present)

    def _becomes(self, row: Row) -> Becomes:
        columns = self.activity.columns
        activity = self.activity.separator.join(self._value(row, column) or "" for column in columns)
        meaning = self.activities.get(activity)
        if meaning is None:
            raise Unmapped(f"the mapping does not know the activity {activity!r}")
        if isinstance(meaning, Becomes):
            return meaning
        value = self._needed(row, meaning.by)
        if value not in meaning.when:
            raise Unmapped(f"the mapping does not know {meaning.by!r} = {value!r} of {activity!r}")
        return meaning.when[value]

    def _field(self, row: Row, spec: Column) -> Any:
        value = self._value(row, spec.column)
        return None if value is None else spec.read(value)

    def _needed(self, row: Row, column: str) -> str:
        value = self._value(row, column)
        if value is None:
            raise Unmapped(f"it has no {column!r}")
        return value

    def _value(self, row: Row, column: str) -> str | None:
        value = row.values.get(column)
        if value is None or value in self.missing:
            return None
        if UNSTORABLE.search(value):
            raise Unmapped(f"{column!r} holds a character that cannot be stored")
        return value

    def columns(self) -> set[str]:
        """All that the mapping reads."""
        fields = [spec for _, becomes in self._all() for spec in becomes.fields.values()]
        return {
            *(self.case.column, *self.case.order, self.time.column, *self.activity.columns),
            *((self.time.earliest_by.column,) if self.time.earliest_by else ()),
            *(spec.column for spec in fields if isinstance(spec, Column)),
            *(meaning.by for meaning in self.activities.values() if isinstance(meaning, Choice)),
        }


def load_mapping(path: Path) -> Mapping:
    """Everything that can be wrong with a mapping, apart from the data, is found here. Raises BadMapping."""
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as why:
        raise BadMapping(f"the mapping {path} cannot be read: {why.strerror}") from None
    except ValidationError as why:
        raise BadMapping(f"the mapping {path} cannot be used: {_sentence(why)}") from None
    except ValueError as why:
        raise BadMapping(f"the mapping {path} is not TOML: {why}") from None


def _sentence(why: ValidationError) -> str:
    first = why.errors()[0]
    place = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    return f"{place}: {what}" if place else what


def _is_sealed(event_class: type[Event], field: str) -> bool:
    kind = event_class.model_fields[field].annotation
    return kind is Sealed or Sealed in get_args(kind)


def _must_fit(event_class: type[Event], field: str, *constants: Any) -> None:
    kind: Any = event_class.model_fields[field].annotation
    for constant in constants:
        try:
            TypeAdapter(kind).validate_python(constant)
        except ValidationError as why:
            raise ValueError(f"{constant!r} is no {field!r}: {why.errors()[0]['msg']}") from None


def _plain(case: str) -> str:
    """A case id that fits into addresses and headers; different ones stay different."""
    return re.sub(r"[^\w.-]", lambda odd: f"~{ord(odd[0]):x}~", case)


def _rank(value: str) -> tuple[int, float, str]:
    """Numbers in their order, before words in theirs."""
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0, value

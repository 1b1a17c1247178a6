"""What a projection is: data and pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, LiteralString, TypeAlias

from eventlog.recorded import canonical
from events import Event
from projections.facts import Fact, Reader

Document: TypeAlias = dict[str, Any]
"""What a person looks at, as JSON. Never changed in place: an event leads to a new one."""

Column: TypeAlias = tuple[LiteralString, Callable[[Document], Any]]


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A view of the log.

    `version` is raised whenever `evolve` or a column changes its meaning: the view is then rebuilt.
    """

    name: LiteralString
    version: int
    handles: tuple[type[Event], ...]
    key: str
    """The field of the events that names the document they belong to; without a value, to none."""
    evolve: Callable[[Document | None, Fact], Document | None]
    """The document after the event; None ends it. Pure, and it never rejects a recorded fact."""
    begins: Callable[[Fact], bool] = lambda fact: False
    """Whether a document begins with this event, unless services were heard out of order."""
    columns: Mapping[LiteralString, Column] = field(default_factory=dict)
    """Indexed columns: name -> (SQL type, value)."""

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.handles, self.key)


def to_json(document: Document) -> str:
    """The same document always gives the same text: rebuilt and live rows can be compared as they are."""
    return canonical(document).decode()

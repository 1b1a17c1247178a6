"""What a projection is: data and pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, LiteralString, TypeAlias

from eventlog.recorded import Recorded, canonical
from events import Event, event_classes
from events.upcasters import UPCASTERS

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
    key: Callable[[Recorded], str | None]
    """Which document an event belongs to; None for none."""
    evolve: Callable[[Document | None, Recorded], Document | None]
    """The document after the event; None ends it. Pure, and it never rejects a recorded fact."""
    columns: Mapping[LiteralString, Column] = field(default_factory=dict)
    """Indexed columns: name -> (SQL type, value)."""

    @cached_property
    def types(self) -> frozenset[str]:
        """Stored type names that lead to handled events, older versions included."""
        wanted = {event.type for event in self.handles}
        return frozenset(type for type in [*event_classes(), *UPCASTERS] if _today(type) in wanted)


def known_types() -> frozenset[str]:
    return frozenset([*event_classes(), *UPCASTERS])


def to_json(document: Document) -> str:
    """The same document always gives the same text: rebuilt and live rows can be compared as they are."""
    return canonical(document).decode()


def _today(type: str) -> str:
    while type in UPCASTERS:
        type, _ = UPCASTERS[type]
    return type

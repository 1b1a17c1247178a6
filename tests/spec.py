"""given / when / then for deciders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from eventlog.decider import Decider, Rejected
from events import Event


@dataclass(frozen=True)
class Spec:
    decider: Decider[Any, Any]
    history: Sequence[Event] = ()
    command: Any = None

    def given(self, *events: Event) -> "Spec":
        return replace(self, history=events)

    def when(self, command: Any) -> "Spec":
        return replace(self, command=command)

    def then(self, *events: Event) -> None:
        assert list(self._decide()) == list(events)

    def then_nothing(self) -> None:
        self.then()

    def then_rejected(self, because: str) -> None:
        """The whole sentence: people read it."""
        with pytest.raises(Rejected) as rejected:
            self._decide()
        assert str(rejected.value) == because

    def _decide(self) -> Sequence[Event]:
        return self.decider.decide(self.command, self.decider.fold(self.history))

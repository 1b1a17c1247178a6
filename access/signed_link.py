"""Links that open one thing for whoever holds them: a customer's own complaint, without an account.

The link carries what it opens, until when, and a signature that takes the master key to make.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from access.keyring import Keyring
from access.problems import Problem, missing

VALID = timedelta(days=90)
"""Longer than a complaint takes; a new link can be made at any time."""


class BadLink(Exception):
    """Forged, damaged, or for something else."""


class Expired(BadLink):
    """Ours, and no longer valid."""


@dataclass(frozen=True, slots=True)
class Opens:
    id: str
    until: datetime


class Links:
    """Makes and checks links; every process with the same master key agrees."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, kind: str, id: str, now: datetime) -> tuple[str, datetime]:
        """The secret part of an address, and until when it is valid; `id` may hold dots, `kind` may not."""
        until = (now + VALID).replace(microsecond=0)
        said = f"{kind}.{id}.{int(until.timestamp()):x}"
        return f"{said}.{self._signature(said)}", until

    def check(self, kind: str, link: str, now: datetime) -> Opens:
        """What a link of this kind opens. Raises BadLink; looks nothing up."""
        said, _, signature = link.rpartition(".")
        if not link.isascii() or not hmac.compare_digest(self._signature(said), signature):
            raise BadLink("forged or damaged")
        made_for, _, rest = said.partition(".")
        if made_for != kind:
            raise BadLink("for something else")
        id, _, until = rest.rpartition(".")
        opens = Opens(id, datetime.fromtimestamp(int(until, 16), now.tzinfo))
        if opens.until < now:
            raise Expired("no longer valid")
        return opens

    def opened(self, kind: str, link: str) -> Opens:
        """What the link that somebody came with opens now. Raises the problem they are answered."""
        try:
            return self.check(kind, link, datetime.now(UTC))
        except Expired:
            raise Problem(410, "This link is no longer valid; please ask us for a new one.") from None
        except BadLink:
            raise missing() from None

    def _signature(self, said: str) -> str:
        return self._keyring.fingerprint(f"link {said}".encode())

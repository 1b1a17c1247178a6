"""Who is who on the bus, and what each may do there: publish its own events, read what its policies wait for.

The owner provisions. A service may create the stream when it was lost, and its own consumers with the filter
they have in the code; nobody but the owner changes or deletes either. Answers come to an inbox of one's own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

IDENTITY_OF = {
    "reception": "reception",
    "workshop": "workshop",
    "customer-care": "customer_care",
    "projections": "ledger",
}
"""The app -> who it is on the bus."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects; whatever is not named is refused."""

    publish: Sequence[str]
    subscribe: Sequence[str]


def identities() -> dict[str, Permissions]:
    """All but the owner."""
    from access.keyring import Keyring
    from access.pools import open_pool
    from eventlog.bus import ledger_consumer
    from eventlog.store import EventStore
    from services.customer_care.policies import policies as care
    from services.reception.policies import policies as reception
    from services.workshop.policies import policies as workshop

    # Only what the policies wait for is asked: none of these is ever opened.
    nowhere = "host=127.0.0.1 port=1 user=nobody password=none dbname=nowhere"
    keyring = Keyring(open_pool(nowhere, 1), bytes(32))
    policies = {
        "reception": reception(EventStore("reception", nowhere)),
        "workshop": workshop(EventStore("workshop", nowhere)),
        "customer_care": care(EventStore("customer_care", nowhere), keyring),
    }
    services = {
        name: _permissions(name, each.consumers(), [f"aftersales.*.{name}.>", "aftersales.*.policies.>"])
        for name, each in policies.items()
    }
    return services | {"ledger": _permissions("ledger", [ledger_consumer()], [])}


def user(name: str, password: str, may: Permissions) -> str:
    """A line of the server's configuration."""
    allow = ", ".join(
        f"{act}: {{ allow: {json.dumps(list(subjects))} }}"
        for act, subjects in (("publish", may.publish), ("subscribe", may.subscribe))
    )
    return f"    {{ user: {name}, password: {password}, permissions: {{ {allow} }} }}"


def _permissions(name: str, consumers: Sequence[Any], own: list[str]) -> Permissions:
    api = "$JS.API"
    publish = [*own, f"{api}.STREAM.INFO.AFTERSALES", f"{api}.STREAM.CREATE.AFTERSALES"]
    for each in consumers:
        durable = each.durable_name
        publish += [
            f"{api}.CONSUMER.INFO.AFTERSALES.{durable}",
            f"{api}.CONSUMER.CREATE.AFTERSALES.{durable}.{each.filter_subject}",
            f"{api}.CONSUMER.MSG.NEXT.AFTERSALES.{durable}",
            f"$JS.ACK.AFTERSALES.{durable}.>",
        ]
    return Permissions(publish, [f"_INBOX_{name}.>"])

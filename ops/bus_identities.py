"""Who is who on the bus, and what each may do there: publish its own events, read what its policies wait for.

Each signs in with an nkey of its own: the server knows the public half, the seed is in a file for the eyes of
its owner only. The owner provisions. A service may create the stream when it was lost, and its own consumers
with the filter they have in the code; nobody but the owner changes or deletes either. Answers come to an
inbox of one's own.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]

from access.secret_file import secret_file

OWNER = "bayledger"
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
    from eventlog.bus import ledger_consumer, readback_consumer
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
        name: _permissions(
            name,
            [*each.consumers(), readback := readback_consumer(name)],
            [
                *(f"aftersales.*.{name}.>", "aftersales.*.policies.>"),
                "$JS.API.CONSUMER.LIST.AFTERSALES",
                f"$JS.API.CONSUMER.DELETE.AFTERSALES.{readback.durable_name}",
            ],
        )
        for name, each in policies.items()
    }
    return services | {"ledger": _permissions("ledger", [ledger_consumer()], [])}


def seed_file(folder: Path, identity: str) -> Path:
    return folder / f"{identity}.nk"


def public_key(folder: Path, identity: str) -> str:
    """Of the nkey whose seed is in the identity's file, made on first use.

    Raises PermissionError for a seed that others may read.
    """
    seed = secret_file(seed_file(folder, identity), _new_seed)
    return str(nkeys.from_seed(bytearray(seed.strip())).public_key.decode())


def _new_seed() -> bytes:
    return bytes(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))


def users(keys: Mapping[str, str], may: Mapping[str, Permissions]) -> str:
    """Lines of the server's configuration: the owner's key opens everything, the others what `may` says."""
    lines = [f"    {{ nkey: {keys[OWNER]} }}"]
    for name, permissions in may.items():
        allow = ", ".join(
            f"{act}: {{ allow: {json.dumps(list(subjects))} }}"
            for act, subjects in (("publish", permissions.publish), ("subscribe", permissions.subscribe))
        )
        lines.append(f"    {{ nkey: {keys[name]}, permissions: {{ {allow} }} }}")
    return "\n".join(lines)


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

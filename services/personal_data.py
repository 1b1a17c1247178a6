"""Personal values on their way into an event: sealed before anything is decided or stored."""

from collections.abc import Mapping

from access.keyring import Keyring
from events import Event, Sealed


async def seal(
    keyring: Keyring, event: type[Event], phone: str, values: Mapping[str, str]
) -> tuple[str, dict[str, Sealed]]:
    """The person with this phone number, known or new, and the values under their key, by field."""
    context = event.type.rpartition(".")[0]
    person, sealed = await keyring.seal_for(
        {"phone": phone}, {f"{context}.{name}": text for name, text in values.items()}
    )
    return person, {name: sealed[f"{context}.{name}"] for name in values}

"""Personal values on their way into an event: sealed before anything is decided or stored."""

from collections.abc import Mapping

from access.keyring import Erased, Keyring
from access.problems import Problem
from events import Event, Sealed


async def seal(
    keyring: Keyring, event: type[Event], phone: str, values: Mapping[str, str]
) -> tuple[str, dict[str, Sealed]]:
    """The person with this phone number, known or new, and the values under their key, by field."""
    person = await keyring.subject_for({"phone": phone})
    context = event.type.rpartition(".")[0]
    try:
        sealed = await keyring.seal_many(person, {f"{context}.{name}": text for name, text in values.items()})
    except Erased:
        raise Problem(409, "This person's data was erased just now; please enter them again.") from None
    return person, {name: sealed[f"{context}.{name}"] for name in values}

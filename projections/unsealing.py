"""Personal values in documents: clear for roles that see them, and only as long as their keys exist."""

from collections.abc import Iterable, Sequence

from access.keyring import Keyring, UnknownSubject
from access.problems import Problem
from events import Sealed
from projections.projection import Document

TEXTS = ("cause", "plan", "result", "improvement", "opinion", "reason", "instruction")
"""What was typed in the course of a complaint."""
ON_REQUEST = frozenset({"customer_name", "phone", "answered_by", "narrative", *TEXTS})
"""Sealed values that are shown on request only, and each time recorded."""


def sealed_names(document: Document) -> list[str]:
    return [name for name, value in document.items() if type(value) is dict and "box" in value]


def hidden(document: Document) -> Document:
    """Sealed values become null with the reason beside them."""
    return _hidden(document, sealed_names(document))


def _hidden(document: Document, names: Iterable[str]) -> Document:
    clear = document.copy()
    for name in names:
        clear[name], clear[f"{name}_hidden"] = None, True
    return clear


async def unsealed(
    keyring: Keyring, documents: Sequence[Document], *, afresh: bool = False
) -> list[Document]:
    """Sealed values become text, those shown on request null with the reason beside it.

    With `afresh` what was erased before the call is not shown; else what was erased `KEYS_REMEMBERED`
    seconds before.
    """
    sealed = [sealed_names(document) for document in documents]
    wanted = [(n, name) for n, names in enumerate(sealed) for name in names if name not in ON_REQUEST]
    texts = await unseal(keyring, (documents[n][name] for n, name in wanted), afresh=afresh)
    clear = [_hidden(document, names) for document, names in zip(documents, sealed, strict=True)]
    for (n, name), text in zip(wanted, texts, strict=True):
        clear[n][name] = text
        clear[n].pop(f"{name}_hidden")
        if text is None:
            clear[n][f"{name}_erased"] = True
    return clear


async def unseal(keyring: Keyring, sealed: Iterable[Document], *, afresh: bool = False) -> list[str | None]:
    """None for whom the key was destroyed; a key that is not there at all is no erasure."""
    try:
        return await keyring.unseal_many([Sealed.model_validate(each) for each in sealed], afresh=afresh)
    except UnknownSubject:
        sentence = "A person's key is missing; restore the newest backup of the keys database."
        raise Problem(503, sentence) from None

"""Personal values in documents: clear for roles that see them, and only as long as their keys exist."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from access.keyring import Keyring, UnknownSubject
from access.problems import Problem
from events import Sealed
from projections.projection import Document

TEXTS = ("cause", "plan", "result", "improvement", "opinion", "reason", "instruction")
"""What was typed in the course of a complaint."""
ON_REQUEST = frozenset({"customer_name", "phone", "answered_by", "narrative", *TEXTS})
"""Sealed values that are shown on request only, and each time recorded."""


def sealed_names(document: Document) -> list[str]:
    return [name for name, value in document.items() if _is_sealed(value)]


def hidden(document: Document) -> Document:
    """Sealed values, however deep, become null with the reason beside them."""
    clear: Document = _with(document, _hide)
    return clear


async def unsealed(
    keyring: Keyring, documents: Sequence[Document], *, afresh: bool = False
) -> list[Document]:
    """Sealed values, however deep, become text, those shown on request null with the reason beside it.

    With `afresh` what was erased before the call is not shown; else what was erased `KEYS_REMEMBERED`
    seconds before.
    """
    wanted = [value for document in documents for name, value in _sealed(document) if name not in ON_REQUEST]
    texts = iter(await unseal(keyring, wanted, afresh=afresh))

    def show(name: str) -> Document:
        if name in ON_REQUEST:
            return _hide(name)
        text = next(texts)
        return {name: text} if text is not None else {name: None, f"{name}_erased": True}

    return [_with(document, show) for document in documents]


def _sealed(value: Any) -> Iterator[tuple[str, Document]]:
    """Sealed values by name, in the order in which `_with` comes upon them."""
    if type(value) is dict:
        for name, inner in value.items():
            if _is_sealed(inner):
                yield name, inner
            else:
                yield from _sealed(inner)
    elif type(value) is list:
        for inner in value:
            yield from _sealed(inner)


def _with(value: Any, show: Callable[[str], Document]) -> Any:
    """The same with something else in the place of each sealed value."""
    if type(value) is dict:
        clear: Document = {}
        for name, inner in value.items():
            clear |= show(name) if _is_sealed(inner) else {name: _with(inner, show)}
        return clear
    return [_with(inner, show) for inner in value] if type(value) is list else value


def _is_sealed(value: Any) -> bool:
    return type(value) is dict and "box" in value


def _hide(name: str) -> Document:
    return {name: None, f"{name}_hidden": True}


async def unseal(keyring: Keyring, sealed: Iterable[Document], *, afresh: bool = False) -> list[str | None]:
    """None for whom the key was destroyed; a key that is not there at all is no erasure."""
    try:
        return await keyring.unseal_many([Sealed.model_validate(each) for each in sealed], afresh=afresh)
    except UnknownSubject:
        sentence = "A person's key is missing; restore the newest backup of the keys database."
        raise Problem(503, sentence) from None

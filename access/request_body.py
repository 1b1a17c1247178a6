"""What all bodies of requests have in common."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

MAX_DEPTH = 8
"""Levels of lists and objects in a body."""


class RequestBody(BaseModel):
    """Unknown fields are refused: a misspelt one would be lost. So is NUL, which
    PostgreSQL cannot keep in a text, and what is nested deeper than `MAX_DEPTH`."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _shallow(cls, value: Any) -> Any:
        level = [value]
        for _ in range(MAX_DEPTH):
            level = [part for each in level for part in _parts(each)]
        if any(isinstance(each, dict | list) for each in level):
            raise ValueError(f"at most {MAX_DEPTH} levels of lists and objects are read")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if _holds_nul(value):
            raise ValueError("the character NUL cannot be stored; please leave it out")
        return value


def _holds_nul(value: Any) -> bool:
    """However deep: below a field there may be rules and prices, which are no bodies of their own."""
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(map(_holds_nul, (*value.keys(), *value.values())))
        case list():
            return any(map(_holds_nul, value))
    return False


def _parts(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()

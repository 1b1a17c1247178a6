"""What all bodies of requests have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class RequestBody(BaseModel):
    """Unknown fields are refused: a misspelt one would be lost. So is NUL, which
    PostgreSQL cannot keep in a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise ValueError("the character NUL cannot be stored; please leave it out")
        return value

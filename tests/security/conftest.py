"""The security tests work on what the tests of the HTTP API set up."""

from tests.api.conftest import order

__all__ = ["order"]

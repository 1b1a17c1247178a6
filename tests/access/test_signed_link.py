"""A link opens one thing for whoever holds it, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring
from access.signed_link import VALID, BadLink, Expired, Links

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def links(key: bytes = bytes(32)) -> Links:
    return Links(Keyring(AsyncConnectionPool("", open=False), key))


def made(kind: str = "progress", id: str = "sh01.C1", now: datetime = NOW) -> str:
    link, _ = links().make(kind, id, now)
    return link


def test_a_link_opens_what_it_was_made_for() -> None:
    link, until = links().make("progress", "sh01.c41e", NOW)
    opens = links().check("progress", link, NOW)
    assert (opens.id, opens.until, until) == ("sh01.c41e", NOW + VALID, NOW + VALID)


def test_a_link_made_for_something_else_opens_nothing() -> None:
    with pytest.raises(BadLink, match="something else"):
        links().check("progress", made("complain"), NOW)


def test_a_link_of_another_installation_opens_nothing() -> None:
    with pytest.raises(BadLink, match="forged"):
        links(b"1" * 32).check("progress", made(), NOW)


def test_no_character_of_a_link_can_be_changed() -> None:
    link = made()
    for n, character in enumerate(link):
        other = link[:n] + ("a" if character != "a" else "b") + link[n + 1 :]
        with pytest.raises(BadLink):
            links().check("progress", other, NOW)


@pytest.mark.parametrize(
    "nonsense", ["", ".", "...", "progress", "progress.C1", "投诉.C1.ff.00", "a.b.c.d", "\ud800"]
)
def test_what_is_no_link_opens_nothing(nonsense: str) -> None:
    with pytest.raises(BadLink):
        links().check("progress", nonsense, NOW)


def test_a_link_ends() -> None:
    links().check("progress", made(), NOW + VALID)
    with pytest.raises(Expired, match="no longer valid"):
        links().check("progress", made(), NOW + VALID + timedelta(seconds=1))

"""The services' own feeds over HTTP: what the ledger reads when the bus has lost something."""

import time
from collections.abc import Callable

import httpx2

from access.issuer import Issuer
from access.roles import Role
from eventlog.feed import FeedPage, page_from_json
from eventlog.ledger import Feed
from eventlog.settings import Settings

LIFETIME = 600.0


def open_feeds(settings: Settings, client: httpx2.AsyncClient) -> dict[str, Feed]:
    """A feed per source, read as an integrator of all sites."""
    token = _token(settings)
    addresses = {
        "reception": settings.reception_url,
        "workshop": settings.workshop_url,
        "customer_care": settings.customer_care_url,
    }
    return {source: _feed(client, address, token) for source, address in addresses.items()}


def _feed(client: httpx2.AsyncClient, address: str, token: Callable[[], str]) -> Feed:
    async def read(after: int, limit: int) -> FeedPage:
        answer = await client.get(
            f"{address}/v1/log",
            params={"after": after, "limit": limit},
            headers={"Authorization": f"Bearer {token()}"},
        )
        answer.raise_for_status()
        return page_from_json(answer.content)

    return read


def _token(settings: Settings) -> Callable[[], str]:
    """From the file that the installation keeps fresh, or from the embedded issuer, renewed in time."""
    if (file := settings.feed_token) is not None:
        return lambda: file.read_text().strip()
    issuer = Issuer(settings.secrets)
    current, until = "", 0.0

    def fresh() -> str:
        nonlocal current, until
        if time.time() > until:
            current, until = (
                issuer.token("ledger", Role.INTEGRATOR, ["*"], LIFETIME),
                time.time() + LIFETIME / 2,
            )
        return current

    return fresh

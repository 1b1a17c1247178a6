"""What the tests of the HTTP API share: somebody nobody else is, and what that somebody recorded."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx2
import pytest

from tests.journeys.story import Visit
from tests.system import Running

NUMBER = count(1)
SOURCES = ("reception", "workshop", "customer-care")


class Somebody:
    """A person with a role at a site, who appears in no other test."""

    def __init__(self, running: Running, role: str, site: str) -> None:
        self.actor = f"somebody-{next(NUMBER)}"
        self.running = running
        self.site = site
        self.headers = {"Authorization": f"Bearer {running.token(role, site, actor=self.actor)}"}

    async def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        headers: dict[str, Any] | None = None,
    ) -> httpx2.Response:
        """`body` is sent as it is if it is text or bytes, else as JSON."""
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        given = {"Content-Type": "application/json", **self.headers, **(headers or {})}
        return await self.running.client.request(
            method, path, content=None if body is None else content, headers=given
        )

    async def recorded(self) -> list[dict[str, Any]]:
        """The events this person caused, from the logs of all services."""
        caused = []
        for source in SOURCES:
            after, head = 0, 1
            while after < head:
                page = await self.running.get(
                    f"/{source}/v1/log", "group_auditor", "*", after=after, limit=1000
                )
                head = page.json()["head"]
                events = page.json()["events"]
                caused += [each["event"] for each in events if each["event"]["actor"] == self.actor]
                after = events[-1]["pos"] if events else head
        return caused


@pytest.fixture
def somebody(running: Running) -> Callable[..., Somebody]:
    return lambda role="advisor", site="sh01": Somebody(running, role, site)


@pytest.fixture(scope="session")
async def order(running: Running) -> Visit:
    """A work order at sh01 with a repair that waits for the customer."""
    visit = await (await Visit(running).received()).dispatched()
    return await visit.repair_added(line=2)

"""Customer care's event store on a real server, and complaints told by commands."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from eventlog.recorded import Metadata
from eventlog.store import EventStore, Handled
from ops.processes import LOOPBACK
from services.customer_care.commands import Command
from services.customer_care.complaint import complaint_decider, complaint_stream
from services.customer_care.notifications import Webhook
from services.customer_care.published_rules import rules_of
from tests.customer_care.test_complaint import raise_it

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def care(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[EventStore]:
    store = EventStore("customer_care", await fresh_database("customer_care"))
    await store.provision()
    async with store.running():
        yield store


def by(command_id: str, complaint_id: str = "C1", site: str = "sh01", actor: str = "agent") -> Metadata:
    return Metadata(
        site=site, actor=actor, role="care_agent", correlation_id=complaint_id, command_id=command_id
    )


async def tell(care: EventStore, command: Command, actor: str = "agent", site: str = "sh01") -> Handled:
    """A command about a complaint, by the rules of the site; each is another one."""
    decider = complaint_decider(actor, await rules_of(care, site))
    id = command.complaint_id
    metadata = replace(by(f"{id}/{command!r}", id, site, actor), occurred_at=command.at)
    return await care.handle(decider, complaint_stream(id), command, metadata, new=True)


async def raise_complaint(care: EventStore, id: str = "C1", **more: Any) -> Handled:
    return await tell(care, raise_it(complaint_id=id, **more))


@dataclass
class Server:
    """Receives webhooks, and answers as it is told."""

    url: str
    answer: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@pytest.fixture
def web() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(server.answer)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server = Server(f"http://{LOOPBACK}:{listening.server_port}/hook")
    Thread(target=listening.serve_forever, daemon=True).start()
    yield server
    listening.shutdown()
    listening.server_close()


def webhook(url: str) -> Webhook:
    return Webhook(kind="webhook", name="hook", since=SINCE, url=url, secret=SECRET)

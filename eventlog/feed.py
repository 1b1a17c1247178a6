"""The feed: how anyone reads a log from any position, over HTTP as on disk.

A page is JSON; each event stands in it as the canonical bytes that were stored: a reader can check its hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from eventlog.recorded import canonical


@dataclass(frozen=True, slots=True)
class FeedEvent:
    pos: int
    prev_pos: int
    """The position before it: positions have holes, a gap shows by this only."""
    hash: str
    body: bytes


@dataclass(frozen=True, slots=True)
class FeedPage:
    source: str
    epoch: str
    head: int
    events: Sequence[FeedEvent]

    def to_json(self) -> bytes:
        head = canonical({"epoch": self.epoch, "head": self.head, "source": self.source})
        events = b",".join(
            b'{"event":%b,"hash":"%b","pos":%d,"prev_pos":%d}' % (e.body, e.hash.encode(), e.pos, e.prev_pos)
            for e in self.events
        )
        return b'%b,"events":[%b]}' % (head[:-1], events)


def page_from_json(text: bytes) -> FeedPage:
    page = orjson.loads(text)
    return FeedPage(
        source=page["source"],
        epoch=page["epoch"],
        head=page["head"],
        events=[FeedEvent(e["pos"], e["prev_pos"], e["hash"], canonical(e["event"])) for e in page["events"]],
    )

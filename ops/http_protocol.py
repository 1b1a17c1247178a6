"""The HTTP protocol of our servers: the head of a request has a size and a time within which it must come."""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from access.headers import POLICY
from access.problems import MAX_ADDRESS, MAX_HEADER_BYTES, SENTENCES, Problem

MAX_HEAD = 2 * (MAX_ADDRESS + MAX_HEADER_BYTES)
"""Bytes for which we wait for the end of a head; `access.problems.HeadLimit` measures what came whole."""


class Protocol(HttpToolsProtocol):
    """Gives up a connection that says nothing, or ever a little more, before a request is whole to its body:
    uvicorn alone waits without end for the head of a request, and keeps all that comes of it."""

    head_within = 10.0
    """Seconds, from the connection or the first byte of a further request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.url = b""
        self._given_up: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._given_up:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._given_up and self._head_bytes > MAX_HEAD:
            self._refuse(431, SENTENCES[431])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._given_up is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if len(self.url) > MAX_ADDRESS:
            self._refuse(414, SENTENCES[414])
        else:
            self._refuse(400, "This is not an HTTP request; please compare the address and the port.")

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._given_up = self.loop.call_later(self.head_within, self._give_up)

    def _head_came(self) -> None:
        if self._given_up:
            self._given_up.cancel()
            self._given_up = None

    def _give_up(self) -> None:
        if self._head_bytes or self.cycle:
            self._refuse(408, "The head of the request did not arrive in time; please send it again.")
        else:
            self.transport.close()

    def _refuse(self, status: int, sentence: str) -> None:
        """Without an app: there is no request to hand to one."""
        self._head_came()
        if self.transport.is_closing():
            return
        if self.cycle and not self.cycle.response_complete:
            self.transport.close()  # an answer is on its way: no other one goes into the middle of it
            return
        headers = {**POLICY, "Cache-Control": "no-store", "Connection": "close"}
        response = Problem(status, sentence, headers=headers).response("")
        lines = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", response.body]))
        self.transport.close()

"""A whole Bayledger as its users start it: `bayledger up` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from access.issuer import Issuer
from access.roles import Role
from ops.processes import spawn, usable_port


def at_rest(status: dict[str, Any]) -> bool:
    """Whether all is well and nothing is on its way: every source in the ledger, the ledger in every view."""
    return status["healthy"] and not any(each["behind"] for each in (*status["sources"], *status["views"]))


class Running:
    """The system on a free port, with tokens for anyone."""

    def __init__(self, data: Path, *, demo: bool = False) -> None:
        self.data = data
        self.port = usable_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_suffix(".log")
        self._demo = demo
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx2.AsyncClient(base_url=self.url, timeout=30)

    def start(self, within: float = 90) -> None:
        command = [sys.executable, "-m", "ops", "up", "--data", str(self.data), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = spawn(
                [*command, *(["--demo"] if self._demo else [])],
                log=log,
                env={**os.environ, "COLUMNS": "200"},
                when_parent_dies=signal.SIGINT,
            )
        until = time.monotonic() + within
        with httpx2.Client(base_url=self.url, timeout=5) as client:
            while True:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"the system did not start:\n{self.log.read_text()[-4000:]}")
                try:
                    if client.get("/readyz").status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Its exit code. Servers it started end with it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(30)

    def token(self, role: str, site: str, *, actor: str | None = None, lifetime: float = 3600) -> str:
        """Of several sites, if these are joined by commas."""
        issuer = Issuer(self.data / "secrets")
        return issuer.token(actor or f"{role}-{site}", Role(role), site.split(","), lifetime)

    async def post(
        self, path: str, json: Any, role: str, site: str = "sh01", **headers: str
    ) -> dict[str, Any]:
        """The answer to a command that must succeed."""
        answer = await self.send(path, json, role, site, headers)
        assert answer.status_code < 300, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def send(
        self, path: str, json: Any, role: str, site: str = "sh01", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        given = {"Authorization": f"Bearer {self.token(role, site)}", "Idempotency-Key": str(uuid.uuid4())}
        return await self.client.post(path, json=json, headers={**given, **(headers or {})})

    async def get(self, path: str, role: str, site: str = "sh01", **params: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token(role, site)}"}
        return await self.client.get(path, headers=headers, params=params)

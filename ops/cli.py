"""The `bayledger` command. Progress and logs go to stderr, results to stdout.

Exit codes: 0 done, 1 a check failed, 2 wrong usage or something cannot be used.
"""

import asyncio
import json
import re
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO, TypeVar, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ops.environment import DEFAULT_DATA, read
from ops.processes import Unusable

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
parked = typer.Typer(no_args_is_help=True, help="Messages that a policy could not handle.")
app.add_typer(parked, name="parked")

errors = Console(stderr=True)
T = TypeVar("T")

Data = Annotated[Path, typer.Option("--data", help="Folder of the installation on this machine.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OperatorToken = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="BAYLEDGER_TOKEN",
        help="A token with the role operator; without it the embedded issuer makes one.",
    ),
]


def main() -> None:
    """Every expected trouble is one sentence and exit code 2; Ctrl-C is 130."""
    _log_to_stderr()
    try:
        app()
    except Unusable as why:
        _refuse(str(why))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the web address, on this machine only.")] = 8080,
    demo: Annotated[bool, typer.Option("--demo", help="Play a living dealership.")] = False,
) -> None:
    """Start everything on this machine; Ctrl-C or SIGTERM stops it: exit code 0, or 130 while it starts."""
    from ops.demo import play
    from ops.up import up as start

    start(data, port, play if demo else None, errors)


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="reception, workshop, customer-care, projections or all")],
    data: Data = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve one app, or all, against the servers named in the environment."""
    import uvloop

    from ops.serving import APPS, create_apps
    from ops.serving import serve as run

    if name not in (*APPS, "all"):
        _refuse(f"there is no app {name}: choose one of {', '.join(APPS)} or all")
    settings = read(data)
    uvloop.run(run(create_apps(settings, APPS if name == "all" else (name,)), host, port))


@app.command()
def provision(data: Data = DEFAULT_DATA) -> None:
    """Create or update databases, tables, roles, streams and consumers."""
    from ops.provision import provision as create

    changes = _run(create(read(data)))
    print("\n".join(changes) if changes else "nothing to change")


@app.command()
def bus_keys(folder: Annotated[Path, typer.Argument(help="Folder of the seed files.")]) -> None:
    """Make what is missing of the bus's keys, a seed file per user; prints the public keys."""
    from ops.bus_identities import OWNER, identities, public_key

    try:
        for name in (OWNER, *identities()):
            print(f"NATS_{name.upper()}_KEY={public_key(folder, name)}")
    except OSError as why:
        _refuse(f"the keys cannot be kept in {folder}: {why.strerror or why}")


@app.command()
def token(
    role: Annotated[str, typer.Option(help="Such as advisor; see the reference for all roles.")],
    site: Annotated[list[str], typer.Option(help="A site, or * for all; may be repeated.")],
    actor: Annotated[str, typer.Option(help="Whom the token names.")] = "",
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 30, help="How long it holds.")] = 12,
    data: Data = DEFAULT_DATA,
) -> None:
    """A token of the embedded issuer."""
    from access.issuer import Issuer
    from access.roles import Role

    if role not in set(Role):
        _refuse(f"there is no role {role}: choose one of {', '.join(Role)}")
    for name in site:
        if name != "*":
            _must_be_a_site(name)
    print(Issuer(read(data).secrets).token(actor or f"cli-{role}", Role(role), site, hours * 3600))


@app.command()
def status(data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Heads and lag per source, views, parked messages, chain head; exit 1 if anything lags or is parked."""
    from ops.reports import print_status, status_of

    now = _run(status_of(read(data)))
    if as_json:
        print(json.dumps(now, ensure_ascii=False))
    else:
        print_status(now, Console())
    raise SystemExit(0 if now["healthy"] else 1)


@app.command()
def rebuild(
    projection: Annotated[
        str | None, typer.Argument(help="Name of the view; see `bayledger status`.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Every view.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, print differences, switch nothing.")
    ] = False,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Build the next version of a view beside the live one, compare, switch.

    A dry run exits 1 if there are differences.
    """
    from ops.reports import print_rebuilt, rebuild_view
    from projections.catalogue import PROJECTIONS

    wanted = [p for p in PROJECTIONS if all or p.name == projection]
    if not wanted:
        _refuse(f"name a view to rebuild ({', '.join(p.name for p in PROJECTIONS)}) or --all")
    settings, differing = read(data), 0
    for each in wanted:
        with _progress("events") as bar:
            task = bar.add_task(each.name, total=None)

            def tell(position: int, head: int, bar: Progress = bar, task: Any = task) -> None:
                bar.update(task, completed=position, total=head)

            rebuilt = _run(rebuild_view(settings, each, tell, dry_run))
        print_rebuilt(each.name, rebuilt, as_json)
        differing += rebuilt.differing
    raise SystemExit(1 if dry_run and differing else 0)


@app.command()
def verify(
    export: Annotated[Path | None, typer.Option(help="Check this export instead of the database.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A signed checkpoint; may be repeated.")
    ] = None,
    public_key: Annotated[Path | None, typer.Option(help="The ledger's public key.")] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Check the whole chain; names the first bad position. Without --export also every checkpoint file."""
    from ops.verify import verify_database, verify_export

    if export is not None and not (checkpoint and public_key):
        _refuse("an export is checked against a --checkpoint and the --public-key that signed it")
    settings = read(data) if export is None else None
    with _progress("events") as bar:
        task = bar.add_task("chain", total=None)

        def tell(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        if settings:
            result = _run(verify_database(settings, tell))
        else:
            assert export
            assert checkpoint
            assert public_key
            result = verify_export(export, checkpoint, public_key, tell)
    if as_json:
        print(json.dumps(result.as_dict()))
    else:
        print(result.sentence())
    raise SystemExit(0 if result.good else 1)


@app.command()
def gate_check(
    token: Annotated[str, typer.Argument(help="What the QR code of the gate pass says.")],
    public_key: Annotated[Path, typer.Option(help="The gate key, as GET /reception/v1/gate-key gives it.")],
    site: Annotated[str | None, typer.Option(help="The site of this gate.")] = None,
) -> None:
    """Check a gate pass without a connection: valid, expired, of another site or forged; exit 1 if not valid.

    Whether it was revoked or used already, only the system knows.
    """
    from datetime import UTC, datetime

    from services.reception.gate_token import verdict

    try:
        opens, sentence = verdict(public_key.read_bytes(), token, site, datetime.now(UTC))
    except OSError as why:
        _refuse(f"{public_key} cannot be read: {why.strerror}")
    except ValueError:
        _refuse(f"{public_key} is no public key of a gate")
    print(sentence)
    raise SystemExit(0 if opens else 1)


@app.command()
def readmit(
    source: Annotated[str, typer.Argument(help="The service: reception, workshop or customer_care.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Make the restored store of a stopped service whole again, from what the ledger has of it."""
    from ops.readmit import readmit as bring_back

    print(_run(bring_back(read(data), source)).sentence())


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write.")],
    format: Annotated[
        str, typer.Option(help="jsonl: one event a line, with its place in the chain.")
    ] = "jsonl",
    data: Data = DEFAULT_DATA,
) -> None:
    """Write the whole log to a file that `verify --export` can check anywhere."""
    from ops.verify import export_log

    if format != "jsonl":
        _refuse(f"there is no export format {format}: choose jsonl")
    with _progress("events") as bar:
        task = bar.add_task("export", total=None)
        count = _run(
            export_log(read(data), out, lambda done, total: bar.update(task, completed=done, total=total))
        )
    print(f"{count} events written to {out}")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="XES, CSV, JSON or JSON lines; may be gzipped.")],
    mapping: Annotated[Path, typer.Option(help="TOML file that says what the rows mean.")],
    site: Annotated[str, typer.Option(help="The site the history belongs to.")],
    rejects: Annotated[Path | None, typer.Option(help="File for rows that cannot be mapped.")] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Take over the history of another system; a second import of the same file adds nothing."""
    from dataclasses import asdict

    from ops.importing import import_history, load_mapping
    from ops.reports import keyring_of, store_of

    _must_be_a_site(site)
    rejects = rejects or file.with_name(file.name + ".rejects.jsonl")
    rules = load_mapping(mapping)
    settings = read(data)

    async def run() -> Any:
        async with store_of(settings, rules.service) as store, keyring_of(settings) as keyring:
            with _progress("bytes") as bar:
                task = bar.add_task(file.name, total=None)
                return await import_history(
                    file,
                    rules,
                    store,
                    keyring,
                    site=site,
                    rejects=rejects,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )

    imported = asdict(_run(run()))
    if as_json:
        print(json.dumps(imported))
    else:
        counts = ("cases", "events", "added", "already", "rejected")
        print(", ".join(f"{imported[name]} {name}" for name in counts))
        print(f"digest {imported['digest']}")
        for state, events in imported["unknown"].items():
            print(f"the mapping gives no meaning to the state {state!r} of {events} events")
        if imported["rejected"]:
            print(f"rejected rows with their reasons are in {rejects}")


@parked.command("list")
def parked_list(
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
    all: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
) -> None:
    """Messages that wait for a decision."""
    from ops.reports import parked_messages, print_parked

    found = _run(parked_messages(read(data), all))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print_parked(found, Console())


@parked.command("show")
def parked_show(parked_id: str, data: Data = DEFAULT_DATA) -> None:
    """One message, whole, as JSON."""
    from ops.reports import parked_messages

    found = [each for each in _run(parked_messages(read(data), True)) if each["parked_id"] == parked_id]
    if not found:
        _refuse(f"there is no parked message {parked_id}")
    print(json.dumps(found[0], ensure_ascii=False, indent=1))


@parked.command("retry")
def parked_retry(parked_id: str, data: Data = DEFAULT_DATA, token: OperatorToken = None) -> None:
    """Hand the message to its policy once more."""
    from ops.reports import decide_parked

    print(_run(decide_parked(read(data), parked_id, "retry", {}, token)))


@parked.command("discard")
def parked_discard(
    parked_id: str,
    reason: Annotated[str, typer.Option(help="Why it needs no handling.")],
    data: Data = DEFAULT_DATA,
    token: OperatorToken = None,
) -> None:
    """Settle the message without handling it."""
    from ops.reports import decide_parked

    print(_run(decide_parked(read(data), parked_id, "discard", {"reason": reason}, token)))


def _must_be_a_site(name: str) -> None:
    from access.roles import SITE

    if re.fullmatch(SITE, name) is None:
        _refuse(f"{name!r} cannot name a site: a name has up to 40 letters, digits, - and _")


def _run(work: Coroutine[Any, Any, T]) -> T:
    from psycopg import OperationalError
    from psycopg.errors import UndefinedTable
    from psycopg_pool import PoolTimeout

    from eventlog.store import Unavailable

    try:
        return asyncio.run(work)
    except UndefinedTable:
        raise Unusable("the tables are not there: run `bayledger provision` first") from None
    except (OperationalError, PoolTimeout, Unavailable) as why:
        raise Unusable(f"the database does not answer: {str(why).splitlines()[0]}") from None


def _progress(unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.completed:.0f} " + unit),
        TimeRemainingColumn(),
        console=errors,
    )


def _refuse(sentence: str) -> NoReturn:
    errors.print(f"bayledger: {sentence}", style="red", highlight=False, soft_wrap=True, markup=False)
    raise SystemExit(2)


class _Stderr:
    """What a full disk has no room for is lost; whoever logs goes on."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def _log_to_stderr() -> None:
    import logging

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

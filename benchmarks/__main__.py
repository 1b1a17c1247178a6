"""`python -m benchmarks`: our figures as ratios to named baselines of the same run."""

import argparse
import gc
import json
import sys
import tempfile
from pathlib import Path

import structlog
import uvloop
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks import appending, carrying, rebuilding, serving
from benchmarks.gates import gates
from benchmarks.measure import Gate, Row, Wanted
from ops.nats import Nats
from ops.postgres import Postgres


async def run(
    postgres: Postgres, nats: Nats, data: Path, quick: bool, events: int, wanted: Wanted, console: Console
) -> tuple[list[Row], list[Gate]]:
    # What start-up made is not looked at again, as in our apps; it favours all contenders alike.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    rounds, seconds, messages = (3, 1.0, 5_000) if quick else (5, 4.0, 50_000)
    found: list[Row] = []
    held: list[Gate] = []
    for name, source in (
        ("HTTP, boards and visibility", serving.rows(wanted, postgres, nats, data / "apps", seconds, rounds)),
        ("append", appending.rows(wanted, postgres, seconds, rounds)),
        ("relay and ledger", carrying.rows(wanted, postgres, nats, messages, rounds)),
        ("rebuild and verify", rebuilding.rows(wanted, postgres, events, rounds)),
        ("gates", gates(wanted, postgres, nats, messages // 5)),
    ):
        with console.status(name):
            async for each in source:
                if not wanted(each.key):
                    continue
                if isinstance(each, Gate):
                    held.append(each)
                else:
                    found.append(each)
                console.print(str(each), style="dim")
    return found, held


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two to three minutes, noisier")
    parser.add_argument("--json", action="store_true", help="the ratios by key")
    parser.add_argument("--only", default="", help="beginnings of keys, with commas between: http64,board")
    parser.add_argument("--events", type=int, help="of the ledger that is rebuilt (2000000; quick: 200000)")
    options = parser.parse_args()
    events = options.events or (200_000 if options.quick else 2_000_000)
    wanted = Wanted(tuple(name for name in options.only.split(",") if name))
    console = Console(stderr=True)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Postgres(data / "postgres") as postgres, Nats(data / "nats") as nats:
            found, held = uvloop.run(run(postgres, nats, data, options.quick, events, wanted, console))
    if not found and not held:
        raise SystemExit(f"no row and no gate has a key that begins with {' or '.join(wanted.names)}")
    if options.json:
        ratios = {row.key: round(row.ratio, 3) for row in found}
        print(json.dumps(ratios | {gate.key: gate.held for gate in held}))
    else:
        Console(width=160).print(_table(found))
        for gate in held:
            print(gate)
    if not all(gate.held for gate in held):
        raise SystemExit(1)


def _table(found: list[Row]) -> Table:
    columns = ("key", "what", "ours", "baseline", "ratio", "target", "reached")
    table = Table(*columns, box=MARKDOWN)
    for row in found:
        bound = f"{'≤' if row.at_most else '≥'} {row.target:g}"
        values = (f"{row.ours:,.2f} {row.unit}", f"{row.baseline:,.2f} {row.unit}", f"{row.ratio:.2f}", bound)
        table.add_row(row.key, row.what, *values, "yes" if row.reached else "no")
    return table


if __name__ == "__main__":
    main()

"""`python -m benchmarks [--quick] [--json]`: our figures as ratios to named baselines of the same run."""

import argparse
import gc
import json
import tempfile
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import appending, carrying, rebuilding, serving
from benchmarks.gates import gates
from benchmarks.measure import Gate, Row
from ops.nats import Nats
from ops.postgres import Postgres


async def run(
    postgres: Postgres, nats: Nats, data: Path, quick: bool, console: Console
) -> tuple[list[Row], list[Gate]]:
    # What start-up made is not looked at again, as in our apps; it favours all contenders alike.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    rounds, seconds, many = (3, 1.0, 20_000) if quick else (5, 4.0, 200_000)
    found: list[Row] = []
    for name, source in (
        ("HTTP, boards and visibility", serving.rows(postgres, nats, data / "apps", seconds, rounds)),
        ("append", appending.rows(postgres, seconds, rounds)),
        ("relay and ledger", carrying.rows(postgres, nats, many // 4, rounds)),
        ("rebuild and verify", rebuilding.rows(postgres, many, rounds)),
    ):
        with console.status(name):
            async for row in source:
                found.append(row)
                console.print(f"{row.key} {row.ratio:.2f}", style="dim")
    with console.status("gates"):
        return found, [gate async for gate in gates(postgres, many // 20)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes, noisier")
    parser.add_argument("--json", action="store_true", help="the ratios by key")
    options = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Postgres(data / "postgres") as postgres, Nats(data / "nats") as nats:
            found, held = uvloop.run(run(postgres, nats, data, options.quick, console))
    if options.json:
        ratios = {row.key: round(row.ratio, 3) for row in found}
        print(json.dumps(ratios | {gate.key: gate.held for gate in held}))
    else:
        Console().print(_table(found))
        for gate in held:
            print(f"{gate.key}: {gate.what}: {gate.found}: {'held' if gate.held else 'BROKEN'}")
    if not all(gate.held for gate in held):
        raise SystemExit(1)


def _table(found: list[Row]) -> Table:
    table = Table("key", "what", "ours", "baseline", "ratio", "target", "reached")
    for row in found:
        bound = f"{'≤' if row.at_most else '≥'} {row.target:g}"
        values = (f"{row.ours:,.2f} {row.unit}", f"{row.baseline:,.2f} {row.unit}", f"{row.ratio:.2f}", bound)
        table.add_row(row.key, row.what, *values, "yes" if row.reached else "no")
    return table


if __name__ == "__main__":
    main()

"""The matrix of faults in `docs/reliability.md`, made from the tests: `python -m tests.faults.matrix`."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.docs.tables import REGION, table
from tests.faults.test_points import CONTROLS
from tests.soak import Soak

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
LOG = (
    "store",
    "relay",
    "readback",
    "bus",
    "ledger",
    "follow",
    "tail",
    "shared",
    "checkpoints",
    "policies",
    "timers",
    "supervise",
)
INJECTED = re.compile(r"Injected: (?P<injected>.*) Expected: (?P<expected>.*)")
CONTROL = "The control"


def sentences_of(path: Path) -> Iterator[tuple[str, str]]:
    """Each test of a file as a sentence, with its docstring."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            sentence = node.name.removeprefix("test_").replace("_", " ")
            yield sentence[0].upper() + sentence[1:], " ".join((ast.get_docstring(node) or "").split())


def faults() -> str:
    rows = [("Fault", "Injected", "Expected, and seen at every run")]
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for sentence, said in sentences_of(path):
            if how := INJECTED.fullmatch(said):
                rows.append((sentence, how["injected"], how["expected"]))
    return table(*rows)


def controls() -> str:
    rows = [("Fault", "Without", "Something is")]
    rows += [(fault, " and ".join(without), kind) for fault, without, kind in CONTROLS]
    return table(*rows)


def log() -> str:
    rows = [("Part of the log", "What is shown on real servers", "Control")]
    for part in LOG:
        for sentence, said in sentences_of(ROOT / "tests" / "eventlog" / f"test_{part}.py"):
            rows.append((part, sentence, "yes" if said.startswith(CONTROL) else ""))
    return table(*rows)


def soak() -> str:
    return "".join(f"- {fault.__doc__}\n" for fault in Soak.KINDS)


TABLES: dict[str, Callable[[], str]] = {"faults": faults, "controls": controls, "log": log, "soak": soak}


def regenerated(page: str) -> str:
    return REGION.sub(lambda region: f"{region[1]}{TABLES[region[2]]().rstrip()}\n{region[4]}", page)


if __name__ == "__main__":
    PAGE.write_text(regenerated(PAGE.read_text()))

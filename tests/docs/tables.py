"""The tables of the reference that follow from the code. `python -m tests.docs.tables` writes them anew."""

import ast
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from access.guard import Needs
from access.roles import MAY, Action, Role
from eventlog.settings import Settings
from events import event_classes
from events.upcasters import UPCASTERS
from ops.cli import app
from ops.serving import APPS, create_apps
from projections.catalogue import PROJECTIONS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
GENERATED = (*sorted(REFERENCE.glob("*.md")), ROOT / "docs" / "requirements.md")
"""Pages with tables that follow from the code."""
RULE = re.compile(r"\b([RWCPXK])-(\d{2,3})(?: … (?:\1-)?(\d{2,3}))?\b")
REGION = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(*rows: tuple[str, ...]) -> str:
    """Markdown; the first row is the head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def first_sentence(text: str | None) -> str:
    return " ".join((text or "").strip().partition("\n\n")[0].split())


def settings() -> str:
    rows = [("Variable", "Default", "Meaning")]
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`" if field.default else "none"
        rows.append((f"`BAYLEDGER_{name.upper()}`", default, field.description or ""))
    return table(*rows)


def commands() -> str:
    text = ""
    for name, command in _commands(typer.main.get_command(app), "bayledger"):
        words = [name]
        rows = [("Option", "Default", "Meaning")]
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                words.append(parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]")
                rows.append((f"`{parameter.name.upper()}`", "", getattr(parameter, "help", None) or ""))
            else:
                default = "required" if parameter.required else _default(parameter.default)
                rows.append((f"`{parameter.opts[0]}`", default, getattr(parameter, "help", None) or ""))
        text += f"### `{' '.join(words)}`\n\n{first_sentence(command.help)}\n\n{table(*rows)}\n"
    return text


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, each in (inner or {}).items():
        yield from _commands(each, f"{name} {word}")


def _default(value: object) -> str:
    return "" if value is None or value is False or value == "" else f"`{value}`"


def routes() -> str:
    rows = [("Request", "Needs", "What it does")]
    for prefix, api in _apps():
        for route in iter_route_contexts(api.routes):
            endpoint, dependant = route.endpoint, getattr(route, "dependant", None)
            if dependant is None or "/v1" not in str(route.path) or endpoint is None:
                continue
            for method in sorted(route.methods or ()):
                what = first_sentence(endpoint.__doc__)
                rows.append((f"`{method} {prefix}{route.path}`", _action(dependant) or "nothing", what))
    return table(*rows)


def _apps() -> Iterator[tuple[str, FastAPI]]:
    with tempfile.TemporaryDirectory() as folder:
        nowhere: dict[str, Any] = {
            name: f"postgresql://nowhere/{name}"
            for name in ("reception_db", "workshop_db", "customer_care_db", "ledger_db", "keys_db")
        }
        addresses = {f"{name}_url": "http://nowhere" for name in ("reception", "workshop", "customer_care")}
        apps = create_apps(
            Settings(
                **nowhere,
                **addresses,  # type: ignore[arg-type]
                nats_url="nats://nowhere",
                secrets=Path(folder),
                checkpoints=Path(folder),
                jwks=f"{folder}/jwks.json",
            ),
            APPS,
        )
    yield from (("" if name == "projections" else f"/{name}", api) for name, api in apps.items())


def _action(dependant: Dependant) -> str | None:
    if isinstance(dependant.call, Needs):
        return f"`{dependant.call.action}`"
    return next((found for each in dependant.dependencies if (found := _action(each))), None)


def events() -> str:
    rows = [("Type", "Event", "What it says", "Fields")]
    for type, event in sorted(event_classes().items()):
        fields = ", ".join(
            f"`{name}`" + ("" if field.is_required() else "?") for name, field in event.model_fields.items()
        )
        rows.append((f"`{type}`", f"`{event.__name__}`", first_sentence(event.__doc__), fields))
    return table(*rows)


def upcasters() -> str:
    rows = [("Stored type", "Read as", "Why")]
    rows += [(f"`{old}`", f"`{new}`", first_sentence(step.__doc__)) for old, (new, step) in UPCASTERS.items()]
    return table(*rows)


def roles() -> str:
    rows = [("Action", *(f"`{role}`" for role in Role))]
    rows += [(f"`{action}`", *("yes" if action in MAY[role] else "" for role in Role)) for action in Action]
    return table(*rows)


def views() -> str:
    rows = [("View", "Version", "Events it is made of")]
    for view in PROJECTIONS:
        made_of = ", ".join(f"`{event.__name__}`" for event in view.handles)
        rows.append((f"`{view.name}`", str(view.version), made_of))
    return table(*rows)


def quoted(text: str) -> Iterator[str]:
    """The ids of rules in a text; `C-21 … C-24` are four."""
    for letter, first, last in RULE.findall(text):
        yield from (f"{letter}-{n:02}" for n in range(int(first), int(last or first) + 1))


@cache
def shown_by() -> dict[str, list[str]]:
    """By rule, the tests that quote it."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        source = file.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for rule in dict.fromkeys(quoted(ast.get_source_segment(source, node) or "")):
                    found.setdefault(rule, []).append(f"`{file.stem}::{node.name}`")
    return found


@cache
def rules() -> tuple[dict[str, str], dict[str, str]]:
    """Every rule in short, and of those that are not built the reason."""
    known = tomllib.loads((ROOT / "tests" / "docs" / "requirements.toml").read_text())
    return known["rules"], known["not_built"]


def requirements() -> str:
    rows = [("Id", "Rule", "Built and tested, or why not")]
    short, not_built = rules()
    tests = shown_by()
    for rule, text in short.items():
        if rule in not_built:
            shown = f"**not built**: {not_built[rule]}"
        else:
            few = tests.get(rule, [])[:2]
            more = len(tests.get(rule, [])) - len(few)
            shown = ", ".join(few) + (f" and {more} more" if more else "")
        rows.append((rule, text, shown))
    return table(*rows)


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (settings, commands, routes, events, upcasters, roles, views, requirements)
}


def regenerated(page: str) -> str:
    """The page with every generated region as the code has it now."""
    return REGION.sub(lambda region: f"{region[1]}{TABLES[region[2]]().rstrip()}\n{region[4]}", page)


if __name__ == "__main__":
    for path in GENERATED:
        path.write_text(regenerated(path.read_text()))

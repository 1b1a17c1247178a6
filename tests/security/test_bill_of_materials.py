"""What the installed product is made of, as a CycloneDX document from one command."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/security.md"


def installed_with(
    name: str, extras: frozenset[str] = frozenset(), found: set[str] | None = None
) -> set[str]:
    """All that a package needs on this machine, and what that needs, as the installed packages say it."""
    found = set() if found is None else found
    for each in map(Requirement, requires(name) or ()):
        wanted = canonicalize_name(each.name)
        asked = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""})
        if asked and (wanted not in found or each.extras):
            found.add(wanted)
            installed_with(wanted, frozenset(each.extras), found)
    return found


def test_the_documented_command_names_every_component_with_its_version_and_hash() -> None:
    if shutil.which("uv") is None or not (ROOT / "uv.lock").exists():
        pytest.skip("needs uv, and the lock file that `uv lock` or `uv run` writes")
    command = re.search(r"^\$ (uv export .*) > sbom\.json$", PAGE.read_text(), re.MULTILINE)
    assert command
    written = subprocess.run(
        [*shlex.split(command[1]), "--offline"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    document = json.loads(written.stdout)
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "bayledger")
    parts = {part["name"]: part for part in document["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = {re.split(r"[\[<>=]", each)[0] for each in project["project"]["dependencies"]}
    needed = installed_with("bayledger")
    assert direct | {"msgspec", "nkeys", "pynacl"} <= needed <= parts.keys()
    assert "pytest" not in parts
    tested = dict(each.split("==") for each in project["tool"]["uv"]["constraint-dependencies"])
    for name, part in parts.items():
        hashes = [each for source in part["externalReferences"] for each in source["hashes"]]
        assert hashes, name
        assert part["purl"] == f"pkg:pypi/{name}@{part['version']}"
        # What only another operating system needs was not tested here.
        assert part["version"] == tested.get(name, part["version"]), name
    assert {name: parts[name]["version"] for name in direct} == {name: version(name) for name in direct}

"""The reference says what the code does, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.tables import GENERATED, REGION, TABLES, quoted, regenerated, rules, shown_by

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.stem)
def test_tables_say_what_the_code_says(page: Path) -> None:
    """If one differs: `python -m tests.docs.tables`."""
    assert page.read_text() == regenerated(page.read_text())


def test_every_table_is_shown_once() -> None:
    shown = [name for page in GENERATED for _, name, _, _ in REGION.findall(page.read_text())]
    assert sorted(shown) == sorted(TABLES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_rule_that_is_quoted_is_listed() -> None:
    folders = ("access", "docs", "eventlog", "events", "ops", "projections", "services", "tests")
    files = [
        f for folder in folders for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".md", ".toml")
    ]
    short, _ = rules()
    assert sorted({rule for file in files for rule in quoted(file.read_text())} - short.keys()) == []


@pytest.mark.parametrize("rule", rules()[0])
def test_every_rule_is_tested_under_its_id_or_said_not_to_be_built(rule: str) -> None:
    """If one fails: quote the id in the test that shows it, or give the reason in `requirements.toml`."""
    _, not_built = rules()
    assert (rule in shown_by()) != (rule in not_built)


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text()) if "://" not in link)
        waiting += [page.parent / link for link in links]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= reached

"""The matrix of faults says what the tests do."""

import re
from pathlib import Path

from tests.docs.tables import REGION
from tests.faults.matrix import INJECTED, PAGE, TABLES, regenerated, sentences_of


def test_the_matrix_says_what_the_tests_do() -> None:
    """If it differs: `python -m tests.faults.matrix`."""
    assert PAGE.read_text() == regenerated(PAGE.read_text())


def test_every_table_is_on_the_page() -> None:
    assert sorted(name for _, name, _, _ in REGION.findall(PAGE.read_text())) == sorted(TABLES)


def test_every_fault_is_described() -> None:
    """Whatever takes a cluster says what is injected and what is expected."""
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        described = [sentence for sentence, said in sentences_of(path) if INJECTED.fullmatch(said)]
        controls = len(re.findall("\n(?:async )?def test_", path.read_text().partition("# The control")[2]))
        assert len(described) + controls == len(list(sentences_of(path))), path.name

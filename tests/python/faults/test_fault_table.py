"""docs/faults.md names tests: each of them is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)))


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 50
    missing = [f"{file}::{name}" for file, name in NAMED if name not in functions_of(ROOT / "tests" / file)]
    assert not missing


def test_every_row_names_one() -> None:
    rows = [line for line in TABLE.split("## Bounds")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 40
    assert not [row for row in rows if "::test_" not in row]


def test_every_test_of_a_fault_is_in_the_table() -> None:
    named = {name for _, name in NAMED}
    files = [file for file in Path(__file__).parent.glob("test_fault_*.py") if file.name != Path(__file__).name]
    assert not [name for file in files for name in functions_of(file) if name.startswith("test_") and name not in named]

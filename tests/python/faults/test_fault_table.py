"""docs/faults.md names tests: each of them is there, and runs on both loops; where reading is what it is about, over both drivers."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)))
ONE_LOOP = {
    "test_a_flood": "floods are run on one of the two by turns, as they cost so much",
    "test_a_subinterpreter_is_refused": "it has no loop",
    "test_several_loops_in_several_threads": "each has loops of both kinds",
}
"""Tests that are not run once for each loop, and why."""
BOTH_DRIVERS = {"test_fault_cancel.py", "test_fault_frames.py", "test_fault_peers.py", "test_fault_pressure.py"}
"""Files whose faults are met by whoever reads the connection."""


@cache
def functions_of(file: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def chosen(file: Path, name: str) -> object:
    """What a module chooses by `ON_LOOPS` or `ON_DRIVERS`; None if nothing."""
    match = re.search(rf"^{name} = (\[.*?\])", file.read_text(encoding="utf-8"), re.MULTILINE)
    return ast.literal_eval(match[1]) if match else None


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


def test_every_test_that_is_named_runs_on_both_loops() -> None:
    """Unless it says why not. Those of peers whom nobody here wrote run on one: what a loop changes is tested in tests/python."""
    wrong = []
    for file, name in NAMED:
        function = functions_of(ROOT / "tests" / file)[name]
        each = isinstance(function, ast.AsyncFunctionDef) or "loop_name" in {each.arg for each in function.args.args}
        some = not file.startswith("peers/") and chosen(ROOT / "tests" / file, "ON_LOOPS") is not None
        if (not each or some) and name not in ONE_LOOP:
            wrong.append(f"{file}::{name}")
    assert not wrong
    assert {name for _, name in NAMED} >= set(ONE_LOOP)


def test_the_faults_of_reading_run_over_both_drivers() -> None:
    files = Path(__file__).parent.glob("test_fault_*.py")
    assert {file.name for file in files if chosen(file, "ON_DRIVERS") == ["loop", "tokio"]} == BOTH_DRIVERS

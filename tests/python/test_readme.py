"""Every Python block of the README runs, as it stands there, from the project's folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
EXPECTED = [
    ["you said hello", "you said hello again", "1000 enough True"],
    ["audio from the agent ULAW", "recorded"],
    ["permessage-deflate; client_no_context_takeover; server_max_window_bits=10"],
    ["401", "call=1; HttpOnly; Secure", "this is /call"],
    ["you said hello", "True"],
]


def test_there_are_as_many_blocks_as_expectations() -> None:
    assert len(BLOCKS) == len(EXPECTED)


@pytest.mark.parametrize(
    ("block", "lines"),
    list(zip(BLOCKS, EXPECTED, strict=False)),
    ids=["client", "bridge", "compression", "server", "blocking"],
)
def test_block(block: str, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    printed = run.stdout.splitlines()
    assert len(printed) == len(lines)
    for line, expected in zip(printed, lines, strict=True):
        assert line.startswith(expected)


def test_the_limits_in_the_readme_are_parameters() -> None:
    """Each name in the first column of the table of limits that looks like a parameter is one."""
    from voxwire import WebSocketParameters

    table = (ROOT / "README.md").read_text().split("## Limits and their defaults")[1].split("## ")[0]
    names = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", table, re.MULTILINE))
    parameters = {name for pair in names for name in pair if name}
    assert len(parameters) > 10
    assert parameters <= set(WebSocketParameters.__annotations__)

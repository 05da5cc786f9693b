"""`benches.peers` runs and gives figures, with the libraries that are there. What the figures are is not looked at."""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CASES = (
    "roundtrip",
    "roundtrip-binary",
    "receive",
    "send",
    "tls-roundtrip",
    "tls-receive",
    "tls-send",
    "media",
    "connects",
    "memory",
    "busy",
)

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc"),
]


def peers(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    file = tmp_path / "figures.json"
    result = subprocess.run(
        [sys.executable, "-m", "benches.peers", "--quick", "--loop", "uvloop", "--json", str(file), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found, result.stdout


def results(row: dict[str, Any]) -> list[dict[str, Any]]:
    assert row["errors"] == [], row
    (found,) = row["results"].values()
    return list(found)


def test_every_client_that_is_there(tmp_path: Path) -> None:
    found, printed = peers(tmp_path, "--case", "roundtrip,receive")
    measured = {(row["case"], row["client"], row["api"]) for row in found["rows"]}
    for case in ("roundtrip", "receive"):
        assert {(case, "raw socket", "callback"), (case, "raw socket", "blocking")} < measured
        assert {(case, "voxwire", "callback"), (case, "voxwire recv", "await")} < measured
        assert (case, "voxwire.compat.websockets", "await") in measured
        assert {(case, "websockets", "await"), (case, "websocket-client", "blocking")} < measured
    for row in found["rows"]:
        for result in results(row):
            assert math.isfinite(result["rate"])
            assert result["rate"] > 0
    # Who is not there is named, and in no table.
    missing = found["machine"]["not installed"].split(", ")
    assert ("tornado" in missing) == (find_spec("tornado") is None)
    assert not set(missing) & {row["client"] for row in found["rows"]}
    for aim in found["aims"]:
        assert aim["what"] in printed


def test_every_case(tmp_path: Path) -> None:
    found, _ = peers(tmp_path, "--case", ",".join(CASES), "--client", "voxwire,raw socket")
    by_case: dict[str, list[dict[str, Any]]] = {}
    for row in found["rows"]:
        by_case.setdefault(row["case"], []).append(row)
    assert tuple(by_case) == CASES
    for case in ("media", "connects"):
        for row in by_case[case]:
            assert all(result["cpu"] > 0 for result in results(row))
    for row in by_case["media"]:
        for result in results(row):
            assert result["connections"] == 10
            assert 0 <= result["p50"] <= result["p99"]
            # Whatever the machine is doing, nearly everything comes back in the end.
            assert result["in_time"] <= 1
    for row in by_case["connects"]:
        assert all(result["waits"] is True for result in results(row))
    for row in by_case["memory"]:
        assert row["errors"] == []
        assert set(row["results"]) == {"0", "1"}


def test_a_client_that_is_not_known(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benches.peers", "--client", "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "no such client: 'nobody'; there are aiohttp, " in result.stderr

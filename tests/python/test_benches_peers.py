"""`benches.peers` runs and gives figures, with the libraries that are there. What the figures are is not looked at."""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benches.peers import aims, report
from benches.peers.cases import Row

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
    found, printed = peers(tmp_path, "--case", "roundtrip")
    measured = {(row["client"], row["api"]) for row in found["rows"]}
    assert {("raw socket", "callback"), ("raw socket", "blocking")} < measured
    assert {("voxwire", "callback"), ("voxwire recv", "await"), ("voxwire.sync", "blocking")} < measured
    assert ("voxwire.compat.websockets", "await") in measured
    assert {("websockets", "await"), ("websocket-client", "blocking")} < measured
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
    found, _ = peers(tmp_path, "--case", ",".join(CASES), "--client", "voxwire")
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


def row(case: str, client: str, api: str, size: int = 0, *, loop: str = "uvloop", **result: object) -> Row:
    return Row(case, client, api, loop, {size: [result]})


def aim(rows: list[Row], what: str) -> dict[str, Any]:
    (found,) = [value for value in aims.table(rows).values if value["what"] == what]
    return found


def test_an_aim_is_a_ratio_of_medians_on_the_same_loop() -> None:
    rows = [
        Row("roundtrip", "voxwire", "callback", "uvloop", {256: [{"rate": rate} for rate in (10, 30, 999)]}),
        row("roundtrip", "picows", "callback", 256, rate=20),
        row("roundtrip", "voxwire", "callback", 256, loop="asyncio", rate=10),
        row("roundtrip", "picows", "callback", 256, loop="asyncio", rate=20),
    ]
    on_uvloop = aim(rows, "round trips, callback, uvloop, 256 B")
    assert (on_uvloop["measured"], on_uvloop["reached"]) == (1.5, True)
    on_asyncio = aim(rows, "round trips, callback, asyncio, 256 B")
    assert (on_asyncio["measured"], on_asyncio["reached"]) == (0.5, False)


def test_who_did_not_keep_up_is_nobody_to_be_compared_with() -> None:
    rows = [
        row("media", "voxwire", "callback", cpu=14e-6, server_cpu=10e-6, p99=0.002, in_time=1.0),
        row("media", "picows", "callback", cpu=20e-6, server_cpu=10e-6, p99=0.003, in_time=1.0),
        row("media", "aiohttp", "await", cpu=1e-6, server_cpu=10e-6, p99=0.001, in_time=0.9),
    ]
    ratio = aim(rows, "1,000 connections, CPU a frame")
    assert (round(ratio["measured"], 6), ratio["reached"]) == (0.7, True)
    assert ratio["beside"] == "voxwire, uvloop / picows, uvloop"
    assert aim(rows, "1,000 connections, lateness p99")["reached"]
    # Without anybody of ours who kept up there is no number, and nothing is reached.
    alone = aim(rows[1:], "1,000 connections, CPU a frame")
    assert (alone["measured"], alone["reached"]) == (None, False)


def test_connects_are_compared_with_those_who_wait_for_the_close() -> None:
    rows = [
        row("connects", "voxwire", "callback", rate=300, waits=True),
        row("connects", "picows", "callback", rate=100, waits=True),
        row("connects", "wreq", "await", rate=900, waits=False),
    ]
    found = aim(rows, "connects, close handshake waited for")
    assert (found["measured"], found["reached"]) == (3, True)


def test_the_tables_replace_what_is_between_the_markers(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    rows = [row("connects", "voxwire", "callback", rate=300.0, cpu=0.001, waits=True)]
    for _ in range(2):
        report.write({"python": "CPython"}, "(1 s)", rows, aims.table(rows), tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{report.BEGIN}\n\npython CPython\n")
    assert text.endswith(f"\n{report.END}\nafter\n")
    assert "old" not in text
    assert text.count("### Connecting and closing: callbacks") == 1
    assert "| voxwire, uvloop |        300 |   1000 |                 yes |" in text

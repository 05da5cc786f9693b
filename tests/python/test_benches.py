"""The benchmarks run and give figures. What the figures are is not looked at: they depend on the machine."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc"),
    pytest.mark.skipif(sys.version_info >= (3, 13), reason="the bridge by hand needs audioop"),
]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benches.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def figures(tmp_path: Path, case: str) -> list[dict[str, Any]]:
    file = tmp_path / "figures.json"
    result = bench("--quick", "--json", str(file), case)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["machine"]["voxwire"] in result.stdout
    (table,) = found[case]["tables"]
    assert f"### {table['title']}" in result.stdout
    values: list[dict[str, Any]] = table["values"]
    assert len(values) == len(table["rows"])
    return values


def test_roundtrip(tmp_path: Path) -> None:
    values = figures(tmp_path, "roundtrip")
    assert {"voxwire callback, asyncio", "voxwire recv, uvloop", "websockets, asyncio"} < {
        value["client"] for value in values
    }
    for value in values:
        assert all(math.isfinite(rate) and rate > 0 for rate in value["rates"])
        assert 0 < value["p50"] <= value["p99"]


def test_memory(tmp_path: Path) -> None:
    values = figures(tmp_path, "memory")
    assert [value["client"] for value in values] == ["voxwire, asyncio", "websockets, asyncio"]
    assert all(math.isfinite(kib) and kib > 0 for value in values for kib in value["kib"])


def test_pace(tmp_path: Path) -> None:
    values = figures(tmp_path, "pace")
    assert [value["bridge"] for value in values] == ["voxwire", "by hand, asyncio"]
    for value in values:
        assert value["sent"] == 150
        assert value["received"] > 0
        assert 0 <= value["deviation"]["p50"] <= value["deviation"]["p99"] <= value["deviation"]["max"]
        assert value["probed"] == value["received"]


def test_bridge(tmp_path: Path) -> None:
    values = figures(tmp_path, "bridge")
    assert [value["bridge"] for value in values] == ["copying relay (floor)", "voxwire", "by hand, asyncio"]
    for value in values:
        assert value["sent"] == 500
        # Whatever the machine is doing, nothing is lost between sockets of five calls.
        assert value["received"] == value["probed"] > 0
        assert value["cpu_per_1000"] >= 0
    floor = values[0]
    assert (floor["lost"], floor["extra"], floor["wrong"], floor["closed"]) == (0, 0, 0, 0)


def test_soak(tmp_path: Path) -> None:
    values = figures(tmp_path, "soak")
    assert [value["seconds"] for value in values] == sorted(value["seconds"] for value in values)
    assert len(values) >= 3
    assert all(value["rss"] > 0 for value in values)
    assert values[-1]["sent"] == 1500
    assert math.isfinite(values[-1]["growth_kib"])


def test_audio(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = bench("--quick", "--json", str(file), "audio")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    frames, megabyte = json.loads(file.read_text(encoding="utf-8"))["audio"]["tables"]
    operations = {value["operation"] for value in frames["values"]}
    assert {"PCM16 → µ-law", "media JSON → PCM16 (µ-law)", "8 → 16 kHz", "Opus encode"} < operations
    for table in (frames, megabyte):
        assert {value["operation"] for value in table["values"] if value["client"] == "voxwire"} == {
            value["operation"] for value in table["values"]
        }
        assert "audioop" in {value["client"] for value in table["values"]}
        assert all(math.isfinite(ns) and ns > 0 for value in table["values"] for ns in value["ns"])


def test_what_the_audio_case_compares_does_the_same() -> None:
    # In a process of its own: the benchmarks are no package of the tests.
    script = """
import math
from benches import functions_peers as peers
for name, work in (peers.frames() | peers.megabyte()).items():
    answers = {who: getattr(answer, "payload", answer) for who, call in work.items() for answer in [call()]}
    if name.endswith("PCM16") or name.startswith("media JSON"):
        assert len(set(answers.values())) == 1, name
    elif name.startswith("PCM16"):
        # audioop's mu-law is off by one code in 508 of 65536 samples.
        ours = answers["voxwire"]
        if isinstance(ours, bytes):
            assert all(len(answer) == len(ours) for answer in answers.values()), name
print("same")
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.stdout, result.stderr) == ("same\n", "")


def test_an_unknown_case_is_refused() -> None:
    result = bench("nosuchcase")
    assert result.returncode == 2
    assert "no such case: 'nosuchcase'" in result.stderr

"""Each example runs as it stands, without arguments, and does what it says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, directory: Path, *arguments: str, seconds: float = 25.0) -> str:
    """The output of an example that was run in `directory`."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return result.stdout


def test_every_example_is_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    examples = [path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("demo_")]
    assert examples
    assert [name for name in examples if f'"{name}"' not in here] == []


def test_server_echo(tmp_path: Path) -> None:
    output = run("server_echo.py", tmp_path)
    assert "sent 'hello', got 'hello'" in output
    assert r"sent b'\x00\x01\x02', got b'\x00\x01\x02'" in output


def test_first_client(tmp_path: Path) -> None:
    assert run("first_client.py", tmp_path).splitlines() == [
        "await: one",
        "await: two",
        "handler: three",
        "handler: closed, 1000 clean",
    ]


def test_first_bridge(tmp_path: Path) -> None:
    output = run("first_bridge.py", tmp_path)
    assert "the agent answers: ULAW" in output
    assert "frames sent and received: True, True" in output


def test_conference(tmp_path: Path) -> None:
    heard, *into, one, two, three = run("conference.py", tmp_path).splitlines()
    assert heard == "heard by ann, bob, eve: False True True"
    assert into[0] == "into the room: playing True"
    assert into[1:] == ["into the room: idle False"] * 2
    assert {one, two, three} == {"a route ended (target), ULAW"}


def test_barge_in(tmp_path: Path) -> None:
    output = run("barge_in.py", tmp_path)
    assert re.search(r"the caller speaks: \d\.\d s of the agent are not played", output)
    assert "agent: my first sentence was heard" in output
    assert "agent: my third sentence was cut off" in output


def test_reconnect(tmp_path: Path) -> None:
    first, *lost, second, closed = run("reconnect.py", tmp_path).splitlines()
    assert first == "received: hello from the first server"
    assert lost
    assert [line.rpartition(": ")[2] for line in lost] == [f"attempt {n + 1}" for n in range(len(lost))]
    assert lost[0].startswith("lost (1001)")
    assert second == "received: hello from the second server"
    assert closed == "closed: 1000 after 1 reconnections"


def test_metrics(tmp_path: Path) -> None:
    _, received, *lines = run("metrics.py", tmp_path).splitlines()
    assert received == "received: hello"
    assert [line.partition("{")[0] for line in lines] == [
        "voxwire_connections_open",
        "voxwire_messages_received_total",
    ]
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "2"]


def test_record_call(tmp_path: Path) -> None:
    output = run("record_call.py", tmp_path)
    assert "stream 'speech' started: ULAW" in output
    match = re.search(r"call\.ogg: (\d+) ms", output)
    assert match is not None
    assert abs(int(match[1]) - 2000) < 1000
    content = (tmp_path / "call.ogg").read_bytes()
    assert content.count(b"OpusHead\x01\x02") == 1  # version 1, two channels
    assert len(content) > 5000


def test_play_tts(tmp_path: Path) -> None:
    output = run("play_tts.py", tmp_path)
    assert "interrupted: let me say something" in output
    spoke, recorded = (re.search(rf"{word} ([\d.]+) s", output) for word in ("spoke for", "recorded"))
    assert spoke is not None
    assert recorded is not None
    assert 0.5 < float(spoke[1]) < 9
    assert float(recorded[1]) > 0.5
    assert (tmp_path / "spoken.ogg").read_bytes().startswith(b"OggS")


def test_python_audio_unit(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    match = re.search(r"([\d.]+) times as loud", run("python_audio_unit.py", tmp_path))
    assert match is not None
    assert 1.7 < float(match[1]) < 2.3


def test_keypad(tmp_path: Path) -> None:
    first, *keys, last = run("keypad.py", tmp_path).splitlines()
    assert first == "the menu answers"
    assert [key.split(" for ")[0] for key in keys] == [f"pressed {key}" for key in "4711#"]
    assert last == "the caller wants extension 4711"


def test_audio_functions(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    lines = run("audio_functions.py", tmp_path).splitlines()
    assert lines[0] == "call: ULAW at 8000 Hz"
    assert re.fullmatch(r"50 chunks in, 50 chunks out, \+6\.0 dB", lines[1])


@pytest.mark.timeout(90)
def test_demo(tmp_path: Path) -> None:
    output = run("demo.py", tmp_path, seconds=80)
    assert output.count("   ok\n") == 3
    for event in ("Created", "Open", "MediaEventStarted", "MediaEventEnded", "Close"):
        assert output.count(f" WebSocket.{event}") >= 4, (event, output)
    picture = tmp_path / "demo-out" / "demo.png"
    if importlib.util.find_spec("matplotlib") is None:
        assert "voxwire[demo]" in output
    else:
        assert picture.read_bytes().startswith(b"\x89PNG")

"""The demo: a call over a bridge, on one machine, with real speech. `make demo` runs it.

Usage:
    python examples/demo.py [--out DIRECTORY]

Three processes: an agent that echoes and wants PCM 16 kHz, a bridge, and a caller that speaks µ-law 8 kHz. Prints the
events of all of them on one time line, checks the recording against what was sent, and draws both into a picture.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo_audio import Comparison, compare, read_wav, through_ulaw

# All of it is on this machine: not for the proxy of whoever runs it.
ENVIRONMENT = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
SPEECH = Path(__file__).with_name("speech.wav")
# What must hold. What the four conversions of rate and encoding on the way do to speech is far below.
MAX_LEVEL_DB = 0.5
MAX_MISSING_MS = 100.0
"""What the caller says before the bridge has reached the agent is not heard."""
MAX_ADDED_MS = 500.0
"""Pauses that come in where a busy machine does not let a process run in time."""
MIN_CORRELATION = 0.98
LEGS = {
    ("call", "call"): "caller",
    ("bridge", "caller"): "bridge, to the caller",
    ("bridge", "agent"): "bridge, to the agent",
    ("agent", "agent"): "agent",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="A call over a bridge, on one machine, with real speech.")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where to put the results (demo-out)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    print(f"An agent, a bridge and a caller, who says the {SPEECH.name} of 7 s. This takes about 10 s.\n")
    make_call(out)
    events = read_events(out)
    print_timeline(events)
    print()
    comparison = compare(through_ulaw(read_wav(SPEECH)[1]), read_wav(out / "back.wav")[1])
    passed = print_checks(comparison)
    draw(out / "demo.png", events, comparison)
    return 0 if passed else 1


def make_call(out: Path) -> None:
    """Runs the three processes; back.wav and a time line of each are in `out` then."""
    with contextlib.ExitStack() as stack:
        agent = stack.enter_context(server(out, "agent", "--encoding", "PCM16"))
        bridge = stack.enter_context(
            server(out, "bridge", "--to", agent, "--caller-encoding", "ULAW", "--agent-encoding", "PCM16")
        )
        call = ["call", "--to", bridge, str(SPEECH), "--encoding", "ULAW", "--tag", "demo", "--quiet"]
        call += ["--out", str(out / "back.wav"), "--json", str(out / "call.jsonl")]
        caller = subprocess.run([sys.executable, "-m", "voxwire", *call], check=False, timeout=60, env=ENVIRONMENT)
    if caller.returncode != 0:
        raise SystemExit(f"the caller ended with exit code {caller.returncode}")


@contextlib.contextmanager
def server(out: Path, name: str, *options: str) -> Iterator[str]:
    """Runs `voxwire agent` or `voxwire bridge`, answers its URL, and ends it the way a user does: with Ctrl-C."""
    command = [sys.executable, "-m", "voxwire", name, "--listen", "127.0.0.1:0", "--quiet", *options]
    command += ["--json", str(out / f"{name}.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            if not first.startswith("listening on "):
                raise SystemExit(f"the {name} did not start: {first or 'it printed nothing'}")
            yield first.split()[-1]
            time.sleep(0.3)  # the call is over; its last events are being written
        finally:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=20)
        print(f"{name}: {said.splitlines()[-1] if said else 'no summary'}")
        if process.returncode != 0:
            raise SystemExit(f"the {name} ended with exit code {process.returncode}")


def read_events(out: Path) -> list[dict[str, Any]]:
    """The events of all processes in the order of their times, which count from the first event of the call."""
    events = []
    for process in ("agent", "bridge", "call"):
        for line in (out / f"{process}.jsonl").read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            where = LEGS.get((process, event["leg"]))
            if where is not None and event["name"] != "Listening":
                events.append(event | {"where": where})
    events.sort(key=lambda event: event["time"])
    start = events[0]["time"]
    return [event | {"time": event["time"] - start} for event in events]


def print_timeline(events: list[dict[str, Any]]) -> None:
    print(f"\n{'time':>8}  {'leg':<22} event")
    hidden = {"time", "name", "leg", "call", "where"}
    for event in events:
        details = ", ".join(f"{key} {_short(value)}" for key, value in event.items() if key not in hidden and value)
        print(f"{event['time']:7.3f}s  {event['where']:<22} {event['name']:<27} {details}".rstrip())


def print_checks(comparison: Comparison) -> bool:
    """What was recorded against what was sent (taken through 8 kHz µ-law, as the caller's encoding does)."""
    rows = [
        (
            "level",
            f"{comparison.level_db:+.2f} dB",
            f"within ±{MAX_LEVEL_DB} dB",
            abs(comparison.level_db) <= MAX_LEVEL_DB,
        ),
        (
            "length",
            f"{comparison.length_ms:+.0f} ms",
            f"-{MAX_MISSING_MS:.0f} to +{MAX_ADDED_MS:.0f} ms",
            -MAX_MISSING_MS <= comparison.length_ms <= MAX_ADDED_MS,
        ),
        (
            "correlation",
            f"{comparison.correlation:.4f}",
            f"at least {MIN_CORRELATION}",
            comparison.correlation >= MIN_CORRELATION,
        ),
    ]
    print("recording against what was sent:")
    for what, value, bound, good in rows:
        print(f"  {what:<12} {value:>9}   ({bound})   {'ok' if good else 'FAILED'}")
    print(f"  (correlation second by second, median; the worst second has {comparison.worst:.4f})")
    if all(good for *_, good in rows) and abs(comparison.gap_ms) > 1:
        print(
            f"  note: a pause of {comparison.gap_ms:.0f} ms came in on the way: this machine was too busy to keep time"
        )
    return all(good for *_, good in rows)


def draw(path: Path, events: list[dict[str, Any]], comparison: Comparison) -> None:
    try:
        from demo_picture import draw_picture
    except ImportError as error:
        print(f"\nno picture: {error}. It needs matplotlib: pip install 'voxwire[demo]'")
        return
    started = {event["name"]: event["time"] for event in events if event["where"] == "caller"}
    draw_picture(
        path, events, comparison, sent=started["Player.Started"], heard=started.get("WebSocket.MediaEventStarted", 0.0)
    )
    print(f"\nthe picture: {path}")


def _short(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())

"""Instructions per message of the hot paths, counted by valgrind: the same on a busy machine as on a quiet one.

`python -m benches.instructions` compares with the bounds in instructions.json and exits with 1 when one is passed;
`--write` makes new bounds. Counted is the user's half alone, in three parts: voxwire's core, the interpreter, and the
libraries below them. What system calls, cache misses and waking up cost is for `benches.run`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .child import Child
from .figures import Table
from .instructions_child import CASES
from .native import ROOT

BOUNDS = Path(__file__).with_suffix(".json")
MARGIN = 1.12
"""Times what was measured, when bounds are written: how many messages a read brings differs from run to run."""
MESSAGES = 1000
SIZE = 160
_PARTS = {"_core": "core", "python": "interpreter"}
# An object's name stands where its number is first used, be it as that of a callee.
_OBJECT = re.compile(r"(?P<callee>c?)ob=(?P<number>\(\d+\)) ?(?P<name>.*)$")
_COST = re.compile(r"[+\-*\d]\S* (\d+)$")


def count(cases: list[str], messages: int = MESSAGES) -> dict[str, Counter[str]]:
    """Instructions per message of each case, by part."""
    found = {}
    with tempfile.TemporaryDirectory() as directory, Child("benches.peer") as peer:
        profile = Path(directory) / "profile"
        valgrind = [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={profile}",
            # How soon a command reaches it.
            "--vgdb-poll=500",
        ]
        job = {"cases": cases, "url": f"ws://127.0.0.1:{peer.hear()['port']}", "size": SIZE, "count": messages}
        with Child("benches.instructions_child", job, under=valgrind) as child:
            for turn, case in enumerate(cases, start=1):
                handled = child.hear()["messages"]
                _control(child, "--instr=on")
                child.tell(go=True)
                child.hear()
                # In one dump after the other only what is new is counted.
                _control(child, "--dump")
                _control(child, "--instr=off")
                child.tell(go=True)
                parts = _read(profile.with_name(f"profile.{turn}"))
                found[case] = Counter({part: round(cost / handled) for part, cost in parts.items()})
    return found


def _control(child: Child, command: str) -> None:
    subprocess.run(["callgrind_control", command, str(child.pid)], check=True, capture_output=True)


def _read(profile: Path) -> Counter[str]:
    """Instructions by part, from callgrind's format: costs stand below the object file that they belong to."""
    costs: Counter[str] = Counter()
    names: dict[str, str] = {}
    part, called = "libraries", False
    for line in profile.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := _OBJECT.match(line):
            name = names.setdefault(match["number"], match["name"])
            if not match["callee"]:
                part = next((what for known, what in _PARTS.items() if known in Path(name).name), "libraries")
        elif line.startswith("calls="):
            called = True  # the next line is what the call cost, which stands below the callee, too
        elif match := _COST.match(line):
            if not called:
                costs[part] += int(match[1])
            called = False
    return costs


def main() -> int:
    """Prints the table. Answers 1 when a bound is passed."""
    parser = argparse.ArgumentParser(prog="python -m benches.instructions", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"one of: {', '.join(CASES)}")
    parser.add_argument("--write", action="store_true", help="make what is measured the new bounds")
    options = parser.parse_args()
    cases = options.case or list(CASES)
    if unknown := [case for case in cases if case not in CASES]:
        parser.error(f"no such case: {unknown[0]!r}; expected one of {', '.join(CASES)}")
    version = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor} {os.uname().machine}"
    known = json.loads(BOUNDS.read_text(encoding="utf-8"))
    if shutil.which("valgrind") is None:
        print("not counted: valgrind is not installed (Debian's package valgrind)")
        return 0
    if not options.write and known["for"] != version:
        print(f"not counted: the bounds are for {known['for']}, this is {version}")
        return 0
    found = count(cases)
    table = Table(
        f"Instructions per message of {SIZE} bytes", ["case", "core", "interpreter", "libraries", "all", "bound"]
    )
    passed = False
    for case, parts in found.items():
        total = sum(parts.values())
        if options.write:
            known["bounds"][case] = round(total * MARGIN)
        bound = known["bounds"][case]
        over = total > bound
        passed |= over
        row = [case, *(f"{parts[part]:,}" for part in ("core", "interpreter", "libraries")), f"{total:,}"]
        table.add([*row, f"{bound:,}{' PASSED' if over else ''}"])
    print(table.markdown())
    if options.write:
        known["for"] = version
        BOUNDS.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        print(f"written: {BOUNDS.relative_to(ROOT)}")
    elif passed:
        print("A hot path does more than it did. If it has to: python -m benches.instructions --write, and say why.")
    return int(passed)


if __name__ == "__main__":
    raise SystemExit(main())

"""The command: `python -m benches.run [--quick | --full] [--no-pin] [--json FILE] [case …]`.

`drivers`, which needs picows, and `soak`, which takes minutes, only when they are named: `python -m benches.run --minutes 10 --calls 200 soak`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from . import machine
from .options import Options

CASES = ("roundtrip", "oneway", "bridge", "conference", "pace", "flood", "memory", "audio")
# Where the case has another name than its module.
MODULES = {"audio": "functions"}
NAMED = (*CASES, "drivers", "soak")


def main() -> None:
    """Runs the cases and prints their tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benches.run", description="Benchmarks of voxwire (Linux only).")
    parser.add_argument(
        "cases", nargs="*", metavar="case", help=f"{', '.join(NAMED)}; default: all but drivers and soak"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="tiny sizes, seconds in all: does it work?")
    length.add_argument("--full", action="store_true", help="bridge: also find where each breaks (many minutes)")
    parser.add_argument("--no-pin", action="store_true", help="let the system choose the cores")
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="soak: how long")
    parser.add_argument("--calls", type=int, default=Options.calls, help="soak: how many calls")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    unknown = [case for case in given.cases if case not in NAMED]
    if unknown:
        parser.error(f"no such case: {unknown[0]!r}; there are {', '.join(NAMED)}")
    if sys.platform != "linux":
        parser.error("the benchmarks read /proc and pin processes to cores: they need Linux")
    options = Options(
        quick=given.quick, full=given.full, pin=not given.no_pin, minutes=given.minutes, calls=given.calls
    )
    about = machine.describe()
    print(" · ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    figures: dict[str, object] = {"machine": about}
    for case in given.cases or CASES:
        meanwhile = machine.Meanwhile()
        tables = importlib.import_module(f"benches.{MODULES.get(case, case)}").run(options)
        for table in tables:
            print(f"\n{table.markdown()}", flush=True)
        remark = f"{meanwhile.seconds:.0f} s; meanwhile {meanwhile}"
        print(f"\n({case}: {remark})", flush=True)
        figures[case] = {"tables": [table.plain() for table in tables], "remark": remark}
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Prints for each scenario whether the traces are the same; with `-v` the lines that differ; names choose scenarios."""

from __future__ import annotations

import difflib
import sys
import time
import warnings

import differential.scenarios  # noqa: F401 - they register themselves

from .differences import DIFFERENCES
from .trial import ORIGINAL, OURS, SCENARIOS, run


def main() -> int:
    """1 if a difference is not listed, or one that is listed is gone."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    factory = None
    if "--uvloop" in sys.argv:
        import uvloop

        factory = uvloop.new_event_loop
    warnings.simplefilter("ignore")
    wrong = same = 0
    for name in SCENARIOS:
        if words and not any(word in name for word in words):
            continue
        start = time.perf_counter()
        theirs, ours = run(name, ORIGINAL, factory), run(name, OURS, factory)
        seconds = time.perf_counter() - start
        verdict = "same" if theirs == ours else "differs"
        same += theirs == ours
        reason = DIFFERENCES.get(name, "")
        unexpected = (verdict == "differs") != bool(reason)
        wrong += unexpected
        print(
            f"{verdict:8}{'!' if unexpected else ' '} {name}  {reason}"
            + (f"  ({seconds:.1f} s)" if seconds > 1 else "")
        )
        if "-vv" in sys.argv:
            print("\n".join(f"    {line}" for line in theirs))
        if "-v" in sys.argv and theirs != ours:
            for line in difflib.unified_diff(theirs, ours, "websockets", "voxwire", lineterm="", n=1):
                print("   ", line)
    print(f"{same} same, {len(SCENARIOS) - same if not words else '?'} differ, {wrong} not as listed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

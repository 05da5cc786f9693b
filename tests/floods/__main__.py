"""`make faults`: run the floods and print what each has cost. `--quick` is what the tests run; names choose some."""

import argparse
import sys

from .floods import FLOODS, FULL, MIB, QUICK, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="floods to run; default: all")
    parser.add_argument("--quick", action="store_true", help="few connections, for a moment")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], help="one loop only; default: both")
    parser.add_argument("--side", choices=["server", "client"], help="one side only; default: both")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    failed = 0
    print(f"{scale.connections} connections each\n")
    print("| flood | voxwire is | loop | RSS grown by at most | allowed | innocent p99 | slowest | |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.names or FLOODS:
        for side in FLOODS[name].sides:
            for loop_name in ("asyncio", "uvloop"):
                if options.loop not in (None, loop_name) or options.side not in (None, side):
                    continue
                cost, limit = run(name, side, loop_name, scale), FLOODS[name].limit(scale)
                wrong = cost.grown > limit
                failed += wrong
                print(
                    f"| {name} | {side} | {loop_name} | {'**' if wrong else ''}{cost.grown / MIB:.1f} MiB"
                    f"{'**' if wrong else ''} | {limit / MIB:.0f} MiB | {cost.p99 * 1000:.1f} ms "
                    f"| {cost.round_trips[-1] * 1000:.0f} ms | {cost.note} |",
                    flush=True,
                )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

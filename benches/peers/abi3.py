"""What the stable ABI costs: the abi3 build beside one for this version of Python, the hot paths, interleaved.

`python -m benches.peers.abi3 ABI3 VERSION`, each a folder with the package in it; `make bench-abi3` makes both. Instructions
are counted by valgrind, if it is there: they are the same on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benches import instructions, instructions_child, machine
from benches.figures import Table

from .cases import CASES, Case, Row, measure
from .clients import CLIENTS, Client
from .server import Server

SIZES = {"roundtrip": (256,), "receive": (160,), "send": (160,)}


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(prog="python -m benches.peers.abi3", description="What the stable ABI costs.")
    parser.add_argument("abi3", type=Path, help="the folder of the abi3 build")
    parser.add_argument("version", type=Path, help="the folder of the build for this version")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-pin", action="store_true", help="let the system choose the cores")
    given = parser.parse_args()
    for folder in (given.abi3, given.version):
        core = [file.name for file in (folder / "voxwire").glob("_core.*.so")]
        print(f"{folder}: {', '.join(core) or 'no voxwire here'}", flush=True)
    builds = [given.abi3.resolve(), given.version.resolve()]
    if shutil.which("valgrind") is not None:
        print(f"\n{_counted(builds).markdown()}", flush=True)
    meanwhile = machine.Meanwhile()
    print(f"\n{_timed(builds, given.rounds, pin=not given.no_pin).markdown()}\n\n(meanwhile {meanwhile})")


@contextmanager
def _using(build: Path) -> Iterator[None]:
    """Processes started inside import this build: it comes before what is installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(build)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _counted(builds: list[Path]) -> Table:
    table = Table("Instructions per message", ["case", "abi3", "this version", "abi3 / this version"])
    found = []
    for build in builds:
        with _using(build):
            found.append(instructions.count(list(instructions_child.CASES)))
    for case, parts in found[0].items():
        abi3, version = sum(parts.values()), sum(found[1][case].values())
        table.add([case, f"{abi3:,}", f"{version:,}", f"{abi3 / version:.3f}"], case=case, abi3=abi3, version=version)
    return table


def _timed(builds: list[Path], rounds: int, *, pin: bool) -> Table:
    table = Table(
        "CPU µs per message", ["case", "abi3", "this version", "abi3 / this version", "messages/s: this version / abi3"]
    )
    client_core, server_core = machine.two_cores(pin)
    with Server(server_core) as server:
        for case in _cases():
            for client in CLIENTS:
                if client.ours and not client.missing:
                    _compare(table, case, client, builds, rounds, server, client_core)
    return table


def _cases() -> list[Case]:
    return [Case(**{**case.__dict__, "sizes": SIZES[case.name]}) for case in CASES if case.name in SIZES]


def _compare(
    table: Table, case: Case, client: Client, builds: list[Path], rounds: int, server: Server, core: int | None
) -> None:
    """One client on one loop, both builds in turns."""
    loop = client.loops[0]
    rows = [Row(case.name, client.name, client.api, loop) for _ in builds]
    for number in range(rounds):
        for index in (0, 1) if number % 2 else (1, 0):
            with _using(builds[index]):
                measure(case, rows[index], server, core)
    (size,) = case.sizes
    if not all(row.results.get(size) for row in rows):
        table.notes.append(f"{client.name}: {[*rows[0].errors, *rows[1].errors][0]}")
        return
    cpu, rate = (
        [statistics.median(result[name] for result in row.results[size]) for row in rows] for name in ("cpu", "rate")
    )
    what = f"{case.title}, {size} B: {client.name}{f', {loop}' if loop else ''}"
    cells = [f"{cpu[0] * 1e6:.2f}", f"{cpu[1] * 1e6:.2f}", f"{cpu[0] / cpu[1]:.3f}", f"{rate[1] / rate[0]:.3f}"]
    table.add([what, *cells], case=case.name, client=client.name, abi3=rows[0].results, version=rows[1].results)


if __name__ == "__main__":
    main()

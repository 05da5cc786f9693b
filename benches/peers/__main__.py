"""The command: `python -m benches.peers [--quick] [--case …] [--client …] [--rounds N] [--cores apart|one|any] [--json FILE] [--write]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benches import machine

from . import aims, report
from .cases import CASES, Case, Row, measure
from .clients import CLIENTS, LOOPS, Client
from .server import Server

CORES = {
    "apart": "client on one core, server on another",
    "one": "client and server share one core",
    "any": "not pinned",
}
"""Where the two processes run, and how that is said."""


def main() -> None:
    """Measures, prints tables, and what became of the aims."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.peers", description="voxwire beside other WebSocket libraries (Linux only)."
    )
    parser.add_argument("--case", type=_names, metavar="NAME,…", help=", ".join(case.name for case in CASES))
    parser.add_argument("--client", type=_names, metavar="NAME,…", help=", ".join(sorted({c.name for c in CLIENTS})))
    parser.add_argument("--loop", type=_names, metavar="NAME,…", help=", ".join(LOOPS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a round each: does it work?")
    parser.add_argument("--rounds", type=int, help="of each case, instead of its own number")
    parser.add_argument(
        "--cores",
        choices=tuple(CORES),
        default="apart",
        help="client and server each on a core of its own; both on one, which measures work instead of wake-ups; "
        "or where the system puts them",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--with", type=Path, metavar="FILE", help="JSON of an earlier run, for cases not measured now")
    parser.add_argument("--write", action="store_true", help="put tables and charts into benches/README.md")
    given = parser.parse_args()
    if sys.platform != "linux":
        parser.error("the benchmarks read /proc and pin processes to cores: they need Linux")
    cases = [case for case in CASES if given.case is None or case.name in given.case]
    clients = [client for client in CLIENTS if given.client is None or client.name in given.client]
    for kind, names, known in (
        ("case", given.case, {case.name for case in CASES}),
        ("client", given.client, {client.name for client in CLIENTS}),
        ("loop", given.loop, set(LOOPS)),
    ):
        if unknown := sorted(set(names or ()) - known):
            parser.error(f"no such {kind}: {unknown[0]!r}; there are {', '.join(sorted(known))}")
    if given.quick:
        cases = [case.quick() for case in cases]
    if given.rounds is not None:
        cases = [Case(**{**case.__dict__, "rounds": given.rounds}) for case in cases]
    earlier = _read(getattr(given, "with"), cases)
    run = Run(clients, tuple(given.loop or LOOPS), cores=given.cores)
    print(report.about(run.about), flush=True)
    for case in cases:
        run.measure(case)
        for table in report.tables(case, run.of(case)):
            print(f"\n{table.markdown()}", flush=True)
        # What was measured so far, should a long run be ended.
        run.save(given.json)
    run.rows += earlier
    found = aims.table(run.rows)
    print(f"\n{found.markdown()}\n", flush=True)
    print(run.remark(), flush=True)
    run.save(given.json)
    if given.write:
        report.write(run.about, run.remark(), run.rows, found)


def _names(text: str) -> list[str]:
    return text.split(",")


def _read(file: Path | None, cases: list[Case]) -> list[Row]:
    """The rows of an earlier run, without those of cases that are measured now."""
    if file is None:
        return []
    rows = [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]]
    for row in rows:
        row.results = {int(size): results for size, results in row.results.items()}
    return [row for row in rows if row.case not in {case.name for case in cases}]


class Run:
    """All that is measured in one go."""

    def __init__(self, clients: list[Client], loops: tuple[str, ...], *, cores: str) -> None:
        self.client_core, self.server_core = machine.two_cores(cores != "any")
        if self.client_core is None:
            cores = "any"
        elif cores == "one":
            self.server_core = self.client_core
        missing = sorted({client.package for client in clients if client.missing and client.package != "voxwire"})
        missing += [client.name for client in clients if client.missing and client.package == "voxwire"]
        self._clients = [client for client in clients if not client.missing]
        self._loops = loops
        self.rows: list[Row] = []
        versions = {client.package: client.version for client in self._clients if client.package}
        self.about = {
            **machine.describe(),
            **versions,
            "pinned": CORES[cores],
            "not installed": ", ".join(missing) or "none",
        }
        self._meanwhile = machine.Meanwhile()

    def of(self, case: Case) -> list[Row]:
        """The rows of one case."""
        return [row for row in self.rows if row.case == case.name]

    def measure(self, case: Case) -> None:
        """Interleaved rounds; each begins with another client."""
        rows = [
            Row(case.name, client.name, client.api, loop)
            for client in self._clients
            if case.can(client)
            for loop in (self._loops if client.loops != ("",) else client.loops)
        ]
        self.rows += rows
        if not rows:
            return
        with Server(self.server_core) as server:
            for number in range(case.rounds):
                first = number * len(rows) // case.rounds
                for row in rows[first:] + rows[:first]:
                    measure(case, row, server, self.client_core)

    def remark(self) -> str:
        """How long it took, and whether the machine was quiet."""
        return f"({self._meanwhile.seconds:.0f} s; meanwhile {self._meanwhile})"

    def save(self, file: Path | None) -> None:
        """Writes everything there, as JSON."""
        if file is None:
            return
        rows = [row.__dict__ for row in self.rows]
        figures = {"machine": self.about, "remark": self.remark(), "rows": rows, "aims": aims.table(self.rows).values}
        file.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

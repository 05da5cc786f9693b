"""Run Autobahn|Testsuite against voxwire, as client and as server, and compare with `expected.json`.

    python tests/autobahn/run.py                          all cases, both roles
    python tests/autobahn/run.py --cases 1 9.3 12.1.*     some; --role client or server
    python tests/autobahn/run.py --record                 write what is seen into expected.json

The cases are dealt out to `--workers` processes of the suite, each with a connection of its own at a time: cases run side
by side, but never two in one Python 2.7, whose own time-outs they would trip. The suite's reports stay in build/autobahn/.

Exit status: 0 as expected, 1 a difference, 2 the suite cannot run (no Python 2.7, say).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from echo import LOOPS, EchoServer, run_case
from suite import Suite, SuiteError, Verdict, free_port, listening, log_tail, stop, verdicts
from verdicts import Results, case_order, compare, matches, record, table

AGENT = "voxwire"
REPORTS = Path(__file__).resolve().parents[2] / "build" / "autobahn"
LIMIT = 500.0  # seconds; the suite's own longest time-out is 480
SLACK = 60.0  # seconds, for what a wstest does besides its cases: it starts, and writes its reports
Shard: TypeAlias = list[str]


class Progress:
    """How many cases are done, on a terminal."""

    def __init__(self, role: str, total: int) -> None:
        self._role, self._total, self._done = role, total, 0

    def step(self) -> None:
        self._done += 1
        if sys.stderr.isatty():
            end = "\n" if self._done == self._total else ""
            print(f"\r{self._role} {self._done}/{self._total}", end=end, file=sys.stderr, flush=True)


async def as_client(suite: Suite, shard: Shard, folder: Path, limit: float, progress: Progress) -> Results:
    """Our client goes through the cases of a fuzzing server."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    process = await suite.start("fuzzingserver", folder, {"url": url, "cases": shard})
    hung = set()
    try:
        await listening(port, process)
        for case in shard:
            if not await run_case(f"{url}/runCase?casetuple={case}&agent={AGENT}", limit):
                hung.add(case)
            progress.step()
        await run_case(f"{url}/updateReports?agent={AGENT}", limit + SLACK)
    finally:
        await stop(process)
    return judged(shard, folder, hung, limit)


async def as_server(suite: Suite, shard: Shard, folder: Path, limit: float, progress: Progress) -> Results:
    """A fuzzing client goes through its cases with our server: one connection for each, in their order."""
    server = EchoServer(limit)
    specification = {"servers": [{"agent": AGENT, "url": server.url}], "cases": shard}
    process = await suite.start("fuzzingclient", folder, specification)
    try:
        seen, since = 0, time.monotonic()
        while process.returncode is None:
            if server.connections > seen:
                progress.step()
                seen, since = seen + 1, time.monotonic()
            elif time.monotonic() - since > limit + SLACK:
                break
            else:
                await asyncio.sleep(0.02)
    finally:
        await stop(process)
        await server.close()
    return judged(shard, folder, {shard[number] for number in server.late}, limit)


def judged(shard: Shard, folder: Path, hung: set[str], limit: float) -> Results:
    """Return a verdict for each case of the shard, whether the suite gave one or not."""
    given = verdicts(folder, AGENT)
    if len(given) < len(shard):
        print(f"wstest reported {len(given)} of {len(shard)} cases; the end of its output:\n{log_tail(folder)}")
    missing = Verdict("FAILED", "FAILED", f"    no report, see {folder / 'wstest.log'}")
    late = Verdict("FAILED", "FAILED", f"    not over within {limit:g} s")
    return {case: late if case in hung else given.get(case, missing) for case in shard}


def deal(cases: list[str], workers: int) -> list[Shard]:
    """Deal the cases out, back and forth: within a section the later ones take longer."""
    hands: list[Shard] = [[] for _ in range(min(workers, len(cases)))]
    order = [*range(len(hands)), *reversed(range(len(hands)))]
    for number, case in enumerate(cases):
        hands[order[number % len(order)]].append(case)
    return hands


Player: TypeAlias = Callable[[Suite, Shard, Path, float, Progress], Coroutine[Any, Any, Results]]
ROLES: dict[str, Player] = {"client": as_client, "server": as_server}


async def play(suite: Suite, role: str, cases: list[str], options: argparse.Namespace) -> Results:
    """Run the cases in one role."""
    progress = Progress(role, len(cases))
    folders: Path = options.reports / role
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ROLES[role](suite, shard, folders / str(number), options.limit, progress))
            for number, shard in enumerate(deal(cases, options.workers))
        ]
    merged = {case: verdict for task in tasks for case, verdict in task.result().items()}
    return {case: merged[case] for case in sorted(merged, key=case_order)}


def main() -> int:
    """Run, print, compare. Answers the exit status."""
    options = arguments()
    try:
        suite = Suite.ready(options.python27)
        cases = [case for case in suite.cases() if matches(case, options.cases)]
    except SuiteError as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 2
    if not cases:
        print(f"autobahn: no case matches {' '.join(options.cases)}", file=sys.stderr)
        return 2
    logging.getLogger("voxwire").setLevel(logging.ERROR)  # it warns of what the cases do
    results: dict[str, Results] = {}
    for role in options.role or ROLES:
        begin = time.monotonic()
        try:
            with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
                results[role] = runner.run(play(suite, role, cases, options))
        except ExceptionGroup as group:
            problems = group.subgroup(SuiteError)
            if problems is None:
                raise
            print(f"autobahn: {role}: {problems.exceptions[0]}", file=sys.stderr)
            return 2
        print(f"{role}: {len(cases)} cases in {time.monotonic() - begin:.0f} s ({options.loop})", flush=True)
    print(table(results))
    if options.record:
        record(results)
    return report(results)


def report(results: dict[str, Results]) -> int:
    """Print what differs from `expected.json`. Answers the exit status."""
    status = 0
    for role, verdicts_of_role in results.items():
        failures, notes = compare(role, verdicts_of_role)
        for line in notes:
            print(f"note: {line}")
        for line in failures:
            print(f"FAIL: {line}")
            status = 1
    print("not as expected" if status else "as expected")
    return status


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Autobahn|Testsuite against voxwire")
    parser.add_argument("--cases", nargs="+", default=["*"], help='cases, sections or globs: 7.1.5 9.3 "12.*"')
    parser.add_argument("--role", action="append", choices=list(ROLES), help="only this one")
    parser.add_argument("--loop", choices=list(LOOPS), default="asyncio", help="the event loop of the echo")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="cases at a time (default: CPUs)")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a case may take (default 500)")
    parser.add_argument("--python27", help="the Python 2.7 to run the suite with")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the suite's own reports go")
    parser.add_argument("--record", action="store_true", help="write the verdicts into expected.json, if acceptable")
    options = parser.parse_args()
    if options.workers < 1 or options.limit <= 0:
        parser.error("--workers and --limit must be positive")
    options.reports = options.reports.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())

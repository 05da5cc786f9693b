"""Sections 1 to 7 and 10 of Autobahn in seconds, by `kosoku`: the suite's case files on a runner of its own, from PyPI.

The real suite, with the limits and compression (sections 9, 12 and 13), is `make autobahn`.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from echo import LOOPS, EchoServer, run_case
from suite import Verdict
from verdicts import Results, compare, expectations, matches

try:
    import kosoku
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("kosoku is not installed: pip install kosoku==0.1.0", allow_module_level=True)
if TYPE_CHECKING:
    from kosoku._kosoku import CaseResult

SECTIONS = ("1", "2", "3", "4", "5", "6", "7", "10")
GLOBS = [f"{section}.*" for section in SECTIONS]
CASE_LIMIT = 20.0  # seconds
AT_A_TIME = 4


async def our_server() -> list[CaseResult]:
    server = EchoServer(CASE_LIMIT)
    try:
        results = await kosoku.run_fuzzingclient(server.url, GLOBS, concurrency=AT_A_TIME)
    except kosoku.FailureError as failure:
        results = failure.results
    await server.close()
    assert server.late == []
    return results


async def our_client(cases: int) -> list[CaseResult]:
    numbers = iter(range(1, cases + 1))

    async def worker(url: str) -> None:
        for number in numbers:
            assert await run_case(f"{url}/runCase?case={number}&agent=voxwire", CASE_LIMIT), number

    async with kosoku.run_fuzzingserver(GLOBS, port=0) as server:
        url = f"ws://{server.address}:{server.port}"
        await asyncio.gather(*(worker(url) for _ in range(AT_A_TIME)))
        await run_case(f"{url}/updateReports?agent=voxwire", CASE_LIMIT)
        try:
            results = await server.get_result()
        except kosoku.FailureError as failure:
            results = failure.results
    return results


@pytest.mark.timeout(180)
@pytest.mark.parametrize("loop", list(LOOPS))
@pytest.mark.parametrize("role", ["client", "server"])
def test_the_verdicts_are_the_expected(role: str, loop: str) -> None:
    wanted = {case for case in expectations(role) if matches(case, SECTIONS)}
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        cases = runner.run(our_server() if role == "server" else our_client(len(wanted)))
    results: Results = {
        case.case_id: Verdict(case.behavior.value, case.behavior_close.value, f"{case.result} {case.result_close}")
        for case in cases
    }
    assert set(results) == wanted
    failures, _tolerated = compare(role, results)
    assert not failures, "\n".join(failures)

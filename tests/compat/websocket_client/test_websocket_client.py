"""Every scenario on `websocket-client` and on `voxwire.compat.websocket`: the traces are the same, or the list says why not."""

from __future__ import annotations

import difflib

import pytest
from support.tls import Certificates

from . import calling_back, opening, talking  # noqa: F401 - they add the scenarios
from .differences import DIFFERENCES
from .trace import ORIGINAL, OURS, SCENARIOS, traced


# The original leaves sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_program_sees_the_same(name: str, certificates: Certificates) -> None:
    expected = traced(SCENARIOS[name], ORIGINAL, certificates)
    found = traced(SCENARIOS[name], OURS, certificates)
    assert len(expected) > 1, "the scenario shows nothing"
    difference = "\n".join(difflib.unified_diff(expected, found, ORIGINAL, OURS, lineterm="", n=2))
    if name in DIFFERENCES:
        assert difference, f"{name} does not differ any more: take it off the list"
    else:
        assert not difference, f"{name}\n{difference}"


def test_the_list_names_scenarios_and_reasons() -> None:
    assert set(DIFFERENCES) <= set(SCENARIOS)
    assert all(len(reason) > 20 for reason in DIFFERENCES.values())
    assert len(SCENARIOS) >= 60

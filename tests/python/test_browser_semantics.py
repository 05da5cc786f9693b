"""States, the order of `error` and `close`, close codes and `send` after close: as in the browser, line by line.

The table is in `support.semantics`; `tests/peers/test_chromium_semantics.py` plays it in a real browser. Where ours
follows VoxEngine instead, or a rule of its own, the table of differences says so and why.
"""

from typing import Any

import pytest
from support.scenarios import Scenario
from support.semantics import DIFFERENCES, SCENARIOS
from support.traces import Player, Serving, ThrownByHandlerError


@pytest.mark.parametrize("name", SCENARIOS)
async def test_ours(name: str, loop_errors: list[dict[str, Any]]) -> None:
    scenario = SCENARIOS[name]
    serving = Serving(scenario)
    with serving.server as server:
        trace = await Player(scenario).play(server.url)
        server.hang_up()
    assert [*trace, *serving.seen] == scenario.trace
    thrown = [context.get("exception") for context in loop_errors]
    assert all(isinstance(error, ThrownByHandlerError) for error in thrown)
    assert len(thrown) == throws(scenario)


def throws(scenario: Scenario) -> int:
    """How many exceptions of handlers reach the loop."""
    return sum(
        line.startswith(f"{trigger}:")
        for trigger, actions in scenario.actions.items()
        if ["throw"] in actions
        for line in scenario.trace
    )


def test_every_difference_is_one_and_has_a_reason() -> None:
    for name, difference in DIFFERENCES.items():
        assert difference.trace != SCENARIOS[name].trace, name
        assert difference.reason.endswith("."), name

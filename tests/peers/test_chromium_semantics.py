"""The browser's semantics in a browser: Chromium's trace of each scenario is ours, or differs as the table says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from children import needs
from chromium_browser import Browser
from support.semantics import DIFFERENCES, SCENARIOS, TOO_LONG_FOR_A_BROWSER
from support.traces import Serving

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in TOO_LONG_FOR_A_BROWSER])
def test_chromium(browser: Browser, name: str) -> None:
    scenario = SCENARIOS[name]
    serving = Serving(scenario)
    with serving.server as server:
        trace = browser.run(
            "return await playScenario(scenario)",
            scenario={
                "url": scenario.url or server.url,
                "protocols": scenario.protocols,
                "actions": scenario.actions,
                "propertyLast": scenario.property_last,
            },
        )
        server.hang_up()
    difference = DIFFERENCES.get(name)
    assert [*trace, *serving.seen] == (scenario.trace if difference is None else difference.trace)

"""Each scenario shows the same on the original and on voxwire.compat, or stands in the list of differences."""

import warnings

import differential.scenarios  # noqa: F401 - they register themselves
import pytest
from differential.differences import DIFFERENCES
from differential.trial import ORIGINAL, OURS, SCENARIOS, run


@pytest.mark.parametrize("name", SCENARIOS)
def test_same(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the original warns of is not our business
        theirs, ours = run(name, ORIGINAL), run(name, OURS)
    assert not any(line.startswith("scenario: raises") for line in theirs), theirs
    if name in DIFFERENCES:
        assert theirs != ours, f"the difference is gone: {DIFFERENCES[name]}"
    else:
        assert theirs == ours


def test_the_list_names_scenarios() -> None:
    assert set(DIFFERENCES) <= set(SCENARIOS)

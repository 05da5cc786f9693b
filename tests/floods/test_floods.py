"""Each flood for a moment: its memory is bounded, and others are still served. `make faults` runs them for longer."""

import pytest

from .field import Side
from .floods import FLOODS, QUICK, run

ROUND_TRIP = 15.0
"""Seconds, of an innocent connection: the verdict must not depend on what else the machine does."""
CASES: list[tuple[str, Side, str]] = [
    ("pings_unread", "server", "asyncio"),
    ("pongs_unasked", "client", "uvloop"),
    ("echoes_unread", "server", "uvloop"),
    ("slow_application_and_tiny_messages", "client", "asyncio"),
    ("empty_fragments", "server", "uvloop"),
    ("deflate_bombs", "client", "asyncio"),
    ("deflated_messages_in_one_read", "server", "uvloop"),
    ("half_open_handshakes", "server", "asyncio"),
    ("audio_faster_than_real_time", "server", "asyncio"),
    ("starts_for_many_tags", "client", "uvloop"),
    ("starts_with_long_tags", "server", "asyncio"),
]
"""Those whose bounds have been broken before, or nearly. The others cost too much time for each change."""


def test_they_exist() -> None:
    assert {name for name, _, _ in CASES} <= set(FLOODS)


@pytest.mark.parametrize(("name", "side", "on"), CASES)
def test_a_flood(name: str, side: Side, on: str) -> None:
    cost = run(name, side, on, QUICK)
    print(f"{name}: {cost.grown >> 20} MiB, p99 {cost.p99 * 1000:.0f} ms; {cost.note}")
    assert cost.grown <= FLOODS[name].limit(QUICK)
    assert cost.round_trips[-1] < ROUND_TRIP

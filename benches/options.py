"""What the command line asks for; each case makes of it what it can."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How long and how to measure."""

    quick: bool = False
    """Tiny sizes: shows that the benchmark works, not what it measures."""
    full: bool = False
    """Also what takes many minutes: the number of calls at which each bridge breaks."""
    pin: bool = True
    """What is measured gets a core of its own, its peer another."""

    minutes: float = 10.0
    """How long the soak takes."""
    calls: int = 200
    """Its calls."""

    @property
    def pinned(self) -> str:
        """For the notes of a table."""
        if self.pin and len(os.sched_getaffinity(0)) > 1:
            return "Pinned: what is measured on one core, its peer on another."
        return "Not pinned."

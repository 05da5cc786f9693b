"""Prints for each scenario whether the two libraries are the same, and how they differ.

python -m websocket_client [name …]     (in tests/compat, with tests/python on the path)
"""

from __future__ import annotations

import difflib
import sys
import tempfile
import time
import warnings
from pathlib import Path

import trustme
from support.tls import Certificates

from . import calling_back, opening, talking  # noqa: F401 - they add the scenarios
from .differences import DIFFERENCES
from .trace import ORIGINAL, OURS, SCENARIOS, traced


def main() -> int:
    """Answer 1 if something differs that is not on the list, or the other way round."""
    warnings.simplefilter("ignore", ResourceWarning)
    names = sys.argv[1:] or list(SCENARIOS)
    unexpected = 0
    with tempfile.TemporaryDirectory() as directory:
        certificates = Certificates(trustme.CA(), Path(directory))
        for name in names:
            began = time.monotonic()
            expected, found = (traced(SCENARIOS[name], library, certificates) for library in (ORIGINAL, OURS))
            same = expected == found
            wanted = name not in DIFFERENCES
            unexpected += same is not wanted
            verdict = "same" if same else "differs" if not wanted else "DIFFERS"
            print(
                f"{verdict:8} {name}  ({time.monotonic() - began:.1f} s)" + ("" if wanted else f": {DIFFERENCES[name]}")
            )
            if same is not wanted or len(sys.argv) > 1:
                print("\n".join(difflib.unified_diff(expected, found, ORIGINAL, OURS, lineterm="", n=3)))
    print(f"{len(names)} scenarios, {unexpected} not as expected")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())

"""Python programs in processes of their own: what is left of them when they end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

SECONDS = 60.0
"""A program that takes longer hangs."""

PRELUDE = """
import asyncio, gc, logging, os, signal, sys, threading
import uvloop, voxwire
from voxwire import WebSocket
url = sys.argv[1]
new_loop = uvloop.new_event_loop if sys.argv[2] == "uvloop" else asyncio.new_event_loop
# asyncio warns of what took long: on a busy machine anything does.
logging.getLogger("asyncio").setLevel(logging.ERROR)
def run(main):
    with asyncio.Runner(loop_factory=new_loop) as runner: return runner.run(main)
"""

_NO_FORK_WARNING = "ignore:This process:DeprecationWarning"


def run(code: str, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `before`, `PRELUDE` and `code` with these arguments (a URL, a loop's name, …); warnings are errors."""
    options = ["-X", "dev", "-W", "error", "-W", _NO_FORK_WARNING]
    return subprocess.run(
        [sys.executable, *options, "-c", before + PRELUDE + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "PYTHONASYNCIODEBUG": "0"},
    )

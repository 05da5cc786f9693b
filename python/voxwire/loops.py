"""One `LoopBridge` for each asyncio loop in use, which closes with its loop; fork and interpreter exit.

A bridge is closed by whichever comes first: `loop.shutdown_asyncgens()` (asyncio.run, uvloop.run and Runner call it),
the loop letting go of its readers (`loop.close()`), a sweep of closed loops when a new bridge is made, or exit.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from . import _core
from .errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

EXIT_TIMEOUT = 2.0
"""Seconds that the interpreter's exit waits for recordings, and as many for handlers of daemon threads."""

forks = 0
"""How many forks this process is away from the one that loaded the module."""

DRIVER = "VOXWIRE_DRIVER"
"""With the value `tokio` in this environment variable no loop reads sockets itself; for tests and measurements."""

_lock = threading.Lock()
_ends = False
_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _core.LoopBridge] = weakref.WeakKeyDictionary()


def running_loop(what: str) -> asyncio.AbstractEventLoop:
    """Answer the running loop. Raises InvalidState, naming `what` needs it, when there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        message = f"{what} needs a running asyncio loop: call it in a coroutine, or in a handler that the loop calls"
        raise InvalidState(message) from None


def bridge_to(loop: asyncio.AbstractEventLoop) -> _core.LoopBridge:
    """Answer the bridge to the running loop, made at the first call.

    Raises NotImplementedError for a loop without `add_reader` (the Windows proactor).
    """
    with _lock:
        bridge = _bridges.get(loop)
        if bridge is not None and not bridge.closed:
            return bridge
        _see_that_it_ends()
        closed = [_bridges.pop(other) for other in list(_bridges) if other.is_closed()]
        bridge = _core.LoopBridge(os.environ.get(DRIVER) != "tokio")
        _bridges[loop] = bridge
    for leftover in closed:
        leftover.close()
    _attach(bridge, loop)
    return bridge


class _Reader:
    """What the loop calls when the bridge has events. Only the loop owns it, so it goes when the loop closes."""

    __slots__ = ("__weakref__", "_lifeline", "drain")

    def __init__(self, bridge: _core.LoopBridge, lifeline: AsyncGenerator[None, None]) -> None:
        self.drain = bridge.drain
        self._lifeline = lifeline

    def __call__(self) -> None:
        self.drain()


def _attach(bridge: _core.LoopBridge, loop: asyncio.AbstractEventLoop) -> None:
    lifeline = _lifeline(bridge, loop)
    reader = _Reader(bridge, lifeline)
    try:
        loop.add_reader(bridge.fileno(), reader)
    except NotImplementedError:
        bridge.close()
        message = f"voxwire needs a loop with add_reader, which {type(loop).__name__} has not; use a selector loop"
        raise NotImplementedError(message) from None
    # The first step, taken by hand: it lets the loop know the generator, so that shutdown_asyncgens() closes it.
    with suppress(StopIteration):
        lifeline.asend(None).send(None)
    weakref.finalize(reader, bridge.close).atexit = False


async def _lifeline(bridge: _core.LoopBridge, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
    fd = bridge.fileno()
    process = os.getpid()
    try:
        yield
    finally:
        # A forked child has the parent's selector: what is taken out there, the parent would miss.
        if not loop.is_closed() and os.getpid() == process:
            loop.remove_reader(fd)
        bridge.close()


def _after_fork() -> None:
    global _lock, _bridges, _ends, forks  # noqa: PLW0603 - the parent's lock may be held, its bridges are not ours
    forks += 1
    _ends = False
    _lock = threading.Lock()
    _bridges = weakref.WeakKeyDictionary()
    _core.mark_forked()


def _see_that_it_ends() -> None:
    """Have the core stopped at exit once in each process, also where `atexit` is not heard.

    Processes of multiprocessing end without it before Python 3.13; `Finalize` is what they hear.
    """
    global _ends  # noqa: PLW0603 - of this process
    if _ends:
        return
    _ends = True
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _core.shutdown, args=(EXIT_TIMEOUT,), exitpriority=0)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_core.shutdown, EXIT_TIMEOUT)

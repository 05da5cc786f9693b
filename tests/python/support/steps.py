"""A scheduler that cancels: an asyncio loop whose callbacks are counted, and a task that is cancelled after the n-th."""

from __future__ import annotations

import asyncio
import gc
import threading
from asyncio.events import Handle
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

SECONDS = 15.0


@dataclass
class Counted:
    """How a task ended that was to be cancelled after `at` callbacks of its loop."""

    at: int
    cancelled: bool = False
    """The CancelledError came out of it."""
    in_time: bool = False
    """It was told to, before it ended by itself."""
    result: Any = None
    steps: int = field(default=0, repr=False)


async def cancelled_after(at: int, coroutine: Coroutine[Any, Any, Any]) -> Counted:
    """Run it as a task, cancel it after `at` callbacks of the loop, and wait for its end."""
    loop = asyncio.get_running_loop()
    outcome = Counted(at)
    task = loop.create_task(coroutine)
    original = Handle._run

    def cancel() -> None:
        outcome.in_time = not task.done()
        task.cancel()

    def run(self: Handle) -> None:
        original(self)
        if self._loop is loop:  # type: ignore[attr-defined]
            outcome.steps += 1
            if outcome.steps == at:
                cancel()

    with mock.patch.object(Handle, "_run", run):
        if at == 0:
            cancel()
        await asyncio.wait([task], timeout=SECONDS)
    assert task.done(), f"cancelled after {at} callbacks, and it still waits"
    try:
        outcome.result = task.result()
    except asyncio.CancelledError:
        outcome.cancelled = True
    return outcome


async def at_every_step(run: Callable[[int], Awaitable[Counted]], bound: int = 150) -> int:
    """Call `run(n)` for n = 0, 1, 2, … until the task ends by itself; answers that n. After each, nothing may be left over:
    no task, descriptor or thread.
    """
    before = await _at_rest()
    for at in range(bound):
        outcome = await run(at)
        until, now = asyncio.get_running_loop().time() + SECONDS, left()
        while any(more > less for more, less in zip(now, before, strict=True)):
            assert asyncio.get_running_loop().time() < until, f"cancelled after {at}: {before} before, {now} after"
            gc.collect()
            await asyncio.sleep(0.002)
            now = left()
        if not outcome.in_time:
            return at
    message = f"still not through after {bound} callbacks"
    raise AssertionError(message)


async def _at_rest() -> tuple[int, int, int]:
    """What is left when what ended before has been put away."""
    before, same = left(), 0
    while same < 10:
        await asyncio.sleep(0.01)
        now = left()
        before, same = now, same + 1 if now == before else 0
    return before


def left() -> tuple[int, int, int]:
    """Tasks, descriptors and threads of this process."""
    descriptors = 0
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            entry.stat()  # the one that iterdir had open is none
            descriptors += 1
    return len(asyncio.all_tasks()), descriptors, threading.active_count()

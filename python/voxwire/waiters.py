"""Coroutines that wait until something is so. One set for an object, woken together when anything changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import loops
from .errors import ForkedError

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiters:
    """The coroutines that wait for a change of one object. Costs nothing while nobody waits."""

    __slots__ = ("_forks", "_futures")

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._futures: set[asyncio.Future[None]] | None = None
        self._forks = loops.forks

    def check_process(self) -> None:
        """Raise ForkedError in a forked child, where nothing would ever wake those who wait."""
        if self._forks != loops.forks:
            message = "this object belongs to the parent process; make a new one after a fork"
            raise ForkedError(message)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition()` is true; it is asked now and after each `wake`. May be cancelled at any time.

        Raises ForkedError in a forked child.
        """
        while not condition():
            self.check_process()
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._futures is None:
                self._futures = set()
            self._futures.add(future)
            try:
                await future
            finally:
                self._futures.discard(future)
                if not self._futures:
                    self._futures = None

    def wake(self) -> None:
        """Let everybody look again."""
        for future in self._futures or ():
            if not future.done():
                future.set_result(None)

"""Messages that no handler took, and the budget of the connection's receive buffer. Knows no events and no states."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from .errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable

_TURN = 0.002
"""Seconds for which `recv` may give messages without letting other tasks run."""


class Inbox:
    """The messages of one connection that wait for `recv()` or for a first handler, in order.

    Each message has a cost, which the connection counts until it is given back: above its limit it stops reading, so
    that memory is bounded however slow the application is.
    """

    __slots__ = ("_held", "_messages", "_open", "_release", "_turn", "_waiter", "taken")

    def __init__(self, release: Callable[[int], None]) -> None:
        """`release` gives a cost back to the connection."""
        self._release = release
        # None until there is a message: an empty deque is 760 bytes, a tenth of an idle connection.
        self._messages: deque[tuple[str | bytes, int]] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._held = 0
        self._open = True
        self._turn = 0.0
        self.taken = False
        """Whether a message was ever taken: somebody does use `recv`."""

    def __len__(self) -> int:
        """How many messages wait."""
        return 0 if self._messages is None else len(self._messages)

    @property
    def held(self) -> int:
        """The cost of what waits and of what `async def` handlers work on."""
        return self._held

    def put(self, data: str | bytes, cost: int) -> None:
        """Add a message and wake the one who waits for it."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append((data, cost))
        self._held += cost
        self.wake()

    def turn_is_over(self) -> bool:
        """Say whether messages have been taken for so long that others should get the loop for once."""
        now = monotonic()
        if now - self._turn < _TURN:
            return False
        self._turn = now
        return True

    def pop(self) -> tuple[str | bytes, int]:
        """Take the oldest message. Its cost counts until `give_back`. Raises IndexError when none waits."""
        if self._messages is None:
            message = "pop from an empty inbox"
            raise IndexError(message)
        self.taken = True
        return self._messages.popleft()

    def hold(self, tasks: list[asyncio.Task[object]], cost: int) -> bool:
        """Count a cost until all these tasks are done; answers False when nothing is counted any more."""
        if self._open:
            self._held += cost
            self.give_back_after(tasks, cost)
        return self._open

    def give_back_after(self, tasks: list[asyncio.Task[object]], cost: int) -> None:
        """Give a counted cost back when all these tasks are done."""
        left = len(tasks)

        def done(_task: asyncio.Task[object]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.give_back(cost)

        for task in tasks:
            task.add_done_callback(done)

    def give_back(self, cost: int) -> None:
        """Count a cost no more."""
        if self._open:
            self._held -= cost
            self._release(cost)

    def stop_counting(self) -> None:
        """Give everything back: the connection must read on, to find the peer's close frame. What waits stays."""
        if self._open:
            self._open = False
            held, self._held = self._held, 0
            if held:
                self._release(held)

    def wake(self) -> None:
        """Let the one who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def changed(self) -> None:
        """Wait for `put` or `wake`. Takes nothing, so that a cancelled wait loses nothing.

        Raises InvalidState when somebody waits already.
        """
        if self._waiter is not None:
            message = "recv() is already being waited for; two at once would share the messages out at random"
            raise InvalidState(message)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._turn = monotonic()

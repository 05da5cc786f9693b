"""Messages that no handler took, and what is counted for `async def` handlers. Knows no events and no states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    import asyncio


class Inbox(_core.Inbox):
    """The messages of one WebSocket that wait for `recv()` or for a first handler, in order, and the costs of those that
    are worked on.
    """

    __slots__ = ()

    def hold(self, tasks: list[asyncio.Task[object]], cost: int) -> bool:
        """Count a cost until all these tasks are done; answers False when nothing is counted any more."""
        counted = self.count(cost)
        if counted:
            self.give_back_after(tasks, cost)
        return counted

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

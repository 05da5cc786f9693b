"""What a running command shows: lines that stay, and one status line that is refreshed.

On a terminal the status line is redrawn in place; elsewhere it is printed now and then, when it changed.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from voxwire.discretion import printable

REFRESH = 0.25
"""Seconds between two looks at the status on a terminal."""
PLAIN_REFRESH = 5.0
"""Seconds between two status lines elsewhere."""


class Screen:
    """Prints to `stream`; while entered, asks `status` for the status line."""

    def __init__(self, status: Callable[[], str] | None = None, stream: TextIO | None = None) -> None:
        self._status = status
        self._stream = sys.stdout if stream is None else stream
        self._tty = self._stream.isatty()
        self._shown = ""
        self._task: asyncio.Task[None] | None = None

    def say(self, line: str) -> None:
        """A line that stays. What peers put into it cannot move the cursor, or begin a line of its own."""
        redraw = bool(self._shown)
        self._clear()
        print(printable(line), file=self._stream)
        if redraw and self._status is not None:
            self._draw(printable(self._status()))
        self._stream.flush()

    async def __aenter__(self) -> Self:
        if self._status is not None:
            self._task = asyncio.create_task(self._refresh(self._status))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        self._clear()
        self._stream.flush()

    async def _refresh(self, status: Callable[[], str]) -> None:
        last = ""
        while True:
            await asyncio.sleep(REFRESH if self._tty else PLAIN_REFRESH)
            line = printable(status())
            if line == last:
                continue
            last = line
            if self._tty:
                self._clear()
                self._draw(line)
            else:
                print(line, file=self._stream)
            self._stream.flush()

    def _draw(self, line: str) -> None:
        """Draws the status line, cut to the terminal's width: a wrapped one could not be cleared."""
        self._shown = line[: max(shutil.get_terminal_size().columns - 1, 1)]
        self._stream.write(self._shown)

    def _clear(self) -> None:
        if self._tty and self._shown:
            self._stream.write("\r\x1b[K")
        self._shown = ""

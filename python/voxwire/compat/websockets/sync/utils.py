"""`Deadline`: one limit in time for several steps."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


class Deadline:
    """A moment from now, or never."""

    def __init__(self, timeout: float | None) -> None:
        """Begin to count; `timeout` in seconds, None for never."""
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Answer the seconds that are left, negative behind the deadline; None for no limit."""
        return None if self._end is None else self._end - time.monotonic()

    def check(self) -> float | None:
        """Answer the seconds that are left. Raises TimeoutError when there are none."""
        left = self.left()
        if left is not None and left <= 0:
            message = "timed out"
            raise TimeoutError(message)
        return left

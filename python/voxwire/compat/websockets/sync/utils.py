"""`Deadline`: one limit in time for several steps."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


class Deadline:
    """A moment from now, or never."""

    def __init__(self, timeout: float | None) -> None:
        """Begin to count; `timeout` in seconds, None for never."""
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def timeout(self, *, raise_if_elapsed: bool = True) -> float | None:
        """Answer the seconds that are left, None for no limit. Raises TimeoutError when there are none, unless told not
        to: then a negative number is how long ago it was.
        """
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if raise_if_elapsed and left is not None and left <= 0:
            message = "timed out"
            raise TimeoutError(message)
        return left

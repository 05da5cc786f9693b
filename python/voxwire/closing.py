"""`Closing`: what an `async with` closes at its end. What is closed, and how, is known elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Closing:
    """Anything with a `close`."""

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    async def _settled(self) -> None:
        """Wait for what `close` has begun, where that takes time. May raise what went wrong."""

    async def __aenter__(self) -> Self:
        """Answer the object itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it, and wait until it is closed."""
        self.close()
        await self._settled()

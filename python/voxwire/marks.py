"""Marks that were set and not reached: the core knows ids, here is what they stand for. When one is reached the core says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from .checks import refuse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark."""

    name: str
    tag: str | None
    reached: asyncio.Future[bool]

    def tell(self, *, played: bool) -> None:
        """Wake who awaits it."""
        if not self.reached.done():  # whoever waited may have been cancelled
            self.reached.set_result(played)


class Marks:
    """The marks of one object."""

    __slots__ = ("_ids", "_waiting")

    def __init__(self) -> None:
        """Begin with none."""
        self._ids = count(1)
        self._waiting: dict[int, Mark] | None = None  # most objects never have one

    def set(
        self, loop: asyncio.AbstractEventLoop, name: str, tag: str | None, core: Callable[[int], object]
    ) -> asyncio.Future[bool]:
        """Remember a mark and have the `core` set it, which gets its id. Raises InvalidParameter, and what `core` raises."""
        if not isinstance(name, str):
            refuse("name", name, "a string")
        identity = next(self._ids)
        core(identity)
        mark = Mark(name, tag, loop.create_future())
        self._waiting = self._waiting or {}
        self._waiting[identity] = mark
        return mark.reached

    def take(self, identity: int) -> Mark | None:
        """Forget a mark that was reached; answers it, None when it was told of before."""
        return None if self._waiting is None else self._waiting.pop(identity, None)

    def take_all(self) -> Iterator[Mark]:
        """Forget all that are left: nothing more is played."""
        while self._waiting:
            yield self._waiting.pop(next(iter(self._waiting)))

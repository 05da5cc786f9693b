"""What happened on a WebSocket: every event with the state it was seen in."""

import asyncio
from collections.abc import Callable
from typing import Any

import voxwire
from voxwire import WebSocketEvents as E

MEDIA_EVENTS = (E.MEDIA_STARTED, E.MEDIA_ENDED)


class Log:
    """Listens to all events of a WebSocket (but those in `without`)."""

    def __init__(self, websocket: voxwire.WebSocket, without: tuple[E, ...] = ()) -> None:
        self.events: list[Any] = []
        self.states: list[str] = []
        self.times: list[float] = []
        self._changed = asyncio.Event()
        for event in E:
            if event not in without:
                websocket.addEventListener(event, self._note)

    def _note(self, event: Any) -> None:
        self.events.append(event)
        self.states.append(str(event.websocket.readyState))
        self.times.append(asyncio.get_running_loop().time())
        self._changed.set()

    @property
    def names(self) -> list[str]:
        """CREATED, OPEN, … in the order they happened."""
        return [event.name.name for event in self.events]

    @property
    def messages(self) -> list[str | bytes]:
        return [event.data for event in self.of(E.MESSAGE)]

    def of(self, name: E) -> list[Any]:
        return [event for event in self.events if event.name is name]

    def time_of(self, name: E, index: int = 0) -> float:
        return [time for time, event in zip(self.times, self.events, strict=True) if event.name is name][index]

    async def until(self, name: E, count: int = 1) -> Any:
        """The event, the `count`-th of its kind."""
        await self.wait(lambda: len(self.of(name)) >= count)
        return self.of(name)[count - 1]

    async def wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

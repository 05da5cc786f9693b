"""Numbered messages over a connection that is lost now and then: what is not acknowledged is sent again.

The library promises each message at most once, and those of one connection in order and without a gap. The application
does what is left: here it is done as an application would, and counted.
"""

import asyncio

from voxwire import Backoff, MessageEvent, OpenEvent, WebSocket

WINDOW = 400
BURST = 10
PACE = 0.02


class Numbers:
    """Sends numbers at a steady pace and counts what comes back."""

    def __init__(self, url: str, policy: Backoff) -> None:
        self.next = 1
        self.acknowledged = 0
        self.resent = 0
        self.gaps = 0
        self.opened = 0
        self._expected = 0
        self._ending = False
        self.websocket = ws = WebSocket(url, reconnect=policy)
        ws.onopen = self._begin
        ws.onmessage = self._take
        ws.onclose = lambda event: self._count_gap(event.code == 4001)
        ws.onreconnecting = lambda event: self._count_gap(event.code == 4001)
        asyncio.get_running_loop().call_later(PACE, self._pace)

    def _begin(self, event: OpenEvent) -> None:
        self.opened += 1
        self.resent += self.next - 1 - self.acknowledged
        self._expected = self.acknowledged + 1
        event.websocket.send(f"from {self._expected}")
        for number in range(self._expected, self.next):
            event.websocket.send(f"number {number}")

    def _take(self, message: MessageEvent) -> None:
        number = int(str(message.text).partition(" ")[2])
        self._count_gap(number != self._expected)
        self._expected = number + 1
        self.acknowledged = number

    def _count_gap(self, there_is_one: bool) -> None:
        self.gaps += there_is_one

    def _pace(self) -> None:
        if self._ending:
            return
        if self.websocket.readyState == "open":
            for _ in range(min(BURST, WINDOW - (self.next - self.acknowledged))):
                self.websocket.send(f"number {self.next}")
                self.next += 1
        asyncio.get_running_loop().call_later(PACE, self._pace)

    async def finish(self, patience: float) -> int:
        """Send nothing more, wait for what is on its way, close; answers how many never were acknowledged."""
        self._ending = True
        over = asyncio.get_running_loop().time() + patience
        while self.acknowledged < self.next - 1 and asyncio.get_running_loop().time() < over:
            await asyncio.sleep(0.05)
        self.websocket.close(1000)
        await self.websocket.wait_closed()
        return self.next - 1 - self.acknowledged

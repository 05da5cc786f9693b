"""The measured process of the conference case: whoever connects joins the last room, until it is full."""

from __future__ import annotations

import asyncio

from voxwire import AppEvents, Conference, Engine, NewWebSocketEvent

from . import child
from .clients import LOOPS

MEMBERS = 5


async def serve(rate: int) -> None:
    """Rooms of five that mix at this rate."""
    rooms: list[Conference] = []
    joined = 0

    def on_call(event: NewWebSocketEvent) -> None:
        nonlocal joined
        if joined % MEMBERS == 0:
            rooms.append(Conference(rate))
        joined += 1
        rooms[-1].add(event.websocket, {"encoding": "ULAW", "tag": "call"})

    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, on_call)
    server = engine.allowWebSocketConnections(max_connections=10_000)
    child.say(port=server.port)
    await asyncio.to_thread(child.hear)


def main() -> None:
    """Runs until the parent ends."""
    job = child.argument()
    with asyncio.Runner(loop_factory=LOOPS[job["loop"]]) as runner:
        runner.run(serve(job["rate"]))


if __name__ == "__main__":
    main()

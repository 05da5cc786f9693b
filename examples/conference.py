"""A conference: whoever connects hears all others and never itself. The path of the URL is the name of the room.

Usage:
    python examples/conference.py 8001     serves ws://127.0.0.1:8001/<room>, until Ctrl-C
    python examples/conference.py          serves, lets three call in, one of whom speaks, and ends
"""

import asyncio
import contextlib
import sys
from pathlib import Path

from voxwire import AppEvents, AudioUnit, Conference, Engine, NewWebSocketEvent, Player, RouteEndedEvent, WebSocket

rooms: dict[str, Conference] = {}


def on_call(call: NewWebSocketEvent) -> None:
    room = rooms.setdefault(call.path, Conference(8000))
    room.add(call.websocket, {"encoding": "ULAW"})

    def on_close(_: object) -> None:
        if not room.members and rooms.get(call.path) is room:
            rooms.pop(call.path).close()

    call.websocket.onclose = on_close


async def heard(by: WebSocket) -> bool:
    """Whether more than silence comes back within 2 s."""
    async with AudioUnit(8000) as ear:
        by.sendMediaTo(ear)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for frame in ear:
                    if max(abs(sample) for sample in memoryview(frame).cast("h")) > 500:
                        return True
        return False


async def try_it(engine: Engine) -> None:
    def on_end(event: RouteEndedEvent) -> None:
        if event.source in rooms.values():
            print(f"a route ended ({event.reason}), {event.route.encoding}")

    engine.addEventListener(AppEvents.RouteEnded, on_end)
    async with engine.allowWebSocketConnections() as server, contextlib.AsyncExitStack() as calls:
        url = f"{server.url}lobby"
        ann, bob, eve = [await calls.enter_async_context(WebSocket(url)) for _ in range(3)]
        player = Player(Path(__file__).with_name("speech.wav"))
        player.sendMediaTo(ann, {"encoding": "ULAW"})
        player.start()
        result = await asyncio.gather(*(heard(by) for by in (ann, bob, eve)))
        print("heard by ann, bob, eve:", *result)
        for route in engine.routes():
            if route.target in rooms.values():
                print("into the room:", route.state, f"{route.played > 0}")


async def main() -> None:
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, on_call)
    if len(sys.argv) == 1:
        await try_it(engine)
        return
    async with engine.allowWebSocketConnections("127.0.0.1", int(sys.argv[1])):
        await asyncio.Event().wait()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())

"""A first client, in both styles: with `await`, and with handlers as in VoxEngine and the browser.

Usage:
    python examples/first_client.py ws://127.0.0.1:8000     talks to an echo server
    python examples/first_client.py                         starts one of its own
"""

import asyncio
import sys

from server_echo import serve

from voxwire import CloseEvent, MessageEvent, OpenEvent, WebSocket


async def with_await(url: str) -> None:
    async with WebSocket(url) as ws:  # open here, closed with 1000 at the end of the block
        ws.send("one")
        print("await:", await ws.recv())
        ws.send("two")
        async for message in ws:  # until the connection is closed
            print("await:", message)
            ws.close(1000, "thank you")


async def with_handlers(url: str) -> None:
    def on_open(event: OpenEvent) -> None:
        event.websocket.send("three")

    def on_message(event: MessageEvent) -> None:
        print("handler:", event.text)
        event.websocket.close(1000, "thank you")

    def on_close(event: CloseEvent) -> None:
        print("handler: closed,", event.code, "clean" if event.wasClean else "lost")

    ws = WebSocket(url)  # connects from the loop's next turn on, so that no handler comes too late
    ws.onopen = on_open
    ws.onmessage = on_message
    ws.onclose = on_close
    await ws.wait_closed()


async def main() -> None:
    if len(sys.argv) > 1:
        await with_await(sys.argv[1])
        await with_handlers(sys.argv[1])
        return
    async with serve() as server:
        await with_await(server.url)
        await with_handlers(server.url)


asyncio.run(main())

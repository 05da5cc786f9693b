"""The same fault from either side: a voxwire end, as client and as server, that faces a script on a raw socket."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from voxwire import WebSocket

from .pair import serving
from .raw import RawClient, RawPeer, RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Side = Literal["client", "server"]
SIDES: tuple[Side, Side] = ("client", "server")
"""What voxwire is."""
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


@asynccontextmanager
async def facing(
    side: Side, script: Callable[[RawPeer], object], *, deflate: bool = False, **parameters: Any
) -> AsyncIterator[WebSocket]:
    """Give our end, open, of a connection whose other end then runs `script` in a thread; with `deflate` compression is agreed
    on. Parameters are those of a WebSocket. What the script raises is raised at the end.
    """
    headers = [DEFLATE] if deflate else []
    opened = threading.Event()

    def run(peer: RawPeer) -> None:
        opened.wait(15)
        script(peer)

    if side == "client":

        def accept(peer: RawPeer) -> None:
            peer.accept(extra=headers)
            run(peer)

        with RawServer(accept) as server:
            ws = WebSocket(server.url, **parameters)
            await ws.wait_open()
            opened.set()
            yield ws
            await ws.wait_closed()
            for thread in server.threads[1:]:
                await asyncio.to_thread(thread.join, 15)
        return
    incoming: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
    async with serving(incoming.set_result, parameters=parameters) as listener:

        def connect() -> None:
            client = RawClient(listener.url, headers=headers).open()
            try:
                run(client)
            finally:
                client.hang_up()

        talking = asyncio.create_task(asyncio.to_thread(connect))
        ws = await incoming
        await ws.wait_open()
        opened.set()
        yield ws
        await talking
        await ws.wait_closed()

"""A page for Prometheus: the counters of all WebSockets of the process at http://127.0.0.1:PORT/metrics.

Usage:
    python examples/metrics.py 9100     an echo server whose page is on port 9100, until Ctrl-C
    python examples/metrics.py          the same on a free port, and reads the page itself
"""

import asyncio
import contextlib
import socket
import sys
from urllib.request import urlopen

from server_echo import serve

from voxwire import VoxEngine, WebSocket
from voxwire.prometheus import CONTENT_TYPE


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One HTTP request, whatever it asks for: gathering the counters costs less than reading it."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await reader.readuntil(b"\r\n\r\n")
        page = VoxEngine.statistics().to_prometheus({"node": socket.gethostname()}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(page)}\r\nConnection: close"
        writer.write(head.encode() + b"\r\n\r\n" + page)
        await writer.drain()
    writer.close()


def read(url: str) -> str:
    with urlopen(url, timeout=10) as response:  # noqa: S310 - our own page
        return str(response.read().decode())


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    async with serve() as server, await asyncio.start_server(answer, "127.0.0.1", port) as page:
        url = f"http://127.0.0.1:{page.sockets[0].getsockname()[1]}/metrics"
        print(f"WebSockets on {server.url}, counters on {url}")
        if port:
            await asyncio.Event().wait()  # for ever
        async with WebSocket(server.url) as ws:
            ws.send("hello")
            print("received:", await ws.recv())
            for line in (await asyncio.to_thread(read, url)).splitlines():
                if line.startswith(("voxwire_connections_open{", "voxwire_messages_received_total{")):
                    print(line)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())

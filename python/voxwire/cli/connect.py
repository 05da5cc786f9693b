"""`voxwire connect`: an interactive client for plain messages. Lines of stdin are sent, messages are printed.

Messages go to stdout and nothing else does, so that it can stand in a pipe.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import os
import sys
import threading
import time
from collections.abc import AsyncIterator

from voxwire import ConnectionClosed, WebSocket, WebSocketCloseCode
from voxwire.cli.arguments import (
    CommandError,
    Subparsers,
    add_connect_group,
    connect_parameters,
    seconds,
    websocket_url,
)
from voxwire.discretion import printable

DESCRIPTION = """\
Connects to URL. Each line typed is sent as a text message, each message that comes is printed. Ctrl-D (the end of the
input) closes the connection. Media streams are shown as the JSON text they are.
"""
EXAMPLES = """\
examples:
  voxwire connect wss://example.org/chat --header "Authorization: Bearer $TOKEN"
  echo hello | voxwire connect ws://127.0.0.1:8002
"""


def add_parser(commands: Subparsers) -> None:
    """Adds `connect` to the command line."""
    parser = commands.add_parser(
        "connect",
        help="interactive client for plain messages",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", type=websocket_url, metavar="URL", help="where to connect to, ws:// or wss://")
    parser.add_argument(
        "--wait",
        type=seconds,
        metavar="SECONDS",
        help="after the end of the input, close when no message came for this long (default: 0 at a terminal, else 1)",
    )
    add_connect_group(parser)
    parser.set_defaults(run=run)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Talks until the input ends, the other side closes, or `stop`."""
    client = _Client(options)
    await client.open(stop)
    return await client.talk(stop)


class _Client:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._tty = sys.stdin.isatty()
        self._shown = sys.stdout.isatty()  # and a peer is not to write to the terminal as it likes
        self._wait: float = options.wait if options.wait is not None else (0.0 if self._tty else 1.0)
        self._websocket = WebSocket(options.url, media=False, **connect_parameters(options))
        self._sent = 0
        self._received = 0
        self._heard = time.monotonic()

    async def open(self, stop: asyncio.Event) -> None:
        opening = asyncio.create_task(self._websocket.wait_open())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((opening, stopped), return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            stopped.cancel()
            opening.result()
            _note(f"connected to {self._options.url}" + (", Ctrl-D closes" if self._tty else ""))
        else:
            opening.cancel()

    async def talk(self, stop: asyncio.Event) -> int:
        """Sends and prints until one of the three ends it, then closes and sums up."""
        tasks = [asyncio.create_task(work) for work in (self._print(), self._send(), stop.wait())]
        printing, _, stopped = tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        hung_up = printing.done() and not stopped.done()
        self._websocket.close(WebSocketCloseCode.CLOSE_NORMAL)
        closed = await self._websocket.wait_closed()
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        if hung_up:
            _note(f"closed by the other side: {closed.code} {printable(closed.reason)}".rstrip())
        _note(f"{self._sent} sent, {self._received} received")
        if hung_up and not closed.wasClean:
            raise CommandError(f"the connection was lost ({closed.code})")
        return 0

    async def _print(self) -> None:
        """Prints messages until the connection is closed."""
        try:
            async for message in self._websocket:
                self._received += 1
                self._heard = time.monotonic()
                text = message if isinstance(message, str) else f"({len(message)} bytes) {message.hex(' ')}"
                text = printable(text) if self._shown else text
                print(f"< {text}" if self._tty else text, flush=True)
        except ConnectionClosed:
            pass  # the close event says how

    async def _send(self) -> None:
        """Sends the input's lines, then waits until the other side has been quiet for the time asked for."""
        async for line in _lines():
            self._websocket.send(line)
            self._sent += 1
            await self._websocket.drain()
        ended = time.monotonic()
        while (left := max(self._heard, ended) + self._wait - time.monotonic()) > 0:
            await asyncio.sleep(left)


async def _lines() -> AsyncIterator[str]:
    """The lines of stdin, read on a thread: a file or a terminal cannot be awaited on every loop.

    The thread reads the file descriptor itself: one that hangs in `sys.stdin` would hold its lock at interpreter exit.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[list[str] | None] = asyncio.Queue(maxsize=2)

    def put(lines: list[str] | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(lines), loop).result()

    def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        try:
            while data := os.read(descriptor, 65536):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                put([line.removesuffix("\r") for line in lines])
            put([rest] if rest else [])
            put(None)
        except (RuntimeError, OSError, asyncio.CancelledError):
            pass  # the loop is gone, or the terminal is: nobody waits for lines any more

    descriptor = sys.stdin.fileno()
    threading.Thread(target=read, name="voxwire-stdin", daemon=True).start()
    while (lines := await queue.get()) is not None:
        for line in lines:
            yield line


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

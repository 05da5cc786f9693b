"""One program on `websocket-client` and on `voxwire.compat.websocket`: only the import differs. And on `voxwire.sync`.

    python benches/websocket_client.py [seconds]

A server in a process of its own answers at once: 256 bytes there and back, one at a time; and 160-byte messages as fast as
the client takes them. The libraries take turns, so that a busy machine is the same for all; the medians are printed.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from voxwire import sync

LIBRARIES = ("websocket", "voxwire.compat.websocket", "voxwire.sync")
TURNS = 5
FLOOD = 20_000
SERVER = """
import socket, struct, sys, threading, base64, hashlib
def read(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more: raise EOFError
        data += more
    return data
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"): head += read(sock, 1)
    key = next(l.split(b": ", 1)[1] for l in head.split(b"\\r\\n") if l.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
    flood = {FLOOD}
    try:
        if head.startswith(b"GET /flood"):
            text = b"text" in head.split(b"\\r\\n")[0]
            block = (bytes([0x81 if text else 0x82, 126]) + struct.pack("!H", 160) + b"x" * 160) * 100
            for _ in range(flood // 100): sock.sendall(block)
            read(sock, 1)
        answer = None
        while True:
            # The client's frames are all alike: 256 bytes, masked.
            frame = read(sock, 8 + 256)
            if answer is None:
                answer = bytes([frame[0], 126]) + struct.pack("!H", 256) + b"y" * 256
            sock.sendall(answer)
    except (EOFError, OSError): pass
listener = socket.create_server(("127.0.0.1", 0)); print(listener.getsockname()[1], flush=True)
while True:
    sock, _ = listener.accept(); threading.Thread(target=serve, args=(sock,), daemon=True).start()
"""


class Sync:
    """`voxwire.sync` under the names of the others."""

    def __init__(self, url: str) -> None:
        self._ws = sync.connect(url, protocols=[], compression=False, close_timeout=0.01)
        self.send, self.recv, self.shutdown = self._ws.send, self._ws.recv, self._ws.close


def library_named(name: str) -> Any:
    """What has `create_connection`."""
    return SimpleNamespace(create_connection=Sync) if name == "voxwire.sync" else importlib.import_module(name)


def round_trips(library: Any, url: str, seconds: float) -> tuple[float, float]:
    """Microseconds of wall and of CPU time for one message of 256 bytes and its answer."""
    ws = library.create_connection(url)
    message = "y" * 256
    for _ in range(100):
        ws.send(message)
        ws.recv()
    count, began, busy = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        for _ in range(50):
            ws.send(message)
            ws.recv()
        count += 50
    taken = (time.perf_counter() - began) / count * 1e6, (time.process_time() - busy) / count * 1e6
    ws.shutdown()
    return taken


def flood(library: Any, url: str) -> tuple[float, float]:
    """Microseconds of wall and of CPU time for each message of 160 bytes."""
    ws = library.create_connection(url)
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(FLOOD):
        ws.recv()
    taken = (time.perf_counter() - began) / FLOOD * 1e6, (time.process_time() - busy) / FLOOD * 1e6
    ws.shutdown()
    return taken


def app(library: Any, url: str) -> tuple[float, float]:
    """The same through `WebSocketApp.on_message`."""
    seen = 0

    def on_message(app: Any, _: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == FLOOD:
            app.keep_running = False
            app.sock.shutdown()

    began, busy = time.perf_counter(), time.process_time()
    running: Any = library.WebSocketApp(url, on_message=on_message)
    running.run_forever()
    return (time.perf_counter() - began) / FLOOD * 1e6, (time.process_time() - busy) / FLOOD * 1e6


def main() -> None:
    """Print a table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with subprocess.Popen(
        [sys.executable, "-c", SERVER.replace("{FLOOD}", str(FLOOD))], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        base = f"ws://127.0.0.1:{int(server.stdout.readline())}"

        def through_app(library: Any) -> tuple[float, float]:
            return app(library, f"{base}/flood?text")

        tasks: dict[str, Callable[[Any], tuple[float, float]]] = {
            "round trip, 256 B text": lambda library: round_trips(library, f"{base}/echo", seconds),
            "receive, 160 B text": lambda library: flood(library, f"{base}/flood?text"),
            "receive, 160 B binary": lambda library: flood(library, f"{base}/flood"),
            "on_message, 160 B text": through_app,
        }
        print(f"{'µs a message: wall (CPU)':28}" + "".join(f"{name:>28}" for name in LIBRARIES))
        for name, task in tasks.items():
            libraries = LIBRARIES[:2] if task is through_app else LIBRARIES
            results: dict[str, list[tuple[float, float]]] = {library: [] for library in libraries}
            for _ in range(TURNS):
                for library in libraries:
                    results[library].append(task(library_named(library)))
            medians = [
                tuple(statistics.median(part) for part in zip(*results[library], strict=True)) for library in libraries
            ]
            cells = "".join(f"{f'{wall:.1f} ({cpu:.1f}) {medians[0][0] / wall:.1f}x':>28}" for wall, cpu in medians)
            print(f"{name:28}{cells}")
        server.kill()


if __name__ == "__main__":
    main()

"""What a flood is run on: the subject in a process of its own, connections to it from either side, an innocent one among
them, and what all that costs.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from support.frames import TEXT
from support.process import descriptors, forget_peak, memory
from support.raw import RawClient, RawPeer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

Side = Literal["client", "server"]
"""What voxwire is."""
HERE = Path(__file__).parent
PATIENCE = 30.0


class Cost(NamedTuple):
    """What a flood has cost."""

    grown: int  # bytes: the most that was resident, less what was before
    round_trips: list[float]  # seconds, of the innocent connection, sorted
    note: str = ""

    @property
    def p99(self) -> float:
        return self.round_trips[int(len(self.round_trips) * 0.99)]


class Field:
    """A subject and whoever is connected to it."""

    def __init__(self, side: Side, loop_name: str, **parameters: object) -> None:
        self.side = side
        self.peers: list[RawPeer] = []
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "subject.py"), loop_name, json.dumps(parameters)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the subject did not start"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.settimeout(PATIENCE)
        self._stop = threading.Event()
        self._round_trips: list[float] = []
        self._innocent = threading.Thread(target=self._talk, args=(self.connect("echo"),), daemon=True)

    def __enter__(self) -> Self:
        self._innocent.start()
        time.sleep(0.1)
        self.before = memory(self.pid)
        forget_peak(self.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        for peer in self.peers:
            peer.hang_up()
        self.listener.close()
        self._innocent.join(PATIENCE)

    @property
    def pid(self) -> int:
        return self.process.pid

    def connect(self, application: str, *, deflate: bool = False) -> RawPeer:
        """One more connection, open; the subject runs `application` on it."""
        headers = ["Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []
        if self.side == "server":
            peer: RawPeer = RawClient(self.url + application, headers=headers).open()
        else:
            assert self.process.stdin is not None
            port = self.listener.getsockname()[1]
            self.process.stdin.write(f"ws://127.0.0.1:{port}/{application}\n")
            self.process.stdin.flush()
            peer = RawPeer(self.listener.accept()[0])
            peer.accept(extra=headers)
        self.peers.append(peer)
        return peer

    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("ws://").rstrip("/").split(":")
        return host, int(port)

    def pour(self, peers: Iterable[RawPeer], block: bytes, seconds: float, *, at_most: int = 1 << 62) -> int:
        """Send `block` again and again to all of them, as fast as they take it; answers how many bytes. Nothing is read."""
        left = {peer.sock: memoryview(block) for peer in peers}
        for sock in left:
            sock.setblocking(False)
        sent, until = 0, time.monotonic() + seconds
        while left and sent < at_most and time.monotonic() < until:
            for sock in select.select([], list(left), [], 0.05)[1]:
                try:
                    count = sock.send(left[sock])
                except BlockingIOError:
                    continue
                except OSError:
                    del left[sock]
                    continue
                sent += count
                left[sock] = left[sock][count:] or memoryview(block)
        return sent

    def cost(self, note: str = "") -> Cost:
        """Let it sink in, end the innocent conversation and add up."""
        time.sleep(0.2)
        assert self.process.poll() is None, "the subject is dead"
        self._stop.set()
        self._innocent.join(PATIENCE)
        assert len(self._round_trips) > 1, "the innocent connection got no answer"
        return Cost(memory(self.pid, "VmHWM") - self.before, sorted(self._round_trips), note)

    def descriptors(self) -> int:
        return descriptors(self.pid)

    def _talk(self, peer: RawPeer) -> None:
        peer.sock.settimeout(PATIENCE)
        while not self._stop.is_set():
            began = time.perf_counter()
            peer.text("still there?")
            try:
                answer = peer.until(TEXT).payload  # there are keepalive pings, too
            except (EOFError, OSError):
                return  # too few answers are seen by `cost`
            assert answer == b"still there?"
            self._round_trips.append(time.perf_counter() - began)
            time.sleep(0.001)

"""What a trace does not show: signals, threads, processes, memory, and that nothing needs the original."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from support import frames
from support.raw import RawPeer, RawServer

from voxwire import _core
from voxwire.compat import websocket

DAEMON = """
import sys, threading, time
from voxwire.compat import websocket
got = threading.Event()
def run():
    websocket.WebSocketApp(sys.argv[1], on_message=lambda app, message: got.set()).run_forever()
for _ in range(5):
    threading.Thread(target=run, daemon=True).start()
assert got.wait(10)
print("leaving", flush=True)
"""
CTRL_C = """
import sys
from voxwire.compat import websocket
ws = websocket.create_connection(sys.argv[1])
print("waiting", flush=True)
try:
    ws.recv()
except KeyboardInterrupt:
    print("interrupted", ws.connected, flush=True)
    ws.close(timeout=0)
"""
ALONE = """
import sys
import voxwire.compat.websocket
assert "websocket" not in sys.modules and "websockets" not in sys.modules
"""


def quiet(peer: RawPeer) -> None:
    peer.accept(None)
    peer.wait_eof()


def chatter(peer: RawPeer) -> None:
    with contextlib.suppress(OSError, EOFError):
        peer.accept(None)
        while True:
            peer.text("tick")
            time.sleep(0.001)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(quiet) as server:
        yield server


def test_ctrl_c_ends_a_recv_without_a_timeout(server: RawServer) -> None:
    with subprocess.Popen([sys.executable, "-c", CTRL_C, server.url], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted True\n"
        assert child.wait(20) == 0


def test_a_signal_handler_runs_while_recv_waits(server: RawServer) -> None:
    ws = websocket.create_connection(server.url, timeout=3)
    seen: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        began = time.monotonic()
        with pytest.raises(websocket.WebSocketTimeoutException):
            ws.recv()
    finally:
        signal.signal(signal.SIGALRM, before)
        ws.shutdown()
    ended = time.monotonic()
    assert len(seen) == 1
    assert seen[0] < ended - 1, "the handler ran when the wait was over, not in it"
    assert ended - began >= 3, "the signal has cut the time-out short"


def test_other_threads_run_while_recv_waits(server: RawServer) -> None:
    ws = websocket.create_connection(server.url, timeout=0.5)
    count, stop = 0, threading.Event()

    def work() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(websocket.WebSocketTimeoutException):
        ws.recv()
    stop.set()
    thread.join()
    ws.shutdown()
    assert count > 1000


def test_daemon_threads_that_receive_do_not_disturb_the_end_of_the_interpreter() -> None:
    with RawServer(chatter) as server:
        for _ in range(5):
            child = subprocess.run(
                [sys.executable, "-X", "faulthandler", "-c", DAEMON, server.url],
                capture_output=True,
                text=True,
                timeout=25,
            )
            assert (child.returncode, child.stdout, child.stderr) == (0, "leaving\n", "")


def test_a_forked_child_may_use_and_end_the_connection() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept(None)
        peer.text(peer.frame().payload.decode() + " from the parent")
        peer.text(peer.frame().payload.decode() + " from the child")
        peer.wait_eof()

    with RawServer(script) as server:
        ws = websocket.create_connection(server.url, timeout=10)
        ws.send("hello")
        assert ws.recv() == "hello from the parent"
        pid = os.fork()
        if pid == 0:
            ws.send("hello")
            os._exit(0 if ws.recv() == "hello from the child" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        ws.shutdown()


def test_a_peer_that_does_not_read_blocks_the_sender_until_the_timeout() -> None:
    release = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept(None)
        release.wait(20)
        assert peer.frame().opcode == frames.BINARY

    with RawServer(script) as server:
        ws = websocket.create_connection(server.url, timeout=0.2)
        with pytest.raises(websocket.WebSocketTimeoutException, match="timed out"):
            for _ in range(1000):
                ws.send_binary(b"x" * 1_000_000)
        ws.shutdown()
        release.set()


def test_a_large_message_is_sent_in_one_piece_by_two_threads() -> None:
    sizes = (3_000_000, 1_000_000)
    got: list[tuple[int, set[bytes]]] = []

    def script(peer: RawPeer) -> None:
        peer.accept(None)
        for _ in range(10):
            payload = peer.frame().payload
            got.append((len(payload), {payload[:1], payload[-1:]}))

    with RawServer(script) as server:
        ws = websocket.create_connection(server.url, timeout=20)
        threads = [
            threading.Thread(target=lambda size=size, byte=byte: [ws.send_binary(byte * size) for _ in range(5)])
            for size, byte in zip(sizes, (b"a", b"b"), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ws.shutdown()
    assert sorted(size for size, _ in got) == sorted(sizes * 5)
    assert all(len(ends) == 1 for _, ends in got)


def test_a_claimed_length_is_not_believed(server: RawServer) -> None:
    socket = _core.FrameSocket()
    assert socket.push(b"\x82\x7f" + (1 << 62).to_bytes(8, "big")) == (None, 0)
    assert socket.missing == 1 << 62
    assert socket.push(b"x" * 100) == (None, 0)
    assert socket.missing == (1 << 62) - 100


def test_wrong_descriptors_and_times_are_refused() -> None:
    socket = _core.FrameSocket()
    for fd in (-1, 999_999):
        with pytest.raises(OSError, match="Bad file descriptor"):
            socket.recv(fd, 1.0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _core.FrameSocket.send_frame(-1, 1.0, 0x81, "x")
    with pytest.raises(TypeError, match="bytes-like"):
        _core.FrameSocket.frame(0x81, 5, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a sequence of length 4"):
        _core.FrameSocket.frame(0x81, "x", b"abc")


def test_the_original_is_not_needed() -> None:
    child = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=25)
    assert (child.returncode, child.stderr) == (0, "")

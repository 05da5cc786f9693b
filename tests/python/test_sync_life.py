"""voxwire.sync: opening, time-outs, pings, threads, closing, and what a process can do to a connection."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import frames
from support.blocking import echo, quiet
from support.raw import PATIENCE, RawPeer, RawServer
from support.tls import Certificates

from voxwire import (
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ForkedError,
    HandshakeError,
    InvalidParameter,
    InvalidState,
    InvalidURL,
    KeepaliveTimeout,
    NameResolutionError,
    TLSError,
    TLSOptions,
    TransportError,
)
from voxwire.enums import WebSocketReadyState
from voxwire.sync import WebSocket, connect


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[Any]]:
    """Start a thread; what it returned or raised will be in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def undisturbed(receive: Callable[[], object]) -> object:
    """What it returns once nobody looks whether it is running."""
    while True:
        with contextlib.suppress(InvalidState):
            return receive()


def until_received_by(ws: WebSocket) -> None:
    """Return when some thread is in recv()."""
    while True:
        try:
            ws.recv(timeout=0)
        except InvalidState:
            return
        except TimeoutError:
            time.sleep(0.005)


# Opening


def test_opening_errors(certificates: Certificates) -> None:
    def refuse(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        peer.hang_up()

    with pytest.raises(InvalidURL):
        connect("ftp://localhost/")
    with pytest.raises(InvalidParameter, match="ping_interval"):
        connect("ws://localhost/", ping_interval=-1)
    with pytest.raises(TypeError, match="unknown parameter 'reconnect'"):
        connect("ws://localhost/", reconnect=True)  # type: ignore[call-arg]
    with pytest.raises(NameResolutionError):
        connect("ws://name.invalid/")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match="refused") as refused:
        connect(f"ws://127.0.0.1:{port}/")
    assert isinstance(refused.value, OSError)
    with RawServer(refuse) as server, pytest.raises(HandshakeError) as forbidden:
        connect(server.url)
    assert (forbidden.value.status, forbidden.value.body) == (403, b"no")
    with RawServer(quiet, certificates.server_context()) as server, pytest.raises(TLSError):
        connect(server.url)


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with RawServer(lambda peer: peer.wait_eof()) as server, pytest.raises(ConnectTimeout, match="handshake_timeout"):
        connect(server.url, handshake_timeout=0.1)


def test_other_threads_run_while_one_connects_and_receives() -> None:
    release = threading.Event()

    def script(peer: RawPeer) -> None:
        release.wait(15)
        echo(peer)

    with RawServer(script) as server:
        thread, outcome = in_thread(lambda: connect(server.url))
        release.set()
        thread.join()
        with outcome[0] as ws:
            ws.send("x")
            assert ws.recv() == "x"


# Time


def test_a_timeout_loses_nothing() -> None:
    """The halves of messages come in different calls, small and long ones."""
    step = threading.Semaphore(0)
    long = bytes(range(256)) * 2000

    def script(peer: RawPeer) -> None:
        peer.accept()
        for wire in (frames.build(frames.TEXT, b"hello"), frames.build(frames.BINARY, long)):
            half = max(5, len(wire) // 2)
            for part in (wire[:1], wire[1:4], wire[4:half], wire[half:]):
                assert step.acquire(timeout=10)
                peer.write(part)
        peer.answer_close()

    with RawServer(script) as server, connect(server.url) as ws:
        for expected in ("hello", long):
            for _ in range(4):
                for timeout in (0, 0.01):
                    with pytest.raises(TimeoutError, match=f"timeout = {timeout} s"):
                        ws.recv(timeout=timeout)
                step.release()
            assert ws.recv(timeout=10) == expected


def test_a_timeout_is_as_long_as_it_says() -> None:
    with RawServer(quiet) as server, connect(server.url, close_timeout=0.1) as ws:
        for timeout in (0.05, 0.7):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                ws.recv(timeout)
            assert time.monotonic() - began >= timeout
        for wrong in (-1, float("nan"), 1e10):
            with pytest.raises(InvalidParameter, match="timeout"):
                ws.recv(wrong)
        with pytest.raises(TypeError):
            ws.recv("1")  # type: ignore[arg-type]


def test_keepalive_pings_are_sent_and_pongs_awaited() -> None:
    pings: list[bytes] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        for _ in range(3):
            pings.append(peer.until(frames.PING).payload)
            peer.send(frames.PONG, pings[-1])
        peer.until(frames.PING)
        peer.wait_eof()

    with RawServer(script) as server:
        ws = connect(server.url, ping_interval=0.05, ping_timeout=0.3)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv()
        assert isinstance(closed.value.__cause__, KeepaliveTimeout)
        assert ws.statistics().pongs_received == 3
        assert ws.statistics().latency > 0
    assert len(set(pings)) == 3


def test_a_pong_that_waits_to_be_read_is_read_before_the_peer_counts_as_gone() -> None:
    late = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        ping = peer.until(frames.PING)
        assert late.wait(10)
        peer.send(frames.PONG, ping.payload)
        peer.text("after the pong")
        peer.answer_close()

    with RawServer(script) as server, connect(server.url, ping_interval=0.05, ping_timeout=0.5) as ws:
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.2)
        late.set()
        time.sleep(0.6)
        assert ws.recv(timeout=5) == "after the pong"


def test_ping() -> None:
    with RawServer(echo) as server, connect(server.url) as ws:
        ws.send("kept")
        assert 0 < ws.ping() < 10
        assert 0 < ws.ping(b"x" * 125, timeout=10) < 10
        with pytest.raises(InvalidParameter, match="payload"):
            ws.ping(b"x" * 126)
        assert ws.recv(timeout=0) == "kept"
    with pytest.raises(ConnectionClosed):
        ws.ping()
    with RawServer(quiet) as server, connect(server.url, close_timeout=0.1) as ws:
        with pytest.raises(TimeoutError, match="no pong within timeout"):
            ws.ping(timeout=0.05)
        with pytest.raises(TimeoutError):
            ws.ping(b"same", timeout=0.01)
        with pytest.raises(TimeoutError):
            ws.ping(b"same", timeout=0.01)


def test_a_ping_keeps_no_more_than_the_receive_buffer() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        with contextlib.suppress(OSError):
            while True:
                peer.send(frames.BINARY, b"x" * 1000)

    with RawServer(script) as server:
        ws = connect(server.url, receive_buffer=10_000, close_timeout=0.1)
        with pytest.raises(InvalidState, match="receive_buffer"):
            ws.ping(timeout=20)
        assert ws.statistics().unhandled_bytes < 10_000 + 2 * 64 * 1024 + 2000
        assert ws.recv() == b"x" * 1000
        ws.close()


# Threads


def test_one_thread_receives_while_others_send(certificates: Certificates) -> None:
    threads, each, size = 4, 60, 20_000

    def send(ws: WebSocket, name: int) -> None:
        for number in range(each):
            ws.send(bytes([name]) * size + number.to_bytes(2, "big"))

    for context in (None, certificates.server_context()):
        trust = TLSOptions(ca_file=str(certificates.ca))
        with RawServer(echo, context) as server, connect(server.url, tls=trust, compression=False) as ws:
            senders = [in_thread(partial(send, ws, name)) for name in range(threads)]
            seen: list[list[int]] = [[] for _ in range(threads)]
            for _ in range(threads * each):
                message = ws.recv(timeout=20)
                assert isinstance(message, bytes)
                assert message[:size] == message[:1] * size
                seen[message[0]].append(int.from_bytes(message[size:], "big"))
            for thread, outcome in senders:
                thread.join()
                assert outcome == [None]
            assert seen == [list(range(each))] * threads


def test_a_second_recv_is_refused() -> None:
    with RawServer(echo) as server, connect(server.url) as ws:
        thread, outcome = in_thread(lambda: undisturbed(ws.recv))
        until_received_by(ws)
        with pytest.raises(InvalidState, match="one at a time"):
            ws.recv()
        assert 0 < ws.ping(timeout=10) < 10  # the thread that receives sees the pong
        ws.send("hello")
        thread.join()
        assert outcome == ["hello"]


def test_who_waits_in_send_reads_what_the_peer_wants_to_be_rid_of() -> None:
    """The peer writes back before it reads on, and its pings are answered."""
    pongs: list[bytes] = []
    size, count = 500_000, 30

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.send(frames.PING, b"now")
        while (frame := peer.frame()).opcode != frames.CLOSE:
            if frame.opcode == frames.PONG:
                pongs.append(frame.payload)
            else:
                peer.send(frames.BINARY, frame.payload)
        peer.send(frames.CLOSE, frame.payload)
        peer.hang_up()

    with RawServer(script) as server, connect(server.url, receive_buffer=100 << 20, compression=False) as ws:
        for _ in range(count):
            ws.send(b"x" * size)
        deadline = time.monotonic() + 10
        while not pongs and time.monotonic() < deadline:
            time.sleep(0.005)
        assert pongs == [b"now"], "nobody was in recv()"
        for _ in range(count):
            assert ws.recv(timeout=15) == b"x" * size


def test_a_peer_that_does_not_read_blocks_send_and_nobody_else() -> None:
    release = threading.Event()
    total = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        release.wait(20)
        for _ in range(200):
            total.append(len(peer.frame().payload))
        peer.answer_close()

    with RawServer(script) as server, connect(server.url, compression=False) as ws:

        def send() -> None:
            for _ in range(200):
                ws.send(b"x" * 100_000)

        thread, outcome = in_thread(send)
        while ws.bufferedAmount == 0:
            time.sleep(0.005)
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.05)
        assert outcome == []
        release.set()
        thread.join()
        assert outcome == [None]
    assert total == [100_000] * 200


# Closing


def test_the_peer_closes() -> None:
    told: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("last")
        peer.close(3001, "enough")
        told.append(peer.until(frames.CLOSE).close)
        peer.wait_eof()

    with RawServer(script) as server, connect(server.url) as ws:
        assert ws.recv() == "last"
        for call in (ws.recv, lambda: ws.send("x"), ws.ping, lambda: list(ws)):
            with pytest.raises(ConnectionClosed, match=r"closed, code 3001 \(enough\)") as closed:
                call()
            assert (closed.value.code, closed.value.reason, closed.value.wasClean) == (3001, "enough", True)
            assert closed.value.__cause__ is None
        assert ws.readyState is WebSocketReadyState.CLOSED
    assert told == [(3001, "enough")]


def test_messages_before_the_close_are_not_lost_by_a_ping() -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("one")
        peer.text("two")
        peer.until(frames.PING)
        peer.finish(1000)

    with RawServer(script) as server:
        ws = connect(server.url)
        with pytest.raises(ConnectionClosed):
            ws.ping()
        assert list(ws) == ["one", "two"]


@pytest.mark.parametrize(("code", "reason", "seen"), [(None, "", 1005), (1000, "", 1000), (4000, "é" * 61, 4000)])
def test_we_close(code: int | None, reason: str, seen: int) -> None:
    told: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("dropped")
        told.append(peer.answer_close())

    with RawServer(script) as server:
        ws = connect(server.url)
        refused: list[dict[str, Any]] = [{"code": 1001}, {"reason": "x"}, {"code": 1000, "reason": "x" * 124}]
        for wrong in refused:
            with pytest.raises(InvalidParameter):
                ws.close(**wrong)
        ws.close(code, reason)
        ws.close(4001)
        assert ws.readyState is WebSocketReadyState.CLOSED
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv()
        assert (closed.value.code, closed.value.wasClean) == (seen, True)
    assert told == [(seen, reason)]


def test_an_exception_in_the_block_closes_with_1011() -> None:
    told: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        told.append(peer.answer_close())

    with RawServer(script) as server, pytest.raises(ZeroDivisionError), connect(server.url):
        _ = 1 / 0
    assert told == [(1011, "")]


def test_a_peer_that_does_not_answer_a_close_is_left() -> None:
    with RawServer(quiet) as server:
        ws = connect(server.url, close_timeout=0.1)
        thread, outcome = in_thread(lambda: undisturbed(ws.recv))
        until_received_by(ws)
        ws.close(1000)
        thread.join()
        assert isinstance(outcome[0], ConnectionClosed)
        assert (outcome[0].code, outcome[0].wasClean) == (1006, False)
        ws = connect(server.url, close_timeout=0.1)
        ws.close(1000)
        assert ws.readyState is WebSocketReadyState.CLOSED


def test_close_wakes_a_recv_in_another_thread() -> None:
    with RawServer(echo) as server:
        ws = connect(server.url)
        thread, outcome = in_thread(lambda: undisturbed(lambda: list(ws)))
        until_received_by(ws)
        ws.close(1000, "done")
        thread.join()
        assert outcome == [[]]


def test_a_connection_that_breaks() -> None:
    def vanish(peer: RawPeer) -> None:
        peer.accept()
        peer.frame()
        peer.hang_up()

    def reset(peer: RawPeer) -> None:
        peer.accept()
        peer.frame()
        peer.reset()

    for script, cause in ((vanish, type(None)), (reset, TransportError)):
        with RawServer(script) as server:
            ws = connect(server.url)
            ws.send("x")
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv()
            assert (closed.value.code, closed.value.wasClean) == (1006, False)
            assert isinstance(closed.value.__cause__, cause)
    with RawServer(reset) as server:
        ws = connect(server.url)
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(1000):
                ws.send(b"x" * 100_000)
        assert closed.value.code == 1006


def test_a_closed_connection_gives_its_descriptor_back() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with RawServer(echo) as server:
        connect(server.url).close()
        before = descriptors()
        kept = []
        for _ in range(20):
            with connect(server.url) as ws:
                kept.append(ws)
        deadline = time.monotonic() + 10  # the background waits for the peer to close TCP
        while descriptors() > before + 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert descriptors() <= before + 10


# The process

SOURCE = """
import sys, threading, signal, time, os
from voxwire.sync import connect
def say(*words): print(*words, flush=True)
"""


def child(source: str, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "faulthandler", "-c", SOURCE + source, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(source: str, script: Callable[[RawPeer], object] = quiet) -> str:
    with RawServer(script) as server, child(source, server.url) as process:
        output, errors = process.communicate(timeout=25)
        assert (process.returncode, errors) == (0, "")
        return output


@pytest.mark.parametrize(
    ("waiting", "after"),
    [
        ("ws.recv()", "open"),
        ("ws.recv(timeout=20)", "open"),
        ("ws.ping()", "open"),
        ("list(ws)", "open"),
        ("ws.send(b'x' * 50_000_000)", "open"),
        ("ws.close()", "closing"),
    ],
)
def test_ctrl_c_ends_a_wait_at_once(waiting: str, after: str) -> None:
    source = f"""
ws = connect(sys.argv[1], compression=False)
try:
    say("waiting")
    {waiting}
except KeyboardInterrupt:
    say("interrupted", ws.readyState)
    os._exit(0)
"""

    over = threading.Event()

    def deaf(peer: RawPeer) -> None:
        peer.accept()
        over.wait(PATIENCE)

    with RawServer(deaf) as server, child(source, server.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == f"interrupted {after}\n"
        assert time.monotonic() - began < 5
        assert process.wait(20) == 0
        over.set()


def test_ctrl_c_ends_an_attempt_to_connect() -> None:
    source = """
say("waiting")
try:
    connect(sys.argv[1])
except KeyboardInterrupt:
    say("interrupted")
"""
    with RawServer(lambda peer: peer.wait_eof()) as server, child(source, server.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert process.wait(20) == 0


def test_a_signal_handler_may_close_and_send() -> None:
    source = """
ws = connect(sys.argv[1])
def handler(*_):
    ws.send("from the handler")
    ws.close(1000, "by a signal")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(list(ws), ws.readyState)
"""
    assert run(source, echo) == "[] closed\n"


def test_an_interrupted_send_is_whole_in_the_end() -> None:
    """What was begun goes out before the close."""
    source = """
ws = connect(sys.argv[1], compression=False)
class Stop(Exception): pass
def handler(*_): raise Stop
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    ws.send(b"x" * 30_000_000)
except Stop:
    say("stopped")
ws.close(1000)
"""
    sizes: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        time.sleep(1)
        sizes.append(len(peer.frame().payload))
        assert peer.answer_close() == (1000, "")

    assert run(source, script) == "stopped\n"
    assert sizes == [30_000_000]


def test_the_interpreter_ends_with_connections_open_and_daemons_in_recv() -> None:
    source = """
kept = [connect(sys.argv[1]) for _ in range(3)]
def receive(ws):
    for message in ws: pass
for ws in kept[:2]: threading.Thread(target=receive, args=(ws,), daemon=True).start()
threading.Thread(target=kept[2].ping, daemon=True).start()
time.sleep(0.3)
say("leaving")
"""
    told: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        with contextlib.suppress(OSError, EOFError):
            for _ in range(10_000):
                peer.text("tick")
                time.sleep(0.0005)
        with contextlib.suppress(OSError, EOFError):
            told.append(peer.until(frames.CLOSE).close)

    for _ in range(3):
        assert run(source, script) == "leaving\n"


def test_a_connection_left_at_the_end_says_that_it_goes_away() -> None:
    told: list[tuple[int, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        told.append(peer.until(frames.CLOSE).close)
        peer.hang_up()

    assert run("ws = connect(sys.argv[1])\nsay('leaving')", script) == "leaving\n"
    assert told == [(1001, "")]


def test_a_forked_child_gets_a_clear_error_and_the_parent_goes_on() -> None:
    with RawServer(echo) as server, connect(server.url) as ws:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    ws.recv()
                except ForkedError:
                    del ws
                    with connect(server.url) as mine:
                        mine.send("child")
                        code = 0 if mine.recv() == "child" else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        ws.send("parent")
        assert ws.recv() == "parent"

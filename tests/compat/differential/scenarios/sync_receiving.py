"""The API for threads, receiving: messages, fragments, time-outs, limits, two threads at once."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.blocking import Blocking, blocking


def _late(ws: Any, timeout: float) -> str:
    """What a time-out says, without its seconds: how many are left when it is noticed is the machine's affair."""
    try:
        return repr(ws.recv(timeout=timeout))
    except TimeoutError as error:
        return re.sub(r"-?\d+\.\d", "N", str(error))


@blocking
def messages(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("grüße")
        peer.send(frames.BINARY, b"\x00\xff")
        peer.text("")
        peer.text("text")
        peer.send(frames.BINARY, b"binary")
        peer.send(frames.PING, b"are you there")
        peer.text("last")
        t.hear_all(peer)

    with t.connected(script) as ws:
        for _ in range(3):
            t.outcome("recv", ws.recv)
        t.outcome("as bytes", ws.recv, decode=False)
        t.outcome("as text", ws.recv, 1, True)
        t.outcome("recv", ws.recv)
        ws.close()
        t.outcome("closed", ws.recv)


@blocking
def iteration(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        for number in range(3):
            peer.text(str(number))
        peer.finish()

    with t.connected(script) as ws:
        t.outcome("all", lambda: list(ws))
        t.look(ws)


@blocking
def iteration_that_ends_badly(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("one")
        peer.finish(1011, "broken")

    with t.connected(script) as ws:
        t.outcome("all", lambda: list(ws))


@blocking
def a_timeout(t: Blocking) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        peer.text("at last")
        t.hear_all(peer)

    with t.connected(script) as ws:
        for timeout in (0, -1, 0.1):
            t.outcome(f"{timeout}", _late, ws, timeout)
        go.set()
        t.outcome("recv", ws.recv, timeout=5)
        ws.close()


@blocking
def a_timeout_inside_a_message(t: Blocking) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"be", fin=False)
        peer.send(frames.CONTINUATION, b"gun, ", fin=False)
        go.wait(5)
        peer.send(frames.CONTINUATION, b"done")
        peer.text("next")
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("first", _late, ws, 0.3)
        t.outcome("again", _late, ws, 0.1)
        go.set()
        t.outcome("recv", ws.recv, timeout=5)
        t.outcome("recv", ws.recv, timeout=5)
        ws.close()


@blocking
def streaming_after_a_timeout(t: Blocking) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.send(frames.BINARY, b"be", fin=False)
        go.wait(5)
        peer.send(frames.CONTINUATION, b"gun")
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("recv", _late, ws, 0.3)
        go.set()
        t.outcome("stream", lambda: list(ws.recv_streaming()))
        ws.close()


@blocking
def streaming(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"\xc3", fin=False)
        peer.send(frames.CONTINUATION, b"\xa4 and", fin=False)
        peer.send(frames.CONTINUATION, b" so on")
        peer.send(frames.BINARY, b"whole")
        peer.send(frames.TEXT, b"a", fin=False)
        peer.send(frames.CONTINUATION, b"b")
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("text", lambda: list(ws.recv_streaming()))
        t.outcome("binary", lambda: list(ws.recv_streaming()))
        t.outcome("bytes", lambda: list(ws.recv_streaming(decode=False)))
        ws.close()
        t.outcome("closed", lambda: list(ws.recv_streaming()))
        t.outcome("recv", ws.recv)


@blocking
def streaming_that_is_left(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"a", fin=False)
        peer.send(frames.CONTINUATION, b"b")
        t.hear_all(peer)

    with t.connected(script) as ws:
        stream = ws.recv_streaming()
        t.outcome("first", next, stream)
        t.outcome("recv", ws.recv)
        t.outcome("stream", lambda: list(ws.recv_streaming()))
        t.outcome("rest", list, stream)
        t.outcome("recv", ws.recv, timeout=0)
        ws.close()


@blocking
def two_threads_at_once(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        t.hear(peer)
        peer.text("for the first")
        t.hear_all(peer)

    with t.connected(script) as ws:
        first = t.begin("first", ws.recv)
        time.sleep(0.3)
        t.outcome("second", ws.recv)
        t.outcome("stream", lambda: list(ws.recv_streaming()))
        ws.send("go")
        first.end()
        ws.close()


@blocking
def while_it_is_closed_by_another_thread(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        receiving = t.begin("recv", ws.recv)
        time.sleep(0.1)
        t.outcome("close", ws.close)
        receiving.end()


@blocking
def messages_that_came_before_the_end(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("one")
        peer.text("two")
        peer.finish(1000, "bye")

    with t.connected(script) as ws:
        ws.wait_closed(5)
        for _ in range(4):
            t.outcome("recv", ws.recv, timeout=1)


@blocking
def text_that_is_no_utf8(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"caf\xe9!")
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("recv", ws.recv)
        t.look(ws)


@blocking
def a_stream_that_is_no_utf8(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"caf", fin=False)
        peer.send(frames.CONTINUATION, b"\xe9!")
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("stream", lambda: list(ws.recv_streaming()))
        t.look(ws)


@blocking
def a_message_that_is_too_big(t: Blocking) -> None:
    for limit in (10, (10, None), (None, 10), (20, 10)):

        def script(peer: RawPeer) -> None:
            peer.send(frames.BINARY, b"x" * 10)
            peer.send(frames.BINARY, b"x" * 6, fin=False)
            peer.send(frames.CONTINUATION, b"x" * 6)
            peer.send(frames.BINARY, b"x" * 11)
            t.hear_all(peer)

        with t.connected(script, max_size=limit) as ws:
            t.note("limit", limit)
            for _ in range(3):
                t.outcome("recv", ws.recv)
            t.look(ws)


@blocking
def marks_of_the_queue(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        for number in range(200):
            peer.text(str(number))
        t.hear_all(peer)

    for marks in (0, 1, None, (4, 0), (4, 4), (None, 2)):
        with t.connected(script, max_queue=marks) as ws:
            time.sleep(0.05)
            t.note(f"{marks}", repr([int(ws.recv(timeout=5)) for _ in range(200)] == list(range(200))))
            ws.close()


@blocking
def marks_that_make_no_sense(t: Blocking) -> None:
    with t.raw(t.hear_all) as server:
        t.outcome("above", t.client.connect, server.url, max_queue=(1, 2))
        t.outcome("below", t.client.connect, server.url, max_queue=(1, -2))


@blocking
def a_frame_that_breaks_the_protocol(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("good")
        peer.send(frames.TEXT, b"bad", reserved=0b100)
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("recv", ws.recv)
        t.outcome("recv", ws.recv)
        t.look(ws)


@blocking
def with_compression(t: Blocking) -> None:
    def handler(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    with t.serving(handler, compression="deflate") as server, t.client.connect(server.url) as ws:
        t.note("extensions", [extension.name for extension in ws.protocol.extensions])
        for message in ("", "x" * 5000, b"abc" * 9000):
            ws.send(message)
            t.note("the same", repr(ws.recv(timeout=5) == message))

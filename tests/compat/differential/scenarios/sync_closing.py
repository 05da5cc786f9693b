"""The API for threads, sending, pings and closing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.blocking import Blocking, blocking


@blocking
def sending(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        for message in ("grüße", b"\x00\xff", bytearray(b"array"), memoryview(b"view"), ""):
            t.outcome("send", ws.send, message)
        t.outcome("text as binary", ws.send, "text", text=False)
        t.outcome("binary as text", ws.send, b"binary", text=True)
        t.outcome("fragments", ws.send, ["a", "b", "c"])
        t.outcome("fragments of bytes as text", ws.send, (part for part in (b"a", memoryview(b"b"))), text=True)
        t.outcome("no fragments", ws.send, [])
        ws.close()
        t.outcome("closed", ws.send, "late")


@blocking
def sending_what_cannot_be_sent(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        t.outcome("number", ws.send, 1)
        t.outcome("dict", ws.send, {"a": 1})
        t.outcome("none", ws.send, None)
        t.outcome("after", ws.send, "fine")
        t.outcome("numbers", ws.send, [1, 2])
        t.look(ws)
        t.outcome("after", ws.send, "late")


@blocking
def fragments_of_two_types(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        t.outcome("send", ws.send, ["a", b"b"])
        t.look(ws)


@blocking
def fragments_that_raise(t: Blocking) -> None:
    def parts() -> Iterator[str]:
        yield "a"
        raise ValueError("mine")

    with t.connected(t.hear_all) as ws:
        t.outcome("send", ws.send, parts())
        t.outcome("recv", ws.recv)


@blocking
def text_that_cannot_be_encoded(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        t.outcome("send", ws.send, "\ud800")
        t.look(ws)


@blocking
def while_another_thread_sends_fragments(t: Blocking) -> None:
    begun, go = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "a"
        begun.set()
        go.wait(5)
        yield "b"

    with t.connected(t.hear_all) as ws:
        sending = t.begin("fragments", ws.send, parts())
        begun.wait(5)
        t.outcome("send", ws.send, "between")
        t.outcome("fragments", ws.send, ["c", "d"])
        t.outcome("pong", ws.pong, "between")
        go.set()
        sending.end()
        t.outcome("send", ws.send, "after")
        ws.close()


@blocking
def closing_while_another_thread_sends_fragments(t: Blocking) -> None:
    begun, go = threading.Event(), threading.Event()

    def parts() -> Iterator[str]:
        yield "a"
        begun.set()
        go.wait(5)
        yield "b"

    with t.connected(t.hear_all) as ws:
        sending = t.begin("fragments", ws.send, parts())
        begun.wait(5)
        t.outcome("close", ws.close)
        go.set()
        sending.end()
        t.look(ws)


@blocking
def many_threads_send(t: Blocking) -> None:
    received: list[str] = []

    def handler(ws: Any) -> None:
        received.extend(ws)

    with t.serving(handler) as server, t.client.connect(server.url, compression=None) as ws:
        calls = [t.begin(f"{n}", lambda n=n: [ws.send(f"{n} {i}") for i in range(100)]) for n in range(4)]
        for call in calls:
            call.thread.join(8)
    t.note("all", repr(sorted(received) == sorted(f"{n} {i}" for n in range(4) for i in range(100))))
    for n in range(4):
        own = [text for text in received if text.startswith(f"{n} ")]
        t.note("in order", repr(own == [f"{n} {i}" for i in range(100)]))


@blocking
def pings(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        for _ in range(3):
            t.heard(peer.frame())
        peer.send(frames.PONG, b"unknown")
        peer.send(frames.PONG, b"two")
        t.heard(peer.frame())
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.note("latency", ws.latency)
        events = [ws.ping(data) for data in ("one", b"two", bytearray(b"three"))]
        t.outcome("two", events[1].wait, 5)
        t.note("set", repr([event.is_set() for event in events]))
        t.note("latency", repr(0 < ws.latency < 5))
        t.outcome("one again", lambda: ws.ping("one").is_set())
        t.outcome("three again", ws.ping, "three")
        t.outcome("number", ws.ping, 1)
        t.outcome("close", ws.close)
        t.note("set", repr([event.is_set() for event in events]))
        t.outcome("closed", ws.ping)


@blocking
def a_ping_of_ones_own_choice_is_four_bytes(t: Blocking) -> None:
    lengths: list[int] = []

    def script(peer: RawPeer) -> None:
        frame = peer.frame()
        lengths.append(len(frame.payload))
        peer.send(frames.PONG, frame.payload)
        t.hear_all(peer)

    with t.connected(script) as ws:
        t.outcome("pong", ws.ping().wait, 5)
        ws.close()
    t.note("bytes", lengths)


@blocking
def pings_without_an_answer(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        t.hear(peer, 2)
        peer.finish()

    with t.connected(script) as ws:
        told, untold = ws.ping("a", ack_on_close=True), ws.ping("b")
        t.outcome("told", told.wait, 5)
        ws.wait_closed(5)
        t.outcome("untold", untold.wait, 0.1)


@blocking
def pongs(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        t.outcome("pong", ws.pong)
        t.outcome("pong", ws.pong, "data")
        t.outcome("number", ws.pong, 1)
        t.outcome("too long", ws.pong, "x" * 126)
        ws.close()
        t.outcome("closed", ws.pong)


@blocking
def keepalive(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        for _ in range(3):
            ping = peer.until(frames.PING)
            peer.send(frames.PONG, ping.payload)
        peer.finish()

    with t.connected(script, ping_interval=0.05) as ws:
        t.outcome("recv", ws.recv)
        t.note("latency", repr(0 < ws.latency < 5))


@blocking
def keepalive_without_an_answer(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.until(frames.PING)
        t.hear_all(peer)

    with t.connected(script, ping_interval=0.05, ping_timeout=0.1) as ws:
        t.outcome("recv", ws.recv)
        t.look(ws)


@blocking
def keepalive_without_any_answer(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        peer.until(frames.CLOSE)
        peer.wait_eof()

    with t.connected(script, ping_interval=0.05, ping_timeout=0.1, close_timeout=0.2) as ws:
        t.outcome("recv", ws.recv)
        end = time.monotonic() + 5
        while not any("keepalive ping failed" in line for line in t.trial.log) and time.monotonic() < end:
            time.sleep(0.01)


@blocking
def closing(t: Blocking) -> None:
    for args in ((), (1001, "gründe"), (4321,), (1011, "")):
        with t.connected(t.hear_all) as ws:
            t.outcome("close", ws.close, *args)
            t.look(ws)
            t.outcome("again", ws.close)
            t.outcome("recv", ws.recv)
            t.outcome("wait_closed", ws.wait_closed)


@blocking
def closing_with_what_may_not_be_sent(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        for code in (1005, 1006, 999, 5000):
            t.outcome(f"close {code}", ws.close, code)
        t.outcome("124", ws.close, 1000, "x" * 124)
        t.look(ws)
        ws.close()


@blocking
def closed_by_the_peer(t: Blocking) -> None:
    payloads = [
        frames.close_payload(1000, "bye"),
        frames.close_payload(1001),
        b"",
        frames.close_payload(1011, "broken"),
    ]
    payloads += [frames.close_payload(4999), frames.close_payload(1005), b"\x03", b"\x03\xe8\xff"]
    for payload in payloads:

        def script(peer: RawPeer, payload: bytes = payload) -> None:
            peer.send(frames.CLOSE, payload)
            t.hear_all(peer)

        with t.connected(script) as ws:
            t.outcome("recv", ws.recv)
            t.look(ws)
            t.outcome("send", ws.send, "late")
            t.outcome("close", ws.close)


@blocking
def a_peer_that_does_not_answer_the_close_frame(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        t.hear(peer)
        peer.wait_eof()

    with t.connected(script, close_timeout=0.2) as ws:
        begin = time.monotonic()
        t.outcome("close", ws.close)
        t.note("in time", repr(0.15 < time.monotonic() - begin < 5))
        t.look(ws)
        t.outcome("recv", ws.recv)


@blocking
def a_peer_that_does_not_hang_up(t: Blocking) -> None:
    def script(peer: RawPeer) -> None:
        frame = t.heard(peer.frame())
        peer.send(frames.CLOSE, frame.payload)
        peer.wait_eof()

    with t.connected(script, close_timeout=0.2) as ws:
        t.outcome("close", ws.close)
        t.look(ws)


@blocking
def a_peer_that_hangs_up(t: Blocking) -> None:
    with t.connected(lambda _: None) as ws:
        t.outcome("recv", ws.recv)
        t.look(ws)
        t.outcome("send", ws.send, "late")


@blocking
def a_peer_that_resets(t: Blocking) -> None:
    with t.connected(RawPeer.reset) as ws:
        t.outcome("recv", ws.recv)
        t.look(ws)


@blocking
def a_peer_that_hangs_up_inside_a_frame(t: Blocking) -> None:
    with t.connected(lambda peer: peer.write(b"\x81\x05he")) as ws:
        t.outcome("recv", ws.recv)


@blocking
def waiting_for_the_end(t: Blocking) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        peer.finish()

    with t.connected(script) as ws:
        t.outcome("not yet", ws.wait_closed, 0.1)
        t.outcome("not at all", ws.wait_closed, 0)
        go.set()
        t.outcome("now", ws.wait_closed, 5)
        t.outcome("ever", ws.wait_closed)


@blocking
def two_threads_close(t: Blocking) -> None:
    with t.connected(t.hear_all) as ws:
        calls = [t.begin("close", ws.close) for _ in range(2)]
        for call in calls:
            call.end()
        t.look(ws)

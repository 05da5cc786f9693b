"""Sending: every accepted type, fragments from iterables, wrong types, back-pressure, during a close."""

from __future__ import annotations

import array
import asyncio
import collections
import threading
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.trial import Trial, scenario


async def _sends(t: Trial, *messages: Any, **kwargs: Any) -> None:
    """Send each and note what comes of it; then close."""
    async with t.connected(t.hear_all) as ws:
        for message in messages:
            await t.outcome("send", ws.send(message, **kwargs))
        await t.outcome("close", ws.close())
        t.look(ws)


@scenario
async def text(t: Trial) -> None:
    await _sends(t, "hello", "", "grüße 😀", "x" * 126, "y" * 70_000)


@scenario
async def binary(t: Trial) -> None:
    await _sends(t, b"hello", b"", bytearray(b"array"), memoryview(b"view"), b"y" * 70_000)


@scenario
async def a_view_with_gaps(t: Trial) -> None:
    await _sends(t, memoryview(b"a.b.c.")[::2])


@scenario
async def other_buffers(t: Trial) -> None:
    await _sends(t, array.array("b", [1, 2, 3]))


@scenario
async def subclasses(t: Trial) -> None:
    class Text(str):
        __slots__ = ()

    class Data(bytes):
        __slots__ = ()

    await _sends(t, Text("text"), Data(b"data"))


@scenario
async def as_text(t: Trial) -> None:
    await _sends(t, b"bytes", bytearray(b"array"), "text", [b"1", b"2"], text=True)


@scenario
async def as_binary(t: Trial) -> None:
    await _sends(t, b"bytes", "grüße", ["1", "2"], text=False)


@scenario
async def surrogates(t: Trial) -> None:
    await _sends(t, "\ud800")


@scenario
async def wrong_types(t: Trial) -> None:
    await _sends(t, None, 1, 1.5, {"a": "b"}, collections.OrderedDict(), object())


@scenario
async def lists_and_generators(t: Trial) -> None:
    await _sends(t, ["a", "b", "c"], (b"1", b"2"), (part for part in ("x", "y")), [], iter([""]), {"only"})


@scenario
async def dict_keys(t: Trial) -> None:
    await _sends(t, {"a": 1, "b": 2}.keys())


@scenario
async def async_generators(t: Trial) -> None:
    async def parts(*items: Any) -> Any:
        for item in items:
            await asyncio.sleep(0)
            yield item

    await _sends(t, parts("a", "b"), parts(b"1", b"2"), parts())


@scenario
async def fragments_of_mixed_types(t: Trial) -> None:
    await _sends(t, ["a", b"b"], "after")


@scenario
async def fragments_of_wrong_types(t: Trial) -> None:
    await _sends(t, [1, 2], "after")


@scenario
async def fragments_wrong_later(t: Trial) -> None:
    await _sends(t, [b"a", None], "after")


@scenario
async def async_fragments_of_mixed_types(t: Trial) -> None:
    async def parts() -> Any:
        yield "a"
        yield b"b"

    await _sends(t, parts(), "after")


@scenario
async def async_fragments_of_wrong_types(t: Trial) -> None:
    async def parts() -> Any:
        yield 1

    await _sends(t, parts(), "after")


@scenario
async def iterable_that_raises_at_once(t: Trial) -> None:
    def parts() -> Any:
        raise ValueError("nothing")
        yield

    await _sends(t, parts(), "after")


@scenario
async def iterable_that_raises_later(t: Trial) -> None:
    def parts() -> Any:
        yield "a"
        raise ValueError("enough")

    await _sends(t, parts(), "after")


@scenario
async def async_iterable_that_raises_later(t: Trial) -> None:
    async def parts() -> Any:
        yield "a"
        raise ValueError("enough")

    await _sends(t, parts(), "after")


@scenario
async def others_wait_for_a_fragmented_message(t: Trial) -> None:
    go = asyncio.Event()

    async def parts() -> Any:
        yield "a"
        await go.wait()
        yield "b"

    async with t.connected(t.hear_all) as ws:
        first = asyncio.create_task(ws.send(parts()))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(ws.send("second"))
        await ws.ping(b"between")
        await asyncio.sleep(0.02)
        t.note("second done", second.done())
        go.set()
        await first
        await second
        await ws.close()


@scenario
async def close_during_a_fragmented_message(t: Trial) -> None:
    async def parts() -> Any:
        yield "a"
        await asyncio.sleep(5)

    async with t.connected(t.hear_all) as ws:
        first = asyncio.create_task(ws.send(parts()))
        await asyncio.sleep(0.02)
        await t.outcome("close", ws.close())
        first.cancel()
        await asyncio.wait([first])
        t.look(ws)
        await t.outcome("recv", ws.recv())


@scenario
async def cancelled_during_a_fragmented_message(t: Trial) -> None:
    async def parts() -> Any:
        yield "a"
        await asyncio.sleep(5)

    async with t.connected(t.hear_all) as ws:
        first = asyncio.create_task(ws.send(parts()))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.wait([first])
        await t.outcome("send", ws.send("next"))
        await t.outcome("close", ws.close())
        t.look(ws)


@scenario
async def after_the_close(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await ws.close()
        await t.outcome("send", ws.send("late"))
        await t.outcome("send bytes", ws.send(b"late"))
        await t.outcome("send parts", ws.send(["late"]))
        await t.outcome("send wrong", ws.send(1))
        await t.outcome("ping", ws.ping())
        await t.outcome("pong", ws.pong())


@scenario
async def while_closing(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        t.heard(peer.frame())
        go.wait(5)
        peer.close(1000)

    async with t.connected(script) as ws:
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0.02)
        t.look(ws)
        sending = asyncio.create_task(ws.send("late"))
        await asyncio.sleep(0.02)
        t.note("waits", sending.done())
        go.set()
        await t.outcome("send", sending)
        await t.outcome("close", closing)
        t.look(ws)


@scenario
async def to_a_peer_that_closed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.close(4000, "enough")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await ws.wait_closed()
        await t.outcome("send", ws.send("late"))
        t.look(ws)


@scenario
async def to_a_peer_that_hung_up(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.hang_up()

    async with t.connected(script) as ws:
        await ws.wait_closed()
        await t.outcome("send", ws.send("late"))
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def to_a_peer_that_reset(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.frame()
        peer.reset()

    async with t.connected(script) as ws:
        await ws.send("go")
        await t.outcome("recv", ws.recv())
        await t.outcome("send", ws.send("late"))
        t.look(ws)


@scenario
async def back_pressure(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        for _ in range(4):
            t.note_later = len(peer.frame().payload)  # type: ignore[attr-defined]
            t.peer.append(f"bytes {t.note_later}")  # type: ignore[attr-defined]
        t.hear_all(peer)

    async with t.connected(script, write_limit=1000) as ws:
        sending = asyncio.create_task(ws.send(b"x" * 30_000_000))
        await asyncio.sleep(0.1)
        t.note("done", sending.done())
        second = asyncio.create_task(ws.send(b"y" * 10))
        await asyncio.sleep(0.05)
        t.note("second done", second.done())
        go.set()
        await t.outcome("first", sending)
        await t.outcome("second", second)
        await ws.send(b"1")
        await ws.send(b"2")
        await ws.close()


@scenario
async def limits_of_the_buffer(t: Trial) -> None:
    for limit in (2**15, 1000, (1000, 10), (5, None)):
        async with t.connected(t.hear_all, write_limit=limit) as ws:
            t.note(str(limit), ws.transport.get_write_buffer_limits())
            await ws.close()


@scenario
async def lost_while_it_waits(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        peer.reset()

    async with t.connected(script, write_limit=1000) as ws:
        sending = asyncio.create_task(ws.send(b"x" * 30_000_000))
        await asyncio.sleep(0.05)
        go.set()
        await t.outcome("send", sending)
        t.look(ws)


@scenario
async def many_at_once(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await asyncio.gather(*(ws.send(str(number)) for number in range(20)))
        await ws.close()


@scenario
async def broadcast(t: Trial) -> None:
    async with t.connected(t.hear_all) as one, t.connected(lambda peer: peer.answer_close()) as other:
        await other.close()
        t.attempt("broadcast", t.server.broadcast, [one, other], "to all")
        t.attempt("bytes", t.server.broadcast, [one], b"data")
        t.attempt("as text", t.server.broadcast, [one], b"data", text=True)
        t.attempt("as binary", t.server.broadcast, {one}, "text", text=False)
        t.attempt("parts", t.server.broadcast, [one], ["a"])
        t.attempt("nobody", t.server.broadcast, [], "nothing")
        await one.close()


@scenario
async def broadcast_into_a_fragmented_message(t: Trial) -> None:
    go = asyncio.Event()

    async def parts() -> Any:
        yield "a"
        await go.wait()

    async with t.connected(t.hear_all) as ws:
        sending = asyncio.create_task(ws.send(parts()))
        await asyncio.sleep(0.02)
        t.attempt("broadcast", t.server.broadcast, [ws], "lost")
        t.attempt("raising", t.server.broadcast, [ws], "lost", raise_exceptions=True)
        go.set()
        await sending
        await ws.close()


@scenario
async def broadcast_that_cannot_be_written(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:

        def write(_data: bytes) -> None:
            raise RuntimeError("broken")

        transport, ws.transport = ws.transport, type("Broken", (), {"write": staticmethod(write)})()
        t.attempt("broadcast", t.server.broadcast, [ws], "lost")
        t.attempt("raising", t.server.broadcast, [ws], "lost", raise_exceptions=True)
        ws.transport = transport


@scenario
async def masked_and_whole(t: Trial) -> None:
    """A client's frames are masked, a server's are not."""

    async def handler(ws: Any) -> None:
        await ws.send("from the server")
        await ws.send(["a", "b"])

    async with t.serving(handler) as server:
        await t.visit(server.url, t.hear_all)
    async with t.connected(t.hear_all) as ws:
        await ws.send("from the client")
        await ws.close()
    assert frames.TEXT

"""Receiving: types, decode, streaming, fragments, limits, concurrency, cancellation, pausing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.trial import Trial, scenario


@scenario
async def text_and_binary(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("grüße 😀")
        peer.send(frames.BINARY, b"\x00\xff")
        peer.text("")
        peer.send(frames.BINARY, b"")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        for _ in range(4):
            await t.outcome("recv", ws.recv())
        await t.outcome("close", ws.close())
        t.look(ws)


@scenario
async def decode_true_and_false(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        for _ in range(2):
            peer.text("äöü")
            peer.send(frames.BINARY, "äöü".encode())
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("text as bytes", ws.recv(decode=False))
        await t.outcome("binary as str", ws.recv(decode=True))
        await t.outcome("text as str", ws.recv(True))
        await t.outcome("binary as bytes", ws.recv(False))
        await ws.close()


@scenario
async def fragments_are_put_together(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        data = "aé😀".encode()
        peer.send(frames.TEXT, data[:2], fin=False)
        peer.send(frames.PING, b"between")
        peer.send(frames.CONTINUATION, data[2:5], fin=False)
        peer.send(frames.CONTINUATION, b"", fin=False)
        peer.send(frames.CONTINUATION, data[5:])
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def streaming(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        data = "aé😀".encode()
        peer.send(frames.TEXT, data[:2], fin=False)
        peer.send(frames.CONTINUATION, data[2:5], fin=False)
        peer.send(frames.CONTINUATION, data[5:])
        peer.send(frames.BINARY, b"1", fin=False)
        peer.send(frames.CONTINUATION, b"23")
        peer.text("whole")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        for decode in (None, None, None):
            parts = [part async for part in ws.recv_streaming(decode)]
            t.note("parts", parts)
        await ws.close()


@scenario
async def streaming_decoded_otherwise(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        for opcode in (frames.TEXT, frames.BINARY):
            peer.send(opcode, "é".encode()[:1], fin=False)
            peer.send(frames.CONTINUATION, "é".encode()[1:])
        t.hear_all(peer)

    async with t.connected(script) as ws:
        t.note("text", [part async for part in ws.recv_streaming(decode=False)])
        t.note("binary", [part async for part in ws.recv_streaming(decode=True)])
        await ws.close()


@scenario
async def streaming_as_it_comes(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"first", fin=False)
        go.wait(5)
        peer.send(frames.CONTINUATION, b"second")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        async for part in ws.recv_streaming():
            t.note("part", part)
            go.set()
        await ws.close()


@scenario
async def streaming_left_half_way(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"one", fin=False)
        peer.send(frames.CONTINUATION, b"two")
        peer.text("next")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        parts = ws.recv_streaming()
        await t.outcome("part", anext(parts))
        await t.outcome("recv", ws.recv())
        await t.outcome("streaming", anext(ws.recv_streaming()))
        await parts.aclose()
        await t.outcome("recv after aclose", ws.recv())
        await t.outcome("close", ws.close())
        t.look(ws)


@scenario
async def two_receive(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.hear_all(peer)

    async with t.connected(script) as ws:
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        await t.outcome("recv", ws.recv())
        await t.outcome("streaming", anext(ws.recv_streaming()))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await ws.close()
        await t.outcome("recv when closed", ws.recv())


@scenario
async def cancelled_loses_nothing(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        peer.text("kept")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("waits", asyncio.wait_for(ws.recv(), 0.05))
        go.set()
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def cancelled_within_fragments(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"one ", fin=False)
        peer.send(frames.CONTINUATION, b"two ", fin=False)
        go.wait(5)
        peer.send(frames.CONTINUATION, b"three")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("waits", asyncio.wait_for(ws.recv(), 0.1))
        go.set()
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def streaming_cancelled_before_its_first(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        go.wait(5)
        peer.text("kept")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("waits", asyncio.wait_for(anext(ws.recv_streaming()), 0.05))
        go.set()
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def cancelled_as_the_message_comes(t: Trial) -> None:
    """In the loop's turn in which the message has come, the task that would take it is cancelled."""

    def script(peer: RawPeer) -> None:
        peer.frame()
        peer.text("kept")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        task = asyncio.create_task(ws.recv())
        # Ours is given what came by the one or the other, as the loop has it.
        ways = [name for name in ("data_received", "buffer_updated") if hasattr(ws, name)]

        def cancelling(received: Any) -> Any:
            def taken(data: Any) -> None:
                received(data)
                task.cancel()

            return taken

        await asyncio.sleep(0)
        for way in ways:
            setattr(ws, way, cancelling(getattr(ws, way)))
        if hasattr(ws.transport, "_protocol"):
            ws.transport.set_protocol(ws)
        await ws.send("go")
        await asyncio.wait([task])
        t.note("cancelled", task.cancelled())
        if not task.cancelled():
            t.note("message", task.result())
        else:
            await t.outcome("recv", ws.recv())
        await ws.close()


async def _ends(t: Trial, payload: Any, receives: int = 2, **kwargs: Any) -> None:
    """What the peer sends ends the connection."""

    def script(peer: RawPeer) -> None:
        payload(peer)
        t.hear_all(peer)

    async with t.connected(script, **kwargs) as ws:
        for _ in range(receives):
            await t.outcome("recv", ws.recv())
        await t.outcome("send", ws.send("more"))
        t.look(ws)


@scenario
async def invalid_utf8(t: Trial) -> None:
    await _ends(t, lambda peer: peer.send(frames.TEXT, b"ab\xff"))


@scenario
async def invalid_utf8_cut_short(t: Trial) -> None:
    await _ends(t, lambda peer: peer.send(frames.TEXT, b"ab\xc3"))


@scenario
async def invalid_utf8_in_binary_as_text(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.BINARY, b"\x80")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv(decode=True))
        t.look(ws)


@scenario
async def invalid_utf8_nobody_decodes(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"\xff\xfe")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv(decode=False))
        await ws.close()
        t.look(ws)


@scenario
async def invalid_utf8_streamed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"ok", fin=False)
        peer.send(frames.CONTINUATION, b"\xff")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        parts = ws.recv_streaming()
        await t.outcome("part", anext(parts))
        await t.outcome("part", anext(parts))
        t.look(ws)


@scenario
async def too_big(t: Trial) -> None:
    await _ends(t, lambda peer: peer.send(frames.BINARY, b"x" * 11), max_size=10)


@scenario
async def as_big_as_allowed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.BINARY, b"x" * 10)
        peer.send(frames.BINARY, b"x" * 4, fin=False)
        peer.send(frames.CONTINUATION, b"y" * 6)
        t.hear_all(peer)

    async with t.connected(script, max_size=10) as ws:
        await t.outcome("recv", ws.recv())
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def too_big_in_fragments(t: Trial) -> None:
    def payload(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"x" * 6, fin=False)
        peer.send(frames.CONTINUATION, b"y" * 5)

    await _ends(t, payload, max_size=10)


@scenario
async def limits_of_message_and_fragment(t: Trial) -> None:
    def payload(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"x" * 5, fin=False)
        peer.send(frames.CONTINUATION, b"y" * 5)
        peer.send(frames.TEXT, b"z" * 6)

    await _ends(t, payload, max_size=(10, 5))


@scenario
async def limit_of_fragments_only(t: Trial) -> None:
    def payload(peer: RawPeer) -> None:
        for _ in range(3):
            peer.send(frames.TEXT, b"x" * 5, fin=False)
            peer.send(frames.CONTINUATION, b"y" * 5)
        peer.send(frames.TEXT, b"z" * 6)

    await _ends(t, payload, receives=4, max_size=(None, 5))


@scenario
async def no_limit(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.BINARY, b"x" * 3_000_000)
        t.hear_all(peer)

    async with t.connected(script, max_size=None) as ws:
        message = await ws.recv()
        t.note("bytes", len(message))
        await ws.close()


@scenario
async def a_ping_over_the_limit(t: Trial) -> None:
    await _ends(t, lambda peer: peer.send(frames.PING, b"x" * 11), max_size=10)


@scenario
async def default_limit(t: Trial) -> None:
    await _ends(t, lambda peer: peer.send(frames.BINARY, b"x" * (2**20 + 1)))


@scenario
async def too_many_fragments(t: Trial) -> None:
    def payload(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"", fin=False)
        peer.write(frames.build(frames.CONTINUATION, b"", fin=False) * 4096)

    await _ends(t, payload)


@scenario
async def messages_left_when_closed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("one")
        peer.text("two")
        peer.close(1000, "done")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await ws.wait_closed()
        t.look(ws)
        for _ in range(3):
            await t.outcome("recv", ws.recv())


@scenario
async def half_a_message_when_closed(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"half", fin=False)
        peer.hang_up()

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def iteration(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        for text in ("a", "b", "c"):
            peer.text(text)
        peer.close(1001, "gone")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        t.note("messages", [message async for message in ws])
        t.look(ws)


@scenario
async def iteration_ends_with_an_error(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("a")
        peer.close(1011, "broken")
        t.hear_all(peer)

    async with t.connected(script) as ws:

        async def iterate() -> None:
            async for message in ws:
                t.note("message", message)

        await t.outcome("iteration", iterate())


async def _pauses(t: Trial, messages: int, **kwargs: Any) -> None:
    def script(peer: RawPeer) -> None:
        # In one piece: what is read at once is counted at once.
        peer.write(b"".join(frames.build(frames.TEXT, str(number).encode()) for number in range(messages)))
        t.hear_all(peer)

    async with t.connected(script, **kwargs) as ws:
        while len(ws.recv_messages.frames) < messages:
            await asyncio.sleep(0.01)
        t.note("reading", ws.transport.is_reading())
        for number in range(messages):
            assert await ws.recv() == str(number)
            if number % 5 == 0 or not ws.transport.is_reading():
                t.note(f"after {number}", ws.transport.is_reading())
        await ws.close()


@scenario
async def pauses_above_the_mark(t: Trial) -> None:
    await _pauses(t, 17)


@scenario
async def does_not_pause_at_the_mark(t: Trial) -> None:
    await _pauses(t, 16)


@scenario
async def marks_of_ones_own(t: Trial) -> None:
    await _pauses(t, 6, max_queue=(4, 2))


@scenario
async def no_queue(t: Trial) -> None:
    await _pauses(t, 1, max_queue=0)


@scenario
async def endless_queue(t: Trial) -> None:
    await _pauses(t, 60, max_queue=None)


@scenario
async def fragments_count_in_the_queue(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        wire = frames.build(frames.TEXT, b"0", fin=False)
        for number in range(5):
            wire += frames.build(frames.CONTINUATION, str(number).encode(), fin=False)
        peer.write(wire + frames.build(frames.CONTINUATION, b"!"))
        t.hear_all(peer)

    async with t.connected(script, max_queue=4) as ws:
        while len(ws.recv_messages.frames) < 7:
            await asyncio.sleep(0.01)
        t.note("reading", ws.transport.is_reading())
        await t.outcome("recv", ws.recv())
        t.note("reading", ws.transport.is_reading())
        await ws.close()


@scenario
async def marks_that_make_no_sense(t: Trial) -> None:
    for marks in ((2, 4), (4, -1), (-1, None)):
        with t.raw(lambda peer: None, handshake=False) as server:
            await t.outcome(f"max_queue={marks}", t.client.connect(server.url, max_queue=marks), show=False)


@scenario
async def compressed(t: Trial) -> None:
    """Between two ends of the same library: what goes over the wire may be compressed differently."""

    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with (
        t.serving(handler, compression="deflate") as server,
        t.client.connect(server.url) as ws,
    ):
        t.note("extensions", ws.protocol.extensions)
        for message in ("", "short", "long " * 1000, b"\x00" * 70_000):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(iter(["a" * 100, "b" * 100, ""]))
        t.note("fragments", await ws.recv())
        await ws.send(iter([b"a" * 100, b"b" * 100]))
        t.note("parts", [len(part) async for part in ws.recv_streaming()])


@scenario
async def a_compressed_bomb(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await ws.send(b"\x00" * 5000)
        await ws.wait_closed()
        t.note("server", f"{ws.close_code} {ws.close_reason}")

    async with t.serving(handler, compression="deflate") as server:
        ws = await t.client.connect(server.url, max_size=4000)
        await t.outcome("recv", ws.recv())
        t.look(ws)

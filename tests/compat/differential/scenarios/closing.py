"""Closing: from either side, with every kind of code, in time or not, and whatever breaks a connection."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.trial import Trial, debugged, scenario


async def _closes(t: Trial, *args: Any, **kwargs: Any) -> None:
    async with t.connected(t.hear_all) as ws:
        await t.outcome("close", ws.close(*args, **kwargs))
        t.look(ws)
        await t.outcome("recv", ws.recv())
        await t.outcome("again", ws.close())


@scenario
async def by_us(t: Trial) -> None:
    await _closes(t)


@scenario
async def by_us_with_a_reason(t: Trial) -> None:
    await _closes(t, 1001, "gründe")


@scenario
async def by_us_with_a_code_of_ones_own(t: Trial) -> None:
    await _closes(t, 4321, reason="mine")


@scenario
async def by_us_with_an_error(t: Trial) -> None:
    await _closes(t, 1011)


@scenario
async def with_a_code_that_may_not_be_sent(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        for code in (1005, 1006, 1015, 999, 5000, 1004, 0):
            await t.outcome(f"close {code}", ws.close(code))
        t.look(ws)
        await ws.close()


@scenario
async def with_a_reason_that_is_too_long(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await t.outcome("124", ws.close(1000, "x" * 124))
        t.look(ws)
        await t.outcome("123", ws.close(1000, "x" * 123))
        t.look(ws)


async def _closed(t: Trial, payload: bytes, **kwargs: Any) -> None:
    """The peer sends a close frame."""

    def script(peer: RawPeer) -> None:
        peer.send(frames.CLOSE, payload)
        t.hear_all(peer)

    async with t.connected(script, **kwargs) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)
        await t.outcome("send", ws.send("late"))
        await t.outcome("close", ws.close())


@scenario
async def by_the_peer(t: Trial) -> None:
    await _closed(t, frames.close_payload(1000, "bye"))


@scenario
async def by_the_peer_going_away(t: Trial) -> None:
    await _closed(t, frames.close_payload(1001))


@scenario
async def by_the_peer_without_a_code(t: Trial) -> None:
    await _closed(t, b"")


@scenario
async def by_the_peer_with_an_error(t: Trial) -> None:
    await _closed(t, frames.close_payload(1011, "broken"))


@scenario
async def by_the_peer_with_a_registered_code(t: Trial) -> None:
    await _closed(t, frames.close_payload(3000, "registered"))


@scenario
async def by_the_peer_with_a_private_code(t: Trial) -> None:
    await _closed(t, frames.close_payload(4999))


@scenario
async def by_the_peer_with_a_wrong_code(t: Trial) -> None:
    await _closed(t, frames.close_payload(1005))


@scenario
async def by_the_peer_with_an_unknown_code(t: Trial) -> None:
    await _closed(t, frames.close_payload(2999))


@scenario
async def by_the_peer_with_half_a_code(t: Trial) -> None:
    await _closed(t, b"\x03")


@scenario
async def by_the_peer_with_a_reason_that_is_no_utf8(t: Trial) -> None:
    await _closed(t, b"\x03\xe8\xff")


@scenario
async def by_the_peer_inside_a_message(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.TEXT, b"half", fin=False)
        peer.close(1000)
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def by_both_at_once(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.heard(peer.frame())
        peer.close(4001, "me, too")

    async with t.connected(script) as ws:
        await t.outcome("close", ws.close(4000, "me"))
        t.look(ws)
        await t.outcome("recv", ws.recv())


@scenario
async def data_after_the_close_frame(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.close(1000)
        peer.text("too late")
        peer.send(frames.PING, b"too late")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def messages_while_we_close(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        close = t.heard(peer.frame())
        peer.text("still there")
        peer.send(frames.PING, b"ping")
        t.hear(peer)
        peer.send(frames.CLOSE, close.payload)

    async with t.connected(script) as ws:
        await t.outcome("close", ws.close())
        await t.outcome("recv", ws.recv())
        await t.outcome("recv", ws.recv())


@scenario
async def the_peer_answers_nothing(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        t.hear(peer)
        go.wait(5)

    async with t.connected(script, close_timeout=0.1) as ws:
        await t.outcome("close", ws.close())
        t.look(ws)
        await t.outcome("recv", ws.recv())
        go.set()


@scenario
async def the_peer_answers_and_stays(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        close = t.heard(peer.frame())
        peer.send(frames.CLOSE, close.payload)
        go.wait(5)

    async with t.connected(script, close_timeout=0.1) as ws:
        await t.outcome("close", ws.close())
        t.look(ws)
        await t.outcome("recv", ws.recv())
        go.set()


@scenario
async def the_peer_closes_and_stays(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.close(1000)
        t.hear(peer)
        go.wait(5)

    async with t.connected(script, close_timeout=0.1) as ws:
        await asyncio.sleep(0.05)
        t.look(ws)
        await t.outcome("close", ws.close())
        t.look(ws)
        go.set()


@scenario
async def the_peer_hangs_up(t: Trial) -> None:
    async with t.connected(lambda peer: peer.hang_up()) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def the_peer_hangs_up_within_a_header(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.write(b"\x81")

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())


@scenario
async def the_peer_hangs_up_within_a_length(t: Trial) -> None:
    async with t.connected(lambda peer: peer.write(b"\x82\x7e\x01")) as ws:
        await t.outcome("recv", ws.recv())


@scenario
async def the_peer_hangs_up_within_a_frame(t: Trial) -> None:
    async with t.connected(lambda peer: peer.write(b"\x81\x05abc")) as ws:
        await t.outcome("recv", ws.recv())


@scenario
async def the_peer_hangs_up_on_our_close(t: Trial) -> None:
    async with t.connected(lambda peer: t.hear(peer)) as ws:
        await t.outcome("close", ws.close())
        t.look(ws)
        await t.outcome("recv", ws.recv())


async def _breaks(t: Trial, wire: bytes) -> None:
    """What the peer writes breaks the protocol."""

    def script(peer: RawPeer) -> None:
        peer.write(wire)
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def reserved_bits(t: Trial) -> None:
    await _breaks(t, b"\xc1\x00")


@scenario
async def reserved_opcode(t: Trial) -> None:
    await _breaks(t, b"\x83\x00")


@scenario
async def masked_frame(t: Trial) -> None:
    await _breaks(t, b"\x81\x80\x00\x00\x00\x00")


@scenario
async def fragmented_ping(t: Trial) -> None:
    await _breaks(t, b"\x09\x00")


@scenario
async def long_ping(t: Trial) -> None:
    await _breaks(t, b"\x89\x7e\x00\x7e" + b"x" * 126)


@scenario
async def continuation_of_nothing(t: Trial) -> None:
    await _breaks(t, b"\x80\x00")


@scenario
async def message_inside_a_message(t: Trial) -> None:
    await _breaks(t, b"\x01\x00\x81\x00")


@scenario
async def length_not_minimal(t: Trial) -> None:
    await _breaks(t, b"\x81\x7e\x00\x01a\x88\x00")


@scenario
async def no_http_behind_the_handshake(t: Trial) -> None:
    await _breaks(t, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99)


@scenario
async def context_manager(t: Trial) -> None:
    with t.raw(t.hear_all) as server:
        async with t.client.connect(server.url, compression=None) as ws:
            t.look(ws)
        t.look(ws)


@scenario
async def context_manager_with_an_exception(t: Trial) -> None:
    async def use(url: str) -> None:
        async with t.client.connect(url, compression=None):
            raise KeyError("mine")

    with t.raw(t.hear_all) as server:
        await t.outcome("use", use(server.url))


@scenario
async def context_manager_cancelled(t: Trial) -> None:
    async def use(url: str) -> None:
        async with t.client.connect(url, compression=None) as ws:
            await ws.recv()

    with t.raw(t.hear_all) as server:
        await t.outcome("use", asyncio.wait_for(use(server.url), 0.1))


@scenario
async def the_connection_as_a_context_manager(t: Trial) -> None:
    with t.raw(t.hear_all) as server:
        ws = await t.client.connect(server.url, compression=None)
        async with ws as same:
            t.note("same", ws is same)
        t.look(ws)


@scenario
async def cancelled_close(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        t.hear(peer)
        go.wait(5)

    async with t.connected(script) as ws:
        await t.outcome("close", asyncio.wait_for(ws.close(), 0.05))
        t.look(ws)
        go.set()
        await t.outcome("wait_closed", ws.wait_closed())
        t.look(ws)


@scenario
async def wait_closed_cancelled(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await t.outcome("waits", asyncio.wait_for(ws.wait_closed(), 0.05))
        await t.outcome("close", ws.close())
        await t.outcome("wait_closed", ws.wait_closed())


@scenario
async def receivers_are_told(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0.02)
        await ws.close(4000, "over")
        await t.outcome("recv", receiving)


@scenario
async def two_close(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await asyncio.gather(ws.close(4000, "one"), ws.close(4001, "two"))
        t.look(ws)
        await t.outcome("recv", ws.recv())


@scenario
async def deprecated_attributes(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        await ws.close(4000, "over")
        try:
            await ws.recv()
        except t.exceptions.ConnectionClosed as error:
            t.note("code", error.code)
            t.note("reason", error.reason)
            t.note("classes", [kind.__name__ for kind in type(error).__mro__])


@debugged
async def what_is_logged(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.text("hello")
        peer.send(frames.BINARY, b"\x00" * 200)
        peer.send(frames.PING, b"ping")
        peer.send(frames.TEXT, "é".encode()[:1], fin=False)
        peer.send(frames.CONTINUATION, "é".encode()[1:])
        t.hear(peer)
        t.hear_all(peer)

    async with t.connected(script) as ws:
        for _ in range(3):
            await ws.recv()
        await ws.send("x" * 500)
        await ws.send(bytes(range(100)))
        await ws.close(1000, "done")

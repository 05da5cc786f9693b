"""Pings, pongs, latency and keepalive."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from support import frames
from support.raw import RawPeer

from differential.trial import Trial, debugged, scenario


def _answers(t: Trial, count: int = 1) -> Any:
    """The peer answers so many pings, then hears the rest."""

    def script(peer: RawPeer) -> None:
        for _ in range(count):
            ping = peer.until(frames.PING)
            peer.send(frames.PONG, ping.payload)
        t.hear_all(peer)

    return script


@scenario
async def ping_and_latency(t: Trial) -> None:
    async with t.connected(_answers(t)) as ws:
        t.note("latency", ws.latency)
        answered = await ws.ping()
        t.note("future", type(answered).__name__)
        latency = await answered
        t.note("measured", f"{type(latency).__name__} {0 <= latency < 5} {latency == ws.latency}")
        await ws.close()


@scenario
async def payloads(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        for payload in ("text", b"bytes", bytearray(b"array"), memoryview(b"view"), "", b""):
            await t.outcome("ping", ws.ping(payload), show=False)
            await t.outcome("pong", ws.pong(payload))
        await t.outcome("pong", ws.pong())
        await ws.close()


@scenario
async def payloads_that_are_wrong(t: Trial) -> None:
    async with t.connected(t.hear_all) as ws:
        for payload in (1, ["a"], None):
            await t.outcome("pong", ws.pong(payload))
        await t.outcome("ping", ws.ping(1))
        await t.outcome("long ping", ws.ping(b"x" * 126))
        await t.outcome("long pong", ws.pong(b"x" * 126))
        t.look(ws)
        await t.outcome("as long as allowed", ws.ping(b"x" * 125), show=False)
        await ws.close()


@scenario
async def random_payloads(t: Trial) -> None:
    sizes: list[int] = []

    def script(peer: RawPeer) -> None:
        sizes.extend(len(peer.frame().payload) for _ in range(3))
        peer.answer_close()

    async with t.connected(script) as ws:
        for _ in range(3):
            await ws.ping()
        await ws.close()
    t.note("sizes", sizes)


@scenario
async def same_payload_twice(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.heard(peer.frame())
        peer.send(frames.PONG, b"same")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        first = await ws.ping(b"same")
        await t.outcome("twice", ws.ping(b"same"))
        await first
        await t.outcome("again", ws.ping(b"same"), show=False)
        await ws.close()


@scenario
async def one_pong_answers_those_before(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        for _ in range(3):
            peer.frame()
        peer.send(frames.PONG, b"2")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        pings = [await ws.ping(payload) for payload in ("1", "2", "3")]
        await pings[1]
        t.note("done", [ping.done() for ping in pings])
        await ws.close()
        await t.outcome("third", pings[2])
        t.note("cancelled", [ping.cancelled() for ping in pings])


@scenario
async def pongs_nobody_asked_for(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.PONG, b"what")
        peer.send(frames.PONG)
        peer.text("next")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        t.note("latency", ws.latency)
        await ws.close()


@scenario
async def pings_are_answered(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.send(frames.PING, b"one")
        peer.send(frames.PING)
        t.hear(peer, 2)
        peer.text("next")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        await t.outcome("recv", ws.recv())
        await ws.close()


@scenario
async def closed_while_a_ping_waits(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.frame()
        peer.close(1011, "no")
        t.hear_all(peer)

    async with t.connected(script) as ws:
        answered = await ws.ping(b"lost")
        await t.outcome("pong", answered)


@scenario
async def lost_while_a_ping_waits(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        peer.frame()
        peer.hang_up()

    async with t.connected(script) as ws:
        answered = await ws.ping(b"lost")
        await t.outcome("pong", answered)


@scenario
async def a_waiter_is_cancelled(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        ping = peer.frame()
        go.wait(5)
        peer.send(frames.PONG, ping.payload)
        t.hear_all(peer)

    async with t.connected(script) as ws:
        answered = await ws.ping(b"slow")
        await t.outcome("waits", asyncio.wait_for(answered, 0.05))
        go.set()
        await asyncio.sleep(0.05)
        t.note("latency", ws.latency > 0)
        await ws.close()


@scenario
async def ping_while_closing(t: Trial) -> None:
    go = threading.Event()

    def script(peer: RawPeer) -> None:
        t.hear(peer)
        go.wait(5)
        peer.close(1000)

    async with t.connected(script) as ws:
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0.02)
        pinging = asyncio.create_task(ws.ping())
        await asyncio.sleep(0.02)
        t.note("waits", not pinging.done())
        go.set()
        await t.outcome("ping", pinging)
        await closing


@scenario
async def keepalive(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        for _ in range(3):
            peer.send(frames.PONG, peer.until(frames.PING).payload)
        peer.text("three pings")
        peer.wait_eof()

    async with t.connected(script, ping_interval=0.03, ping_timeout=5) as ws:
        await t.outcome("recv", ws.recv())
        t.note("latency", ws.latency >= 0)  # the original's is 0 where uvloop's clock stood still
        t.look(ws)


@scenario
async def keepalive_times_out(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.peer.append(f"ping of {len(peer.frame().payload)} bytes")
        t.hear_all(peer)

    async with t.connected(script, ping_interval=0.05, ping_timeout=0.1) as ws:
        await t.outcome("recv", ws.recv())
        t.look(ws)


@scenario
async def keepalive_without_a_time_out(t: Trial) -> None:
    pings: list[int] = []

    def script(peer: RawPeer) -> None:
        pings.extend(len(peer.frame().payload) for _ in range(3))
        peer.close(1000)

    async with t.connected(script, ping_interval=0.02, ping_timeout=None) as ws:
        await t.outcome("recv", ws.recv())
    t.note("pings", pings)


@scenario
async def no_keepalive(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        t.hear_all(peer)

    async with t.connected(script, ping_interval=None) as ws:
        await asyncio.sleep(0.1)
        await ws.close()


@debugged
async def keepalive_is_logged(t: Trial) -> None:
    def script(peer: RawPeer) -> None:
        ping = peer.frame()
        peer.send(frames.PONG, ping.payload)
        peer.frame()
        t.hear_all(peer)

    async with t.connected(script, ping_interval=0.03, ping_timeout=0.06) as ws:
        await t.outcome("recv", ws.recv())
    t.log[:] = [line for line in t.log if "PING" not in line and "PONG" not in line]  # random payloads


@scenario
async def a_server_keeps_alive(t: Trial) -> None:
    async def handler(ws: Any) -> None:
        await t.outcome("server recv", ws.recv())
        t.look(ws)

    async with t.serving(handler, ping_interval=0.05, ping_timeout=0.05) as server:

        def script(peer: Any) -> None:
            t.peer.append(f"ping of {len(peer.frame().payload)} bytes")
            t.hear_all(peer)

        await t.visit(server.url, script)

"""Routes one can see: `engine.routes()`, `ws.routes()`, and the report of each that ends, in whatever order things close."""

import asyncio
import contextlib
import gc
import itertools
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import media
from support.listening import Listener, wav
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

from voxwire import (
    AppEvents,
    AudioUnit,
    Conference,
    Engine,
    Player,
    Recorder,
    RouteEndedEvent,
    RouteEndReason,
    RouteState,
    WebSocket,
    _core,
)
from voxwire import WebSocketEvents as E


@pytest.fixture
def engine() -> Iterator[Engine]:
    assert Engine.routes() == [], "a test before left something"
    engine = Engine()
    yield engine
    engine.removeEventListener(AppEvents.RouteEnded)


def ends_of(engine: Engine) -> list[RouteEndedEvent]:
    ends: list[RouteEndedEvent] = []
    engine.addEventListener(AppEvents.RouteEnded, ends.append)
    return ends


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def reported(ends: list[RouteEndedEvent], count: int) -> None:
    await until(lambda: len(ends) >= count)
    assert len(ends) == count


async def test_routes_are_listed_with_what_flows(engine: Engine) -> None:
    ends = ends_of(engine)
    before = time.time()
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as unit, AudioUnit(16000) as other:
            unit.sendMediaTo(ws, {"encoding": "PCM16", "tag": "t", "gain": -3})
            ws.sendMediaTo(other)
            unit.write(media.tone(1000))
            await listener.chunk(10)
            one, two = engine.routes()
            assert (one.source, one.target, one.encoding, one.rate, one.tag, one.gain) == (
                unit,
                ws,
                "PCM16",
                16000,
                "t",
                -3,
            )
            assert one.state is RouteState.PLAYING
            assert before <= one.since <= time.time()
            assert 180 <= one.played <= 1000
            assert 0 < one.buffered <= 1000 - one.played + 20
            assert (one.lost, one.concealed, one.discarded, one.muted) == (0, 0, 0, False)
            assert (two.source, two.target, two.encoding, two.rate, two.tag) == (ws, other, None, 16000, None)
            assert (two.state, two.played) == (RouteState.IDLE, 0)
            assert [route.target for route in ws.routes()] == [ws, other]
            other.write(media.tone(500, 16000))
            other.sendMediaTo(ws, encoding="PCM16", tag="t")
            await until(lambda: engine.routes()[0].state is RouteState.MIXED)
            unit.stopMediaTo(ws)
            await until(lambda: ends)
            assert (ends[0].source, ends[0].target, ends[0].tag) == (unit, ws, "t")
            assert ends[0].reason is RouteEndReason.STOPPED
            assert ends[0].route.state is RouteState.ENDED
            assert ends[0].route.played >= one.played
            assert len(engine.routes()) == 2
    await until(lambda: len(ends) == 3)
    assert engine.routes() == []
    assert _core.routes() == []


async def test_lost_and_concealed_are_those_of_the_source(engine: Engine) -> None:
    async with pair() as (far, near), AudioUnit(8000) as unit:
        near.sendMediaTo(unit)
        far.send(media.start("PCM8"))
        pcm = media.tone(20)
        for n in itertools.chain(range(1, 10), range(12, 20)):
            far.send(media.media(n, pcm))
        await until(lambda: engine.routes()[0].lost)
        await until(lambda: engine.routes()[0].played >= 380)
        (route,) = engine.routes()
        assert (route.lost, route.concealed) == (2, 40)


UNITS = 4


@pytest.mark.parametrize("order", list(itertools.permutations(range(UNITS))))
async def test_in_whatever_order_they_close_nothing_is_left(
    order: tuple[int, ...], engine: Engine, tmp_path: Any
) -> None:
    """Two WebSockets in a circle, an audio unit that both feed and hear, and a conference of all."""
    ends = ends_of(engine)
    async with pair() as (_, a), pair() as (_, b):
        unit, conference = AudioUnit(8000), Conference(8000)
        recorder = Recorder(tmp_path / "r.wav")
        members: tuple[WebSocket | AudioUnit | Conference, ...] = (a, b, unit, conference)
        for source, target in itertools.permutations(members, 2):
            source.sendMediaTo(target)
        for member in members:
            member.sendMediaTo(recorder)
        unit.write(media.tone(10_000))
        count = len(engine.routes())
        assert count == len(_core.routes()) == UNITS * (UNITS - 1) + UNITS
        await until(lambda: engine.routes() and any(r.state is not RouteState.IDLE for r in engine.routes()))
        left = set(range(UNITS))
        for index in order:
            members[index].close()
            left.discard(index)
            expected = len(left) * (len(left) - 1) + len(left)
            await reported(ends, count - expected)
            assert len(engine.routes()) == len(_core.routes()) == expected
        recorder.close()
        await recorder.wait_closed()
        assert {id(end.source) for end in ends} == {id(member) for member in members}
        reasons = {end.reason for end in ends}
        assert reasons <= {RouteEndReason.SOURCE_ENDED, RouteEndReason.TARGET_ENDED}
        assert not any(member._linked() for member in (*members, recorder))
        gone: list[weakref.ref[Any]] = [weakref.ref(unit), weakref.ref(conference), weakref.ref(recorder)]
        ends.clear()
        del unit, conference, recorder, members, member, source, target
        await asyncio.sleep(0)
        gc.collect()
        assert [ref() for ref in gone] == [None] * 3


async def test_a_target_that_closes_ends_the_route_of_a_silent_source(engine: Engine) -> None:
    ends = ends_of(engine)
    async with pair() as (far, near), AudioUnit() as silent:
        silent.sendMediaTo(near)
        far.close(1000)
        await near.wait_closed()
        assert [end.reason for end in ends] == [RouteEndReason.TARGET_ENDED], "before the CLOSE of the target"
        assert engine.routes() == near.routes() == []


async def test_a_player_that_finishes_reports_what_it_played(engine: Engine, tmp_path: Any) -> None:
    ends = ends_of(engine)
    async with AudioUnit(8000) as unit:
        player = Player(wav(tmp_path, media.tone(200)))
        player.sendMediaTo(unit)
        player.start()
        await player.wait_finished()
        (end,) = ends
        assert (end.source, end.target, end.reason) == (player, unit, RouteEndReason.SOURCE_ENDED)
        assert end.route.played == pytest.approx(200)


async def test_another_route_in_its_place_and_another_gain(engine: Engine) -> None:
    ends = ends_of(engine)
    async with pair() as (_, ws), AudioUnit() as unit:
        unit.sendMediaTo(ws)
        (first,) = _core.routes()
        unit.sendMediaTo(ws, gain=3)
        assert [route[0] for route in _core.routes()] == [first[0]], "a gain is no reason to begin anew"
        assert engine.routes()[0].gain == 3
        unit.sendMediaTo(ws, encoding="ULAW")
        await until(lambda: ends)
        assert [end.reason for end in ends] == [RouteEndReason.REPLACED]
        (now,) = engine.routes()
        assert (now.encoding, now.gain) == ("ULAW", 0)


class Patient(Listener):
    """Minds nobody who hangs up."""

    def __call__(self, peer: RawPeer) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            super().__call__(peer)


@pytest.mark.parametrize("after", ["target", "source", "stop", "websocket"])
async def test_routes_wait_for_a_websocket_that_reconnects_and_end_with_it(engine: Engine, after: str) -> None:
    ends = ends_of(engine)
    with RawServer(Patient()) as server:
        ws = WebSocket(server.url, reconnect=lambda _loss: 0.3)
        log = Log(ws)
        await ws.wait_open()
        unit = AudioUnit(8000)
        ws.sendMediaTo(unit)
        unit.sendMediaTo(ws, {"tag": "t"})
        assert len(_core.routes()) == 2
        ws._connection.abort()
        await log.until(E.RECONNECTING)
        await until(lambda: _core.routes() == [])
        assert [route.state for route in engine.routes()] == [RouteState.WAITING] * 2
        assert not ends
        await log.until(E.OPEN, 2)
        assert [route.state for route in engine.routes()] == [RouteState.IDLE] * 2
        ws._connection.abort()
        await log.until(E.RECONNECTING, 2)
        await until(lambda: _core.routes() == [])
        if after == "stop":
            ws.stopMediaTo(unit)
            unit.stopMediaTo(ws)
        elif after == "websocket":
            ws.close()
            await ws.wait_closed()
        else:
            unit.close()
        await until(lambda: len(ends) == 2)
        assert engine.routes() == ws.routes() == []
        assert not unit._linked()
        if after == "stop":
            assert {end.reason for end in ends} == {RouteEndReason.STOPPED}
        else:
            assert {end.reason for end in ends} == {RouteEndReason.SOURCE_ENDED, RouteEndReason.TARGET_ENDED}
        ws.close()
        unit.close()
        await ws.wait_closed()
    assert len(ends) == 2


async def test_a_loop_that_ends_leaves_no_routes(engine: Engine) -> None:
    def other_loop() -> None:
        async def work() -> None:
            AudioUnit().sendMediaTo(AudioUnit())
            assert len(engine.routes()) == 1

        asyncio.run(work())

    await asyncio.to_thread(other_loop)
    gc.collect()
    assert engine.routes() == []

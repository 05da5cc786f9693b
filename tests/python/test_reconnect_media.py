"""Audio of a WebSocket that is lost and comes back: its routes are made again, what plays meanwhile is gone."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from support import frames, media
from support.listening import Listener, crossings, heard_by, wav
from support.log import Log
from support.pair import serving
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, Backoff, ConnectionLoss, Player, Recorder, WebSocket
from voxwire import WebSocketEvents as E

FAST = Backoff(initial=0.01, maximum=0.05, jitter=0.0)


class Breaking(Listener):
    """Breaks the first connection when told to, then listens to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[dict[str, Any]] = []
        self.breaks = threading.Event()
        self.count = 0

    def __call__(self, peer: RawPeer) -> None:
        self.count += 1
        if self.count > 1:
            super().__call__(peer)
            return
        peer.accept()
        assert self.breaks.wait(10)
        peer.reset()


async def test_a_unit_is_heard_again_with_the_same_parameters() -> None:
    listener = Breaking()
    with RawServer(listener) as server:
        async with WebSocket(server.url, reconnect=FAST) as ws, AudioUnit(8000) as unit:
            unit.sendMediaTo(ws, {"encoding": "ULAW", "tag": "voice", "customParameters": {"k": 1}})
            log = Log(ws)
            unit.write(media.tone(5000))
            await asyncio.sleep(0.1)
            listener.breaks.set()
            await log.until(E.OPEN)
            await listener.chunk(10)
            frames_sent = ws.statistics().media_frames_sent
    start = listener.events[0]
    assert start["event"] == "start"
    assert (start["start"]["tag"], start["start"]["mediaFormat"]["encoding"]) == ("voice", "ULAW")
    assert '"k":1' in str(start["start"]["customParameters"]).replace(" ", "").replace("'", '"')
    assert listener.chunks[0]["timestamp"] == 0  # a stream of its own
    assert frames_sent > 10


async def test_what_plays_while_there_is_no_connection_is_not_sent_late() -> None:
    """A second of audio in the core's clock, more than half of it without a connection."""
    listener = Breaking()
    with RawServer(listener) as server:
        async with WebSocket(server.url, reconnect=lambda _loss: 0.6) as ws, AudioUnit(8000) as unit:
            unit.sendMediaTo(ws)
            log = Log(ws)
            listener.breaks.set()
            await log.until(E.RECONNECTING)
            unit.write(media.tone(1000))
            unit.end()
            await log.until(E.OPEN)
            await listener.stopped()
    assert 0 < len(listener.chunks) <= 35  # 20 of 50, and room for a machine that has much to do


async def test_the_streams_of_a_lost_connection_end_and_those_of_the_next_are_heard(tmp_path: Any) -> None:
    done = threading.Event()

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text(media.start("PCM8"))
        peer.text(media.media(0, media.tone(2000, frequency=400)))
        if first:
            first.pop().wait(10)
            peer.reset()
        else:
            done.wait(10)
            peer.answer_close()

    breaks = threading.Event()
    first = [breaks]
    with RawServer(script) as server:
        async with Recorder(tmp_path / "all.wav") as recorder, AudioUnit(8000) as unit:
            ws = WebSocket(server.url, reconnect=FAST)
            log = Log(ws)
            ws.sendMediaTo(unit)
            ws.sendMediaTo(recorder)
            await log.until(E.MEDIA_STARTED)
            breaks.set()
            await log.until(E.MEDIA_STARTED, 2)
            while await unit.read():  # what was heard of the first
                if unit.readable == 0:
                    break
            heard = await heard_by(unit)
            assert crossings(heard) == pytest.approx(400, rel=0.05)
            done.set()
            ws.close()
            await ws.wait_closed()
    names = [name for name in log.names if name != "MESSAGE"]
    assert names[:7] == ["CREATED", "OPEN", "MEDIA_STARTED", "MEDIA_ENDED", "RECONNECTING", "OPEN", "MEDIA_STARTED"]
    assert recorder.duration > 300


async def test_a_bridge_survives_the_loss_of_its_agent() -> None:
    """caller -> call (a server's connection) <-> agent: lost once, then an echo."""
    lost = asyncio.Event()
    agents: list[WebSocket] = []

    def answer(ws: WebSocket) -> None:
        agents.append(ws)
        ws.sendMediaTo(ws, {"encoding": "PCM16"})

    async with serving(answer) as agent_server:
        outgoing: list[WebSocket] = []

        def bridge(call: WebSocket) -> None:
            agent = WebSocket(agent_server.url, reconnect=FAST)
            outgoing.append(agent)
            call.sendMediaTo(agent, {"encoding": "PCM16"})
            agent.sendMediaTo(call, {"encoding": "ULAW"})
            agent.onreconnecting = lambda _event: lost.set()

        async with (
            serving(bridge) as server,
            WebSocket(server.url) as caller,
            AudioUnit(8000) as ears,
            AudioUnit() as mouth,
        ):
            mouth.sendMediaTo(caller, {"encoding": "ULAW"})
            caller.sendMediaTo(ears)
            mouth.write(media.tone(8000, rate=16000, frequency=500))
            assert crossings(await heard_by(ears)) == pytest.approx(500, rel=0.05)
            agents[0]._connection.abort()
            await lost.wait()
            while len(agents) < 2:
                await asyncio.sleep(0.01)
            await agents[1].wait_open()
            while ears.readable:
                await ears.read()
            assert crossings(await heard_by(ears)) == pytest.approx(500, rel=0.05)
            outgoing[0].close()
            await outgoing[0].wait_closed()


async def test_routes_that_are_made_or_ended_while_it_waits() -> None:
    listener = Breaking()
    gate = asyncio.Event()
    with RawServer(listener) as server:
        async with AudioUnit(8000) as before, AudioUnit(8000) as meanwhile:
            ws = WebSocket(server.url, reconnect=lambda _loss: 0.2)
            ws.onreconnecting = lambda _event: gate.set()
            log = Log(ws)
            await ws.wait_open()
            before.sendMediaTo(ws, {"tag": "before"})
            listener.breaks.set()
            await gate.wait()
            before.stopMediaTo(ws)
            meanwhile.sendMediaTo(ws, {"tag": "meanwhile"})
            with pytest.raises(voxwire.MediaError):
                meanwhile.sendMediaTo(ws, {"encoding": "MP3"})
            await log.until(E.OPEN, 2)
            before.write(media.tone(200))
            meanwhile.write(media.tone(200))
            meanwhile.end()
            await listener.stopped()
            ws.close()
            await ws.wait_closed()
            assert not ws.routes()
    assert {event["media"]["tag"] for event in listener.events if event["event"] == "media"} == {"meanwhile"}


async def test_a_source_that_comes_back_keeps_its_place_at_the_target() -> None:
    """Routed while it waits, it must not be in its own way: the tag at the target is its own."""
    streams: list[RawPeer] = []

    def script(peer: RawPeer) -> None:
        streams.append(peer)
        peer.accept()
        if len(streams) == 1:
            peer.reset()
            return
        peer.text(media.start("PCM8"))
        peer.text(media.media(0, media.tone(500)))
        peer.answer_close()

    listener = Listener()
    with RawServer(script) as server, RawServer(listener) as target:
        async with WebSocket(target.url) as sink:
            ws = WebSocket(server.url, reconnect=lambda _loss: 0.05)
            log = Log(ws)
            await log.until(E.RECONNECTING)
            ws.sendMediaTo(sink, {"tag": "again"})
            await listener.chunk(5)
            ws.close()
            await ws.wait_closed()
            await listener.stopped()
    assert listener.names[0] == "start"
    assert listener.events[0]["start"]["tag"] == "again"


async def test_a_tag_that_has_another_encoding_meanwhile_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(Listener()) as target, RawServer(Breaking()) as server:
        assert isinstance(server.script, Breaking)
        async with WebSocket(target.url) as sink, AudioUnit(8000) as other:
            ws = WebSocket(server.url, reconnect=lambda _loss: 0.1)
            log = Log(ws)
            await ws.wait_open()
            ws.sendMediaTo(sink, {"tag": "one"})
            server.script.breaks.set()
            await log.until(E.RECONNECTING)
            other.sendMediaTo(sink, {"tag": "one", "encoding": "ULAW"})
            await log.until(E.OPEN, 2)
            ws.close()
            await ws.wait_closed()
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("tag" in text and '"one"' in text for text in warned)


async def test_what_is_over_is_forgotten(tmp_path: Any) -> None:
    path = wav(tmp_path, media.tone(20))
    with RawServer(Listener()) as server:
        async with WebSocket(server.url, reconnect=True) as ws:
            for _ in range(20):
                player = Player(path)  # with the tag of the one before, which has finished
                player.sendMediaTo(ws)
                player.start()
                await player.wait_finished()
                unit = AudioUnit(8000)
                ws.sendMediaTo(unit)
                unit.close()
            assert ws.routes() == []
            kept = AudioUnit(8000)
            ws.sendMediaTo(kept)
            ws.sendMediaTo(kept)
            assert [route.target for route in ws.routes()] == [kept]
            ws.stopMediaTo(kept)
            assert not ws.routes()
            kept.close()


async def test_a_media_error_is_no_loss() -> None:
    losses: list[ConnectionLoss] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text(media.start("MP3"))
        peer.until(frames.CLOSE)
        peer.close(1000)
        peer.hang_up()

    with RawServer(script) as server:
        ws = WebSocket(server.url, reconnect=lambda loss: losses.append(loss))
        log = Log(ws)
        error = await log.until(E.ERROR)
        assert isinstance(error.error, voxwire.MediaError)
        assert ws.readyState == "open"
        ws.close(1000)
        await ws.wait_closed()
    assert losses == []

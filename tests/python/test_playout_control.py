"""Pause, resume and clear of what is received and of what is written; sending ahead of real time."""

import asyncio
import time
from typing import Any

import pytest
from support import media
from support.listening import Listener
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, WebSocket
from voxwire import WebSocketEvents as E

LOUD = b"\x20" * 160  # 20 ms of µ-law, far from silence


def talk(*tags: str, chunks: int, stop: bool = False) -> Any:
    """A raw server that sends so much audio at once."""

    def script(peer: RawPeer) -> None:
        peer.accept()
        for tag in tags:
            peer.text(media.start(tag=tag))
            for chunk in range(chunks):
                peer.text(media.media(chunk, LOUD, tag=tag))
            if stop:
                peer.text(media.stop(tag=tag))
        peer.text("said")
        peer.answer_close()

    return script


async def test_nothing_is_heard_in_a_pause_and_all_of_it_afterwards() -> None:
    with RawServer(talk("a", chunks=50, stop=True)) as server:
        async with AudioUnit(8000) as ear:
            ws = WebSocket(server.url)
            ws.pauseMedia()
            ws.sendMediaTo(ear)
            log = Log(ws)
            await log.until(E.MESSAGE)
            assert ws.buffered_media() == 1000
            await asyncio.sleep(0.2)
            assert (ear.readable, log.of(E.MEDIA_STARTED)) == (0, [])
            ws.resumeMedia({"tag": "another"})
            assert ear.readable == 0
            ws.resumeMedia({"tag": "a"})
            resumed = asyncio.get_running_loop().time()
            await ear.read()
            assert asyncio.get_running_loop().time() - resumed < 1  # a frame, on any machine
            ws.pauseMedia(tag="a")
            left = ws.buffered_media()
            await asyncio.sleep(0.1)
            assert ws.buffered_media() == left
            ws.resumeMedia()
            assert (await log.until(E.MEDIA_ENDED)).mediaInfo.duration == pytest.approx(1000)
            assert ear.readable == 980  # and the frame that was read: each once
            ws.close()
            await log.until(E.CLOSE)


async def test_a_pause_is_no_silence_and_over_the_bound_audio_is_discarded() -> None:
    with RawServer(talk("a", chunks=100)) as server:
        ws = WebSocket(server.url, playout_buffer=0.5, silence_duration=0.1)
        ws.pauseMedia(tag="a")
        log = Log(ws)
        discarded = await log.until(E.MEDIA_DISCARDED)
        assert discarded.duration == 1500
        assert ws.buffered_media() == 500
        assert log.of(E.MEDIA_STARTED) == log.of(E.MEDIA_ENDED) == []
        ws.resumeMedia(tag="a")
        assert (await log.until(E.MEDIA_ENDED)).mediaInfo.duration == pytest.approx(500)
        ws.close()
        await log.until(E.CLOSE)


async def test_what_is_paused_stays_so_over_a_reconnection() -> None:
    peers: list[int] = []

    def script(peer: RawPeer) -> None:
        peers.append(1)
        if len(peers) == 1:
            peer.accept()
            peer.hang_up()
        else:
            talk("a", "b", chunks=10)(peer)

    with RawServer(script) as server:
        ws = WebSocket(server.url, reconnect=lambda _loss: 0.01)
        ws.pauseMedia(tag="a")
        log = Log(ws)
        await log.until(E.MESSAGE)
        await ws.mark("b is through", "b")
        assert [event.tag for event in log.of(E.MEDIA_STARTED)] == ["b"]
        assert ws.buffered_media(tag="a") == 200
        ws.close()
        await log.until(E.CLOSE)


async def test_a_clear_is_heard_within_one_frame() -> None:
    """What was not handed out when it was cleared is never heard, and what is heard goes on at once."""
    with RawServer(talk("a", chunks=450)) as server:
        async with AudioUnit(8000) as ear:
            ws = WebSocket(server.url)
            ws.sendMediaTo(ear)
            log = Log(ws)
            await log.until(E.MESSAGE)
            await asyncio.sleep(0.1)
            cleared = asyncio.get_running_loop().time()
            dropped = ws.clearMediaBuffer()
            assert ws.buffered_media() == 0
            # Told when the frame that was heard has ended: 20 ms, and what this machine needs.
            assert await ws.mark("quiet") is True
            assert asyncio.get_running_loop().time() - cleared < 1
            await asyncio.sleep(0.2)
            audible = 0
            while ear.readable:
                audible += media.level(await ear.read()) > 200
            assert dropped > 5000
            # To the frame: what was pushed is what was dropped and what was heard. (One more may fade out.)
            assert audible * 20 + dropped == pytest.approx(9000, abs=20)
            ws.close()
            await log.until(E.CLOSE)


async def test_a_unit_is_paused() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as unit:
            unit.sendMediaTo(ws)
            unit.pause()
            unit.write(media.tone(200))
            unit.end()
            mark = unit.mark("said")
            await asyncio.sleep(0.1)
            assert (listener.events, unit.queued, mark.done()) == ([], 200, False)
            unit.resume()
            await listener.stopped()
            assert await mark is True
        assert len(listener.audio) == 3200


async def test_a_unit_that_leads_sends_ahead_and_then_in_real_time() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000, lead=0.5) as unit:
            unit.sendMediaTo(ws)
            began = time.perf_counter()
            unit.write(media.tone(1500))
            mark = unit.mark("said")
            unit.end()
            seen = []
            while "stop" not in listener.names:
                now = time.perf_counter()
                seen.append((now - began, len(listener.audio) / 16, unit.ahead, unit.queued))
                await asyncio.sleep(0.01)
            assert not mark.done()  # the far side has all, and plays for half a second
            assert await mark is True
            assert time.perf_counter() - began >= 1.49
        for at, received, ahead, queued in seen:
            assert received <= at * 1000 + 500 + 20 + 10  # never ahead of the bound
            assert 0 <= ahead <= 500
            assert queued <= 1500
        assert listener.times[-1] - began >= 0.98  # the last one leaves half a second before its time
        assert max(ahead for _, _, ahead, _ in seen) > 200
    assert len(listener.audio) == 1500 * 16
    assert [chunk["chunk"] for chunk in listener.chunks] == list(range(1, 76))


async def test_what_was_sent_ahead_is_not_cleared() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000, lead=10) as unit:
            unit.sendMediaTo(ws)
            unit.write(media.tone(1000))
            await listener.chunk(50)
            assert unit.clear() == 0
            assert unit.queued == 0
            assert 0 < unit.ahead <= 1000


@pytest.mark.parametrize("lead", [10.001, 11, -1, float("inf"), float("nan")])
async def test_leads_that_there_are_not(lead: float) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="lead"):
        AudioUnit(lead=lead)


@pytest.mark.parametrize("lead", [0, 0.02, 10])
async def test_leads_that_there_are(lead: float) -> None:
    async with AudioUnit(lead=lead) as unit:
        assert unit.ahead == 0


async def test_what_a_pause_takes() -> None:
    async with pair({"media": False}) as (ours, theirs):
        ours.pauseMedia()  # without media there is nothing to do
        ours.resumeMedia()
        with pytest.raises(TypeError, match="tag"):
            theirs.pauseMedia({"tags": "a"})  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match=r"tag.*5"):
            theirs.resumeMedia(tag=5)  # type: ignore[arg-type]

"""A call whose parties are the two channels of one stream: mixed, or told apart all the way."""

import array
import asyncio
import itertools
import threading
import wave
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import Listener, heard_by
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, Backoff, Engine, Recorder, WebSocket, audio
from voxwire import WebSocketEvents as E

LEFT, RIGHT = 440, 1000  # Hz
LEVEL = 8000


def both(milliseconds: int) -> bytes:
    """The caller's tone left, the agent's right; 16-bit at 8 kHz, interleaved."""
    parties = [media.samples(media.tone(milliseconds, frequency=frequency, level=LEVEL)) for frequency in (LEFT, RIGHT)]
    return array.array("h", itertools.chain.from_iterable(zip(*parties, strict=True))).tobytes()


def call(milliseconds: int, encoding: str = "PCM8", tag: str | None = "t") -> list[str]:
    """The texts of a call, all at once."""
    pcm = both(milliseconds)
    data = audio.ulaw_encode(pcm) if encoding == "ULAW" else pcm
    size = len(data) // (milliseconds // 20)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        media.start(encoding, tag=tag, channels=2),
        *(media.media(n, chunk, tag=tag) for n, chunk in enumerate(chunks)),
        media.stop(tag=tag),
    ]


def parties(pcm: bytes) -> tuple[bool, bool]:
    """Who is heard: the left party, the right one."""
    left, right = (media.amplitude(pcm, frequency) > LEVEL / 4 for frequency in (LEFT, RIGHT))
    return left, right


@pytest.mark.parametrize("encoding", ["PCM8", "ULAW"])
async def test_a_call_is_recorded_in_two_channels_and_the_caller_alone_is_recognised(
    encoding: str, tmp_path: Path
) -> None:
    recogniser = Listener()
    with RawServer(recogniser) as server:
        async with (
            pair(server={"stereo": "split"}) as (carrier, ws),
            WebSocket(server.url) as recognition,
            Recorder(tmp_path / "call.wav", channels=2) as recorder,
        ):
            await recognition.wait_open()
            ws.sendMediaTo(recorder, {"source_tag": "t.left", "channel": "left"})
            ws.sendMediaTo(recorder, {"source_tag": "t.right", "channel": "right"})
            ws.sendMediaTo(recognition, {"source_tag": "t.left", "encoding": "ULAW"})
            log = Log(ws)
            for text in call(400, encoding):
                carrier.send(text)
            await log.until(E.MEDIA_ENDED, 2)
            await recogniser.stopped()
    started = {event.tag: event.encoding for event in log.of(E.MEDIA_STARTED)}
    assert started == {"t.left": encoding, "t.right": encoding}
    assert {event.tag: event.mediaInfo.duration for event in log.of(E.MEDIA_ENDED)} == {"t.left": 400, "t.right": 400}
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getnchannels() == 2
        pcm = media.samples(file.readframes(file.getnframes()))
    assert parties(media.loud(pcm[0::2].tobytes())) == (True, False)
    assert parties(media.loud(pcm[1::2].tobytes())) == (False, True)
    assert recogniser.names.count("start") == 1
    assert recogniser.events[0]["start"]["tag"] == "t.left"
    assert parties(audio.ulaw_decode(recogniser.audio)) == (True, False)


async def test_without_a_tag_they_are_left_and_right() -> None:
    async with pair({"stereo": "split"}) as (ws, carrier), AudioUnit(8000) as ear:
        log = Log(ws)
        ws.sendMediaTo(ear, source_tag="right")
        ws.pauseMedia(tag="left")
        for text in call(400, tag=None)[:-1]:
            carrier.send(text)
        assert parties(await heard_by(ear, 380)) == (False, True)
        assert ws.buffered_media(tag="left") == 400
        mark = ws.mark("m", "left")
        assert ws.clearMediaBuffer(tag="left") == 400
        assert await mark is False
        assert [event.tag for event in log.of(E.MEDIA_STARTED)] == ["right"]


async def test_all_streams_go_where_no_tag_is_asked_for() -> None:
    async with pair({"stereo": "split"}) as (ws, carrier), AudioUnit(8000) as ear:
        ws.sendMediaTo(ear)
        for text in call(400):
            carrier.send(text)
        assert parties(await heard_by(ear, 380)) == (True, True)


async def test_another_source_tag_takes_the_place_of_the_first() -> None:
    async with pair() as (ws, _), AudioUnit(8000) as ear, AudioUnit(8000) as other:
        ws.sendMediaTo(ear, source_tag="a")
        ws.sendMediaTo(other, source_tag="a")
        assert [route.source_tag for route in Engine.routes()] == ["a", "a"]
        ws.sendMediaTo(ear, source_tag="b")
        assert [(route.target, route.source_tag) for route in ws.routes()] == [(other, "a"), (ear, "b")]
        ws.stopMediaTo(ear, source_tag="a")
        assert len(ws.routes()) == 2, "there is none of it"
        ws.stopMediaTo(ear, source_tag="b")
        ws.stopMediaTo(other)
        assert ws.routes() == []
        assert voxwire._core.routes() == []


async def test_wrong_parameters() -> None:
    with pytest.raises(voxwire.InvalidParameter, match='stereo.*\'both\'.*"mix" or "split"'):
        WebSocket("ws://127.0.0.1:9", stereo="both")  # type: ignore[arg-type]
    async with pair() as (ws, _), AudioUnit(8000) as unit, AudioUnit(8000) as other:
        with pytest.raises(voxwire.InvalidParameter, match="source_tag.*7.*a string"):
            ws.sendMediaTo(unit, source_tag=7)  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match="source_tag.*an? AudioUnit has no tags"):
            unit.sendMediaTo(other, source_tag="t")
        with pytest.raises(TypeError, match="source_tag"):
            ws.clearMediaBuffer(source_tag="t")  # type: ignore[call-arg]


async def test_a_connection_that_comes_back_sends_the_same_channel_on() -> None:
    breaks, done = threading.Event(), threading.Event()
    waits = [breaks]

    def script(peer: RawPeer) -> None:
        peer.accept()
        for text in call(400)[:-1]:
            peer.text(text)
        if waits:
            waits.pop().wait(10)
            peer.reset()
        else:
            done.wait(10)
            peer.answer_close()

    def again(loss: Any) -> float:
        return Backoff(initial=0.01, maximum=0.05, jitter=0.0)(loss) or 0.0

    with RawServer(script) as server:
        async with AudioUnit(8000) as ear:
            ws = WebSocket(server.url, reconnect=again, stereo="split")
            log = Log(ws)
            ws.sendMediaTo(ear, source_tag="t.right")
            assert parties(await heard_by(ear, 380)) == (False, True)
            breaks.set()
            await log.until(E.MEDIA_STARTED, 4)
            assert parties(await heard_by(ear, 380)) == (False, True)
            (route,) = ws.routes()
            assert route.source_tag == "t.right"
            done.set()
            ws.close()
            await asyncio.wait_for(ws.wait_closed(), 20)

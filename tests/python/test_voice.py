"""What is learned of audio that comes in: its level, and voice activity."""

import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.log import Log
from support.pair import serving
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, VoiceActivity, WebSocket
from voxwire import WebSocketEvents as E

SPEECH = Path(__file__).parents[2] / "examples" / "speech.wav"


def speech(milliseconds: int) -> bytes:
    """Some speech at 16 kHz, after its first half second."""
    with wave.open(str(SPEECH), "rb") as file:
        assert file.getframerate() == 16000
        file.readframes(8000)
        return file.readframes(16 * milliseconds)


def says(*parts: bytes, stop: bool = False) -> Any:
    """A raw server that sends PCM at 16 kHz, as fast as it can."""

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text(media.start("PCM16", 16000))
        pcm = b"".join(parts)
        for number, at in enumerate(range(0, len(pcm), 640)):
            peer.text(media.media(number, pcm[at : at + 640], samples=320))
        if stop:
            peer.text(media.stop())
        peer.text("said")
        peer.answer_close()

    return script


async def test_speech_is_heard_before_it_is_played() -> None:
    with RawServer(says(bytes(32000), speech(3000), bytes(32000))) as server:
        ws = WebSocket(server.url, voice_activity=True)
        ws.pauseMedia()
        log = Log(ws)
        await log.until(E.MESSAGE)
        started, ended = log.of(E.SPEECH_STARTED), log.of(E.SPEECH_ENDED)
        assert len(started) == len(ended) >= 1
        assert 1000 <= started[0].position < 1500
        assert started[0].fields == {"websocket": ws, "tag": "t", "position": started[0].position}
        assert 3500 < ended[-1].position < 4800
        assert sum(event.duration for event in ended) > 1500
        assert set(ended[0].fields) == {"websocket", "tag", "position", "duration"}
        assert log.names.index("SPEECH_ENDED") < log.names.index("MESSAGE")  # in order with messages
        assert log.of(E.MEDIA_STARTED) == []
        ws.close()
        await log.until(E.CLOSE)


async def test_speech_ends_with_its_stream_and_with_its_connection() -> None:
    for stop in (True, False):
        with RawServer(says(speech(1500), stop=stop)) as server:
            ws = WebSocket(server.url, voice_activity=VoiceActivity(min_silence=10))
            log = Log(ws)
            await log.until(E.SPEECH_STARTED)
            await log.until(E.MESSAGE)
            assert len(log.of(E.SPEECH_ENDED)) == stop
            ws.close()
            await log.until(E.CLOSE)
            assert len(log.of(E.SPEECH_ENDED)) == 1


@pytest.mark.parametrize("options", [{}, {"voice_activity": False}, {"voice_activity": VoiceActivity(min_speech=30)}])
async def test_nothing_is_told_of_what_was_not_asked_for(options: Any) -> None:
    with RawServer(says(speech(2000))) as server:
        ws = WebSocket(server.url, **options)
        log = Log(ws)
        await log.until(E.MESSAGE)
        ws.close()
        await log.until(E.CLOSE)
        assert not {"SPEECH_STARTED", "SPEECH_ENDED"} & set(log.names)


async def test_silence_is_no_speech() -> None:
    with RawServer(says(bytes(16 * 2 * 5000))) as server:
        ws = WebSocket(server.url, voice_activity=True)
        log = Log(ws)
        await log.until(E.MESSAGE)
        ws.close()
        await log.until(E.CLOSE)
        assert log.of(E.SPEECH_STARTED) == []


async def test_a_server_listens_too() -> None:
    heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def note(event: Any) -> None:
        if not heard.done():
            heard.set_result(event)

    def listen(ws: WebSocket) -> None:
        ws.onspeechstarted = note

    async with (
        serving(listen, parameters={"voice_activity": True}) as server,
        WebSocket(server.url) as ws,
        AudioUnit(16000) as unit,
    ):
        unit.sendMediaTo(ws, {"encoding": "ULAW"})
        unit.write(speech(3000))
        assert 0 <= (await heard).position < 2000


@pytest.mark.parametrize(
    ("field", "value"),
    [("threshold", 0), ("threshold", 1.01), ("threshold", "1"), ("min_speech", -1), ("min_silence", 61)],
)
def test_activity_that_there_is_not(field: str, value: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=field):
        VoiceActivity(**{field: value})


async def test_the_level_of_what_is_played() -> None:
    with RawServer(says(media.tone(2000, 16000, level=3277))) as server:
        ws = WebSocket(server.url, levels=True)
        assert ws.level().rms == float("-inf")
        log = Log(ws)
        await log.until(E.MEDIA_STARTED)
        await asyncio.sleep(0.2)
        assert ws.level(tag="t").rms == pytest.approx(-23, abs=0.5)
        assert ws.level().peak == pytest.approx(-20, abs=0.2)
        assert ws.level({"tag": "another"}).peak == float("-inf")
        ws.close()
        await log.until(E.CLOSE)


async def test_no_level_without_the_parameter() -> None:
    with RawServer(says(b"")) as server:
        async with WebSocket(server.url) as ws:
            with pytest.raises(voxwire.InvalidState, match="levels=True"):
                ws.level()

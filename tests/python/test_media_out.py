"""Audio that is sent and routed between WebSockets: what a peer gets, and when."""

import asyncio
import base64
import itertools
import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import Listener, crossings, heard_by, wav
from support.log import Log
from support.pair import pair
from support.raw import RawServer

import voxwire
from voxwire import AudioUnit, Player, WebSocket, WebSocketAudioEncoding, audio
from voxwire import WebSocketEvents as E


async def spoken(pcm: bytes, *, rate: int = 8000, **parameters: Any) -> Listener:
    """What a peer gets when an audio unit sends it these samples."""
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(rate) as unit:
            unit.sendMediaTo(ws, parameters)  # type: ignore[arg-type]
            unit.write(pcm)
            unit.end()
            await listener.stopped()
    return listener


async def test_a_stream_is_written_as_the_format_has_it() -> None:
    listener = await spoken(media.tone(200), encoding=WebSocketAudioEncoding.ULAW, tag="t", customParameters={"k": "ä"})
    assert listener.names == ["start", *["media"] * 10, "stop"]
    start, *chunks, stop = listener.events
    assert start["start"]["tag"] == "t"
    assert start["start"]["mediaFormat"] == {"encoding": "ULAW", "sampleRate": 8000, "channels": 1}
    custom = start["start"]["customParameters"]
    assert (json.loads(custom) if isinstance(custom, str) else custom) == {"k": "ä"}
    assert [event["sequenceNumber"] for event in listener.events] == list(range(12))
    assert all(event["media"]["tag"] == "t" for event in chunks)
    first = chunks[0]["media"]["chunk"]
    assert [event["media"]["chunk"] for event in chunks] == list(range(first, first + 10))
    assert [event["media"]["timestamp"] for event in chunks] == list(range(0, 1600, 160))
    assert {len(base64.b64decode(event["media"]["payload"])) for event in chunks} == {160}
    assert stop["stop"]["tag"] == "t"
    assert stop["stop"]["mediaInfo"]["bytesSent"] == 1600
    assert stop["stop"]["mediaInfo"]["duration"] == pytest.approx(200, abs=1)


ENCODINGS = [
    # asked for, on the wire, rate, bytes in 20 ms
    (None, "PCM8", 8000, 320),
    (WebSocketAudioEncoding.PCM8, "PCM8", 8000, 320),
    (WebSocketAudioEncoding.PCM16_8KHZ, "PCM8", 8000, 320),
    (WebSocketAudioEncoding.PCM16, "PCM16", 16000, 640),
    (WebSocketAudioEncoding.PCM16_16KHZ, "PCM16", 16000, 640),
    (WebSocketAudioEncoding.ULAW, "ULAW", 8000, 160),
    (WebSocketAudioEncoding.ALAW, "ALAW", 8000, 160),
    ("ULAW", "ULAW", 8000, 160),
]


@pytest.mark.parametrize("unit_rate", [8000, 16000])
@pytest.mark.parametrize(("asked", "wire", "rate", "size"), ENCODINGS)
async def test_encodings(asked: Any, wire: str, rate: int, size: int, unit_rate: int) -> None:
    pcm = media.tone(200, unit_rate)
    listener = await spoken(pcm, rate=unit_rate, **({} if asked is None else {"encoding": asked}))
    assert listener.events[0]["start"]["mediaFormat"] == {"encoding": wire, "sampleRate": rate, "channels": 1}
    assert {len(base64.b64decode(chunk["payload"])) for chunk in listener.chunks} == {size}
    assert 10 <= len(listener.chunks) <= 11  # a resampler may hold a little back
    if unit_rate == rate and wire.startswith("PCM"):
        assert listener.audio[: len(pcm)] == pcm  # nothing touches the samples


@pytest.mark.parametrize(
    ("asked", "wire", "rate", "most"),
    [
        (WebSocketAudioEncoding.OPUS, "OPUS", 48000, 400),
        ("audio/opus", "OPUS", 48000, 400),
        ("audio/ogg", "audio/ogg", 48000, 500),
        (WebSocketAudioEncoding.G722, "G722", 16000, 160),
    ],
)
async def test_encodings_with_a_memory_are_heard_as_they_were_sent(asked: Any, wire: str, rate: int, most: int) -> None:
    pcm = media.tone(600, 16000)
    listener = await spoken(pcm, rate=16000, encoding=asked)
    assert listener.events[0]["start"]["mediaFormat"] == {"encoding": wire, "sampleRate": rate, "channels": 1}
    sizes = [len(base64.b64decode(chunk["payload"])) for chunk in listener.chunks]
    assert 30 <= len(sizes) <= 32
    assert 0 < max(sizes) <= most
    stamps = [chunk["timestamp"] for chunk in listener.chunks[:30]]
    assert stamps == list(range(0, 30 * rate // 50, rate // 50))
    # And the same chunks, sent to us, are the tone again.
    async with pair() as (sender, receiver), AudioUnit(16000) as unit:
        receiver.sendMediaTo(unit)
        for event in listener.events:
            sender.send(json.dumps(event))
        heard = await heard_by(unit, 500)
    assert crossings(heard, 16000) == pytest.approx(440, rel=0.03)
    assert media.level(heard) == pytest.approx(media.level(pcm), rel=0.25)


FORMATS = [
    # asked for, on the wire, rate, as struct and array have it, full scale
    ("audio/l16;rate=24000", "PCM16", 24000, "<h", 32768),
    (WebSocketAudioEncoding.PCM16_24KHZ, "PCM16", 24000, "<h", 32768),
    (WebSocketAudioEncoding.PCM16_32KHZ, "PCM16", 32000, "<h", 32768),
    (WebSocketAudioEncoding.PCM16_44KHZ, "PCM16", 44100, "<h", 32768),
    (WebSocketAudioEncoding.PCM16_48KHZ, "PCM16", 48000, "<h", 32768),
    ("pcm_s16le;rate=8000", "PCM8", 8000, "<h", 32768),
    (WebSocketAudioEncoding.PCM_S16BE, "pcm_s16be", 8000, ">h", 32768),
    ("PCM_S16BE; rate=48000", "pcm_s16be", 48000, ">h", 32768),
    ("pcm_f32le;rate=24000", "pcm_f32le", 24000, "<f", 1),
]


@pytest.mark.parametrize(("asked", "wire", "rate", "kind", "full"), FORMATS)
async def test_pcm_of_every_format_and_rate(asked: Any, wire: str, rate: int, kind: str, full: int) -> None:
    pcm = media.tone(200, rate)
    listener = await spoken(pcm, rate=rate, encoding=asked)
    assert listener.events[0]["start"]["mediaFormat"] == {"encoding": wire, "sampleRate": rate, "channels": 1}
    assert {chunk["timestamp"] for chunk in listener.chunks} == set(range(0, rate // 5, rate // 50))
    values = [value * 32768 / full for (value,) in struct.iter_unpack(kind, listener.audio)]
    assert values == list(media.samples(pcm))  # nothing is lost in a format as wide as ours


@pytest.mark.parametrize("asked", ["pcm_u8;rate=16000", "pcm_s24le;rate=44100", "pcm_f32le;rate=48000", "pcm_s16be"])
async def test_pcm_of_a_format_from_one_of_us_to_the_other(asked: str) -> None:
    pcm = media.tone(600, 16000)
    async with pair() as (sender, receiver), AudioUnit(16000) as mouth, AudioUnit(16000) as ear:
        receiver.sendMediaTo(ear)
        mouth.sendMediaTo(sender, {"encoding": asked})
        mouth.write(pcm)
        mouth.end()
        heard = await heard_by(ear, 500)
    assert crossings(heard, 16000) == pytest.approx(440, rel=0.02)
    assert media.level(heard) == pytest.approx(media.level(pcm), rel=0.05)


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
async def test_g711_on_the_wire(law: str) -> None:
    pcm = media.tone(100)
    listener = await spoken(pcm, encoding=law)
    assert listener.audio == (audio.ulaw_encode if law == "ULAW" else audio.alaw_encode)(pcm)


async def test_it_is_paced_in_real_time() -> None:
    listener = await spoken(media.tone(1000))
    times = [at for at, name in zip(listener.times, listener.names, strict=True) if name == "media"]
    assert len(times) == 50
    assert 0.85 < times[-1] - times[0] < 10
    gaps = sorted(b - a for a, b in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] == pytest.approx(0.02, abs=0.015)


async def test_it_keeps_its_pace_while_python_does_not() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as unit:
            unit.sendMediaTo(ws)
            unit.write(media.tone(800))
            unit.end()
            await asyncio.sleep(0.05)
            before, began = len(listener.chunks), time.perf_counter()
            time.sleep(0.5)  # noqa: ASYNC251 - on purpose; sleeping lets the listener's thread run, not the loop
            came = len(listener.chunks) - before
            # One each 20 ms; those that a busy machine was late with may all come at once.
            assert 10 <= came <= (time.perf_counter() - began) / 0.02 + 11
            await listener.stopped()
    assert len(listener.chunks) == 40


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"encoding": "MP3"}, voxwire.VoxwireError, "MP3"),
    ({"encoding": 8}, voxwire.InvalidParameter, "encoding.*8"),
    ({"tag": 5}, voxwire.InvalidParameter, "tag.*5"),
    ({"customParameters": object()}, voxwire.InvalidParameter, "customParameters.*JSON"),
    ({"customParameters": {"a": float("nan")}}, voxwire.InvalidParameter, "customParameters.*JSON"),
    ({"codec": "ULAW"}, TypeError, "codec.*encoding"),
]


@pytest.mark.parametrize(("parameters", "error", "match"), REFUSED)
async def test_send_media_refuses(parameters: dict[str, Any], error: type[Exception], match: str) -> None:
    async with pair() as (ws, _), AudioUnit() as unit:
        with pytest.raises(error, match=match):
            unit.sendMediaTo(ws, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", [None, "call", 5, object()], ids=lambda value: type(value).__name__)
async def test_what_is_no_media_unit(thing: Any) -> None:
    async with pair() as (ws, _):
        for call in (ws.sendMediaTo, ws.stopMediaTo):
            with pytest.raises(TypeError, match=type(thing).__name__):
                call(thing)


async def test_a_player_takes_no_audio(tmp_path: Path) -> None:
    async with pair() as (ws, _):
        with pytest.raises(voxwire.AudioRouteError, match="Player"):
            ws.sendMediaTo(Player(wav(tmp_path, media.tone(20))))


async def test_routing_before_the_connection_is_made_loses_nothing() -> None:
    listener = Listener()
    pcm = media.tone(200)
    with RawServer(listener) as server:
        ws = WebSocket(server.url)
        async with AudioUnit(8000) as unit:
            unit.sendMediaTo(ws)
            unit.write(pcm)
            unit.end()
            await ws.wait_open()
            await listener.stopped()
        ws.close()
        await ws.wait_closed()
    assert listener.audio == pcm


async def test_routing_to_a_closed_websocket_does_nothing() -> None:
    async with pair() as (ws, _), AudioUnit() as unit:
        ws.close()
        await ws.wait_closed()
        unit.sendMediaTo(ws)
        unit.write(media.tone(20, 16000))
        unit.stopMediaTo(ws)


async def test_stop_media_sends_stop() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as unit:
            unit.stopMediaTo(ws)  # nothing was sent: no error
            unit.sendMediaTo(ws, {"tag": "t"})
            unit.write(media.tone(5000))
            await listener.chunk(3)
            unit.stopMediaTo(ws, {"tag": "t"})
            await listener.stopped()
            count = len(listener.events)
            await asyncio.sleep(0.1)
            assert len(listener.events) == count
    assert 3 <= len(listener.chunks) < 20


# Routes between WebSockets


async def test_websocket_to_websocket() -> None:
    """A caller in µ-law at 8 kHz, an agent that wants PCM at 16 kHz; no sample passes through Python."""
    caller, agent = Listener(), Listener()
    pcm = media.tone(400)
    chunks = [audio.ulaw_encode(pcm[at : at + 320]) for at in range(0, len(pcm), 320)]
    caller.speech = [
        media.start(tag="in"),
        *(media.media(n, c, tag="in") for n, c in enumerate(chunks)),
        media.stop(tag="in"),
    ]
    with RawServer(caller) as one, RawServer(agent) as two:
        async with WebSocket(two.url) as to_agent:
            from_caller = WebSocket(one.url)
            from_caller.onopen = lambda _event: from_caller.sendMediaTo(to_agent, encoding="PCM16", tag="out")
            log = Log(from_caller)
            await log.until(E.MEDIA_ENDED)
            await agent.stopped()
            from_caller.close()
            await log.until(E.CLOSE)
    assert agent.events[0]["start"]["mediaFormat"] == {"encoding": "PCM16", "sampleRate": 16000, "channels": 1}
    assert agent.events[0]["start"]["tag"] == "out"
    heard = media.loud(agent.audio)
    assert len(heard) / 32 == pytest.approx(400, abs=45)  # ms
    assert media.level(heard) == pytest.approx(media.level(pcm), rel=0.1)


async def test_both_ways_at_once() -> None:
    async with pair() as (a, b), pair() as (c, d):
        b.sendMediaTo(c)
        c.sendMediaTo(b)
        async with AudioUnit(8000) as left, AudioUnit(8000) as right:
            left.sendMediaTo(a)
            a.sendMediaTo(left)
            right.sendMediaTo(d)
            d.sendMediaTo(right)
            left.write(media.tone(300, frequency=300))
            right.write(media.tone(300, frequency=600))
            left.end()
            right.end()
            heard_left = await heard_by(left)
            heard_right = await heard_by(right)
    assert crossings(heard_left) == pytest.approx(600, rel=0.1)
    assert crossings(heard_right) == pytest.approx(300, rel=0.1)


async def test_a_closed_websocket_ends_its_routes() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            unit = AudioUnit(8000)
            unit.sendMediaTo(ws)
            unit.write(media.tone(3000))
            await listener.chunk(3)
        unit.close()
    assert 3 <= len(listener.chunks) < 100

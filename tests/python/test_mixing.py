"""Several sources into one target are mixed, each with its gain."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from support import media
from support.listening import Listener
from support.raw import RawServer

import voxwire
from voxwire import AudioUnit, Recorder, WebSocket


async def test_two_units_are_one_stream_for_a_websocket_and_end_with_the_last() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000) as low, AudioUnit(16000) as high:
            low.sendMediaTo(ws, {"tag": "call", "customParameters": {"n": 1}, "gain": -6.0206})
            high.sendMediaTo(ws, tag="call", customParameters={"n": 2})
            low.write(media.tone(1000, 8000, 400))
            await listener.chunk(3)
            high.write(media.tone(600, 16000, 1000))
            high.end()
            await high.drain()
            low.end()
            await listener.stopped()
    assert listener.names.count("start") == 1
    assert listener.names.count("stop") == 1
    assert listener.events[0]["start"]["customParameters"] in ({"n": 1}, '{"n": 1}', '{"n":1}')
    assert [chunk["chunk"] for chunk in listener.chunks] == list(range(1, len(listener.chunks) + 1))
    middle = listener.audio[16 * 300 : 16 * 500]  # 300 to 500 ms: both
    assert media.amplitude(middle, 400) == pytest.approx(4000, rel=0.02)
    assert media.amplitude(middle, 1000) == pytest.approx(8000, rel=0.02)
    assert 50 <= len(listener.chunks) <= 51, "nothing of the one that speaks all the time is lost or made up"


async def test_another_encoding_for_the_same_stream_is_refused_and_another_tag_is_another_stream() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit() as one, AudioUnit() as two:
            one.sendMediaTo(ws, {"encoding": "ULAW", "tag": "t"})
            with pytest.raises(voxwire.AudioRouteError, match='tag "t" as ULAW.*cannot be PCM16'):
                two.sendMediaTo(ws, {"encoding": "PCM16", "tag": "t"})
            two.sendMediaTo(ws, {"encoding": "PCM16", "tag": "u"})
            one.stopMediaTo(ws)
            two.sendMediaTo(ws, {"encoding": "PCM16", "tag": "t"})


@pytest.mark.parametrize("gain", [25, -97, "loud", True, float("nan"), None])
async def test_a_gain_is_a_number_of_decibels(gain: Any) -> None:
    async with AudioUnit() as one, AudioUnit() as two:
        with pytest.raises(voxwire.InvalidParameter, match="gain: .*decibels from -96 to 24"):
            one.sendMediaTo(two, gain=gain)


async def test_a_gain_changes_while_audio_flows() -> None:
    async with AudioUnit(8000) as mouth, AudioUnit(8000) as ear:
        mouth.sendMediaTo(ear)
        mouth.write(media.tone(1000))
        heard = [await ear.read() for _ in range(5)]
        mouth.sendMediaTo(ear, gain=-20)
        heard += [await ear.read() for _ in range(45)]
    assert media.amplitude(b"".join(heard[:5]), 440) == pytest.approx(8000, rel=0.05)
    assert media.amplitude(b"".join(heard[-25:]), 440) == pytest.approx(800, rel=0.05)
    samples = media.samples(b"".join(heard))
    assert max(abs(b - a) for a, b in pairwise(samples)) <= 2 * 3.1416 * 440 / 8000 * 8000 + 50, "a click"


async def test_a_recorder_hears_everybody_at_once(tmp_path: Any) -> None:
    async with Recorder(tmp_path / "a.wav", 8000) as recorder, AudioUnit(8000) as one, AudioUnit(8000) as two:
        for unit, frequency in ((one, 400), (two, 1000)):
            unit.sendMediaTo(recorder)
            unit.write(media.tone(500, 8000, frequency))
        await asyncio.gather(one.drain(), two.drain())
        await asyncio.sleep(0.1)
        assert recorder.duration == pytest.approx(520, abs=60)
    pcm = (tmp_path / "a.wav").read_bytes()[44:]
    middle = pcm[16 * 100 : 16 * 400]
    assert media.amplitude(middle, 400) == pytest.approx(8000, rel=0.1)
    assert media.amplitude(middle, 1000) == pytest.approx(8000, rel=0.1)


async def test_a_unit_hears_each_sample_of_both() -> None:
    async with AudioUnit(8000) as one, AudioUnit(8000) as two, AudioUnit(8000) as ear:
        for unit in (one, two):
            unit.sendMediaTo(ear)
            unit.write((b"\x01\x00" if unit is one else b"\x64\x00") * 8000)
            unit.end()
        heard = 0
        async with asyncio.timeout(20):
            while heard < 8000 * 101:
                heard += sum(media.samples(await ear.read()))
    assert heard == 8000 * 101

"""Parameters of the Opus encoder: what is refused, and what they do on the wire and to a listener."""

import array
import asyncio
import base64
import contextlib
import itertools
import json
import math
import random
from typing import Any

import pytest
from support import media
from support.listening import Listener, crossings, heard_by
from support.pair import pair
from support.raw import RawServer

from voxwire import AudioUnit, InvalidParameter, OpusParameters, WebSocket, WebSocketEvent
from voxwire import WebSocketEvents as E

RATE = 48000


async def sent(pcm: bytes, encoding: str = "OPUS", **parameters: Any) -> Listener:
    """What a peer gets when an audio unit sends it these samples as Opus."""
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(RATE) as unit:
            unit.sendMediaTo(ws, {"encoding": encoding, "opus": OpusParameters(**parameters)})
            unit.write(pcm)
            unit.end()
            await listener.stopped()
    return listener


def sizes(listener: Listener) -> list[int]:
    return [len(base64.b64decode(chunk["payload"])) for chunk in listener.chunks]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"bitrate": 499}, "opus.bitrate", "a whole number from 500 to 512000 or None"),
    ({"bitrate": 512_001}, "opus.bitrate", "a whole number from 500 to 512000 or None"),
    ({"bitrate": 16e3}, "opus.bitrate", "a whole number from 500 to 512000 or None"),
    ({"complexity": -1}, "opus.complexity", "a whole number from 0 to 10"),
    ({"complexity": 11}, "opus.complexity", "a whole number from 0 to 10"),
    ({"complexity": True}, "opus.complexity", "a whole number from 0 to 10"),
    ({"frame_duration": 15}, "opus.frame_duration", "2.5, 5, 10, 20, 40 or 60"),
    ({"frame_duration": "20"}, "opus.frame_duration", "2.5, 5, 10, 20, 40 or 60"),
    ({"application": "music"}, "opus.application", "'voip', 'audio' or 'lowdelay'"),
    ({"dtx": 1}, "opus.dtx", "True or False"),
    ({"fec": None}, "opus.fec", "True or False"),
    ({"expected_loss": 101}, "opus.expected_loss", "a whole number from 0 to 100"),
    ({"fec": True}, "opus.expected_loss", "1 to 100 (percent) with fec"),
    ({"fec": True, "expected_loss": 5, "frame_duration": 5}, "opus.frame_duration", "10 or more"),
    ({"fec": True, "expected_loss": 5, "application": "lowdelay"}, "opus.application", "'voip' or 'audio' with fec"),
]


@pytest.mark.parametrize(("fields", "field", "expected"), REFUSED)
def test_a_wrong_value_is_refused(fields: dict[str, Any], field: str, expected: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        OpusParameters(**fields)
    assert refused.value.field == field
    assert expected in str(refused.value)
    assert repr(fields.get(field.removeprefix("opus."), 0)) in str(refused.value)


@pytest.mark.parametrize("loss", [0, 100])
@pytest.mark.parametrize("bitrate", [500, 512_000, None])
def test_the_ends_of_the_ranges_are_taken(bitrate: int | None, loss: int) -> None:
    for complexity, duration in itertools.product((0, 10), (2.5, 5, 10, 20, 40, 60)):
        OpusParameters(bitrate=bitrate, complexity=complexity, frame_duration=duration, expected_loss=loss)


@pytest.mark.parametrize("encoding", ["PCM16", "ULAW", "G722", None])
async def test_it_is_refused_for_another_encoding(encoding: str | None) -> None:
    parameters: Any = {"opus": OpusParameters()} | ({} if encoding is None else {"encoding": encoding})
    wrong: Any = {"encoding": "OPUS", "opus": {"bitrate": 16000}}
    async with pair() as (ws, _), AudioUnit(8000) as unit:
        with pytest.raises(InvalidParameter, match="opus") as refused:
            unit.sendMediaTo(ws, parameters)
        assert f"nothing with encoding {encoding or 'PCM8'}" in str(refused.value)
        with pytest.raises(InvalidParameter, match="OpusParameters"):
            unit.sendMediaTo(ws, wrong)
        unit.sendMediaTo(ws, {"encoding": "OPUS", "opus": OpusParameters()})  # nothing was claimed before


@pytest.mark.parametrize("duration", [2.5, 5, 10, 20, 40, 60])
async def test_the_frame_duration_is_that_of_a_chunk(duration: float) -> None:
    pcm = media.tone(360, RATE)
    listener = await sent(pcm, frame_duration=duration)
    step = int(RATE * duration / 1000)
    stamps = [chunk["timestamp"] for chunk in listener.chunks]
    assert stamps == list(range(0, len(stamps) * step, step))
    assert len(stamps) == 360 / duration
    assert [chunk["chunk"] for chunk in listener.chunks] == list(range(1, len(stamps) + 1))
    async with pair() as (sender, receiver), AudioUnit(16000) as unit:
        receiver.sendMediaTo(unit)
        for event in listener.events:
            sender.send(json.dumps(event))
        heard = await heard_by(unit, 280)
    assert crossings(heard, 16000) == pytest.approx(440, rel=0.04)


async def test_the_bitrate_is_kept() -> None:
    pcm = media.tone(1000, RATE)
    for bitrate in (12_000, 96_000):
        total = sum(sizes(await sent(pcm, bitrate=bitrate))) * 8
        assert total == pytest.approx(bitrate, rel=0.4)


def voice(milliseconds: int) -> bytes:
    """A voice, roughly: harmonics of 120 Hz in syllables."""
    values = array.array("h")
    for n in range(RATE * milliseconds // 1000):
        t = n / RATE
        level = 5000 * (0.7 + 0.3 * math.sin(20 * t))
        values.append(int(level * sum(math.sin(math.tau * 120 * k * t) / k for k in range(1, 12))))
    return values.tobytes()


@pytest.mark.parametrize("fec", [True, False])
async def test_lost_packets_are_recovered_from_those_after_them(fec: bool) -> None:
    parameters: Any = {"fec": True, "expected_loss": 20, "bitrate": 32_000} if fec else {}
    listener = await sent(voice(1000), **parameters)
    start, *chunks, stop = listener.events
    arriving = [event for n, event in enumerate(chunks) if n % 5 != 3]
    again = [event for event in arriving for _ in range(2)]  # and each comes twice
    again[4:8] = again[7:3:-1]  # some in another order, too
    async with pair() as (sender, receiver), AudioUnit(16000) as ear:
        receiver.sendMediaTo(ear)
        for event in (start, *again, stop):
            sender.send(json.dumps(event))
        heard = await heard_by(ear, 900)
        while (statistics := receiver.statistics()).media_recovered_ms + statistics.media_concealed_ms < 200:
            await asyncio.sleep(0.01)
    assert statistics.media_lost == 10
    assert statistics.media_duplicates == len(arriving)
    if fec:
        assert statistics.media_recovered_ms >= 100
    else:
        assert statistics.media_recovered_ms == 0
        assert statistics.media_concealed_gaps == 10
    whole = [media.level(heard[at : at + 640]) for at in range(0, 16000 * 2 * 8 // 10, 640)]
    assert min(whole) > 0.03 * max(whole), "a hole is heard"


async def test_dtx_sends_hardly_anything_in_silence_and_nobody_takes_it_for_a_loss() -> None:
    dice = random.Random(1)  # noqa: S311
    noise = array.array("h", (dice.randrange(-3, 4) for _ in range(RATE))).tobytes()
    pcm = media.tone(300, RATE) + noise + media.tone(300, RATE)
    everything = await sent(pcm)
    listener = await sent(pcm, dtx=True)
    assert len(everything.chunks) == 80
    assert len(listener.chunks) < 60
    numbers = [chunk["chunk"] for chunk in listener.chunks]
    assert numbers == list(range(1, len(numbers) + 1)), "no number is left out"
    assert [event["sequenceNumber"] for event in listener.events] == list(range(len(listener.events)))
    stamps = [chunk["timestamp"] for chunk in listener.chunks]
    assert max(b - a for a, b in itertools.pairwise(stamps)) > 10 * 960, "time goes on"
    assert stamps[-1] == 79 * 960
    assert listener.events[-1]["stop"]["mediaInfo"]["duration"] == 1600
    assert min(sizes(listener)) > 2
    # In Ogg each packet stands for its time.
    assert len((await sent(pcm, "audio/ogg", dtx=True)).chunks) >= 80


async def test_dtx_between_two_of_us() -> None:
    pcm = media.tone(300, RATE) + bytes(RATE) + media.tone(300, RATE, 880)
    events: list[str] = []

    def note(event: WebSocketEvent) -> None:
        events.append(event.name)

    async with pair() as (sender, receiver), AudioUnit(RATE) as mouth, AudioUnit(16000) as ear:
        for kind in (E.MEDIA_STARTED, E.MEDIA_ENDED, E.ERROR):
            receiver.addEventListener(kind, note)
        receiver.sendMediaTo(ear)
        mouth.sendMediaTo(sender, {"encoding": "OPUS", "opus": OpusParameters(dtx=True)})
        mouth.write(pcm)
        mouth.end()
        heard = b""
        while E.MEDIA_ENDED not in events:
            with contextlib.suppress(TimeoutError):  # nothing is played in a pause
                heard += await asyncio.wait_for(ear.read(), 0.1)
        statistics = receiver.statistics()
    assert events == [E.MEDIA_STARTED, E.MEDIA_ENDED]
    assert (statistics.media_lost, statistics.media_duplicates, statistics.media_concealed_gaps) == (0, 0, 0)
    assert statistics.media_frames_received < 65
    loud = media.loud(heard)
    assert crossings(loud[: 16000 * 2 // 5], 16000) == pytest.approx(440, rel=0.05)
    assert crossings(loud[-16000 * 2 // 5 :], 16000) == pytest.approx(880, rel=0.05)

"""DTMF and network tones: played, sent over real connections, and heard."""

import asyncio
import math
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import Listener, crossings, wav
from support.pair import pair
from support.raw import RawServer

from voxwire import (
    AudioRouteError,
    InvalidParameter,
    Player,
    ToneDetector,
    ToneEnded,
    ToneGenerator,
    ToneStarted,
    WebSocket,
)

SPEECH = Path(__file__).parents[2] / "examples" / "speech.wav"
KEYS = "0123456789*#ABCD"
# A busy machine may send a chunk late; what is played then is not what this is about.
PATIENT = {"playout_delay": 1.0, "playout_delay_max": None}


@asynccontextmanager
async def line() -> AsyncIterator[tuple[WebSocket, ToneDetector]]:
    """A WebSocket whose peer listens for digits."""
    async with pair(server=PATIENT) as (near, far), ToneDetector() as detector:
        far.sendMediaTo(detector)
        yield near, detector


def played(far: WebSocket) -> asyncio.Event:
    """Set when a stream has been played: what comes next is not mixed with it."""
    over = asyncio.Event()
    far.onmediaended = lambda _event: over.set()
    return over


async def heard(detector: ToneDetector, count: int) -> list[ToneStarted | ToneEnded]:
    events = [await detector.read() for _ in range(count)]
    return [event for event in events if event is not None]


@pytest.mark.parametrize("encoding", ["ULAW", "ALAW", "PCM16", "G722", "OPUS"])
async def test_every_digit_is_heard_over_a_connection(encoding: str) -> None:
    async with line() as (near, detector), ToneGenerator() as generator:
        generator.sendMediaTo(near, encoding=encoding)
        generator.play(KEYS, duration=80, gap=70)
        events = await heard(detector, 32)
    assert [event.digit for event in events] == [key for key in KEYS for _ in range(2)]
    assert [type(event) for event in events] == [ToneStarted, ToneEnded] * 16
    for event in events:
        if isinstance(event, ToneEnded):
            assert event.duration == pytest.approx(80, abs=15)


# All of it goes through the detector in the tests of the core, in no time.
@pytest.mark.parametrize("begin", [0, 3])
async def test_speech_is_no_digit(tmp_path: Path, begin: int) -> None:
    with wave.open(str(SPEECH), "rb") as file:
        rate = file.getframerate()
        file.setpos(begin * rate)
        speech = wav(tmp_path, file.readframes(4 * rate), rate)
    async with pair(server=PATIENT) as (near, far), ToneDetector() as detector, ToneGenerator() as generator:
        far.sendMediaTo(detector)
        over = played(far)
        player = Player(speech)
        player.sendMediaTo(near, encoding="ULAW", tag="speech")
        player.start()
        await player.wait_finished()
        assert player.position == 4000
        await over.wait()
        # What was not heard in it would have come before this.
        generator.sendMediaTo(near, encoding="ULAW", tag="digits")
        generator.play("5#")
        events = await heard(detector, 4)
    assert [event.digit for event in events] == ["5", "5", "#", "#"]


async def test_a_digit_right_after_speech_is_heard() -> None:
    async with pair(server=PATIENT) as (near, far), ToneDetector() as detector, ToneGenerator() as generator:
        player = Player(SPEECH)
        player.sendMediaTo(near, encoding="ULAW", tag="speech")
        far.sendMediaTo(detector)
        over = played(far)
        player.start()
        await asyncio.sleep(0.5)
        player.stop()
        await over.wait()
        generator.sendMediaTo(near, encoding="ULAW", tag="digits")
        generator.play("0")
        started, ended = await heard(detector, 2)
    assert (started, type(ended)) == (ToneStarted("0"), ToneEnded)


async def test_digits_are_iterated_until_the_end() -> None:
    async with ToneDetector() as detector, ToneGenerator() as generator:
        generator.sendMediaTo(detector)
        generator.play("12a#")
        typed = ""
        async for digit in detector.digits():
            typed += digit
            if digit == "#":
                detector.close()
        assert typed == "12A#"
        assert await detector.read() is None
        assert [event async for event in detector] == []
        detector.close()  # twice is once


async def test_a_digit_at_the_very_end_of_the_audio_ends() -> None:
    async with ToneDetector() as detector, ToneGenerator() as generator:
        generator.sendMediaTo(detector)
        generator.play("7", gap=0)
        started, ended = await heard(detector, 2)
    assert started == ToneStarted("7")
    assert isinstance(ended, ToneEnded)
    assert ended.digit == "7"
    assert ended.duration == pytest.approx(100, abs=15)


async def test_each_source_is_listened_to_by_itself() -> None:
    # One of them alone would be heard; their sum is no digit.
    async with ToneDetector() as detector, ToneGenerator() as one, ToneGenerator() as two:
        for generator, digit in ((one, "1"), (two, "9")):
            generator.sendMediaTo(detector)
            generator.play(digit * 3, duration=200, gap=200)
        events = await heard(detector, 12)
    assert sorted(event.digit for event in events) == ["1"] * 6 + ["9"] * 6


async def test_a_cancelled_read_loses_nothing() -> None:
    async with ToneDetector() as detector, ToneGenerator() as generator:
        read = asyncio.create_task(detector.read())
        await asyncio.sleep(0)
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        generator.sendMediaTo(detector)
        generator.play("3")
        assert await detector.read() == ToneStarted("3")


async def test_what_is_closed_takes_nothing() -> None:
    async with ToneDetector() as detector, ToneGenerator() as generator:
        generator.sendMediaTo(detector)
        detector.close()
        generator.play("1")
        await generator.wait_finished()
        assert await detector.read() is None
        with pytest.raises(AudioRouteError, match="takes no audio"):
            generator.sendMediaTo(generator)


async def sent(*calls: dict[str, Any], tones: bool = False) -> Listener:
    """What a peer gets of digits or tones, as PCM at 8 kHz."""
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, ToneGenerator() as generator:
            generator.sendMediaTo(ws, encoding="PCM8")
            assert not generator.playing
            await generator.wait_finished()
            for call in calls:
                (generator.play_tone if tones else generator.play)(**call)
            assert generator.playing
            await generator.wait_finished()
            assert not generator.playing
            await listener.stopped()
    return listener


async def test_digits_are_as_long_and_as_loud_as_asked_for() -> None:
    listener = await sent({"digits": "1", "duration": 50, "gap": 35}, {"digits": "2", "level": -20, "twist": 0})
    assert listener.names == ["start", *["media"] * 13, "stop"]  # 245 ms in frames of 20
    pcm = media.samples(listener.audio)
    one, gap, two, rest = pcm[:400], pcm[400:680], pcm[680:1480], pcm[1480:]
    assert not any(gap)
    assert not any(rest)
    low, high = 10 ** (-12 / 20) * 32767, 10 ** (-10 / 20) * 32767
    assert media.level(one.tobytes()) == pytest.approx(math.sqrt((low**2 + high**2) / 2), rel=0.05)
    assert media.level(two.tobytes()) == pytest.approx(3276.7, rel=0.05)


async def test_what_is_played_later_is_another_stream() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, ToneGenerator() as generator:
            generator.sendMediaTo(ws, encoding="ULAW", tag="keys")
            for count in (1, 2):
                generator.play("5")
                await generator.wait_finished()
                await listener.stopped(count)
    assert listener.names == ["start", *["media"] * 8, "stop"] * 2
    assert {event["start"]["tag"] for event in listener.events if event["event"] == "start"} == {"keys"}


async def test_a_cadence_is_kept() -> None:
    listener = await sent({"frequencies": [425], "on": 100, "off": 50, "times": 3, "level": -10}, tones=True)
    pcm = listener.audio
    assert len(pcm) == 460 * 16  # 450 ms in frames of 20
    for n in range(3):
        on, off = pcm[n * 2400 : n * 2400 + 1600], pcm[n * 2400 + 1600 : n * 2400 + 2400]
        assert crossings(on) == pytest.approx(425, abs=10)
        assert media.level(on) == pytest.approx(10 ** (-10 / 20) * 32767 / math.sqrt(2), rel=0.05)
        assert not any(off)


async def test_a_tone_without_an_end_is_stopped() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, ToneGenerator() as generator:
            generator.sendMediaTo(ws)
            generator.play_tone((350, 440))
            generator.play("1")
            await listener.chunk(5)
            generator.stop()  # the digit, too
            await generator.wait_finished()
            await listener.stopped()
            assert listener.names.count("start") == 1
            generator.play_tone([425], on=20, times=1)
            await listener.stopped(2)
            generator.play_tone([425])
            await listener.chunk(len(listener.chunks) + 1)
            generator.close()
            await generator.wait_finished()
            await listener.stopped(3)
            generator.play("1")  # after the end nothing happens
            assert not generator.playing


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"digits": "12E"}, "digits"),
        ({"digits": "1 2"}, "digits"),
        ({"digits": 12}, "digits"),
        ({"digits": "1", "duration": 0}, "duration"),
        ({"digits": "1", "duration": math.nan}, "duration"),
        ({"digits": "1", "gap": -1}, "gap"),
        ({"digits": "1", "gap": "60"}, "gap"),
        ({"digits": "1", "level": 1}, "level"),
        ({"digits": "1", "level": -3}, "level"),
        ({"digits": "1", "twist": 21}, "twist"),
        ({"frequencies": []}, "frequencies"),
        ({"frequencies": [425] * 5}, "frequencies"),
        ({"frequencies": [5000]}, "frequencies"),
        ({"frequencies": 425}, "frequencies"),
        ({"frequencies": [425], "on": 0}, "on"),
        ({"frequencies": [425], "off": 20}, "on"),
        ({"frequencies": [425], "times": 2}, "on"),
        ({"frequencies": [425], "on": 20, "off": 60_001}, "off"),
        ({"frequencies": [425], "on": 20, "times": 0}, "times"),
        ({"frequencies": [425, 480], "level": -3}, "level"),
    ],
)
async def test_what_cannot_be_played_is_named(wrong: dict[str, Any], field: str) -> None:
    async with ToneGenerator() as generator:
        with pytest.raises(InvalidParameter, match=field) as caught:
            (generator.play if "digits" in wrong else generator.play_tone)(**wrong)
        assert caught.value.field == field
        assert caught.value.expected
        assert not generator.playing


async def test_digits_of_a_file_are_heard(tmp_path: Path) -> None:
    # Made here, by no code of ours: 697 and 1477 Hz, 60 ms.
    tones = [media.samples(media.tone(60, frequency=hz, level=6000)) for hz in (697.0, 1477.0)]
    pcm = b"".join((a + b).to_bytes(2, "little", signed=True) for a, b in zip(*tones, strict=True))
    async with ToneDetector() as detector:
        player = Player(wav(tmp_path, bytes(1600) + pcm + bytes(1600)))
        player.sendMediaTo(detector)
        player.start()
        started, ended = await heard(detector, 2)
    assert started == ToneStarted("3")
    assert isinstance(ended, ToneEnded)
    assert ended.duration == pytest.approx(60, abs=15)

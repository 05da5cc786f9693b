"""Audio that a peer sends: start, media, stop; what is played, what is an error, what is an ordinary message."""

import array
import asyncio
import itertools
import json
import math
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support import media
from support.listening import heard_by
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, WebSocket, WebSocketAudioEncoding, audio
from voxwire import WebSocketEvents as E

LOUD = b"\x20" * 160  # 20 ms of µ-law, far from silence
QUIET = b"\xff" * 160  # 20 ms of µ-law zeros


class Caller:
    """A raw server that sends texts, when told to."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.more: list[str] = []
        self.go = threading.Event()
        self.end = threading.Event()

    def __call__(self, peer: RawPeer) -> None:
        peer.accept()
        for text in self.texts:
            peer.text(text)
        self.go.wait(20)
        for text in self.more:
            peer.text(text)
        peer.answer_close()


async def called(
    *texts: str, until: Callable[[Log], Any], then: Callable[[WebSocket, Log], Any] | None = None, **parameters: Any
) -> Log:
    """What our side sees of these texts, until some event, after which it closes."""
    caller = Caller(*texts)
    caller.go.set()
    with RawServer(caller) as server:
        ws = WebSocket(server.url, **parameters)
        log = Log(ws)
        await until(log)
        if then is not None:
            await then(ws, log)
        ws.close()
        await log.until(E.CLOSE)
    return log


def stream(count: int, *, tag: str | None = "t", payload: bytes = LOUD, first: int = 0, **head: Any) -> list[str]:
    chunks = [media.media(first + number, payload, tag=tag) for number in range(count)]
    return [media.start(tag=tag, **head), *chunks, media.stop(tag=tag)]


def ended(log: Log) -> Any:
    return log.until(E.MEDIA_ENDED)


async def test_a_stream() -> None:
    log = await called(*stream(10), until=ended)
    assert log.names == ["CREATED", "OPEN", "MEDIA_STARTED", "MEDIA_ENDED", "CLOSE"]
    started, end = log.events[2:4]
    assert (started.tag, started.encoding, started.customParameters) == ("t", "ULAW", None)
    assert end.tag == "t"
    assert end.mediaInfo.duration == pytest.approx(200, abs=1)
    assert 0.1 < log.times[3] - log.times[2] < 10  # played in real time


@pytest.mark.parametrize("tag", [None, "", "a tag", "ä"])
async def test_tags(tag: str | None) -> None:
    log = await called(*stream(5, tag=tag), until=ended)
    assert [event.tag for event in (*log.of(E.MEDIA_STARTED), *log.of(E.MEDIA_ENDED))] == [tag or ""] * 2


CUSTOM: list[tuple[Any, Any]] = [
    ({"a": 1, "ä": [None]}, {"a": 1, "ä": [None]}),
    (json.dumps({"a": 1}), {"a": 1}),
    ("just text", "just text"),
    ([1, 2], [1, 2]),
    (None, None),
    ({}, {}),
]


@pytest.mark.parametrize(("sent", "seen"), CUSTOM)
async def test_custom_parameters(sent: Any, seen: Any) -> None:
    log = await called(*stream(5, custom=sent), until=ended)
    assert log.of(E.MEDIA_STARTED)[0].customParameters == seen


PCM_20 = media.tone(20)
PCM_20_WIDE = media.tone(20, 16000)
SPELLINGS: list[tuple[str, int, bytes, str]] = [
    ("PCM8", 8000, PCM_20, "PCM8"),
    ("PCM16_8KHZ", 8000, PCM_20, "PCM8"),
    ("PCM16", 16000, PCM_20_WIDE, "PCM16"),
    ("PCM16_16KHZ", 16000, PCM_20_WIDE, "PCM16"),
    ("PCM16", 8000, PCM_20, "PCM8"),
    ("audio/l16", 16000, PCM_20_WIDE, "PCM16"),
    ("audio/l16", 8000, PCM_20, "PCM8"),
    ("L16", 16000, PCM_20_WIDE, "PCM16"),
    ("audio/x-l16", 8000, PCM_20, "PCM8"),
    ("ULAW", 8000, LOUD, "ULAW"),
    ("PCMU", 8000, LOUD, "ULAW"),
    ("audio/x-mulaw", 8000, LOUD, "ULAW"),
    ("audio/basic", 8000, LOUD, "ULAW"),
    ("ALAW", 8000, LOUD, "ALAW"),
    ("PCMA", 8000, LOUD, "ALAW"),
    ("audio/x-alaw", 8000, LOUD, "ALAW"),
    ("ulaw", 8000, LOUD, "ULAW"),
    ("Audio/X-ALAW", 8000, LOUD, "ALAW"),
    ("pcm16_16khz", 16000, PCM_20_WIDE, "PCM16"),
    ("pcm_s16le", 8000, PCM_20, "PCM8"),
    ("linear16", 16000, PCM_20_WIDE, "PCM16"),
    ("PCM16", 24000, b"\x11" * 960, "audio/l16;rate=24000"),
    ("pcm_s16be", 16000, b"\x11" * 640, "pcm_s16be"),
    ("PCM_U8", 8000, b"\x11" * 160, "pcm_u8"),
    ("pcm_s24le", 48000, b"\x11" * 2880, "pcm_s24le"),
    ("pcm_f32le", 44100, struct.pack("<882f", *[0.25] * 882), "pcm_f32le"),
    ("pcm_mulaw", 8000, LOUD, "ULAW"),
    ("pcm_alaw", 8000, LOUD, "ALAW"),
]


@pytest.mark.parametrize(("name", "rate", "payload", "encoding"), SPELLINGS)
async def test_spellings_of_encodings(name: str, rate: int, payload: bytes, encoding: str) -> None:
    log = await called(*stream(5, encoding=name, rate=rate, payload=payload), until=ended)
    assert log.of(E.MEDIA_STARTED)[0].encoding is WebSocketAudioEncoding(encoding)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(100, abs=1)
    assert not log.of(E.ERROR)
    assert not log.messages


@pytest.mark.parametrize(("encoding", "rate"), [("PCM16", 16000), ("ULAW", 8000), ("pcm_f32le", 24000)])
async def test_two_channels_are_mixed_into_one(encoding: str, rate: int) -> None:
    # The parties of a call: 440 Hz left, 1000 Hz right, 20 ms a chunk.
    parties = [media.samples(media.tone(400, rate, frequency)) for frequency in (440, 1000)]
    pcm = array.array("h", itertools.chain.from_iterable(zip(*parties, strict=True)))
    if encoding == "ULAW":
        data = audio.ulaw_encode(pcm.tobytes())
    elif encoding == "PCM16":
        data = pcm.tobytes()
    else:
        data = struct.pack(f"<{len(pcm)}f", *(value / 32768 for value in pcm))
    size = len(data) // 20
    async with pair() as (sender, receiver), AudioUnit(rate) as ear:
        receiver.sendMediaTo(ear)
        sender.send(media.start(encoding, rate, channels=2))
        for n in range(20):
            sender.send(media.media(n, data[n * size : (n + 1) * size], samples=rate // 50))
        sender.send(media.stop())
        heard = media.samples(await heard_by(ear, 380))
        statistics = receiver.statistics()
    assert (statistics.media_lost, statistics.media_concealed_gaps) == (0, 0)
    part = heard[: rate // 5]
    for frequency in (440, 1000):
        turns = [math.tau * frequency * n / rate for n in range(len(part))]
        strength = math.hypot(
            sum(value * math.cos(turn) for value, turn in zip(part, turns, strict=True)),
            sum(value * math.sin(turn) for value, turn in zip(part, turns, strict=True)),
        )
        assert strength * 2 / len(part) == pytest.approx(4000, rel=0.1), "half of each"


GOOD = media.start()
BAD: dict[str, tuple[list[str], str, str]] = {
    # texts, of which the last is bad; the field and the value that the error names
    "unknown encoding": ([media.start("MP3")], "encoding", "MP3"),
    "no Opus": ([media.start("OPUS", 48000), media.media(0, b"")], "payload", "0 bytes"),
    "rate of Opus": ([media.start("OPUS", 44100)], "sampleRate", "44100"),
    "unknown rate": ([media.start("PCM16", 11025)], "sampleRate", "11025"),
    "rate of G.711": ([media.start("ULAW", 16000)], "sampleRate", "16000"),
    "two channels of G.722": ([media.start("G722", 16000, channels=2)], "channels", "2"),
    "three channels": ([media.start("PCM8", 8000, channels=3)], "channels", "3"),
    "no base64": ([GOOD, media.media(0, b"", body={"payload": "&&&&"})], "payload", "&&&&"),
    "payload is a number": ([GOOD, media.media(0, b"", body={"payload": 7})], "payload", "7"),
    "no payload": ([GOOD, '{"event":"media","media":{"tag":"t","chunk":0,"timestamp":0}}'], "payload", ""),
    "chunk is negative": ([GOOD, media.media(-1, LOUD)], "chunk", "-1"),
    "part of a float": ([media.start("pcm_f32le", 24000), media.media(0, bytes(7))], "payload", "7"),
    "odd PCM": ([media.start("PCM8"), media.media(0, b"\x01\x02\x03")], "payload", "3"),
    "start is no object": (['{"event":"start","start":5}'], "start", "5"),
    "broken JSON": (['{"event":"media","media":{"tag":"t",'], "", ""),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_an_error_and_an_ordinary_message(name: str) -> None:
    texts, field, value = BAD[name]
    log = await called(*texts, "done", until=lambda log: log.wait(lambda: "done" in log.messages))
    (event,) = log.of(E.ERROR)
    assert isinstance(event.error, voxwire.MediaError)
    assert field in (event.error.field or str(event.error))
    assert field in str(event.error)
    assert value in str(event.error)
    assert log.messages == [texts[-1], "done"]
    assert log.states[log.events.index(event)] == "open"
    assert log.events[-1].wasClean


ORDINARY: dict[str, list[str]] = {
    "text": ["hello"],
    "JSON without event": ['{"a":1}'],
    "custom event": ['{"event":"customEvent","x":1}'],
    "event is no string": ['{"event":5}'],
    "an array": ['["event","media"]'],
    "media before start": [media.media(0, LOUD)],
    "media of another tag": [media.media(0, LOUD, tag="other")],
    "stop before start": [media.stop(tag="other")],
}


@pytest.mark.parametrize("name", ORDINARY)
async def test_ordinary_messages(name: str) -> None:
    log = await called(*ORDINARY[name], "done", until=lambda log: log.wait(lambda: "done" in log.messages))
    assert log.messages == [*ORDINARY[name], "done"]
    assert set(log.names) == {"CREATED", "OPEN", "MESSAGE", "CLOSE"}


async def test_media_false_makes_everything_ordinary() -> None:
    texts = [*stream(3), media.start("MP3")]
    log = await called(*texts, until=lambda log: log.until(E.MESSAGE, len(texts)), media=False)
    assert log.messages == texts
    assert set(log.names) == {"CREATED", "OPEN", "MESSAGE", "CLOSE"}


async def test_a_second_of_silence_ends_it() -> None:
    """No stop comes: MEDIA_ENDED 1.00 s (± 20 ms) after the last audio played. A busy machine may be late: the best counts."""
    late = []
    for _ in range(6):
        log = await called(*stream(10)[:-1], until=ended)
        assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(200, abs=1)
        late.append(log.time_of(E.MEDIA_ENDED) - log.time_of(E.MEDIA_STARTED) - 1.2)
        if abs(late[-1]) <= 0.02:
            return
    pytest.fail(f"MEDIA_ENDED was late by {late} s")


async def test_digital_silence_is_silence() -> None:
    texts = [media.start(), *(media.media(n, LOUD if n < 5 else QUIET) for n in range(100))]
    log = await called(*texts, until=ended)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(100, abs=1)


async def test_the_silence_is_a_parameter() -> None:
    log = await called(*stream(10)[:-1], until=ended, silence_duration=0.3)
    assert 0.45 < log.time_of(E.MEDIA_ENDED) - log.time_of(E.MEDIA_STARTED) < 5


async def test_a_silence_threshold() -> None:
    hiss = media.tone(20, level=30)  # about -64 dBFS
    loud = media.tone(20)
    texts = [media.start("PCM8"), *(media.media(n, loud if n < 5 else hiss) for n in range(60))]
    log = await called(*texts, until=ended, silence_threshold=-50.0, silence_duration=0.3)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(100, abs=1)


async def test_audio_after_silence_starts_again() -> None:
    caller = Caller(*stream(5)[:-1])
    caller.more = [media.media(5 + n, LOUD) for n in range(5)] + [media.stop()]
    with RawServer(caller) as server:
        ws = WebSocket(server.url, silence_duration=0.2)
        log = Log(ws)
        await log.until(E.MEDIA_ENDED)
        caller.go.set()
        await log.until(E.MEDIA_ENDED, 2)
        ws.close()
        await log.until(E.CLOSE)
    assert log.names[2:-1] == ["MEDIA_STARTED", "MEDIA_ENDED", "MEDIA_STARTED", "MEDIA_ENDED"]


async def test_a_stream_may_start_again_in_another_encoding() -> None:
    second = stream(5, encoding="PCM16", rate=16000, payload=PCM_20_WIDE)
    log = await called(*stream(5), *second, until=lambda log: log.until(E.MEDIA_ENDED, 2))
    assert [event.encoding for event in log.of(E.MEDIA_STARTED)] == ["ULAW", "PCM16"]


async def test_two_streams_at_once() -> None:
    one, two = stream(10, tag="one"), stream(10, tag="two", encoding="ALAW")
    texts = [text for both in zip(one, two, strict=True) for text in both]
    log = await called(*texts, until=lambda log: log.until(E.MEDIA_ENDED, 2))
    assert {(event.tag, str(event.encoding)) for event in log.of(E.MEDIA_STARTED)} == {("one", "ULAW"), ("two", "ALAW")}
    assert {event.tag for event in log.of(E.MEDIA_ENDED)} == {"one", "two"}


async def test_chunks_out_of_order_and_twice() -> None:
    order = [0, 1, 3, 2, 2, 4, 5, 7, 8, 9]  # 6 is lost
    texts = [media.start(), *(media.media(n, LOUD) for n in order), media.stop()]
    seen: list[voxwire.WebSocketStatistics] = []

    async def then(ws: WebSocket, _log: Log) -> None:
        seen.append(ws.statistics())

    log = await called(*texts, until=ended, then=then, playout_delay=0.1)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(200, abs=21)
    assert (seen[0].media_frames_received, seen[0].media_duplicates, seen[0].media_lost) == (10, 1, 1)


async def test_ten_seconds_are_kept_and_cleared() -> None:
    chunk = b"\x20" * 8000  # a second each
    texts = [media.start(), *(media.media(n, chunk, samples=8000) for n in range(13))]
    dropped: list[float] = []

    async def then(ws: WebSocket, log: Log) -> None:
        # What was played while the rest came made room; on a busy machine that may be some.
        assert 1000 < ws.statistics().media_discarded_ms <= 3000
        dropped.append(ws.clearMediaBuffer())
        dropped.append(ws.clearMediaBuffer())
        await log.until(E.MEDIA_ENDED)

    def received(log: Log) -> Any:
        return log.wait(lambda: "all" in log.messages and bool(log.of(E.MEDIA_STARTED)))

    log = await called(*texts, "all", until=received, then=then, silence_duration=0.2)
    assert 7000 < dropped[0] <= 10_000
    assert dropped[1] == pytest.approx(0, abs=21)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration < 5000


async def test_what_is_over_the_bound_is_told_of() -> None:
    chunk = b"\x20" * 8000  # a second each
    texts = [
        media.start(tag="t"),
        *(media.media(n, chunk, samples=8000, tag="t") for n in range(5)),
        media.stop(tag="t"),
    ]
    counted: list[float] = []

    async def then(ws: WebSocket, _log: Log) -> None:
        counted.append(ws.statistics().media_discarded_ms)

    log = await called(*texts, until=ended, then=then, playout_buffer=1)
    told = log.of(E.MEDIA_DISCARDED)
    assert {event.tag for event in told} == {"t"}
    assert sum(event.duration for event in told) == pytest.approx(counted[0])
    assert 3000 < counted[0] <= 4000
    assert log.names.index("MEDIA_DISCARDED") < log.names.index("MEDIA_ENDED")


async def test_lost_audio_is_concealed_unless_that_is_not_wanted() -> None:
    texts = [media.start(), *(media.media(n, LOUD) for n in range(20) if n not in {5, 11, 12}), media.stop()]
    for conceal, expected in ((True, (60.0, 2)), (False, (0.0, 0))):
        seen: list[voxwire.WebSocketStatistics] = []

        async def then(ws: WebSocket, _log: Log, seen: list[voxwire.WebSocketStatistics] = seen) -> None:
            seen.append(ws.statistics())

        log = await called(*texts, until=ended, then=then, playout_delay=0.4, conceal=conceal)
        assert seen[0].media_concealed_ms == pytest.approx(expected[0])
        assert seen[0].media_concealed_gaps == expected[1]
        assert seen[0].media_lost == 3
        assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(340, abs=1)


async def test_clear_one_tag() -> None:
    chunk = b"\x20" * 8000
    texts = [media.start(tag=tag) for tag in "ab"]
    texts += [media.media(n, chunk, samples=8000, tag=tag) for n in range(2) for tag in "ab"]

    async def then(ws: WebSocket, _log: Log) -> None:
        assert 500 < ws.buffered_media({"tag": "a"}) <= ws.buffered_media() <= 2000
        assert 500 < ws.clearMediaBuffer({"tag": "a"}) <= 2000
        assert ws.buffered_media(tag="a") == pytest.approx(0, abs=21)
        assert ws.buffered_media(tag="b") > 500
        assert ws.buffered_media(tag="unknown") == 0
        assert ws.clearMediaBuffer(tag="a") == pytest.approx(0, abs=21)
        assert ws.clearMediaBuffer({"tag": "unknown"}) == 0
        assert 500 < ws.clearMediaBuffer() <= 2000
        with pytest.raises(TypeError, match="tag"):
            ws.clearMediaBuffer({"tags": "a"})  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match=r"tag.*5"):
            ws.clearMediaBuffer(tag=5)  # type: ignore[arg-type]

    await called(*texts, "all", until=lambda log: log.wait(lambda: "all" in log.messages), then=then)


async def test_audio_is_timed_while_python_is_busy() -> None:
    """The loop blocks; what the core plays goes on, and the events tell the duration of all of it."""

    async def then(ws: WebSocket, log: Log) -> None:
        await log.until(E.MEDIA_STARTED)
        time.sleep(2)  # noqa: ASYNC251 - on purpose
        assert not log.of(E.MEDIA_ENDED)
        began = time.perf_counter()
        await log.until(E.MEDIA_ENDED)
        assert time.perf_counter() - began < 0.5  # all of the audio was played meanwhile

    async def opened(log: Log) -> None:
        await log.until(E.OPEN)

    log = await called(*stream(25), until=opened, then=then)
    assert log.of(E.MEDIA_ENDED)[0].mediaInfo.duration == pytest.approx(500, abs=1)


async def test_the_end_of_the_connection_ends_the_stream_first() -> None:
    caller = Caller(*stream(100)[:-1])
    caller.go.set()
    with RawServer(caller) as server:
        ws = WebSocket(server.url)
        log = Log(ws)
        await log.until(E.MEDIA_STARTED)
        await asyncio.sleep(0.1)
        ws.close()
        await log.until(E.CLOSE)
    assert log.names[-1] == "CLOSE"
    assert log.names.count("MEDIA_ENDED") <= 1

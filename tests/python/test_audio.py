"""`voxwire.audio`: codecs, rates, levels and media messages for code that has the bytes in its hands."""

import array
import json
import math
import mmap
import pickle
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import media
from support.ogg import ogg_of

from voxwire import InvalidParameter, MediaError, WebSocketAudioEncoding, audio

EVERY_SAMPLE: Any = np.arange(-32768, 32768, dtype="<i2")


def ulaw_of(sample: int) -> int:
    """ITU-T G.191, `ulaw_compress`: segments found by shifting."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = max(1, (magnitude >> 6).bit_length() + 1)
    code = (8 - segment) << 4 | (15 - (magnitude >> segment & 15))
    return code | 0x80 if sample >= 0 else code


def alaw_of(sample: int) -> int:
    """ITU-T G.191, `alaw_compress`."""
    code = (~sample if sample < 0 else sample) >> 4
    if code > 15:
        exponent = 1
        while code > 16 + 15:
            code >>= 1
            exponent += 1
        code += (exponent << 4) - 16
    return (code | 0x80 if sample >= 0 else code) ^ 0x55


LAWS = {
    "ULAW": (audio.ulaw_encode, audio.ulaw_decode, ulaw_of),
    "ALAW": (audio.alaw_encode, audio.alaw_decode, alaw_of),
}


@pytest.mark.parametrize("law", LAWS)
def test_g711_is_g191s_for_every_sample_and_code(law: str) -> None:
    encode, decode, reference = LAWS[law]
    assert encode(EVERY_SAMPLE) == bytes(reference(int(sample)) for sample in EVERY_SAMPLE)
    codes = bytes(range(256))
    # Each code stands for a sample that has this code; µ-law has two zeros, of which one is encoded.
    again = encode(decode(codes))
    assert [code for code in range(256) if again[code] != code] == ([0x7F] if law == "ULAW" else [])
    assert len(decode(codes)) == 512


def as_numpy(pcm: bytes) -> Any:
    return np.frombuffer(pcm, dtype="<i2")


def as_mmap(pcm: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(pcm))
    mapped.write(pcm)
    return mapped


BUFFERS: list[Callable[[bytes], Any]] = [
    bytes,
    bytearray,
    memoryview,
    as_numpy,
    as_mmap,
    lambda pcm: array.array("h", pcm),
    lambda pcm: memoryview(pcm).cast("h"),
]


@pytest.mark.parametrize("samples", [80, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("buffer", BUFFERS)
def test_any_buffer_is_audio(buffer: Callable[[bytes], Any], samples: int) -> None:
    pcm = np.resize(as_numpy(media.tone(1000)), samples).tobytes()
    assert audio.ulaw_encode(buffer(pcm)) == audio.ulaw_encode(pcm)
    assert audio.Encoder("ALAW").encode(buffer(pcm)) == [audio.alaw_encode(pcm)]
    assert audio.level(buffer(pcm)).rms == audio.level(pcm).rms
    assert audio.Resampler(8000, 16000).process(buffer(pcm)) == audio.Resampler(8000, 16000).process(pcm)
    # What is encoded may be any bytes.
    assert audio.alaw_decode(buffer(pcm)) == audio.alaw_decode(pcm)
    assert audio.Decoder("ULAW").decode(buffer(pcm)) == audio.ulaw_decode(pcm)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(4, dtype="<f4"), np.zeros((2, 2), dtype="<i2"), b"odd", array.array("i", [1])],
    ids=["float", "stereo", "odd", "int32"],
)
def test_what_is_no_16_bit_audio_is_refused(wrong: Any) -> None:
    for take in (audio.ulaw_encode, audio.level, audio.Encoder().encode, audio.Resampler(8000, 16000).process):
        with pytest.raises(MediaError, match="^pcm: ") as caught:
            take(wrong)
        assert caught.value.field == "pcm"
        assert caught.value.expected
    with pytest.raises(TypeError, match="expected a bytes-like object, not str"):
        audio.ulaw_decode("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a bytes-like object or an array of int16, not list"):
        audio.ulaw_encode([1, 2])  # type: ignore[arg-type]
    with pytest.raises(BufferError, match="not contiguous"):
        audio.ulaw_encode(EVERY_SAMPLE[::2])


ENCODINGS = [
    # name, rate given, name on the wire, rate, chunks of a second, dB of what is lost
    (None, None, "PCM8", 8000, 50, -math.inf),
    (WebSocketAudioEncoding.PCM16_16KHZ, None, "PCM16", 16000, 50, -math.inf),
    ("audio/l16;rate=24000", None, "PCM16", 24000, 50, -math.inf),
    ("L16", 44100, "PCM16", 44100, 50, -math.inf),
    (WebSocketAudioEncoding.ULAW, None, "ULAW", 8000, 50, -30),
    ("pcma", 8000, "ALAW", 8000, 50, -30),
    (WebSocketAudioEncoding.G722, None, "G722", 16000, 50, -25),
    (WebSocketAudioEncoding.OPUS, None, "OPUS", 48000, 50, -10),
    ("audio/ogg", None, "audio/ogg", 48000, 51, -10),
]


@pytest.mark.parametrize(("name", "given", "wire", "rate", "count", "noise"), ENCODINGS)
def test_every_encoding_both_ways(
    name: str | None, given: int | None, wire: str, rate: int, count: int, noise: float
) -> None:
    encoder, decoder = audio.Encoder(name, given), audio.Decoder(name, given)
    assert (encoder.encoding, encoder.rate) == (decoder.encoding, decoder.rate) == (wire, rate)
    tone = media.tone(1000, rate)
    frame = rate // 50 * 2
    chunks = [chunk for at in range(0, len(tone), frame) for chunk in encoder.encode(tone[at : at + frame])]
    chunks += encoder.flush()
    assert len(chunks) == count
    heard = as_numpy(b"".join(decoder.decode(chunk) for chunk in chunks))
    said = as_numpy(tone)
    assert len(heard) == len(said)
    # A codec with a filter is late by up to 10 ms: the best place is taken.
    late = range(1) if noise == -math.inf else range(rate // 100)
    settled = slice(rate // 10, rate // 2)
    power = np.mean(said[settled].astype(float) ** 2)
    errors = [
        np.mean((heard[settled.start + n : settled.stop + n].astype(float) - said[settled]) ** 2) / power for n in late
    ]
    assert min(errors) <= 10 ** (noise / 10)


def test_opus_waits_for_whole_frames() -> None:
    encoder = audio.Encoder("OPUS")
    tone = media.tone(50, 48000)
    assert encoder.encode(tone[: 959 * 2]) == []
    assert len(encoder.encode(tone[959 * 2 : 960 * 2])) == 1
    assert len(encoder.encode(tone[960 * 2 :])) == 1
    assert len(encoder.flush()) == 1
    assert encoder.flush() == []


@pytest.mark.parametrize("cut", [1, 100, 4096, 1 << 20])
def test_ogg_may_be_cut_anywhere(cut: int) -> None:
    encoder = audio.Encoder("audio/ogg")
    stream = b"".join([*encoder.encode(media.tone(200, 48000)), *encoder.flush()])
    # The first four bytes tell Ogg from packets; where not even they come at once, the name must say it.
    decoder = audio.Decoder("OPUS" if cut >= 4 else "audio/ogg")
    pcm = b"".join(decoder.decode(stream[at : at + cut]) for at in range(0, len(stream), cut))
    assert pcm == audio.Decoder("audio/ogg").decode(stream)
    assert len(pcm) == 200 * 96


@pytest.mark.parametrize("make", [audio.Decoder, audio.Encoder])
def test_a_format_that_is_none_is_named(make: Any) -> None:
    for arguments, field, value in [
        (("MP3",), "encoding", "MP3"),
        (("PCM16", 11025), "sampleRate", "11025"),
        (("ULAW", 16000), "sampleRate", "16000"),
    ]:
        with pytest.raises(MediaError) as caught:
            make(*arguments)
        assert (caught.value.field, caught.value.value) == (field, value)
        assert caught.value.expected
    with pytest.raises(InvalidParameter, match=r"rate is -1; expected a sample rate in Hz"):
        make("PCM16", -1)
    with pytest.raises(TypeError):
        make("PCM16", "8000")


def test_audio_that_is_none_is_named() -> None:
    with pytest.raises(MediaError, match="3 bytes of s16le") as caught:
        audio.Decoder().decode(b"odd")
    assert caught.value.field == "media.payload"
    with pytest.raises(MediaError, match="Opus"):
        audio.Decoder("OPUS").decode(b"\xff\xff\xff")
    with pytest.raises(MediaError, match="Ogg"):
        audio.Decoder("audio/ogg").decode(ogg_of([b"\x19"], channels=5))


def test_a_few_bytes_do_not_become_gigabytes() -> None:
    # A packet of one byte that says it is two silent frames of 60 ms (RFC 6716 section 3.1).
    small, large = ogg_of([b"\x19"] * 4999), ogg_of([b"\x19"] * 5010)
    assert len(large) < 20_000
    # 3840 samples of pre-skip are left out.
    assert len(audio.Decoder("audio/ogg").decode(small)) == (4999 * 120 * 48 - 3840) * 2
    with pytest.raises(MediaError, match=r"data: \d+ bytes hold more; expected at most 600 s of audio in a call"):
        audio.Decoder("audio/ogg").decode(large)


@pytest.mark.parametrize(("source", "target"), [(8000, 16000), (16000, 8000), (44100, 48000), (48000, 8000)])
def test_resampling_in_pieces_is_resampling_the_whole(source: int, target: int) -> None:
    tone = media.tone(500, source, 440.0)
    whole = audio.Resampler(source, target)
    expected = whole.process(tone) + whole.flush()
    assert len(expected) == -(-len(tone) // 2 * target // source) * 2
    for length in (2, 34, 640, 10_000):
        resampler = audio.Resampler(source, target)
        pieces = [resampler.process(tone[at : at + length]) for at in range(0, len(tone), length)]
        assert b"".join([*pieces, resampler.flush()]) == expected
    # The sine itself, at the other rate: the delay is made up for.
    exact = as_numpy(media.tone(500, target, 440.0)).astype(float)
    middle = slice(target // 20, -target // 20)
    error = as_numpy(expected).astype(float)[: len(exact)][middle] - exact[middle]
    assert np.mean(error**2) < 1e-7 * np.mean(exact[middle] ** 2)


def test_a_primed_resampler_keeps_frames() -> None:
    up = audio.Resampler(8000, 16000, prime=True)
    assert (up.source_rate, up.target_rate) == (8000, 16000)
    assert 0 < up.delay <= 5
    for _ in range(2):  # a flush begins a new stream
        frames = [up.process(media.tone(20)) for _ in range(5)]
        assert [len(frame) for frame in frames] == [640] * 5
        assert len(up.flush()) == round(up.delay * 16) * 2
    assert audio.Resampler(8000, 8000).delay == 0


def test_what_the_lower_rate_cannot_hold_is_filtered() -> None:
    down = audio.Resampler(16000, 8000)
    pcm = down.process(media.tone(1000, 16000, 5000.0))
    assert audio.level(pcm[1000:]).rms < -80
    assert audio.level(media.tone(1000, 16000, 5000.0)).rms > -20


def test_a_rate_that_is_none_is_named() -> None:
    for arguments, field, value in [((8001, 8000), "source_rate", "8001"), ((8000, -5), "target_rate", "-5")]:
        with pytest.raises(InvalidParameter) as caught:
            audio.Resampler(*arguments)
        assert (caught.value.field, caught.value.value) == (field, value)


def test_levels() -> None:
    assert audio.level(np.full(100, -32768, dtype="<i2").data).rms == 0
    full = audio.level(media.tone(1000, level=32767))
    assert full.rms == pytest.approx(-3.01, abs=0.01)
    assert full.peak == pytest.approx(0, abs=0.01)
    assert repr(audio.level(media.tone(1000, level=16384))) == "Level(rms=-9.03, peak=-6.02)"
    for silence in (b"", bytes(320)):
        assert (audio.level(silence).rms, audio.level(silence).peak) == (-math.inf, -math.inf)


def test_messages_are_read() -> None:
    start = audio.parse_media(media.start("PCMU", 8000, custom={"from": "+49"}))
    assert isinstance(start, audio.StartMessage)
    assert (start.tag, start.encoding, start.sampleRate, start.channels) == ("t", "PCMU", 8000, 1)
    assert (start.customParameters, start.sequenceNumber) == ({"from": "+49"}, 0)
    # VoxEngine sends them as a string.
    voxengine = audio.parse_media(media.start(custom='{"from": "+49"}').encode())
    assert isinstance(voxengine, audio.StartMessage)
    assert voxengine.customParameters == {"from": "+49"}

    decoder = audio.Decoder(start.encoding, start.sampleRate)
    codes = audio.ulaw_encode(media.tone(20))
    for message in (media.media(7, codes), media.media(7, codes).encode(), bytearray(media.media(7, codes).encode())):
        for given, expected in ((None, codes), (decoder, audio.ulaw_decode(codes))):
            chunk = audio.parse_media(message, given)
            assert isinstance(chunk, audio.MediaMessage)
            assert (chunk.tag, chunk.chunk, chunk.timestamp, chunk.sequenceNumber) == ("t", 7, 1120, 8)
            assert chunk.payload == expected

    stop = audio.parse_media(media.stop(tag=None, bytes_sent=160, duration=20))
    assert isinstance(stop, audio.StopMessage)
    assert (stop.tag, stop.bytesSent, stop.duration, stop.sequenceNumber) == ("", 160, 20, 99)
    assert repr((start, chunk, stop)) == (
        '(StartMessage(tag="t", encoding="PCMU"), MediaMessage(tag="t", chunk=7, 320 bytes), StopMessage(tag=""))'
    )


@pytest.mark.parametrize("text", ["", "hello", '{"event": "customEvent"}', "[]", b"\xff\xfe{}"])
def test_ordinary_messages_are_none(text: str | bytes) -> None:
    assert audio.parse_media(text) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"event": "media", "media": {"chunk": "one", "payload": ""}}', "media.chunk"),
        ('{"event": "media", "media": {"payload": "?"}}', "media.payload"),
        ('{"event": "media", "media": {}}', "media.payload"),
        ('{"event": "media", "media": {"payload": "AA==', "event"),
    ],
)
def test_messages_that_cannot_be_read_are_explained(text: str, field: str) -> None:
    with pytest.raises(MediaError) as caught:
        audio.parse_media(text)
    assert caught.value.field == field
    assert caught.value.expected


def test_a_decoder_refuses_what_a_message_holds() -> None:
    with pytest.raises(MediaError, match="3 bytes"):
        audio.parse_media(media.media(1, b"odd"), audio.Decoder("PCM16"))
    with pytest.raises(TypeError):
        audio.parse_media(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        audio.parse_media("{}", "ULAW")  # type: ignore[arg-type]


def test_messages_are_written_as_the_format_has_them() -> None:
    start = json.loads(audio.write_start("pcmu", tag="é\n", sequenceNumber=3, customParameters={"k": "ä"}))
    assert json.loads(start["start"].pop("customParameters")) == {"k": "ä"}
    assert start == {
        "event": "start",
        "sequenceNumber": 3,
        "start": {"tag": "é\n", "mediaFormat": {"encoding": "ULAW", "sampleRate": 8000, "channels": 1}},
    }
    assert json.loads(audio.write_start("PCM16", 24000))["start"] == {
        "mediaFormat": {"encoding": "PCM16", "sampleRate": 24000, "channels": 1}
    }
    assert json.loads(audio.write_media(b"\0\1\2\3", chunk=1, timestamp=2**64 - 1, tag="t", sequenceNumber=4)) == {
        "event": "media",
        "sequenceNumber": 4,
        "media": {"tag": "t", "chunk": 1, "timestamp": 2**64 - 1, "payload": "AAECAw=="},
    }
    assert json.loads(audio.write_stop(bytesSent=160, duration=20, sequenceNumber=5)) == {
        "event": "stop",
        "sequenceNumber": 5,
        "stop": {"mediaInfo": {"bytesSent": 160, "duration": 20}},
    }
    with pytest.raises(MediaError, match="MP3"):
        audio.write_start("MP3")
    with pytest.raises(TypeError, match="not JSON serializable"):
        audio.write_start(customParameters=object())


def test_what_is_written_reads_back() -> None:
    payload = bytes(range(256))
    message = audio.parse_media(
        audio.write_media(memoryview(payload), chunk=1, timestamp=160, tag='"\\\t', sequenceNumber=2)
    )
    assert isinstance(message, audio.MediaMessage)
    assert (message.tag, message.chunk, message.timestamp, message.sequenceNumber) == ('"\\\t', 1, 160, 2)
    assert message.payload == payload


def test_other_threads_run_meanwhile() -> None:
    # Python never takes turns by itself here, so that the count goes on in the call only if the call lets others run.
    before = sys.getswitchinterval()
    big = bytearray(16 << 20)
    count, seen, done = 0, False, False

    def worker() -> None:
        nonlocal seen, done
        while not seen and time.monotonic() < deadline:
            start = count
            audio.ulaw_encode(big)
            seen = count > start
        done = True

    deadline = time.monotonic() + 20
    thread = threading.Thread(target=worker)
    sys.setswitchinterval(100)
    try:
        thread.start()
        while not done:
            count += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(before)
    thread.join()
    assert seen


def test_threads_may_share_a_stream() -> None:
    resampler, encoder = audio.Resampler(8000, 48000), audio.Encoder("OPUS")
    sizes: list[int] = []

    def work() -> None:
        for samples in (80, 8000, 80, 20_000):
            sizes.append(len(resampler.process(bytes(2 * samples))))
            encoder.encode(bytes(1920))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sizes) + len(resampler.flush()) == 4 * 28_160 * 6 * 2


def test_streams_are_not_copied_by_accident() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(audio.Decoder())

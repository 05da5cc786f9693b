"""Players: every kind of sound, from files, bytes and streams."""

import array
import asyncio
import gc
import struct
import time
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import Listener, crossings
from support.raw import RawServer

import voxwire
from voxwire import AudioUnit, OpusParameters, Player, Recorder, WebSocket
from voxwire.audio import Encoder

TONE = media.tone(100)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def wav_of(data: bytes, tag: int = 1, bits: int = 16, channels: int = 1, rate: int = 8000) -> bytes:
    block = channels * bits // 8
    form = chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits))
    body = b"WAVE" + form + chunk(b"LIST", b"odd") + chunk(b"data", data)
    return chunk(b"RIFF", body)


def stereo(pcm: bytes) -> bytes:
    return b"".join(pcm[n : n + 2] * 2 for n in range(0, len(pcm), 2))


def floats(pcm: bytes, kind: str) -> bytes:
    return array.array(kind, (sample / 32768 for sample in media.samples(pcm))).tobytes()


def wider(pcm: bytes, more: int) -> bytes:
    return b"".join(bytes(more) + pcm[n : n + 2] for n in range(0, len(pcm), 2))


async def heard(player: Player, rate: int = 8000) -> bytes:
    """All that it plays."""
    async with AudioUnit(rate, buffer=60) as ear:
        player.sendMediaTo(ear)
        player.start()
        await player.wait_finished()
        pcm = b""
        while ear.readable:
            pcm += await ear.read()
        return pcm


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for n in range(0, len(data), size):
        yield data[n : n + size]


def source_of(kind: str, data: bytes, directory: Path) -> Any:
    (directory / "sound").write_bytes(data)
    path = directory / "sound"
    return {
        "path": path,
        "text": str(path),
        "bytes": data,
        "memoryview": memoryview(data),
        "stream": pieces(data, 7),
    }[kind]


WAVS: dict[str, tuple[bytes, bytes]] = {
    "8 bits": (wav_of(bytes((sample >> 8) + 128 for sample in media.samples(TONE)), bits=8), b""),
    "16 bits": (wav_of(TONE), TONE),
    "24 bits": (wav_of(wider(TONE, 1), bits=24), TONE),
    "32 bits": (wav_of(wider(TONE, 2), bits=32), TONE),
    "float": (wav_of(floats(TONE, "f"), 3, 32), TONE),
    "double": (wav_of(floats(TONE, "d"), 3, 64), TONE),
    "stereo": (wav_of(stereo(TONE), channels=2), TONE),
}


@pytest.mark.parametrize("kind", WAVS)
async def test_wav(kind: str) -> None:
    data, expected = WAVS[kind]
    player = Player(data)
    assert (player.rate, player.duration) == (8000, 100)
    pcm = await heard(player)
    if expected:
        assert pcm == expected
    else:
        assert len(pcm) == len(TONE)
        assert media.level(pcm) == pytest.approx(media.level(TONE), rel=0.05)
    assert player.position == 100


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "memoryview", "stream"])
async def test_where_a_sound_comes_from(tmp_path: Path, kind: str) -> None:
    player = Player(source_of(kind, wav_of(TONE), tmp_path))
    assert player.duration == (None if kind == "stream" else 100)
    assert await heard(player) == TONE
    assert player.rate == 8000


RAW: dict[str, tuple[str | None, int | None, int]] = {
    "PCM8": ("PCM8", None, 8000),
    "PCM16": ("PCM16", 24000, 24000),
    "pcm_f32le": ("pcm_f32le", 16000, 16000),
    "ULAW": ("ULAW", None, 8000),
    "G722": ("G722", None, 16000),
    "audio/ogg": ("audio/ogg", None, 48000),
    "nothing": (None, None, 8000),
}


@pytest.mark.parametrize("source", ["bytes", "stream"])
@pytest.mark.parametrize("kind", RAW)
async def test_raw(tmp_path: Path, kind: str, source: str) -> None:
    encoding, rate, its_rate = RAW[kind]
    encoder = Encoder(encoding, rate)
    data = b"".join([*encoder.encode(media.tone(200, its_rate)), *encoder.flush()])
    player = Player(source_of(source, data, tmp_path), format="raw", encoding=encoding, rate=rate)
    pcm = await heard(player, its_rate)
    assert player.rate == its_rate
    assert len(pcm) / 2 / its_rate == pytest.approx(0.2, abs=0.021)
    assert crossings(media.loud(pcm), its_rate) == pytest.approx(440, rel=0.1)


async def ogg_of(path: Path, pcm: bytes, rate: int, **more: Any) -> None:
    async with AudioUnit(rate, buffer=60) as mouth, Recorder(path, **more) as recorder:
        mouth.sendMediaTo(recorder)
        mouth.write(pcm)
        await mouth.drain()


async def test_ogg(tmp_path: Path) -> None:
    await ogg_of(tmp_path / "sound.ogg", media.tone(400), 8000, opus=OpusParameters(bitrate=32000))
    data = (tmp_path / "sound.ogg").read_bytes()
    player, streamed = Player(tmp_path / "sound.ogg"), Player(pieces(data, 100))
    assert player.rate == 48000
    assert player.duration is not None
    assert 400 <= player.duration < 5000
    one, other = await heard(player, 48000), await heard(streamed, 48000)
    assert one == other
    assert player.position == player.duration
    assert crossings(media.loud(one)[:9600], 48000) == pytest.approx(440, rel=0.1)


async def test_a_large_file_is_read_as_it_is_played(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(wav_of(media.tone(20_000, 48000), rate=48000))  # 1.9 MB
    player = Player(path, ahead=0.1)
    async with AudioUnit(48000, buffer=60) as ear:
        player.sendMediaTo(ear)
        player.start()
        while ear.readable < 700:
            await asyncio.sleep(0.01)
        path.unlink()  # open files stay
        while ear.readable < 1000:
            await asyncio.sleep(0.01)
        player.stop()
        await player.wait_finished()
        pcm = b"".join([await ear.read() for _ in range(50)])
    assert player.duration == 20_000
    assert pcm == media.tone(1000, 48000)


@pytest.mark.parametrize("kind", ["small", "large"])
async def test_loop(tmp_path: Path, kind: str) -> None:
    length = 50 if kind == "small" else 3000
    pcm = media.tone(length, 8000 if kind == "small" else 48000)
    rate = 8000 if kind == "small" else 48000
    path = tmp_path / "sound.wav"
    path.write_bytes(wav_of(pcm, rate=rate))
    player = Player(path, loop=3 if kind == "small" else True)
    assert player.duration == length
    if kind == "large":
        async with AudioUnit(rate, buffer=60) as ear:
            player.sendMediaTo(ear)
            player.start()
            while player.position < length + 500:
                await asyncio.sleep(0.01)
            player.stop()
            await player.wait_finished()
            sound = b"".join([await ear.read() for _ in range(170)])
        assert sound == (pcm + pcm)[: len(sound)]
    else:
        assert await heard(player) == pcm * 3 + bytes(160)
        assert player.position == 150


async def test_pause() -> None:
    player = Player(wav_of(media.tone(300)))
    async with AudioUnit(8000) as ear:
        player.sendMediaTo(ear)
        player.pause()
        player.start()
        await asyncio.sleep(0.1)
        assert (player.position, player.paused) == (0, True)
        player.resume()
        while player.position < 100:
            await asyncio.sleep(0.005)
        player.pause()
        before = player.position
        await asyncio.sleep(0.1)
        assert player.position == before
        player.resume()
        await player.wait_finished()
        assert b"".join([await ear.read() for _ in range(15)]) == media.tone(300)
    assert not player.paused


async def test_a_stream_is_asked_for_no_more_than_is_wanted() -> None:
    asked = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield media.tone(100)

    player = Player(stream(), format="raw", ahead=0.5)
    await asyncio.sleep(0.05)
    assert asked == 0
    async with AudioUnit(8000) as ear:
        player.sendMediaTo(ear)
        player.start()
        while player.position < 1000:
            await asyncio.sleep(0.01)
            assert asked * 100 <= player.position + 500 + 2 * 100 + 20
        player.stop()
        await player.wait_finished()
        pcm = b"".join([await ear.read() for _ in range(40)])
    assert pcm == media.tone(100) * 8


async def test_a_slow_stream_is_waited_for() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for n in range(0, len(TONE), 400):
            await asyncio.sleep(0.05)
            yield TONE[n : n + 400]

    assert await heard(Player(stream(), format="raw")) == TONE


async def test_what_a_stream_raises_comes_after_what_it_gave() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield TONE
        raise ConnectionResetError("the synthesis is gone")

    player = Player(stream(), format="raw")
    async with AudioUnit(8000) as ear:
        player.sendMediaTo(ear)
        player.start()
        with pytest.raises(ConnectionResetError, match="synthesis is gone"):
            await player.wait_finished()
        assert b"".join([await ear.read() for _ in range(5)]) == TONE


@pytest.mark.parametrize("full", [False, True])
async def test_stop_cancels_a_stream(full: bool) -> None:
    over = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield media.tone(60_000 if full else 100)
            await asyncio.sleep(3600)
        finally:
            over.set()

    player = Player(stream(), format="raw")
    player.start()
    while player.position < 60:
        await asyncio.sleep(0.005)
    assert not over.is_set()
    player.stop()
    await player.wait_finished()
    await over.wait()


BAD_STREAMS: dict[str, tuple[Any, type[Exception], str]] = {
    "no sound": (b"<html>not found</html>", voxwire.MediaError, "neither WAV nor Ogg"),
    "nothing": (b"", voxwire.MediaError, "neither WAV nor Ogg"),
    "a rate": (wav_of(TONE, rate=11025), voxwire.MediaError, "11025 Hz"),
    "no bytes": ("text", TypeError, "bytes-like"),
}


@pytest.mark.parametrize("kind", BAD_STREAMS)
async def test_a_stream_that_cannot_be_played(kind: str) -> None:
    data, error, match = BAD_STREAMS[kind]

    async def stream() -> AsyncIterator[Any]:
        yield data

    player = Player(stream())
    player.start()
    with pytest.raises(error, match=match):
        await player.wait_finished()


@pytest.mark.parametrize("kind", [kind for kind in BAD_STREAMS if kind != "no bytes"])
async def test_bytes_that_cannot_be_played(tmp_path: Path, kind: str) -> None:
    data, error, match = BAD_STREAMS[kind]
    with pytest.raises(error, match=match):
        Player(data)
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(error, match="bad: .*" + match):
        Player(tmp_path / "bad")


BAD: dict[str, Callable[[], Player]] = {
    "format": lambda: Player(b"", format="mp3"),  # type: ignore[arg-type]
    "encoding": lambda: Player(b"", encoding="ULAW"),
    "rate": lambda: Player(b"", rate=8000),
    "loop": lambda: Player(b"", loop=0),
    "loop of a stream": lambda: Player(pieces(b"", 1), loop=True),
    "ahead": lambda: Player(b"", ahead=0),
    "lead": lambda: Player(wav_of(TONE), lead=10.001),
    "lead that is none": lambda: Player(wav_of(TONE), lead=float("nan")),
    "lead backwards": lambda: Player(wav_of(TONE), lead=-1),
}


@pytest.mark.parametrize("kind", BAD)
async def test_parameters_that_cannot_be(kind: str) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=kind.split()[0]):
        BAD[kind]()


async def test_raw_that_cannot_be() -> None:
    with pytest.raises(voxwire.MediaError, match="encoding"):
        Player(b"", format="raw", encoding="mp3")
    with pytest.raises(voxwire.MediaError, match="expected Ogg"):
        Player(b"", format="raw", encoding="OPUS")
    with pytest.raises(TypeError):
        Player(5)  # type: ignore[arg-type]


async def test_a_stream_into_a_websocket() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            player = Player(pieces(wav_of(media.tone(200, 16000), rate=16000), 1000))
            player.sendMediaTo(ws, encoding="PCM16", tag="speech")
            began = time.perf_counter()
            player.start()
            await player.wait_finished()
            assert time.perf_counter() - began > 0.15
            await listener.stopped()
    assert listener.audio == media.tone(200, 16000)


async def test_a_player_that_leads_sends_ahead_and_then_in_real_time() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            player = Player(wav_of(media.tone(500)), loop=3, lead=0.5)
            player.sendMediaTo(ws)
            assert player.sent_ahead == 0
            began = time.perf_counter()
            player.start()
            finished = asyncio.create_task(player.wait_finished())
            seen = []
            while "stop" not in listener.names:
                position, ahead = player.position, player.sent_ahead
                now = time.perf_counter()
                seen.append((now - began, position, len(listener.audio) / 16, ahead))
                await asyncio.sleep(0.01)
            assert player.position == 1500
            await finished  # the far side has all, and plays for half a second
            assert time.perf_counter() - began >= 1.5
            assert player.sent_ahead == 0
        for at, position, received, ahead in seen:
            assert position <= at * 1000 + 500 + 20  # never ahead of the bound
            assert received <= at * 1000 + 500 + 20 + 10
            assert 0 <= ahead <= 500
        assert listener.times[-1] - began >= 0.98  # the last one leaves half a second before its time
        assert max(ahead for *_, ahead in seen) > 200
    assert listener.audio == media.tone(500) * 3
    assert [chunk["chunk"] for chunk in listener.chunks] == list(range(1, 76))


@pytest.mark.parametrize("source", ["bytes", "stream"])
async def test_what_was_sent_ahead_counts_after_a_pause(tmp_path: Path, source: str) -> None:
    player = Player(source_of(source, wav_of(media.tone(1000)), tmp_path), lead=0.3, ahead=0.5)
    async with AudioUnit(8000) as ear:
        player.sendMediaTo(ear)
        began = time.perf_counter()
        player.start()
        while player.position < 320:
            await asyncio.sleep(0.005)
        player.pause()
        before, ahead = player.position, player.sent_ahead
        assert ahead <= 300
        await asyncio.sleep(0.1)
        assert player.position == before
        assert player.sent_ahead <= max(ahead - 95, 0)
        player.resume()
        while player.position < 1000:
            assert player.position <= (time.perf_counter() - began) * 1000 + 320
            await asyncio.sleep(0.005)
        await player.wait_finished()
        assert time.perf_counter() - began >= 1.0
        assert b"".join([await ear.read() for _ in range(50)]) == media.tone(1000)


async def test_stop_does_not_take_back_what_was_sent_ahead() -> None:
    player = Player(wav_of(media.tone(5000)), lead=1)
    async with AudioUnit(8000) as ear:
        player.sendMediaTo(ear)
        player.start()
        while player.position < 1020:
            await asyncio.sleep(0.005)
        player.stop()
        await player.wait_finished()
        sent = player.position
        assert 0 <= player.sent_ahead <= 1000
        assert ear.readable == sent


def test_a_player_that_plays_for_ever_ends_with_its_loop(tmp_path: Path) -> None:
    players: list[Player] = []

    async def main() -> None:
        players.append(Player(wav_of(TONE), loop=True))
        players[0].start()
        while players[0].position < 100:
            await asyncio.sleep(0.01)

    asyncio.run(main())
    before = players[0].position
    time.sleep(0.1)
    assert players[0].position == before


async def test_who_lets_go_of_a_player_before_it_starts_has_none() -> None:
    """Its sound is in memory: a program that makes one for each call and starts it for some must not keep the others."""
    players = [Player(wav_of(media.tone(1000))) for _ in range(3)]
    gone = [weakref.ref(player) for player in players]
    players[1].start()
    del players
    gc.collect()
    assert [ref() is None for ref in gone] == [True, False, True]
    playing = gone[1]()
    assert playing is not None
    playing.stop()
    await playing.wait_finished()
    del playing
    await asyncio.sleep(0.05)
    gc.collect()
    assert gone[1]() is None

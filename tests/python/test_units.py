"""Recorders, players and audio units."""

import array
import asyncio
import gc
import math
import time
import wave
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import Listener, crossings, heard_by, wav
from support.log import Log
from support.pair import pair, serving
from support.raw import RawServer

import voxwire
from voxwire import AudioUnit, Player, Recorder, WebSocket
from voxwire import WebSocketEvents as E

# Recorder and player


def read_wav(path: Path) -> tuple[int, bytes]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), file.readframes(file.getnframes())


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_websocket_to_recorder(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "out.wav"
    pcm = media.tone(400)
    speaker = Listener()
    speaker.speech = [
        media.start("PCM8"),
        *(media.media(n, pcm[n * 320 : n * 320 + 320]) for n in range(20)),
        media.stop(),
    ]
    with RawServer(speaker) as server:
        ws = WebSocket(server.url)
        async with Recorder(path, rate) as recorder:
            ws.onopen = lambda _event: ws.sendMediaTo(recorder)
            log = Log(ws)
            await log.until(E.MEDIA_ENDED)
            ws.close()
            await log.until(E.CLOSE)
        assert recorder.duration >= 380
    recorded_rate, recorded = read_wav(path)
    assert recorded_rate == rate
    assert len(recorded) / 2 / rate * 1000 == pytest.approx(recorder.duration, abs=1)
    heard = media.loud(recorded)
    assert 355 < len(heard) / 2 / rate * 1000 < 5000  # a busy machine makes pauses, which are recorded as silence
    sounding = b"".join(heard[n : n + 2] for n in range(0, len(heard), 2) if heard[n : n + 2] != bytes(2))
    assert media.level(sounding) == pytest.approx(media.level(pcm), rel=0.2)
    if rate == 8000:
        assert all(pcm[n : n + 320] in recorded for n in range(320, 5000, 320))  # frame by frame, to the bit


async def test_a_recorder_that_hears_nothing(tmp_path: Path) -> None:
    async with Recorder(tmp_path / "out.wav") as recorder:
        pass
    rate, pcm = read_wav(tmp_path / "out.wav")
    assert rate == 8000
    assert media.level(pcm) == 0
    recorder.close()  # twice is once
    await recorder.wait_closed()


async def test_a_recorder_that_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Recorder(tmp_path / "missing" / "out.wav")


@pytest.mark.parametrize("rate", [1, 0, -8000])
async def test_a_recorder_of_an_odd_rate(tmp_path: Path, rate: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Recorder(tmp_path / "out.wav", rate)


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_player_to_websocket(tmp_path: Path, rate: int) -> None:
    pcm = media.tone(400, rate)
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            player = Player(wav(tmp_path, pcm, rate))
            assert player.rate == rate
            assert player.duration == pytest.approx(400)
            player.sendMediaTo(ws, encoding="PCM16" if rate == 16000 else "PCM8", tag="p")
            assert player.position == 0
            player.start()
            await player.wait_finished()
            assert player.position == pytest.approx(400, abs=21)
            await listener.stopped()
    assert listener.audio[: len(pcm)] == pcm
    assert len(listener.chunks) == 20
    assert listener.times[-1] - listener.times[0] > 0.3


async def test_a_player_can_be_stopped(tmp_path: Path) -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            player = Player(wav(tmp_path, media.tone(5000)))
            player.sendMediaTo(ws)
            player.start()
            await listener.chunk(5)
            player.stop()
            await player.wait_finished()
            await listener.stopped()
    assert 5 <= len(listener.chunks) < 50


async def test_a_player_reports_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.wav"):
        Player(tmp_path / "none.wav")


@pytest.mark.parametrize("content", [b"", b"not a RIFF file at all, sorry", b"RIFF\x04\x00\x00\x00WAVE"])
async def test_a_player_reports_what_is_no_wav(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(voxwire.MediaError, match=r"bad\.wav"):
        Player(path)


# AudioUnit


def numpy_tone() -> Any:
    numpy = pytest.importorskip("numpy")
    return numpy.frombuffer(media.tone(100), dtype="<i2")


WRITES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: media.tone(100),
    "bytearray": lambda: bytearray(media.tone(100)),
    "memoryview": lambda: memoryview(media.tone(100)),
    "array": lambda: array.array("h", media.tone(100)),
    "numpy": numpy_tone,
}


@pytest.mark.parametrize("kind", WRITES)
async def test_an_audio_unit_both_ways(kind: str) -> None:
    async with pair() as (ours, theirs), AudioUnit(8000) as mouth, AudioUnit(8000) as ear:
        mouth.sendMediaTo(ours)
        theirs.sendMediaTo(ear)
        mouth.write(WRITES[kind]())
        mouth.end()
        heard = await heard_by(ear, 95)
    assert media.loud(media.tone(100))[:1200] in heard


async def test_frames_are_20_ms() -> None:
    async with pair() as (ours, theirs), AudioUnit(16000) as mouth, AudioUnit(16000) as ear:
        mouth.sendMediaTo(ours, encoding="PCM16")
        theirs.sendMediaTo(ear)
        mouth.write(media.tone(200, 16000))
        sizes = []
        async for frame in ear:
            sizes.append(len(frame))
            if len(sizes) == 8:
                break
    assert set(sizes) == {640}


async def test_the_end_of_an_audio_unit() -> None:
    unit = AudioUnit(8000)
    reading = asyncio.ensure_future(unit.read())
    await asyncio.sleep(0)
    unit.close()
    assert await reading == b""
    assert [frame async for frame in unit] == []
    unit.close()


BAD_PCM: dict[str, tuple[Callable[[], Any], str]] = {
    "odd": (lambda: b"\x00\x01\x02", "3"),
    "floats": (lambda: array.array("f", [0.5]), "float|'f'|s16|int16|item"),
    "bytes of another size": (lambda: array.array("i", [1]), "'i'|s16|int16|item"),
}


@pytest.mark.parametrize("kind", BAD_PCM)
async def test_bad_samples(kind: str) -> None:
    make, match = BAD_PCM[kind]
    async with AudioUnit(8000) as unit:
        with pytest.raises(voxwire.MediaError, match=match):
            unit.write(make())
        with pytest.raises(TypeError):
            unit.write("text")  # type: ignore[arg-type]
        assert unit.queued == 0


async def test_a_full_audio_unit() -> None:
    async with AudioUnit(8000, buffer=1.0) as unit:
        unit.write(media.tone(1000))
        with pytest.raises(voxwire.MediaBufferFull):
            unit.write(media.tone(500))
        assert 500 < unit.queued <= 1000  # it is being played, if into nothing
        assert 500 < unit.clear() <= 1000
        assert unit.queued == 0
        unit.write(media.tone(20))


async def test_drain_paces_a_writer() -> None:
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws, AudioUnit(8000, buffer=1.0) as unit:
            unit.sendMediaTo(ws)
            began = time.perf_counter()
            for _ in range(6):
                unit.write(media.tone(200))
                await unit.drain(below=100)
                assert unit.queued <= 100
            await unit.drain()
            assert unit.queued == 0
            took = time.perf_counter() - began
            unit.end()
            await listener.stopped()
    assert 0.9 < took < 20
    assert len(listener.chunks) == 60


async def test_what_nobody_reads_is_discarded() -> None:
    async with pair() as (ours, theirs), AudioUnit(8000) as mouth, AudioUnit(8000, buffer=0.2) as ear:
        mouth.sendMediaTo(ours)
        theirs.sendMediaTo(ear)
        mouth.write(media.tone(600))
        mouth.end()
        await mouth.drain()
        while ear.readable + ear.discarded < 580:
            await asyncio.sleep(0.02)
        assert ear.readable == pytest.approx(200, abs=21)
        assert ear.discarded == pytest.approx(400, abs=41)


async def test_an_echo_agent() -> None:
    """A unit that reads and writes back, in Python."""

    async def agent(ws: WebSocket) -> None:
        unit = AudioUnit(8000)
        ws.onclose = lambda _event: unit.close()
        ws.sendMediaTo(unit)
        unit.sendMediaTo(ws)
        async for frame in unit:
            unit.write(frame)

    async with serving(agent) as server, WebSocket(server.url) as ws, AudioUnit(8000) as unit:
        unit.sendMediaTo(ws)
        ws.sendMediaTo(unit)
        unit.write(media.tone(200, frequency=500))
        unit.end()
        heard = await heard_by(unit, 180)
    assert crossings(heard) == pytest.approx(500, rel=0.1)
    assert math.isclose(media.level(heard), media.level(media.tone(200, frequency=500)), rel_tol=0.15)


def test_units_need_a_loop(tmp_path: Path) -> None:
    for make in (AudioUnit, lambda: Recorder(tmp_path / "x.wav"), lambda: Player(tmp_path / "x.wav")):
        with pytest.raises(voxwire.InvalidState, match="running asyncio loop"):
            make()


async def test_nothing_is_left_of_a_unit_that_is_over(tmp_path: Path) -> None:
    path = wav(tmp_path, media.tone(20))
    references: list[weakref.ref[Any]] = []
    for _ in range(3):
        player, unit = Player(path), AudioUnit(8000)
        references += [weakref.ref(player), weakref.ref(unit)]
        player.sendMediaTo(unit)
        player.start()
        await player.wait_finished()
        unit.close()
        assert await unit.read() != b""  # what is left can be read
    del player, unit
    while any(reference() is not None for reference in references):
        gc.collect()
        await asyncio.sleep(0.01)


async def test_a_player_that_has_finished_makes_room_for_the_next(tmp_path: Path) -> None:
    path = wav(tmp_path, media.tone(40))
    listener = Listener()
    with RawServer(listener) as server:
        async with WebSocket(server.url) as ws:
            for _ in range(2):
                player = Player(path)
                player.sendMediaTo(ws, {"tag": "prompt"})
                player.start()
                await player.wait_finished()
            await listener.stopped(2)
    assert listener.names == ["start", "media", "media", "stop"] * 2


async def test_streams_of_one_connection_are_mixed() -> None:
    # The delay is long, so that a busy machine leaves no gaps.
    async with pair(server={"playout_delay": 1.0, "playout_delay_max": None}) as (near, far):
        async with AudioUnit(8000) as one, AudioUnit(8000) as two, AudioUnit(8000) as heard:
            far.sendMediaTo(heard)
            for unit, value in ((one, 1000), (two, 2000)):
                unit.sendMediaTo(near, tag=str(value))
                unit.write(array.array("h", [value]) * 8000)
            values: list[set[int]] = []
            while values.count({3000}) < 30:
                values.append(set(media.samples(await heard.read())))
    assert all(value in ({1000}, {2000}, {3000}) for value in values)
    # A machine that is late plays what was missed of one stream and then of the other.
    together = values[values.index({3000}) :]
    assert len(together) - together.count({3000}) <= 3

"""Recorders: formats, channels, splits, and what is left when a process is killed."""

import asyncio
import signal
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
from support import media
from support.listening import crossings, wav

import voxwire
from voxwire import AudioUnit, OpusParameters, Recorder
from voxwire.audio import Decoder


def read_wav(path: Path) -> tuple[int, int, bytes]:
    with wave.open(str(path), "rb") as file:
        return file.getnchannels(), file.getframerate(), file.readframes(file.getnframes())


def sides(pcm: bytes) -> tuple[bytes, bytes]:
    values = media.samples(pcm)
    return values[::2].tobytes(), values[1::2].tobytes()


async def record(recorder: Recorder, pcm: bytes, **where: Any) -> None:
    async with AudioUnit(8000) as unit:
        unit.sendMediaTo(recorder, **where)
        unit.write(pcm)
        await unit.drain()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 44100, 48000])
async def test_every_rate_of_wav(tmp_path: Path, rate: int) -> None:
    async with Recorder(tmp_path / "call.wav", rate) as recorder:
        await record(recorder, media.tone(300))
    channels, its_rate, pcm = read_wav(tmp_path / "call.wav")
    assert (channels, its_rate) == (1, rate)
    assert len(pcm) // 2 / rate * 1000 == pytest.approx(recorder.duration, abs=1)
    assert recorder.duration >= 300
    assert recorder.files == [tmp_path / "call.wav"]
    sounding = b"".join(pcm[n : n + 2] for n in range(0, len(pcm), 2) if pcm[n : n + 2] != bytes(2))
    assert media.level(sounding) == pytest.approx(media.level(media.tone(300)), rel=0.1)


@pytest.mark.parametrize("name", ["call.ogg", "call.OPUS", "call.oga", "call"])
async def test_ogg(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    more: Any = {"format": "ogg"} if name == "call" else {}
    async with Recorder(path, opus=OpusParameters(bitrate=24000), **more) as recorder:
        await record(recorder, media.tone(300))
    content = path.read_bytes()
    assert content[:4] == b"OggS"
    assert b"OpusHead" in content[:64]
    assert len(content) < 5000


async def test_a_suffix_does_not_overrule_the_format(tmp_path: Path) -> None:
    async with Recorder(tmp_path / "call.ogg", format="wav"):
        pass
    assert read_wav(tmp_path / "call.ogg") == (1, 8000, b"")


async def test_one_party_on_each_channel(tmp_path: Path) -> None:
    async with (
        Recorder(tmp_path / "call.wav", channels=2) as recorder,
        AudioUnit(8000) as caller,
        AudioUnit(8000) as agent,
    ):
        caller.sendMediaTo(recorder, {"channel": "left"})
        agent.sendMediaTo(recorder, channel="right")
        caller.write(media.tone(400, frequency=500))
        agent.write(media.tone(400, frequency=1000))
        await caller.drain()
        await agent.drain()
        agent.stopMediaTo(recorder)
        agent.write(media.tone(100, frequency=1000))
        await agent.drain()
    channels, _, pcm = read_wav(tmp_path / "call.wav")
    assert channels == 2
    left, right = (media.loud(side) for side in sides(pcm))
    assert crossings(left) == pytest.approx(500, rel=0.1)
    assert crossings(right) == pytest.approx(1000, rel=0.1)
    assert 380 < len(right) / 16 < 5000
    assert len(pcm) / 32 == pytest.approx(recorder.duration, abs=1)


async def test_the_channel_has_to_be_there(tmp_path: Path) -> None:
    async with (
        Recorder(tmp_path / "one.wav") as one,
        Recorder(tmp_path / "two.wav", channels=2) as two,
        AudioUnit(8000) as unit,
    ):
        with pytest.raises(voxwire.InvalidParameter, match='channel.*"left" or "right"'):
            unit.sendMediaTo(two)
        with pytest.raises(voxwire.InvalidParameter, match="channel.*'middle'"):
            unit.sendMediaTo(two, channel="middle")  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match="channel"):
            unit.sendMediaTo(one, channel="left")
        with pytest.raises(voxwire.InvalidParameter, match="channel.*an AudioUnit has no channels|channel.*AudioUnit"):
            unit.sendMediaTo(unit, channel="left")


BAD: dict[str, dict[str, Any]] = {
    "format": {"format": "mp3"},
    "channels": {"channels": 3},
    "opus": {"opus": OpusParameters()},
    "rate": {"rate": 22050},
    "split_seconds": {"split_seconds": 0.5},
    "split_bytes": {"split_bytes": 1000},
}


@pytest.mark.parametrize("field", BAD)
async def test_parameters_that_cannot_be(tmp_path: Path, field: str) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=field):
        Recorder(tmp_path / "call.wav", **BAD[field])
    with pytest.raises(voxwire.InvalidParameter, match="rate is 32000"):
        Recorder(tmp_path / "call.ogg", 32000)
    assert list(tmp_path.iterdir()) == []


async def test_splits(tmp_path: Path) -> None:
    told: list[Path] = []
    async with Recorder(tmp_path / "call.wav", split_seconds=1, on_file=told.append) as recorder:
        writing = asyncio.create_task(record(recorder, media.tone(2300)))
        while not told:
            await asyncio.sleep(0.01)
        # On a busy machine more may be complete by now, also such that it is still to be told of.
        assert recorder.files[: len(told)] == told
        assert told[0] == tmp_path / "call-0001.wav"
        await writing
    assert recorder.files == told
    assert [path.name for path in told[:3]] == ["call-0001.wav", "call-0002.wav", "call-0003.wav"]
    recorded = [read_wav(path)[2] for path in told]
    assert [len(pcm) for pcm in recorded[:2]] == [16000, 16000]
    assert sum(map(len, recorded)) / 16 == pytest.approx(recorder.duration, abs=1)
    assert media.level(b"".join(recorded)) > 4000


async def test_what_on_file_raises_stops_nothing(tmp_path: Path, loop_errors: list[dict[str, Any]]) -> None:
    def fail(path: Path) -> None:
        raise ValueError(path.name)

    async with Recorder(tmp_path / "call.wav", on_file=fail) as recorder:
        pass
    assert [str(error["exception"]) for error in loop_errors] == ["call.wav"]
    assert len(recorder.files) == 1


async def test_pause(tmp_path: Path) -> None:
    async with Recorder(tmp_path / "call.wav") as recorder:
        await record(recorder, media.tone(200))
        before = recorder.duration
        recorder.pause()
        assert recorder.paused
        await record(recorder, media.tone(300))
        assert recorder.duration == before
        recorder.resume()
        assert not recorder.paused
        await record(recorder, media.tone(200))
    assert recorder.duration >= 400
    assert recorder.duration < before + 200 + 280 or recorder.duration - before > 300  # a busy machine makes pauses


async def test_a_full_disk_is_told_of(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        Recorder("/dev/full")
    split = tmp_path / "call-0002.ogg"
    split.symlink_to("/dev/full")
    recorder = Recorder(tmp_path / "call.ogg", split_seconds=1)
    await record(recorder, media.tone(2500))
    recorder.close()
    with pytest.raises(OSError, match="No space left"):
        await recorder.wait_closed()
    assert recorder.files == [tmp_path / "call-0001.ogg"]


CHILD = """
import asyncio, sys
from voxwire import Player, Recorder

async def main():
    recorder = Recorder(sys.argv[1], **eval(sys.argv[2]))
    for channel in eval(sys.argv[4]):
        player = Player(sys.argv[3])
        player.sendMediaTo(recorder, **({"channel": channel} if channel else {}))
        player.start()
    while True:
        await asyncio.sleep(0.01)
        print(player.position, flush=True)

asyncio.run(main())
"""

TONE = media.tone(20_000)
KILLED: dict[str, tuple[str, dict[str, Any]]] = {
    "wav": ("call.wav", {}),
    "ogg": ("call.ogg", {"rate": 16000}),
    "stereo wav": ("call.wav", {"channels": 2}),
    "stereo ogg": ("call.ogg", {"channels": 2}),
    "split wav": ("call.wav", {"split_seconds": 1.5}),
    "split ogg": ("call.ogg", {"split_seconds": 1.5}),
}


def killed(tmp_path: Path, kind: str, milliseconds: float, size: int) -> list[Path]:
    """The files of a process that was killed when so much was said, and so many bytes were in files."""
    name, options = KILLED[kind]
    source = wav(tmp_path, TONE)
    channels = ("left", "right") if "channels" in options else (None,)
    directory = tmp_path / "out"
    directory.mkdir()
    arguments = [str(directory / name), repr(options), str(source), repr(channels)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if float(line) >= milliseconds and sum(path.stat().st_size for path in directory.iterdir()) >= size:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    return sorted(directory.iterdir())


@pytest.mark.parametrize("kind", [kind for kind in KILLED if "wav" in kind])
def test_wav_files_survive_a_kill(tmp_path: Path, kind: str) -> None:
    size = 2 * 16000 * (2 if "stereo" in kind else 1)
    files = killed(tmp_path, kind, 2100, size)
    assert len(files) == (2 if "split" in kind else 1)
    pcm = b""
    for path in files:
        channels, rate, more = read_wav(path)
        assert (channels, rate) == (2 if "stereo" in kind else 1, 8000)
        assert len(more) == path.stat().st_size - 44
        pcm += more
    for side in sides(pcm) if "stereo" in kind else (pcm,):
        assert len(side) >= 2 * 16000
        assert all(TONE[n : n + 320] in side for n in range(320, 16000, 320))  # frame by frame, to the bit


@pytest.mark.parametrize("kind", [kind for kind in KILLED if "ogg" in kind])
def test_ogg_files_survive_a_kill(tmp_path: Path, kind: str) -> None:
    files = killed(tmp_path, kind, 2600, 7000)
    pcm = b""
    for path in files:
        content = path.read_bytes()
        assert content.count(b"OpusHead\x01" + (b"\x02" if "stereo" in kind else b"\x01")) == 1
        pcm += Decoder("audio/ogg").decode(content)
    assert len(pcm) / 96 > 900
    if "stereo" not in kind:  # the same tone twice may cancel itself out where it is mixed
        assert crossings(media.loud(pcm)[:72000], 48000) == pytest.approx(440, rel=0.1)
    assert len(files) == (2 if "split" in kind else 1)

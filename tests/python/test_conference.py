"""A conference over real WebSockets: everybody hears the others, each by the tone of its own, and never itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from support import media
from support.listening import wav
from support.pair import pair

import voxwire
from voxwire import AudioUnit, Conference, Player, Recorder, WebSocket

TONES = (400, 600, 900, 1300)
LEVEL = 3000


class Party:
    """Somebody at the far end of a WebSocket, who speaks with a tone and hears."""

    def __init__(self, far: WebSocket, near: WebSocket, frequency: int) -> None:
        self.near = near
        self.far = far
        self.frequency = frequency
        self.mouth = AudioUnit(8000, buffer=60)
        self.ear = AudioUnit(8000, buffer=60)
        self.mouth.sendMediaTo(far, {"encoding": "ULAW"})
        far.sendMediaTo(self.ear)

    def speak(self, milliseconds: int) -> None:
        self.mouth.write(media.tone(milliseconds, 8000, self.frequency, LEVEL))

    async def hears(self, milliseconds: int = 400) -> dict[int, float]:
        """The level of each tone in what comes from now on."""
        while self.ear.readable:
            await self.ear.read()
        pcm = b""
        while len(pcm) < 16 * milliseconds:
            pcm += await self.ear.read()
        return {frequency: media.amplitude(pcm, frequency) for frequency in TONES}

    async def comes_to_hear(self, *frequencies: int, level: float = LEVEL) -> None:
        """Waits for 400 ms of just these tones: what is wrong stays so, a busy machine does not."""
        expected = pytest.approx({f: level if f in frequencies else 0 for f in TONES}, abs=level / 8)
        heard: dict[int, float] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while (heard := await self.hears()) != expected:
                    pass
        assert heard == expected

    def close(self) -> None:
        self.mouth.close()
        self.ear.close()


@asynccontextmanager
async def parties(count: int) -> AsyncIterator[list[Party]]:
    async with AsyncExitStack() as stack:
        found = []
        for frequency in TONES[:count]:
            far, near = await stack.enter_async_context(pair())
            party = Party(far, near, frequency)
            stack.callback(party.close)
            found.append(party)
        yield found


async def test_each_member_hears_all_others_and_not_itself() -> None:
    async with parties(4) as everybody, Conference() as conference:
        for n, party in enumerate(everybody):
            conference.add(party.near, {"encoding": ("ULAW", "PCM8", "ALAW", "PCM16")[n], "tag": f"t{n}"})
            party.speak(15_000)
        assert conference.members == [party.near for party in everybody]
        await asyncio.gather(*(p.comes_to_hear(*(set(TONES) - {p.frequency})) for p in everybody))


async def test_mute_gain_leave_and_come_back() -> None:
    async with parties(3) as (a, b, c), Conference(8000) as conference:
        for party in (a, b, c):
            conference.add(party.near)
            party.speak(50_000)
        conference.mute(b.near)
        await a.comes_to_hear(c.frequency)
        await b.comes_to_hear(a.frequency, c.frequency)
        for member in (b, c):
            conference.set_gain(member.near, -6.0206)
        conference.unmute(b.near)
        await a.comes_to_hear(b.frequency, c.frequency, level=LEVEL / 2)
        conference.set_gain(c.near, 0)
        conference.remove(b.near)
        assert conference.members == [a.near, c.near]
        await a.comes_to_hear(c.frequency)
        conference.add(b.near)
        await a.comes_to_hear(b.frequency, c.frequency)
        # Who hangs up is no member any more, without anybody's doing.
        c.far.close()
        await c.near.wait_closed()
        assert conference.members == [a.near, b.near]
        await a.comes_to_hear(b.frequency)
    assert conference.members == []
    assert a.near.readyState == "closed"


async def test_who_only_speaks_and_who_only_hears(tmp_path: Any) -> None:
    async with Conference(8000) as conference, Recorder(tmp_path / "all.wav") as recorder, AudioUnit(8000) as unit:
        player = Player(wav(tmp_path, media.tone(500, 8000, 400)))
        for member in (player, recorder, unit):
            conference.add(member)
        unit.write(media.tone(500, 8000, 900))
        player.start()
        await player.wait_finished()
        assert conference.members == [recorder, unit]
        await asyncio.sleep(0.1)
    pcm = (tmp_path / "all.wav").read_bytes()[44:]
    middle = pcm[16 * 100 : 16 * 400]
    assert media.amplitude(middle, 400) == pytest.approx(8000, rel=0.1)
    assert media.amplitude(middle, 900) == pytest.approx(8000, rel=0.1)


async def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(voxwire.InvalidParameter, match="rate"):
        Conference(11025)
    async with Conference() as conference, AudioUnit() as stranger:
        conference.remove(stranger)
        for call in (conference.mute, conference.unmute):
            with pytest.raises(voxwire.AudioRouteError, match="add it first"):
                call(stranger)
        conference.add(stranger)
        with pytest.raises(voxwire.InvalidParameter, match="gain"):
            conference.set_gain(stranger, 100)
        with pytest.raises(TypeError):
            conference.add(object())  # type: ignore[arg-type]
    conference.close()
    conference.add(AudioUnit())
    assert conference.members == []

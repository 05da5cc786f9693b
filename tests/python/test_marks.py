"""Marks: `WebSocket.mark` in what is received, `AudioUnit.mark` in what is written."""

import asyncio
import threading
from typing import Any

import pytest
from support import media
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, AudioUnitEvents, WebSocket
from voxwire import WebSocketEvents as E

LOUD = b"\x20" * 160  # 20 ms of µ-law, far from silence


class Talker:
    """A raw server that sends audio of some tags at once, 20 ms for each chunk; then it hangs up, or waits for a close."""

    def __init__(self, *tags: str, chunks: int = 50) -> None:
        self.tags, self.chunks = tags, chunks
        self.reset = threading.Event()

    def __call__(self, peer: RawPeer) -> None:
        peer.accept()
        for tag in self.tags:
            peer.text(media.start(tag=tag))
            for chunk in range(self.chunks):
                peer.text(media.media(chunk, LOUD, tag=tag))
        peer.text("said")
        if self.reset.wait(0 if not self.tags else 0.01):
            peer.hang_up()
            return
        peer.answer_close()


def marks(log: Log) -> list[tuple[str, str | None, bool]]:
    return [(event.mark, event.tag, event.played) for event in log.of(E.MARK)]


async def talked(ws: WebSocket) -> Log:
    log = Log(ws)
    await log.until(E.MESSAGE)
    return log


async def test_a_mark_fires_when_the_audio_before_it_was_played() -> None:
    with RawServer(Talker("a", chunks=20)) as server:
        ws = WebSocket(server.url)
        log = await talked(ws)
        left = ws.buffered_media()
        began = asyncio.get_running_loop().time()
        first, second = ws.mark("first"), ws.mark("second", "a")
        assert not first.done()
        assert await second is True
        took = (log.time_of(E.MARK) - began) * 1000
        assert first.result() is True
        assert left - 5 <= took < left + 5000  # never early, in real time
        assert marks(log) == [("first", None, True), ("second", "a", True)]
        assert log.of(E.MARK)[0].fields == {"websocket": ws, "mark": "first", "tag": None, "played": True}
        assert E.MEDIA_ENDED not in [event.name for event in log.events]
        ws.close()
        await log.until(E.CLOSE)


async def test_with_nothing_buffered_a_mark_fires_on_the_next_turn() -> None:
    with RawServer(Talker()) as server:
        ws = WebSocket(server.url)
        names: list[str] = []
        ws.onmark = lambda event: names.append(event.mark)
        early = ws.mark("while connecting")
        assert names == []
        assert await early is True
        await ws.wait_open()
        futures = [ws.mark(name) for name in ("one", "two")] + [ws.mark("three", "a tag that never was")]
        assert names == ["while connecting"]
        assert await asyncio.gather(*futures) == [True, True, True]
        assert names == ["while connecting", "one", "two", "three"]
        ws.close()
        await ws.wait_closed()


async def test_a_clear_fires_the_marks_as_dropped() -> None:
    with RawServer(Talker("a", "b", chunks=100)) as server:
        ws = WebSocket(server.url)
        log = await talked(ws)
        all_of_them, of_a, of_b = ws.mark("all"), ws.mark("of a", "a"), ws.mark("of b", tag="b")
        assert ws.clearMediaBuffer(tag="a") > 500
        assert await of_a is False
        assert not (of_b.done() or all_of_them.done())
        ws.clearMediaBuffer()
        assert await of_b is False
        assert await all_of_them is False
        assert await ws.mark("after") is True
        assert [name for name, _, _ in marks(log)] == ["of a", "of b", "all", "after"] or [
            name for name, _, _ in marks(log)
        ] == ["of a", "all", "of b", "after"]
        ws.close()
        await log.until(E.CLOSE)


@pytest.mark.parametrize("lost", [False, True])
async def test_the_end_of_the_connection_fires_them_before_close(lost: bool) -> None:
    talker = Talker("a", chunks=200)
    if lost:
        talker.reset.set()
    with RawServer(talker) as server:
        ws = WebSocket(server.url)
        log = Log(ws)
        fired: list[asyncio.Future[bool]] = []
        ws.onmessage = lambda _event: fired.extend(ws.mark(name) for name in ("x", "y"))
        await log.until(E.MESSAGE)
        if not lost:
            ws.close()
        await log.until(E.CLOSE)
        assert marks(log) == [("x", None, False), ("y", None, False)]
        assert log.names[-1] == "CLOSE"
        assert [future.result() for future in fired] == [False, False]
        with pytest.raises(voxwire.InvalidState, match="closed"):
            ws.mark("late")


async def test_a_lost_connection_that_comes_back_has_no_old_marks() -> None:
    talker = Talker("a", chunks=200)
    talker.reset.set()
    with RawServer(talker) as server:
        ws = WebSocket(server.url, reconnect=lambda loss: 0.05 if loss.attempt == 1 else None)
        log = Log(ws)
        waiting: list[asyncio.Future[bool]] = []
        ws.onreconnecting = lambda _event: waiting.append(ws.mark("while it waits"))
        ws.onmessage = lambda _event: waiting.append(ws.mark("lost"))
        await log.until(E.RECONNECTING)
        names = log.names
        assert names.index("MARK") < names.index("RECONNECTING")
        assert await waiting[0] is False
        assert await waiting[1] is True
        ws.close()
        await log.until(E.CLOSE)


async def test_no_more_marks_wait_than_1000() -> None:
    with RawServer(Talker("a", chunks=200)) as server:
        ws = WebSocket(server.url)
        log = await talked(ws)
        futures = [ws.mark(str(number)) for number in range(1000)]
        with pytest.raises(voxwire.InvalidState, match="1000 marks wait"):
            ws.mark("one more")
        ws.clearMediaBuffer()
        assert await asyncio.gather(*futures) == [False] * 1000
        assert [name for name, _, _ in marks(log)] == [str(number) for number in range(1000)]
        assert await ws.mark("now") is True
        ws.close()
        await log.until(E.CLOSE)


async def test_what_a_mark_takes() -> None:
    async with pair() as (ours, _theirs), AudioUnit() as unit:
        with pytest.raises(voxwire.InvalidParameter, match="name"):
            ours.mark(5)  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match="tag"):
            ours.mark("x", 5)  # type: ignore[arg-type]
        with pytest.raises(voxwire.InvalidParameter, match="name"):
            unit.mark(None)  # type: ignore[arg-type]
        task = asyncio.ensure_future(ours.mark("x"))
        task.cancel()
        assert await ours.mark("y") is True  # whoever gave up waiting harms nobody


async def test_marks_without_media() -> None:
    async with pair({"media": False}) as (ours, _theirs):
        assert await ours.mark("x") is True


async def test_marks_in_what_is_written() -> None:
    async with pair() as (ours, theirs), AudioUnit(8000) as unit, AudioUnit(8000) as ear:
        unit.sendMediaTo(ours)
        theirs.sendMediaTo(ear)
        seen: list[Any] = []
        unit.onmark = lambda event: seen.append((event.unit, event.mark, event.played))
        assert await unit.mark("empty") is True
        began = asyncio.get_running_loop().time()
        unit.write(media.tone(100))
        first = unit.mark("first")
        unit.end()
        unit.write(media.tone(100))
        second = unit.mark("second")
        assert await second is True
        assert first.result() is True
        assert 0.19 < asyncio.get_running_loop().time() - began < 10
        assert seen == [(unit, "empty", True), (unit, "first", True), (unit, "second", True)]
        while ear.readable < 200:  # what was written before an end() is not lost when more is written
            await asyncio.sleep(0.01)


async def test_clearing_and_closing_a_unit_drops_its_marks() -> None:
    unit = AudioUnit(8000)
    seen: list[Any] = []
    unit.addEventListener(AudioUnitEvents.MARK, lambda event: seen.append(event.fields))
    unit.write(media.tone(5000))
    cleared = unit.mark("cleared")
    assert unit.clear() > 4000
    assert await cleared is False
    unit.write(media.tone(5000))
    closed = unit.mark("closed")
    unit.close()
    assert await closed is False
    assert seen == [{"unit": unit, "mark": name, "played": False} for name in ("cleared", "closed")]
    with pytest.raises(voxwire.InvalidState, match="closed"):
        unit.mark("late")


async def test_no_more_marks_wait_in_a_unit_than_1000() -> None:
    async with AudioUnit(8000) as unit:
        unit.write(media.tone(5000))
        futures = [unit.mark() for _ in range(1000)]
        with pytest.raises(voxwire.InvalidState, match="1000 marks wait"):
            unit.mark()
        unit.clear()
        assert await asyncio.gather(*futures) == [False] * 1000

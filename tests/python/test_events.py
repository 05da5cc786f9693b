"""The seven events: fields, order, handlers. One test for a line of the event table, then the rules for handlers."""

import asyncio
import contextvars
from typing import Any

import pytest
from support import media
from support.log import MEDIA_EVENTS, Log
from support.pair import pair, serving
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket, WebSocketAudioEncoding
from voxwire import WebSocketEvents as E


def one_of_each(peer: RawPeer) -> None:
    """A server that makes every event happen."""
    peer.accept()
    peer.text("hello")
    peer.text(media.start("NONSENSE"))
    peer.text(media.start("ULAW", tag="a", custom={"k": 1}))
    for chunk in range(5):
        peer.text(media.media(chunk, b"\x20" * 160, tag="a"))
    peer.text(media.stop(tag="a"))
    peer.text("done")
    peer.answer_close()


async def all_events(**parameters: Any) -> Log:
    with RawServer(one_of_each) as server:
        ws = WebSocket(server.url, **parameters)
        log = Log(ws)
        await log.until(E.MEDIA_ENDED)
        ws.close(1000, "bye")
        await log.until(E.CLOSE)
    return log


FIELDS: dict[E, dict[str, type]] = {
    E.CREATED: {"websocket": WebSocket},
    E.OPEN: {"websocket": WebSocket},
    E.MESSAGE: {"websocket": WebSocket, "text": str, "data": str},
    E.ERROR: {"websocket": WebSocket, "error": voxwire.MediaError},
    E.CLOSE: {"websocket": WebSocket, "code": int, "reason": str, "wasClean": bool},
    E.MEDIA_STARTED: {"websocket": WebSocket, "tag": str, "encoding": WebSocketAudioEncoding, "customParameters": dict},
    E.MEDIA_ENDED: {"websocket": WebSocket, "tag": str, "mediaInfo": voxwire.WebSocketMediaInfo},
}
ONLY_ELSEWHERE = {E.RECONNECTING, E.MEDIA_DISCARDED, E.MARK, E.SPEECH_STARTED, E.SPEECH_ENDED}


async def test_fields_of_every_event() -> None:
    log = await all_events()
    assert {event.name for event in log.events} == set(E) - ONLY_ELSEWHERE
    for event in log.events:
        assert {name: type(value) for name, value in event.fields.items()} == FIELDS[event.name], event
        assert event.fields == {name: getattr(event, name) for name in FIELDS[event.name]}
        assert event.websocket is log.events[0].websocket


async def test_values_of_every_event() -> None:
    log = await all_events()
    started, ended, closed = log.of(E.MEDIA_STARTED)[0], log.of(E.MEDIA_ENDED)[0], log.of(E.CLOSE)[0]
    assert log.messages[0] == "hello"
    assert "NONSENSE" in str(log.of(E.ERROR)[0].error)
    assert (started.tag, started.encoding, started.customParameters) == ("a", WebSocketAudioEncoding.ULAW, {"k": 1})
    assert ended.tag == "a"
    assert ended.mediaInfo.duration == pytest.approx(100, abs=1)
    assert (closed.code, closed.reason, closed.wasClean) == (1000, "bye", True)


async def test_order_of_events() -> None:
    names = (await all_events()).names
    assert names[:3] == ["CREATED", "OPEN", "MESSAGE"]
    assert names[-1] == "CLOSE"
    assert names.index("MEDIA_STARTED") < names.index("MEDIA_ENDED")
    for once in ("CREATED", "OPEN", "CLOSE", "MEDIA_STARTED", "MEDIA_ENDED"):
        assert names.count(once) == 1


async def test_created_has_statistics_url_only_with_statistics(tmp_path: Any) -> None:
    created = (await all_events(statistics=tmp_path)).of(E.CREATED)[0]
    assert set(created.fields) == {"websocket", "statisticsUrl"}
    assert created.statisticsUrl.startswith("file://")
    created = (await all_events()).of(E.CREATED)[0]
    assert created.statisticsUrl is None


async def test_binary_message_has_data_and_no_text() -> None:
    async with pair() as (ours, theirs):
        log = Log(ours)
        theirs.send(b"\x00\xff")
        event = await log.until(E.MESSAGE)
        assert event.text is None
        assert event.data == b"\x00\xff"


async def test_events_are_frozen() -> None:
    async with pair() as (ours, theirs):
        log = Log(ours)
        theirs.send("x")
        event = await log.until(E.MESSAGE)
        with pytest.raises(AttributeError):
            event.data = "y"


async def test_created_comes_on_the_next_turn() -> None:
    ws = WebSocket("ws://127.0.0.1:9/")
    seen: list[str] = []
    ws.oncreated = lambda event: seen.append(event.websocket.readyState)
    assert not seen
    await asyncio.sleep(0)
    assert seen == ["connecting"]
    await ws.wait_closed()


# Handlers

ON = {
    E.CREATED: "oncreated",
    E.OPEN: "onopen",
    E.MESSAGE: "onmessage",
    E.ERROR: "onerror",
    E.CLOSE: "onclose",
    E.MEDIA_STARTED: "onmediastarted",
    E.MEDIA_ENDED: "onmediaended",
    E.MEDIA_DISCARDED: "onmediadiscarded",
    E.MARK: "onmark",
    E.SPEECH_STARTED: "onspeechstarted",
    E.SPEECH_ENDED: "onspeechended",
    E.RECONNECTING: "onreconnecting",
}


async def test_on_handler_runs_right_before_the_others() -> None:
    with RawServer(one_of_each) as server:
        ws = WebSocket(server.url)
        calls: list[tuple[E, str]] = []

        def noting(name: E, which: str) -> Any:
            return lambda _event: calls.append((name, which))

        for name, on in ON.items():
            ws.addEventListener(name, noting(name, "first"))
            ws.addEventListener(name, noting(name, "second"))
            setattr(ws, on, noting(name, "on"))
        ended = asyncio.Event()
        ws.addEventListener(E.MEDIA_ENDED, lambda _event: ended.set())
        await ended.wait()
        ws.close()
        await ws.wait_closed()
    for position in range(0, len(calls), 3):
        name = calls[position][0]
        assert calls[position : position + 3] == [(name, "on"), (name, "first"), (name, "second")]
    assert {name for name, _ in calls} == set(E) - ONLY_ELSEWHERE


@pytest.mark.parametrize("name", list(E))
async def test_on_handler_reads_back_and_can_be_removed(name: E) -> None:
    async with pair() as (ws, _):
        assert getattr(ws, ON[name]) is None

        def handler(_event: object) -> None: ...

        setattr(ws, ON[name], handler)
        assert getattr(ws, ON[name]) is handler
        setattr(ws, ON[name], None)
        assert getattr(ws, ON[name]) is None


async def echo_to(*, handlers: Any, count: int = 1) -> None:
    """Let `handlers(ws)` register, then send so many messages, and wait until all are handled."""
    async with pair() as (ours, theirs):
        handlers(ours)
        last = asyncio.Event()
        ours.addEventListener(E.MESSAGE, lambda event: last.set() if event.data == str(count - 1) else None)
        for number in range(count):
            theirs.send(str(number))
        await last.wait()
        await asyncio.sleep(0)


async def test_the_same_callback_is_kept_once() -> None:
    calls: list[str] = []

    def handler(event: voxwire.MessageEvent) -> None:
        calls.append(str(event.text))

    def register(ws: WebSocket) -> None:
        ws.addEventListener(E.MESSAGE, handler)
        ws.addEventListener("WebSocket.Message", handler)

    await echo_to(handlers=register, count=2)
    assert calls == ["0", "1"]


async def test_removing_handlers() -> None:
    calls: list[str] = []

    def one(_event: object) -> None:
        calls.append("one")

    def two(_event: object) -> None:
        calls.append("two")

    def register(ws: WebSocket) -> None:
        ws.addEventListener(E.MESSAGE, one)
        ws.addEventListener(E.MESSAGE, two)
        ws.removeEventListener(E.MESSAGE, one)
        ws.removeEventListener(E.MESSAGE, len)  # never added: no error

    await echo_to(handlers=register)
    assert calls == ["two"]


async def test_removing_all_handlers_of_an_event_leaves_the_on_handler() -> None:
    calls: list[str] = []

    def register(ws: WebSocket) -> None:
        ws.onmessage = lambda _event: calls.append("on")
        ws.addEventListener(E.MESSAGE, lambda _event: calls.append("one"))
        ws.addEventListener(E.MESSAGE, lambda _event: calls.append("two"))
        ws.removeEventListener(E.MESSAGE)

    await echo_to(handlers=register)
    assert calls == ["on"]


async def test_a_handler_removed_by_one_before_it_is_not_called() -> None:
    calls: list[str] = []

    def late(_event: object) -> None:
        calls.append("late")

    def register(ws: WebSocket) -> None:
        ws.addEventListener(E.MESSAGE, lambda event: event.websocket.removeEventListener(E.MESSAGE, late))
        ws.addEventListener(E.MESSAGE, late)

    await echo_to(handlers=register)
    assert calls == []


@pytest.mark.parametrize("callback", [None, 1, "print", object()])
async def test_a_handler_must_be_a_function(callback: Any) -> None:
    async with pair() as (ws, _):
        with pytest.raises(TypeError, match=type(callback).__name__):
            ws.addEventListener(E.OPEN, callback)
        if callback is not None:
            with pytest.raises(TypeError, match=r"WebSocket\.Message"):
                ws.onmessage = callback


async def test_unknown_event_name() -> None:
    async with pair() as (ws, _):
        for call in (ws.addEventListener, ws.removeEventListener):
            with pytest.raises(ValueError, match=r"WebSocket\.Massage.*WebSocket\.Message"):
                call("WebSocket.Massage", print)


async def test_async_handlers_run_as_tasks_beside_sync_ones() -> None:
    calls: list[str] = []

    def register(ws: WebSocket) -> None:
        async def slow(event: voxwire.MessageEvent) -> None:
            await asyncio.sleep(0)
            calls.append(f"async {event.text}")

        ws.addEventListener(E.MESSAGE, slow)
        ws.addEventListener(E.MESSAGE, lambda event: calls.append(f"sync {event.text}"))

    await echo_to(handlers=register, count=3)
    await asyncio.sleep(0.01)
    assert [call for call in calls if call.startswith("sync")] == ["sync 0", "sync 1", "sync 2"]
    assert sorted(call for call in calls if call.startswith("async")) == ["async 0", "async 1", "async 2"]
    assert calls.index("sync 0") < calls.index("async 0")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_handler_that_raises_stops_nothing(kind: str, loop_errors: list[dict[str, Any]]) -> None:
    calls: list[str] = []

    def register(ws: WebSocket) -> None:
        def sync_bad(_event: object) -> None:
            raise ZeroDivisionError("on purpose")

        async def async_bad(_event: object) -> None:
            raise ZeroDivisionError("on purpose")

        ws.addEventListener(E.MESSAGE, sync_bad if kind == "sync" else async_bad)
        ws.addEventListener(E.MESSAGE, lambda event: calls.append(event.text))

    await echo_to(handlers=register, count=2)
    await asyncio.sleep(0.01)
    assert calls == ["0", "1"]
    assert [type(context["exception"]) for context in loop_errors] == [ZeroDivisionError] * 2
    assert isinstance(loop_errors[0]["websocket"], WebSocket)
    assert "WebSocket.Message" in loop_errors[0]["message"]


async def test_handlers_run_in_the_context_they_were_registered_in() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def async_handler(_event: object) -> None:
        await asyncio.sleep(0)
        seen.append(f"async {variable.get()}")

    def register(ws: WebSocket) -> None:
        variable.set("first")
        ws.addEventListener(E.MESSAGE, lambda _event: seen.append(f"sync {variable.get()}"))
        variable.set("second")
        ws.addEventListener(E.MESSAGE, async_handler)
        ws.onmessage = lambda _event: seen.append(f"on {variable.get()}")
        variable.set("third")

    await echo_to(handlers=register)
    await asyncio.sleep(0.01)
    assert seen == ["on second", "sync first", "async second"]


async def test_handlers_get_events_of_their_own_connection() -> None:
    async with pair() as (one, other_one), pair() as (two, other_two):
        log_one, log_two = Log(one, MEDIA_EVENTS), Log(two, MEDIA_EVENTS)
        other_one.send("to one")
        other_two.send("to two")
        await log_one.until(E.MESSAGE)
        await log_two.until(E.MESSAGE)
        assert (log_one.messages, log_two.messages) == (["to one"], ["to two"])


async def test_incoming_connections_have_the_same_events() -> None:
    logs: list[Log] = []
    async with serving(lambda ws: logs.append(Log(ws))) as server:
        async with WebSocket(server.url) as ws:
            ws.send("x")
            while not logs:
                await asyncio.sleep(0.001)
            await logs[0].until(E.MESSAGE)
        await logs[0].until(E.CLOSE)
    assert logs[0].names == ["CREATED", "OPEN", "MESSAGE", "CLOSE"]
    assert logs[0].states == ["connecting", "open", "open", "closed"]

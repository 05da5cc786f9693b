"""The parameters: every one is checked, and what they do is seen from outside."""

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from support.log import Log
from support.pair import pair
from support.raw import RawPeer, RawServer

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

REFUSED: list[tuple[str, Any]] = [
    ("protocols", 1),
    ("protocols", "two words"),
    ("protocols", ["chat", "chat"]),
    ("protocols", ["a\r\nX-Injected: 1"]),
    ("headers", "X-One: 1"),
    ("headers", [{"name": "X-One"}]),
    ("headers", [("X-One",)]),
    ("headers", {"X One": "1"}),
    ("headers", {"X-One": "1\r\nX-Injected: 1"}),
    ("headers", {"X-One\r\nX-Injected": "1"}),
    ("headers", {"X-One": 1}),
    ("headers", {"Sec-WebSocket-Key": "1"}),
    ("headers", {"connection": "close"}),
    ("privacy", 1),
    ("statistics", "/no/such/directory"),
    ("statistics", 1),
    ("reconnect", None),
    ("reconnect", 1),
    ("trace", "/no/such/directory/trace.txt"),
    ("media", "yes"),
    ("connect_timeout", 0),
    ("connect_timeout", -1),
    ("connect_timeout", "10"),
    ("connect_timeout", float("nan")),
    ("handshake_timeout", float("inf")),
    ("close_timeout", None),
    ("ping_interval", 0),
    ("ping_timeout", True),
    ("max_message_size", -1),
    ("max_message_size", 1.5),
    ("max_fragments", 0),
    ("receive_buffer", 0),
    ("send_buffer", "1 MiB"),
    ("playout_delay", -0.1),
    ("playout_delay_max", 0),
    ("playout_delay_max", 0.039),
    ("playout_delay_max", "1"),
    ("playout_buffer", 0),
    ("conceal", 1),
    ("levels", 1),
    ("voice_activity", None),
    ("voice_activity", 0.5),
    ("silence_duration", 0),
    ("silence_threshold", 1),
    ("require_protocol", None),
    ("tls", {"ca_file": "x"}),
    ("happy_eyeballs_delay", 0.009),
    ("happy_eyeballs_delay", "0.25"),
    ("proxy", False),
    ("max_redirects", -1),
    ("max_redirects", True),
    ("local_address", 1),
    ("local_address", "localhost"),
    ("local_address", ("127.0.0.1",)),
    ("local_address", ("127.0.0.1", 65536)),
    ("unix_path", ""),
    ("unix_path", b"/run/x"),
    ("sock", 3),
    ("sock", "socket"),
    ("proxy_tls", {"ca_file": "x"}),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
async def test_a_wrong_value(name: str, value: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match=f"^{name}.*expected") as caught:
        WebSocket("ws://127.0.0.1:9/", {name: value})  # type: ignore[arg-type]
    assert caught.value.expected
    with pytest.raises(voxwire.InvalidParameter):
        WebSocket("ws://127.0.0.1:9/", **{name: value})


async def test_unknown_parameters() -> None:
    with pytest.raises(TypeError, match=r"'ping_intervall'.*'ping_interval'"):
        WebSocket("ws://127.0.0.1:9/", ping_intervall=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"qqq.*protocols"):
        WebSocket("ws://127.0.0.1:9/", {"qqq": 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dictionary"):
        WebSocket("ws://127.0.0.1:9/", "chat")  # type: ignore[arg-type]


async def test_trace_and_privacy_exclude_each_other() -> None:
    with pytest.raises(voxwire.InvalidParameter, match=r"trace.*privacy"):
        WebSocket("ws://127.0.0.1:9/", privacy=True, trace=True)


HEADERS: list[Any] = [
    [{"name": "X-One", "value": "1"}, {"name": "X-Two", "value": "2"}],
    [("X-One", "1"), ("X-Two", "2")],
    {"X-One": "1", "X-Two": "2"},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_headers(headers: Any) -> None:
    seen: list[dict[str, str]] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        seen.append(peer.headers)
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url, {"headers": headers}):
            pass
    assert (seen[0]["x-one"], seen[0]["x-two"]) == ("1", "2")


PROTOCOLS: list[tuple[Any, str | None]] = [
    ("soap", "soap"),
    (["a", "b"], "a, b"),
    (("a",), "a"),
    ([], None),
]


@pytest.mark.parametrize(("protocols", "header"), PROTOCOLS)
async def test_protocols(protocols: Any, header: str | None) -> None:
    seen: list[str | None] = []

    def script(peer: RawPeer) -> None:
        peer.accept(None)
        seen.append(peer.headers.get("sec-websocket-protocol"))
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url, {"protocols": protocols}):
            pass
    assert seen == [header]


def file_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


async def test_statistics(tmp_path: Path) -> None:
    async with pair({"statistics": str(tmp_path)}) as (ours, theirs):
        created = Log(ours)
        ours.send("12345")
        theirs.send(b"123")
        await created.until(E.MESSAGE)
        now = ours.statistics()
        assert (now.messages_sent, now.bytes_sent) == (1, 5)
        assert (now.messages_received, now.bytes_received) == (1, 3)
        assert now.wire_bytes_sent == 5 + 2 + 4  # header, mask
        assert now.wire_bytes_received == 3 + 2
        assert not list(tmp_path.iterdir())
    (file,) = tmp_path.iterdir()
    written = json.loads(file.read_text())
    assert ours.id() in file.name
    assert written["id"] == ours.id()
    assert (written["code"], written["wasClean"]) == (1000, True)
    assert (written["messages_sent"], written["messages_received"]) == (1, 1)
    assert written["url"] == ours.url


async def test_statistics_url_names_the_file(tmp_path: Path) -> None:
    ws = WebSocket("ws://127.0.0.1:9/", statistics=tmp_path)
    log = Log(ws)
    created = await log.until(E.CREATED)
    await log.until(E.CLOSE)
    assert json.loads(file_of(created.statisticsUrl).read_text())["code"] == 1006


async def test_statistics_of_a_directory_that_went_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    ws = WebSocket("ws://127.0.0.1:9/", statistics=directory)
    directory.rmdir()
    await ws.wait_closed()
    assert "statistics could not be written" in caplog.text


async def test_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    async with pair({"trace": str(file)}) as (ours, theirs):
        ours.send("from us")
        theirs.send("from them")
        assert await ours.recv() == "from them"
        ours.send(b"\x00\x01")
        await theirs.recv()
        await theirs.recv()
    text = file.read_text()
    assert text.index("from us") < text.index("from them")


async def test_trace_true_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with pair({"trace": True}) as (ours, theirs):
        ours.send("hello")
        await theirs.recv()
    assert "hello" in (tmp_path / f"voxwire-{ours.id()}.trace.txt").read_text()


async def test_the_log_names_connections_without_their_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url + "path?token=secret"):
            pass
    assert f"127.0.0.1:{server.port}/path" in caplog.text
    assert "secret" not in caplog.text


async def test_privacy_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.answer_close()

    with RawServer(script) as server:
        async with WebSocket(server.url + "path?token=secret", privacy=True) as ws:
            assert "path" not in repr(ws)
        failed = WebSocket("ws://nowhere.invalid/secret", privacy=True)
        await failed.wait_closed()
    assert not [record for record in caplog.records if record.name == "voxwire"]

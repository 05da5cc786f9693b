"""What a peer sends moves no cursor and begins no line of a log or an error; of a private connection it is in none."""

import asyncio
import logging
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from support.frames import TEXT
from support.hostile import Hostile, scripts
from support.pair import serving
from support.raw import RawClient, RawPeer, RawServer

import voxwire
from voxwire import ErrorEvent, HTTPResponse, InvalidParameter, WebSocket
from voxwire.discretion import printable, public

ON_LOOPS = ["asyncio"]  # what is said is the same on all
HOSTILE = {
    "line break": "a\r\nERROR forged: 1\r\n",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b2J\x7f\b",
    "direction": "\u202eevil\u2066\u2028\u0085\ufeff",
    "NUL": "a\0b",
}
MARK = "s3cr3t-0f-th3-c4ll"


def hear_out(peer: RawPeer) -> None:
    peer.wait_eof()
    peer.hang_up()


async def sayings(hostile: Hostile, path: str = "", user: str = "", **parameters: Any) -> list[str]:
    """Go to this peer, hear it out, and answer what its errors say."""
    said: list[str] = []
    with RawServer(hostile.script) as server:
        given = {
            name: value.format(peer=f"{user}{server.host}:{server.port}") for name, value in hostile.parameters.items()
        }
        url = f"ws://{user}{server.host}:{server.port}/{path}"
        ws = WebSocket(url, **{"close_timeout": 0.2, **parameters, **given})

        def failed(event: ErrorEvent) -> None:
            error: BaseException | None = event.error
            while error is not None:
                said.extend((str(error), *map(str, getattr(error, "__notes__", ()))))
                error = error.__cause__

        ws.onerror = failed
        try:
            await ws.wait_open()
            ws.send(MARK)
            while True:
                await ws.recv()
        except voxwire.VoxwireError as error:
            said.append(str(error))
        said.append(repr(ws))
        try:
            await ws.ping()
        except voxwire.VoxwireError as error:
            said.append(str(error))
        await ws.wait_closed()
    return said


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_a_server_sends_is_escaped(text: str, caplog: pytest.LogCaptureFixture) -> None:
    for name, hostile in scripts(text).items():
        said = await sayings(hostile)
        assert said, name
        for one in (*said, *(record.getMessage() for record in caplog.records)):
            assert one.isprintable(), (name, one)
        caplog.clear()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("origins", [["https://good", None], [re.compile("https://good"), None]], ids=["core", "gate"])
async def test_what_a_client_sends_is_escaped(text: str, origins: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    line = text.replace("\0", "").replace("\r", "").replace("\n", "")  # what can stand in a line
    said: list[str] = []

    async def echo(ws: WebSocket) -> None:
        said.append(repr(ws))
        try:
            async for message in ws:
                ws.send(message)
        except voxwire.VoxwireError as error:
            said.append(str(error))

    def attempts(port: int) -> None:
        url = f"ws://127.0.0.1:{port}/"
        for head in (f"GET {line} HTTP/1.1", f"GET / HTTP/1.1\r\nHost: {text}", text, f"{line} / HTTP/1.1"):
            with socket.create_connection(("127.0.0.1", port), 15) as sock:
                sock.sendall(f"{head}\r\n\r\n".encode())
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
        for origin in (line, "https://evil"):
            hear_out(RawClient(url, headers=[f"Origin: {origin}"]))
        for host in ("[", "a]b", "\u2100", "x@y/z?q", line):  # some of which no URL can have
            client = RawClient(
                url, host=host, path=f"/%0d%0a{line}?{MARK}", headers=[f"Sec-WebSocket-Protocol: {line}"]
            )
            client.close(4000, text[:30])
            hear_out(client)
        client = RawClient(url).open()
        client.text("hello")
        assert client.until(TEXT).payload == b"hello"
        client.finish(4000, text[:30])

    async with serving(echo, origins=origins, parameters={"close_timeout": 1.0}) as server:
        await asyncio.to_thread(attempts, server.port)
    records = [record.getMessage() for record in caplog.records if record.name == "voxwire"]
    assert any("'https://evil'" in record or '"https://evil"' in record for record in records)
    for one in (*said, *records):
        assert one.isprintable(), one
        assert MARK not in one, one


@pytest.mark.parametrize("reconnect", [False, True])
async def test_a_private_connection_leaves_nothing(
    reconnect: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    loop_errors: list[dict[str, Any]],
) -> None:
    """Through everything that can go wrong, with the mark wherever something secret can be."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    again = lambda loss: 0.0 if loss.attempt == 1 else None  # noqa: E731
    for name, hostile in scripts(MARK).items():
        said = await sayings(
            hostile,
            path=f"?token={MARK}",
            user=f"{MARK}:{MARK}@",
            privacy=True,
            statistics=tmp_path,
            require_protocol=True,
            headers=[("X-Token", MARK), ("Authorization", f"Bearer {MARK}")],
            reconnect=again if reconnect else False,
        )
        assert said, name
        out, err = capfd.readouterr()
        kept = [*(file.read_text() for file in tmp_path.iterdir()), *map(str, loop_errors), out, err]
        kept += [f"{record.getMessage()} {record.exc_text}" for record in caplog.records]
        for one in (*said, *kept):
            assert MARK not in one, (name, one)
    assert not [record for record in caplog.records if record.name == "voxwire"]
    assert len(list(tmp_path.iterdir())) == len(scripts(MARK))


async def test_a_private_server_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, loop_errors: list[dict[str, Any]]
) -> None:
    caplog.set_level(logging.DEBUG)
    parameters = {"privacy": True, "statistics": tmp_path, "close_timeout": 1.0}
    said: list[str] = []

    async def take(ws: WebSocket) -> None:
        said.append(repr(ws))
        try:
            async for _ in ws:
                pass
        except voxwire.ConnectionClosed as error:
            said.append(str(error))

    def wrong(peer: RawClient) -> None:
        peer.text(MARK)
        peer.send(3, MARK.encode())
        hear_out(peer)

    def attempts(port: int) -> None:
        url = f"ws://{MARK}@127.0.0.1:{port}/?{MARK}"
        for act in (lambda peer: peer.finish(4000, MARK), RawClient.reset, wrong):
            act(RawClient(url, headers=[f"X: {MARK}", "Origin: https://good"]).open())
        hear_out(RawClient(url, headers=[f"Origin: https://{MARK}"]))

    for origins in (["https://good"], [re.compile("https://good")]):
        async with serving(take, origins=origins, parameters=parameters) as server:
            await asyncio.to_thread(attempts, server.port)
    files = [file.read_text() for file in tmp_path.iterdir()]
    assert len(files) >= 4  # a connection that is reset at once may never have been one
    for one in (*said, *files, *(record.getMessage() for record in caplog.records), *map(str, loop_errors)):
        assert MARK not in one, one


@pytest.mark.parametrize(
    "parameters", [{"headers": [("X-Token", MARK + "\n")]}, {"headers": {"X-Token": MARK.encode()}}]
)
async def test_wrong_headers_are_refused_without_their_value(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="X-Token") as refused:
        WebSocket("ws://127.0.0.1:9/", **parameters)
    assert MARK not in str(refused.value)
    with pytest.raises(InvalidParameter):
        HTTPResponse(200, {"Set-Cookie": "a\r\nb: c"})


def test_urls_without_what_is_secret() -> None:
    assert public("wss://user:secret@host:1/a/b?token=c") == "wss://host:1/a/b"
    assert public("ws://[/?c") == "ws://[/"
    assert public("ws://a@b@[::1]:2/x@y") == "ws://[::1]:2/x@y"
    assert public("ws://h/\x1b\u202e") == "ws://h/\\x1b\\u202e"
    for same in ("", "grüße", "क्षि 漢字 \\ ' \"", "e\u0301"):
        assert printable(same) == same
    assert printable("\r\n\0\ud800") == "\\r\\n\\x00\\ud800"

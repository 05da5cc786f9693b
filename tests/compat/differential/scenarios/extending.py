"""Extending: extensions that are written in Python, and connections that override what is inside."""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from typing import Any

from differential.trial import Trial, scenario


def _reversing(t: Trial, *, fails: str = "") -> tuple[Any, Any]:
    """Factories of an extension that reverses payloads and marks the frames with RSV2."""
    base, exceptions = t.module("extensions.base"), t.exceptions

    class Reverse(base.Extension):  # type: ignore[name-defined, misc]
        name = "reverse"

        def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
            t.note("decode", f"{frame.opcode.name} {frame.rsv2} {max_size}")
            if fails == "decode":
                message = "no"
                raise ValueError(message)
            if not frame.rsv2:
                return frame
            if max_size is not None and len(frame.data) > max_size:
                raise exceptions.PayloadTooBig(None, max_size)
            return dataclasses.replace(frame, data=bytes(frame.data)[::-1], rsv2=False)

        def encode(self, frame: Any) -> Any:
            if frame.opcode >= t.frames.Opcode.CLOSE or fails == "encode":
                return frame
            return dataclasses.replace(frame, data=bytes(frame.data)[::-1], rsv2=True)

    class Client(base.ClientExtensionFactory):  # type: ignore[name-defined, misc]
        name = "reverse"

        def get_request_params(self) -> Any:
            return [("quickly", None)]

        def process_response_params(self, params: Any, accepted: Any) -> Any:
            t.note("response", f"{params} {len(accepted)}")
            return Reverse()

    class Server(base.ServerExtensionFactory):  # type: ignore[name-defined, misc]
        name = "reverse"

        def process_request_params(self, params: Any, accepted: Any) -> Any:
            t.note("request", f"{params} {len(accepted)}")
            return [("quickly", None)], Reverse()

    return Client(), Server()


async def _talk(t: Trial, messages: list[Any], client: Any, server: Any, **kwargs: Any) -> None:
    async def echo(ws: Any) -> None:
        with contextlib.suppress(t.exceptions.ConnectionClosed):
            async for message in ws:
                await ws.send(message)

    async with t.server.serve(echo, "127.0.0.1", 0, extensions=server, compression=None) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with t.client.connect(f"ws://127.0.0.1:{port}", extensions=client, compression=None, **kwargs) as ws:
            t.note("agreed", [extension.name for extension in ws.protocol.extensions])
            for message in messages:
                await t.outcome("send", ws.send(message))
                await t.outcome("recv", ws.recv())
            t.look(ws)


@scenario
async def an_extension(t: Trial) -> None:
    client, server = _reversing(t)
    await _talk(t, ["hello", b"bytes", "", "x" * 70_000, ["a", "b"]], [client], [server])


@scenario
async def an_extension_with_compression(t: Trial) -> None:
    client, server = _reversing(t)
    ours, theirs = t.deflate.ClientPerMessageDeflateFactory(), t.deflate.ServerPerMessageDeflateFactory()
    await _talk(t, ["hello" * 50, b"bytes", ["a", "b"], "hello" * 50], [client, ours], [server, theirs])


@scenario
async def an_extension_and_a_limit(t: Trial) -> None:
    client, server = _reversing(t)
    await _talk(t, ["1234", ["12", "34"], "12345", "1"], [client], [server], max_size=4)


@scenario
async def an_extension_that_fails(t: Trial) -> None:
    client, _ = _reversing(t, fails="decode")
    _, server = _reversing(t)
    await _talk(t, ["1234"], [client], [server])


@scenario
async def an_extension_that_the_peer_does_not_undo(t: Trial) -> None:
    client, _ = _reversing(t, fails="encode")
    _, server = _reversing(t)
    await _talk(t, ["1234", b"1234"], [client], [server])


@scenario
async def settings_of_zlib(t: Trial) -> None:
    settings = {"strategy": zlib.Z_RLE, "level": 9}
    client = t.deflate.ClientPerMessageDeflateFactory(compress_settings=settings)
    server = t.deflate.ServerPerMessageDeflateFactory(compress_settings=settings)
    await _talk(t, ["hello" * 50, ["a" * 100, "b" * 100], b"c" * 70_000], [client], [server])


@scenario
async def events_seen_by_a_subclass(t: Trial) -> None:
    class Seeing(t.client.ClientConnection):  # type: ignore[name-defined, misc]
        def process_event(self, event: Any) -> None:
            t.note("event", f"{type(event).__name__} {getattr(event, 'opcode', None)!r}")
            super().process_event(event)

        def acknowledge_pings(self, data: bytes) -> None:
            t.note("pong", data)
            super().acknowledge_pings(data)

    async def greet(ws: Any) -> None:
        await ws.send("hello")
        await ws.send(["a", "b"])
        await ws.wait_closed()

    async with t.server.serve(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with t.client.connect(f"ws://127.0.0.1:{port}", create_connection=Seeing) as ws:
            t.note("first", await ws.recv())
            t.note("second", await ws.recv())
            await (await ws.ping(b"data"))
            t.note("latency", ws.latency > 0)


@scenario
async def what_is_sent_seen_by_a_subclass(t: Trial) -> None:
    class Seeing(t.client.ClientConnection):  # type: ignore[name-defined, misc]
        @contextlib.asynccontextmanager
        async def send_context(self, **kwargs: Any) -> Any:
            t.note("begin", sorted(kwargs))
            async with super().send_context(**kwargs):
                yield
            t.note("end")

    async with t.connected(t.hear_all, create_connection=Seeing) as ws:
        await ws.send("text")
        await ws.send([b"1", b"2"])
        async with ws.send_context():
            ws.protocol.send_text(b"by hand")
        await ws.close()
        await t.outcome("send", ws.send("too late"))
        t.look(ws)


@scenario
async def a_protocol_that_sees_frames(t: Trial) -> None:
    protocol = t.module("protocol")

    class Seeing(protocol.Protocol):  # type: ignore[name-defined, misc]
        def recv_frame(self, frame: Any) -> None:
            t.note("in", f"{frame.opcode.name} {bytes(frame.data)!r} {frame.fin}")
            super().recv_frame(frame)

        def send_frame(self, frame: Any) -> None:
            t.note("out", f"{frame.opcode.name} {bytes(frame.data)!r} {frame.fin}")
            super().send_frame(frame)

    ours, peer = Seeing(protocol.Side.CLIENT), Seeing(protocol.Side.SERVER)
    ours.send_text(b"hello")
    ours.send_ping(b"ping")
    ours.send_close(1000, "enough")
    peer.receive_data(b"".join(ours.data_to_send()))
    ours.receive_data(b"".join(data for data in peer.data_to_send() if data))
    t.note("peer", [(event.opcode, bytes(event.data)) for event in peer.events_received()])
    t.note("ours", [(event.opcode, bytes(event.data)) for event in ours.events_received()])
    t.note("states", (ours.state, peer.state))

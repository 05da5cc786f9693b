"""voxwire.sync: messages of every size, form and speed, over TCP, TLS and Unix sockets; what is too much or wrong."""

import json
import random
import socket
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from support import frames
from support.blocking import echo, quiet
from support.raw import RawPeer, RawServer
from support.tls import Certificates

from voxwire import Compression, ConnectionClosed, MessageTooBig, ProtocolError, TLSOptions
from voxwire.enums import WebSocketReadyState
from voxwire.sync import connect

READ = 64 * 1024
"""Bytes that the core reads at a time."""
SIZES = (0, 1, 125, 126, 4096, READ - 10, READ, READ + 16 * 1024, 100_000, 1 << 20, (1 << 20) + 7, 3_000_000)
NOISE = random.Random(5).randbytes(SIZES[-1])
TEXTS = ("", "a", "grüße €uro 😀", "ä" * 40_000, "x" * 200_000, "x" * 199_999 + "é", "😀" * 300_000)


def test_every_size_there_and_back() -> None:
    with RawServer(echo) as server, connect(server.url, compression=False) as ws:
        for size in SIZES:
            ws.send(NOISE[:size])
            assert ws.recv(timeout=15) == NOISE[:size], size
        for text in TEXTS:
            ws.send(text)
            assert ws.recv() == text
        counters = ws.statistics()
    assert counters.messages_sent == counters.messages_received == len(SIZES) + len(TEXTS)
    assert counters.bytes_received == sum(SIZES) + sum(len(text.encode()) for text in TEXTS)
    assert counters.buffered_bytes == counters.unhandled_bytes == 0


def test_bytes_like_objects_are_sent_as_they_are() -> None:
    with RawServer(echo) as server, connect(server.url) as ws:
        data = bytearray(NOISE[:200_000])
        for piece in (data, memoryview(data)[7:500], memoryview(data)[:150_000], memoryview(data).cast("H")):
            ws.send(piece)
            assert ws.recv() == bytes(piece)
        for wrong in (5, None, ["x"]):
            with pytest.raises(TypeError, match="bytes-like"):
                ws.send(wrong)  # type: ignore[arg-type]
        with pytest.raises(UnicodeEncodeError):
            ws.send("\ud800")
        ws.send("goes on")
        assert ws.recv() == "goes on"


@pytest.mark.parametrize("piece", [1, 7, 1000, 65_536])
def test_messages_come_whole_however_they_are_cut(piece: int) -> None:
    wire = b""
    expected: list[str | bytes] = []
    for size in (0, 3, 300, 20_000, 70_000) if piece > 1 else (0, 3, 300):
        for opcode, whole in ((frames.BINARY, NOISE[:size]), (frames.TEXT, ("é" * size).encode())):
            third = len(whole) // 3
            wire += frames.build(opcode, whole)
            wire += frames.build(opcode, whole[:third], fin=False) + frames.build(frames.PING, b"between")
            wire += frames.build(frames.CONTINUATION, whole[third:])
            expected += [whole if opcode == frames.BINARY else whole.decode()] * 2
    pings = len(expected) // 2
    answered: list[bytes] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        sock = peer.sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(wire), piece):
            sock.sendall(wire[start : start + piece])
        answered.extend(peer.until(frames.PONG).payload for _ in range(pings))
        peer.finish()

    with RawServer(script) as server, connect(server.url) as ws:
        assert list(ws) == expected
    assert answered == [b"between"] * pings


def test_many_small_messages_come_in_their_order() -> None:
    count = 20_000

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.write(b"".join(frames.build(frames.TEXT, f"{number:0160}".encode()) for number in range(count)))
        peer.finish()

    with RawServer(script) as server, connect(server.url) as ws:
        assert [int(text) for text in ws] == list(range(count))


def test_what_came_with_the_handshake_is_not_lost() -> None:
    class Held(RawPeer):
        """Keeps what it writes until it is told."""

        held = b""

        def write(self, data: bytes) -> None:
            self.held += data

    def script(peer: RawPeer) -> None:
        held = Held(peer.sock)
        held.accept()
        held.send(frames.TEXT, b"early")
        held.send(frames.BINARY, NOISE[:1000])
        peer.write(held.held)
        peer.finish()

    with RawServer(script) as server, connect(server.url) as ws:
        assert list(ws) == ["early", NOISE[:1000]]


def test_compressed_messages(certificates: Certificates) -> None:
    """Both ways, with a context that is kept, and a long one."""
    text = json.dumps({"type": "session.update", "instructions": "Answer in one sentence. " * 40})
    inflate = zlib.decompressobj(wbits=-15)
    deflate = zlib.compressobj(wbits=-12)

    def script(peer: RawPeer) -> None:
        peer.accept(extra=["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"])
        while (frame := peer.frame()).opcode != frames.CLOSE:
            assert frame.reserved == 4
            payload = inflate.decompress(frame.payload + b"\x00\x00\xff\xff")
            squeezed = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
            peer.send(frame.opcode, squeezed.removesuffix(b"\x00\x00\xff\xff"), reserved=4)
        peer.send(frames.CLOSE, frame.payload)
        peer.hang_up()

    context = certificates.server_context()
    trust = TLSOptions(ca_file=str(certificates.ca))
    with RawServer(script, context) as server, connect(server.url, tls=trust, compression=Compression()) as ws:
        assert ws.extensions.startswith("permessage-deflate; server_max_window_bits=12")
        for message in (text, text.encode(), text, text * 2000):
            ws.send(message)
            assert ws.recv() == message
        assert ws.statistics().wire_bytes_sent < ws.statistics().bytes_sent / 10


def test_tls_with_several_records_in_one_read(certificates: Certificates) -> None:
    sizes = (1, 16_385, 300_000, 0, 5, 1 << 20)

    def script(peer: RawPeer) -> None:
        peer.accept()
        assert [len(peer.frame().payload) for _ in range(2)] == [5, 2_000_000]
        for size in sizes:
            peer.send(frames.BINARY, NOISE[:size])
        for size in sizes:
            peer.send(frames.TEXT, b"t" * size)
        peer.finish()

    trust = TLSOptions(ca_file=str(certificates.ca))
    with RawServer(script, certificates.server_context()) as server, connect(server.url, tls=trust) as ws:
        ws.send("twice")
        ws.send(NOISE[:2_000_000])
        expected: list[str | bytes] = [NOISE[:size] for size in sizes]
        assert list(ws) == expected + ["t" * size for size in sizes]


def test_a_unix_socket_and_a_socket_that_is_given(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, RawServer(echo) as server:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            echo(RawPeer(sock))

        thread = threading.Thread(target=serve)
        thread.start()
        with connect("ws://localhost/", unix_path=path) as ws:
            ws.send(NOISE)
            assert ws.recv() == NOISE
            assert (ws.local_address, ws.remote_address) == (None, None)
        thread.join()
        given = socket.create_connection(("127.0.0.1", server.port))
        ours = given.getsockname()
        with connect(server.url, sock=given) as ws:
            assert given.fileno() == -1
            assert ws.local_address == ours
            ws.send("given")
            assert ws.recv() == "given"


def too_long(peer: RawPeer) -> None:
    peer.send(frames.BINARY, NOISE[:100_001])


def too_long_in_parts(peer: RawPeer) -> None:
    peer.send(frames.TEXT, b"x" * 60_000, fin=False)
    peer.send(frames.CONTINUATION, b"x" * 60_000)


def too_many_parts(peer: RawPeer) -> None:
    peer.send(frames.TEXT, b"x", fin=False)
    for _ in range(10):
        peer.send(frames.CONTINUATION, b"x", fin=False)


def no_text(peer: RawPeer) -> None:
    peer.send(frames.TEXT, b"\xff\xfe")


def no_text_at_the_end_of_a_long_one(peer: RawPeer) -> None:
    peer.send(frames.TEXT, b"x" * 99_999 + b"\xc3")


def masked(peer: RawPeer) -> None:
    peer.write(frames.build(frames.TEXT, b"x", mask=True))


@pytest.mark.parametrize(
    ("wrong", "code", "error"),
    [
        (too_long, 1009, MessageTooBig),
        (too_long_in_parts, 1009, MessageTooBig),
        (too_many_parts, 1009, MessageTooBig),
        (no_text, 1007, ProtocolError),
        (no_text_at_the_end_of_a_long_one, 1007, ProtocolError),
        (masked, 1002, ProtocolError),
    ],
)
def test_what_breaks_a_rule_or_a_limit_ends_the_connection(
    wrong: Callable[[RawPeer], None], code: int, error: type[ProtocolError]
) -> None:
    told: list[int] = []

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.text("before")
        wrong(peer)
        told.append(peer.until(frames.CLOSE).close[0])
        peer.hang_up()

    with RawServer(script) as server:
        ws = connect(server.url, max_message_size=100_000, max_fragments=10)
        assert ws.recv() == "before"
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv()
            assert (closed.value.code, closed.value.wasClean) == (1006, False)
            assert type(closed.value.__cause__) is error
            assert closed.value.__cause__.close_code == code
        with pytest.raises(ConnectionClosed):
            ws.send("nobody there")
        with pytest.raises(ConnectionClosed):
            next(iter(ws))
        assert ws.readyState is WebSocketReadyState.CLOSED
        ws.close()
    assert told == [code]


def test_a_message_of_the_largest_size_is_taken() -> None:
    with RawServer(echo) as server, connect(server.url, max_message_size=100_000) as ws:
        ws.send(NOISE[:100_000])
        assert ws.recv() == NOISE[:100_000]


def test_a_claim_alone_takes_no_memory() -> None:
    """16 MiB are claimed on each of 50 connections, and 10 bytes sent."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.write(frames.build(frames.BINARY, NOISE[:1000])[:1] + b"\x7f" + (16 << 20).to_bytes(8, "big") + b"x" * 10)
        peer.wait_eof()

    with RawServer(script) as server:
        connections = [connect(server.url) for _ in range(50)]
        before = resident()
        for ws in connections:
            with pytest.raises(TimeoutError):
                ws.recv(timeout=0.001)
        assert resident() - before < 50 << 20
        del connections, ws


def test_trace_and_process_statistics(tmp_path: Path) -> None:
    from voxwire import VoxEngine

    before = VoxEngine.statistics()
    with RawServer(echo) as server, connect(server.url, trace=str(tmp_path / "trace.txt")) as ws:
        during = VoxEngine.statistics()
        ws.send("hello")
        ws.recv()
        ws.send(NOISE[:100_000])
        assert ws.recv() == NOISE[:100_000]
    after = VoxEngine.statistics()
    assert during.connections_open - before.connections_open == 1
    assert after.connections_open == before.connections_open
    assert after.messages_received - before.messages_received == 2
    assert after.connections_closed["1000"] - before.connections_closed["1000"] == 1
    kinds = [line.split()[1:4] for line in (tmp_path / "trace.txt").read_text().splitlines()]
    assert kinds[:4] == [[">", "text", "5"], ["<", "text", "5"], [">", "binary", "100000"], ["<", "binary", "100000"]]
    assert [kind[1] for kind in kinds[4:]] == ["close", "close"]


def test_a_quiet_server_is_fine() -> None:
    with RawServer(quiet) as server, connect(server.url, close_timeout=0.1) as ws:
        assert ws.protocol == "chat"
        assert ("Upgrade", "websocket") in ws.headers
        assert ws.url == server.url
        assert (ws.readyState, ws.bufferedAmount) == (WebSocketReadyState.OPEN, 0)

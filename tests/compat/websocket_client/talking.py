"""Scenarios: sending, receiving, fragments, what the peer may not do, time-outs, closing, threads, misuse."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from typing import Any

from . import peers
from .peers import PAUSE, binary, close, closes, code, echo, ends, more, ping, pong, quiet, says, text
from .trace import Trace, scenario


@scenario(echo)
def messages_there_and_back(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for size in (0, 1, 125, 126, 127, 65535, 65536, 200_000):
        t.note(ws.send("ü" * size), len(ws.recv()), ws.send_binary(b"x" * size), len(ws.recv()))
    t.note(ws.send_text("t"), ws.recv(), ws.send_bytes(b"b"), ws.recv(), ws.send_bytes(bytearray(b"a")), ws.recv())
    t.note(ws.send(b"raw text"), ws.recv(), ws.send(b"\xff", websocket.ABNF.OPCODE_BINARY), ws.recv())
    t.note(ws.send(memoryview(b"view"), websocket.ABNF.OPCODE_BINARY), ws.recv())


@scenario(echo)
def iteration(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for word in ("one", "two", "three"):
        ws.send(word)
    t.note(next(ws), ws.next())
    for message in ws:
        t.note(message)
        break


@scenario(quiet)
def what_cannot_be_sent(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("int", ws.send, 5)
    t.attempt("none", ws.send, None)
    t.attempt("opcode", ws.send, "x", 3)
    t.attempt("surrogate", ws.send, "\ud800")
    t.attempt("text as binary", ws.send, "grün", websocket.ABNF.OPCODE_BINARY)
    t.attempt("no latin-1", ws.send, "Ω", websocket.ABNF.OPCODE_BINARY)


@scenario(quiet)
def frames_of_ones_own(websocket: Any, t: Trace) -> None:
    ws, abnf = t.connect(websocket), websocket.ABNF
    t.note(ws.send_frame(abnf.create_frame("Hello ", abnf.OPCODE_TEXT, 0)))
    t.note(ws.send_frame(abnf.create_frame(b"wor", abnf.OPCODE_CONT, 0)))
    ws.ping("between")
    t.note(ws.send_frame(abnf.create_frame(b"ld", abnf.OPCODE_CONT, 1)))
    t.note(ws.send_frame(abnf(1, 1, 0, 1, abnf.OPCODE_BINARY, 1, b"reserved")))
    t.note(ws.send_frame(abnf(1, 0, 0, 0, abnf.OPCODE_BINARY, 0, b"no mask")))
    ws.pong(b"unasked")
    ws.ping()


@scenario(quiet)
def a_masking_key_of_ones_own(websocket: Any, t: Trace) -> None:
    keys: list[int] = []

    def key(length: int) -> bytes:
        keys.append(length)
        return b"\x01\x02\x03\x04"

    ws = t.connect(websocket)
    ws.set_mask_key(key)
    ws.send("masked")
    t.note(keys)


@scenario(says(text("text"), binary(b"bytes"), ping(b"p"), text("after"), pong(b"q"), text("last")))
def pings_are_answered_and_passed_over(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.note(ws.recv(), ws.recv(), ws.recv(), ws.recv())
    t.attempt("close", ws.close)
    t.note(ws.connected, ws.close_frame)


@scenario(says(text("text"), binary(b"bytes"), ping(b"p"), pong(b"q")))
def control_frames_on_request(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.note(ws.recv_data())
    for _ in range(3):
        t.note(ws.recv_data_frame(True))


@scenario(says(ping(b"p"), text("a", fin=False), more("b")))
def frames_one_by_one(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for _ in range(3):
        frame = ws.recv_frame()
        t.note(frame, frame.fin, frame.opcode, frame.data, frame.mask_value, frame.rsv1)


@scenario(
    says(
        text("Hel", fin=False),
        ping(b"p"),
        more("lo ", fin=False),
        more("wörld"),
        binary(b"\x00", fin=False),
        more(b"\x01"),
    )
)
def fragments(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.note(ws.recv())
    t.note(ws.recv_data_frame())


@scenario(says(text("Hel", fin=False), more("lo ", fin=False), more("you"), text("whole")))
def fragments_as_they_come(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, fire_cont_frame=True)
    for _ in range(4):
        t.note(ws.recv_data_frame())


@scenario(says(text("Hel", fin=False), text("another")))
def a_message_inside_a_message(websocket: Any, t: Trace) -> None:
    t.attempt("recv", t.connect(websocket).recv)


@scenario(says(more("lost")))
def a_continuation_of_nothing(websocket: Any, t: Trace) -> None:
    t.attempt("recv", t.connect(websocket).recv)


@scenario(says(text("compressed?", reserved=4), text("next")))
def a_reserved_bit(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.attempt("recv", ws.recv)


@scenario(says(b"\x83\x01x", text("next")))
def a_reserved_opcode(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.attempt("recv", ws.recv)


@scenario(says(ping(b"x", fin=False), text("next")))
def a_ping_in_pieces(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.attempt("recv", ws.recv)


@scenario(says(ping(b"x" * 126), text("next")))
def a_ping_that_is_too_long(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.attempt("recv", ws.recv)


@scenario(says(b"\x81\x83\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"abc", b"\x01\x02\x03", strict=True))))
def a_masked_frame_of_a_server(websocket: Any, t: Trace) -> None:
    t.note(t.connect(websocket).recv())


@scenario(says(b"\x81\x7e\x00\x02hi", b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x02ho"))
def lengths_that_are_longer_than_they_must_be(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.note(ws.recv(), ws.recv())


@scenario(says(text(b"ab\xff"), text(b"ok"), text(b"caf\xc3"), text(b"\xed\xa0\x80")))
def text_that_is_not_utf8(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for _ in range(4):
        t.attempt("recv", ws.recv)


@scenario(says(text(b"ab\xff"), text(b"cd\xff", fin=False), more(b"\xfe")))
def text_that_is_not_utf8_unchecked(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, skip_utf8_validation=True)
    t.note(ws.recv_data())
    t.attempt("recv", ws.recv)


@scenario(says(text(b"a\xc3", fin=False), more(b"\xbc"), text(b"a\xc3", fin=False), more(b"x")))
def text_that_is_cut_inside_a_character(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.attempt("recv", ws.recv)


@scenario(quiet)
def nothing_comes_in_time(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, timeout=0.1)
    t.attempt("recv", ws.recv)
    t.attempt("recv_data", ws.recv_data)
    t.note(ws.connected, ws.sock is not None)
    ws.settimeout(0)
    t.attempt("recv", ws.recv)
    ws.sock.settimeout(0.1)
    t.attempt("recv", ws.recv)
    t.note(ws.gettimeout())


@scenario(says(text("slow")[:1], text("slow")[1:4], text("slow")[4:], pause=0.3))
def a_frame_that_comes_in_pieces(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    ws.settimeout(0.02)  # not of the handshake, which a busy machine does not do in that time
    late = 0
    for _ in range(200):
        try:
            t.note(ws.recv())
            break
        except websocket.WebSocketTimeoutException:
            late += 1
    t.note(late > 1)


@scenario(ends())
def the_peer_hangs_up(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.note(ws.connected, ws.sock)
    t.attempt("recv", ws.recv)
    t.attempt("send", ws.send, "x")
    t.attempt("close", ws.close)
    t.attempt("fileno", ws.fileno)


@scenario(ends(text("cut off")[:4]))
def the_peer_hangs_up_inside_a_frame(websocket: Any, t: Trace) -> None:
    t.attempt("recv", t.connect(websocket).recv)


@scenario(ends(reset=True))
def the_peer_resets(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    error = t.attempt("recv", ws.recv)
    t.note(error.errno, ws.connected)


@scenario(closes(1000, "bye"))
def the_peer_closes(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("recv", ws.recv)
    t.note(ws.connected, ws.sock is not None, ws.close_frame)
    t.attempt("close", ws.close)


@scenario(closes(4000, "of our own"))
def the_peer_closes_with_data(websocket: Any, t: Trace) -> None:
    t.note(t.connect(websocket).recv_data())


@scenario(closes(None))
def the_peer_closes_without_a_code(websocket: Any, t: Trace) -> None:
    t.note(t.connect(websocket).recv_data_frame())


@scenario(says(close(b"x"), close(code(1005)), close(code(999)), close(code(1000, b"\xff")), close(code(2999))))
def close_frames_that_are_wrong(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for _ in range(5):
        t.attempt("recv", ws.recv)


@scenario(says(text("unread"), ping(b"unread")))
def closing_with_a_reason(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    time.sleep(PAUSE)
    t.attempt("close", ws.close, 4001, "enough", 2)
    t.note(ws.connected, ws.sock, ws.close_frame)
    t.attempt("close", ws.close)
    t.attempt("send", ws.send, "x")
    t.attempt("recv", ws.recv)


@scenario(quiet)
def closing_in_vain(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    began = time.monotonic()
    t.attempt("close", ws.close, timeout=0.2)
    t.note(time.monotonic() - began < 3, ws.connected, ws.close_frame)


@scenario(quiet)
def closes_that_cannot_be(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.attempt("close", ws.close, -1)
    t.attempt("close", ws.close, 65536)
    t.attempt("send_close", ws.send_close, 70000)
    t.note(ws.connected)
    t.attempt("send_close", ws.send_close, 3000, b"bytes")
    t.note(ws.connected)
    t.attempt("close", ws.close)
    ws.shutdown()
    t.note(ws.sock)


@scenario(says(text("after the close frame")))
def half_closed(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    ws.send_close(1001, "leaving")
    t.note(ws.connected, ws.recv())
    t.note(ws.recv_data())


@scenario(quiet)
def another_thread_aborts(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    timer = threading.Timer(PAUSE, ws.abort)
    timer.start()
    t.attempt("recv", ws.recv)
    timer.join()
    t.note(ws.connected, ws.sock)


@scenario(echo)
def one_sends_and_another_receives(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    got: list[str] = []

    def receive() -> None:
        while len(got) < 200:
            got.append(ws.recv())

    thread = threading.Thread(target=receive)
    thread.start()
    for number in range(200):
        ws.send(str(number))
    thread.join(5)
    t.note(got == [str(number) for number in range(200)])


@scenario(says(text("one") + text("two"), pause=PAUSE))
def select_tells_the_truth(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    for _ in range(2):
        t.note(bool(select.select([ws.sock], [], [], 5)[0]), ws.recv())
    t.note(bool(select.select([ws], [], [], 0.05)[0]))


@scenario(quiet)
def not_connected(websocket: Any, t: Trace) -> None:
    ws = websocket.WebSocket()
    t.note(ws.connected, ws.sock, ws.status, ws.headers, ws.subprotocol, ws.timeout)
    for name in ("recv", "recv_data", "recv_frame", "fileno", "close", "shutdown", "abort", "ping", "send_close"):
        t.attempt(name, getattr(ws, name))
    t.attempt("send", ws.send, "x")


@scenario(echo)
def connected_again(websocket: Any, t: Trace) -> None:
    ws = websocket.WebSocket()
    for _ in range(2):
        ws.connect(t.url, timeout=5)
        ws.send("again")
        t.note(ws.recv(), ws.connected)
        ws.close()


@scenario(echo)
def a_class_of_ones_own(websocket: Any, t: Trace) -> None:
    class Counting(websocket.WebSocket):  # type: ignore[misc]
        frames = 0

        def recv_frame(self) -> Any:
            frame = super().recv_frame()
            Counting.frames += 1
            return frame

    ws = t.connect(websocket, class_=Counting)
    ws.send("one")
    t.note(ws.recv(), Counting.frames)


@scenario(echo)
def a_socket_class_of_ones_own(websocket: Any, t: Trace) -> None:
    """Libraries that wait in their own way (gevent, eventlet) bring sockets that do."""
    calls: set[str] = set()

    class Watched(socket.socket):
        def recv(self, *args: Any) -> bytes:
            calls.add("recv")
            return super().recv(*args)

        def send(self, *args: Any) -> int:
            calls.add("send")
            return super().send(*args)

    sock = Watched()
    sock.settimeout(5)
    sock.connect(("127.0.0.1", t.port))
    ws = websocket.create_connection(t.url, socket=sock)
    calls.clear()
    ws.send("one")
    t.note(ws.recv(), sorted(calls))
    ws.close()


@scenario(echo)
def a_method_of_ones_own(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    sent, received = ws.send_frame, ws.recv_frame

    def send_frame(frame: Any) -> Any:
        t.note("sent", frame.opcode)
        return sent(frame)

    def recv_frame() -> Any:
        t.note("asked")
        return received()

    ws.send_frame, ws.recv_frame = send_frame, recv_frame
    ws.send("one")
    t.note(ws.recv())


@scenario(quiet)
def frames_by_hand(websocket: Any, t: Trace) -> None:
    abnf = websocket.ABNF
    frame = abnf(0, 0, 0, 0, abnf.OPCODE_PING)
    t.attempt("ping", frame.validate)
    for fields in ((1, 1), (1, 0, 1), (2,), (1, 0, 0, 0, 77)):
        t.attempt(str(fields), abnf(*fields).validate)
        keyed = abnf(*fields, data="x")
        keyed.get_mask_key = lambda length: b"abcd"[:length]
        t.attempt(str(fields), keyed.format)
    for data in (b"", b"\x01", b"\x01\x01", b"\x03\xe8\xff", b"\x03\xe8ok", b"x" * 200):
        t.attempt(repr(data[:9]), abnf(1, 0, 0, 0, abnf.OPCODE_CLOSE, 0, data).validate)
    t.note(abnf(1, 0, 0, 0, abnf.OPCODE_TEXT, 0, "unmasked").format(), str(abnf.create_frame("x", abnf.OPCODE_TEXT)))
    keyed = abnf.create_frame("ünd", abnf.OPCODE_TEXT)
    keyed.get_mask_key = lambda length: "abcd"[:length]
    t.note(keyed.format(), abnf.mask(b"abcd", b"data"), abnf.mask("abcd", "data"), abnf.mask(b"abcd", None))
    t.note(abnf.OPCODES, abnf.OPCODE_MAP, abnf.LENGTH_7, abnf.LENGTH_16, abnf.LENGTH_63)


@scenario(quiet)
def text_in_a_frame_without_a_mask(websocket: Any, t: Trace) -> None:
    abnf = websocket.ABNF
    t.note(abnf(1, 0, 0, 0, abnf.OPCODE_TEXT, 0, "ü").format())


@scenario(says(text("traced")))
def tracing(websocket: Any, t: Trace) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    t.note(websocket.isEnabledForTrace(), websocket.isEnabledForDebug(), websocket.isEnabledForError())
    websocket.enableTrace(True, Lines())
    try:
        t.note(websocket.isEnabledForTrace(), websocket.isEnabledForDebug(), websocket.isEnabledForError())
        ws = t.connect(websocket, get_mask_key=lambda length: b"\0" * length)
        ws.send("out")
        t.note(ws.recv())
    finally:
        websocket.enableTrace(False)
    t.note(websocket.isEnabledForTrace())
    for line in lines:
        t.note(
            line.split("Sec-WebSocket-Key")[0] if "Sec-WebSocket-Key" in line else line.split("sec-websocket-accept")[0]
        )


@scenario(quiet)
def reading_a_socket_by_hand(websocket: Any, t: Trace) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"line\nrest")
        t.note(websocket.recv_line(ours), websocket.recv(ours, 2), websocket.send(ours, "text"), theirs.recv(9))
        ours.settimeout(0.05)
        websocket.recv(ours, 9)
        t.attempt("recv", websocket.recv, ours, 1)
        buffer = websocket.frame_buffer(lambda size: websocket.recv(ours, size), False)
        theirs.sendall(text("frame") + peers.ping(b"x"))
        t.note(buffer.recv_frame(), buffer.recv_frame())
        theirs.sendall(b"strict")
        t.note(buffer.recv_strict(6))
        theirs.close()
        t.attempt("recv", websocket.recv, ours, 1)
    t.attempt("recv", websocket.recv, None, 1)
    t.attempt("send", websocket.send, None, b"")

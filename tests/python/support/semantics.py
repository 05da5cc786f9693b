"""The semantics themselves: every scenario with the trace of ours, and where a browser's trace may differ, and why.

States, order of `error` and `close`, close codes, `send` around the close. How a scenario is played is in `scenarios`.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from .frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, build, close_payload
from .raw import RawPeer
from .scenarios import (
    BROKEN,
    EOF,
    FAILED,
    GO,
    OPEN,
    R123,
    UPGRADE,
    Scenario,
    accepting,
    answer,
    bad_close,
    broken,
    cannot_open,
    close,
    close_refused,
    closed,
    closing,
    closing_with_another_code,
    frame,
    gone,
    never_made,
    peer_closes,
    raw,
    redirecting,
    refusing,
    resetting,
    sees_answer,
    sees_close,
    sees_failure,
    sees_messages,
    sees_pong,
    text,
    we_close,
)

CLOSED_PORT = "ws://127.0.0.1:9/"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
DEFLATED = zlib.compress(b"a" * 10, wbits=-15)
AFTER = [OPEN, 'send("go"): open']

OPENING = {
    "refused": Scenario(refusing, FAILED, url=CLOSED_PORT),
    "status 403": cannot_open(answer("HTTP/1.1 403 Forbidden\nContent-Length: 0")),
    "status 200": cannot_open(answer("HTTP/1.1 200 OK\nContent-Length: 0")),
    "401": cannot_open(answer("HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic\nContent-Length: 0")),
    "no HTTP": cannot_open(answer("SSH-2.0-OpenSSH_9.2p1")),
    "EOF for an answer": cannot_open(RawPeer.hang_up),
    "RST for an answer": cannot_open(resetting),
    "wrong accept": cannot_open(answer(f"{UPGRADE}\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
    "no accept": cannot_open(answer(UPGRADE)),
    "no upgrade": cannot_open(
        answer("HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nSec-WebSocket-Accept: {accept}")
    ),
    "subprotocol nobody asked for": cannot_open(accepting(protocol="chat")),
    "subprotocol not among those asked for": cannot_open(accepting(protocol="other"), ["chat"]),
    "extension nobody asked for": cannot_open(accepting(extra=("Sec-WebSocket-Extensions: x-new",))),
    "subprotocol chosen": Scenario(
        accepting(close(1000), sees_answer, protocol="b"),
        ['open: open, protocol "b"', closed(1000), "server: sees close 1000"],
        protocols=["a", "b"],
    ),
    "subprotocol asked for and none given, required": cannot_open(accepting(), ["chat"], require_protocol=True),
    "subprotocol asked for and none given": Scenario(
        accepting(close(1000), sees_answer), [OPEN, closed(1000), "server: sees close 1000"], protocols=["chat"]
    ),
    "redirect": Scenario(
        redirecting,
        [OPEN, "close(1000): closing", closed(1000), 'server: sees close 1000 ""'],
        {"open": [["close", 1000]]},
    ),
    "redirect, none allowed": cannot_open(redirecting, max_redirects=0),
    "URL of another scheme": never_made("ftp://127.0.0.1/"),
    "URL that is none": never_made("ws://"),
    "http URL": Scenario(refusing, FAILED, url="http://127.0.0.1:9/"),
    "URL with a fragment": never_made("ws://127.0.0.1:9/#there"),
    "subprotocol twice": never_made(protocols=["chat", "chat"]),
    "subprotocol that is no token": never_made(protocols=["a b"]),
}

CONNECTING = {
    "send while connecting": Scenario(
        accepting(close(1000), sees_answer),
        ['send("early"): raises InvalidStateError, connecting', OPEN, closed(1000), "server: sees close 1000"],
        {"start": [["send", "early"]]},
    ),
    "close at once": Scenario(RawPeer.wait_eof, ["close(): closing", *FAILED], {"start": [["close"]]}),
    "close and close again": Scenario(
        RawPeer.wait_eof,
        ["close(3000): closing", "close(3001): closing", *FAILED],
        {"start": [["close", 3000], ["close", 3001]]},
    ),
    "close while the server thinks": Scenario(RawPeer.wait_eof, ["close(): closing", *FAILED], {"later": [["close"]]}),
    "close and send while connecting": Scenario(
        RawPeer.wait_eof,
        ["close(): closing", 'send("12345"): closing, 5 more buffered', *FAILED],
        {"start": [["close"], ["send", "12345"]]},
    ),
    "wrong close while connecting": Scenario(
        accepting(close(1000), sees_answer),
        ["close(999): raises InvalidAccessError, connecting", OPEN, closed(1000), "server: sees close 1000"],
        {"start": [["close", 999]]},
    ),
}

MESSAGES = {
    "text": Scenario(
        accepting(text("grüße 🎙"), text(""), close(1000), sees_answer),
        [OPEN, 'message: open, "grüße 🎙"', 'message: open, ""', closed(1000), "server: sees close 1000"],
    ),
    "binary": Scenario(
        accepting(frame(BINARY, bytes(300)), frame(BINARY), close(1000), sees_answer),
        [OPEN, "message: open, 300 bytes", "message: open, 0 bytes", closed(1000), "server: sees close 1000"],
    ),
    "fragments with a ping between": Scenario(
        accepting(
            frame(TEXT, b"a", fin=False),
            frame(PING, b"now"),
            frame(CONTINUATION, b"", fin=False),
            frame(CONTINUATION, b"b"),
            sees_pong,
        ),
        [OPEN, 'message: open, "ab"', 'close: closed, 1006 "", not clean', 'server: sees pong "now"'],
    ),
    "compressed": Scenario(
        accepting(frame(TEXT, DEFLATED, reserved=4), close(1000), sees_answer, extra=(DEFLATE,)),
        [OPEN, 'message: open, "aaaaaaaaaa"', closed(1000), "server: sees close 1000"],
    ),
    "a handler that throws": Scenario(
        accepting(text("one"), text("two"), close(1000), sees_answer),
        [OPEN, 'message: open, "one"', 'message: open, "two"', closed(1000), "server: sees close 1000"],
        {"open": [["throw"]], "message": [["throw"]], "close": [["throw"]]},
    ),
    "onmessage set after a listener": Scenario(
        accepting(text("x"), close(1000), sees_answer),
        [OPEN, "onmessage", 'message: open, "x"', closed(1000), "server: sees close 1000"],
        property_last=True,
    ),
    "a handler that is no function": Scenario(
        accepting(closing),
        [OPEN, "listen(1): raises TypeError, open", "close(): closing", closed(1005), 'server: sees close 1005 ""'],
        {"open": [["listen", 1], ["close"]]},
    ),
    "send a number": Scenario(
        accepting(sees_messages),
        [
            OPEN,
            "send(1): raises TypeError, open",
            "close(1000): closing",
            closed(1000),
            "server: sees nothing and close 1000",
        ],
        {"open": [["send", 1], ["close", 1000]]},
    ),
    "what was sent before close arrives": Scenario(
        accepting(sees_messages),
        [
            OPEN,
            'send("a"): open',
            "sendBytes(1000000): open",
            'send("b"): open',
            "close(1000): closing",
            closed(1000),
            "server: sees a, 1000000 bytes, b and close 1000",
        ],
        {"open": [["send", "a"], ["sendBytes", 1000000], ["send", "b"], ["close", 1000]]},
    ),
}

THEIR_END = {
    "EOF": Scenario(accepting(RawPeer.hang_up), EOF),
    "EOF in a frame": Scenario(accepting(raw(b"\x81\x05he"), RawPeer.hang_up), EOF),
    "EOF in a fragmented message": Scenario(accepting(frame(TEXT, b"a", fin=False), RawPeer.hang_up), EOF),
    "RST": Scenario(accepting(RawPeer.reset, go=True), [*AFTER, *FAILED], GO),
    "messages, then EOF": Scenario(
        accepting(text("last"), RawPeer.hang_up), [OPEN, 'message: open, "last"', 'close: closed, 1006 "", not clean']
    ),
    "peer closes, no code": peer_closes(None),
    "peer closes, 1000": peer_closes(1000, "bye"),
    "peer closes, 1001": peer_closes(1001),
    "peer closes, 1011": peer_closes(1011, "größer"),
    "peer closes, 1014": peer_closes(1014),
    "peer closes, 3000": peer_closes(3000),
    "peer closes, 4999": peer_closes(4999, R123),
    "message and close at once": Scenario(
        accepting(raw(build(TEXT, b"last") + build(CLOSE, close_payload(1000))), sees_answer),
        [OPEN, 'message: open, "last"', closed(1000), "server: sees close 1000"],
    ),
    "what follows the peer's close": Scenario(
        accepting(raw(build(CLOSE, close_payload(1000)) + build(TEXT, b"late")), sees_answer),
        [OPEN, closed(1000), "server: sees close 1000"],
    ),
    "send and close in the close handler": Scenario(
        accepting(close(1000), sees_answer),
        [
            OPEN,
            closed(1000),
            'send("12345"): closed, 5 more buffered',
            "sendBytes(200): closed, 200 more buffered",
            "close(3000): closed",
            "close(999): raises InvalidAccessError, closed",
            "server: sees close 1000",
        ],
        {"close": [["send", "12345"], ["sendBytes", 200], ["close", 3000], ["close", 999]]},
    ),
    "send and close in the error handler": Scenario(
        RawPeer.hang_up,
        [FAILED[0], 'send("12345"): closed, 5 more buffered', "close(): closed", FAILED[1]],
        {"error": [["send", "12345"], ["close"]]},
    ),
}

BROKEN_PROTOCOL = {
    "reserved opcode": broken(frame(0x3)),
    "reserved control opcode": broken(frame(0xB)),
    "reserved bit": broken(frame(TEXT, b"x", reserved=4)),
    "masked frame": broken(raw(build(TEXT, b"x", mask=True))),
    "lone continuation": broken(frame(CONTINUATION, b"x")),
    "text in a fragmented message": broken(frame(TEXT, b"a", fin=False), frame(TEXT, b"b")),
    "fragmented ping": broken(frame(PING, b"x", fin=False)),
    "ping of 126 bytes": broken(frame(PING, bytes(126))),
    "length of 2**63": broken(raw(b"\x82\x7f\x80" + bytes(7))),
    "text that is not UTF-8": broken(frame(TEXT, b"\xff"), code=1007),
    "surrogate in a text": broken(frame(TEXT, b"\xed\xa0\x80"), code=1007),
    "text that ends in a character": broken(frame(TEXT, "ü".encode()[:1]), code=1007),
    "length longer than it needs to be": broken(raw(b"\x81\x7e\x00\x01x")),
    "compressed garbage": Scenario(
        accepting(frame(TEXT, b"\xff" * 20, reserved=4), sees_failure, extra=(DEFLATE,), go=True),
        [*BROKEN, "server: sees close 1002"],
        GO,
    ),
    "compressed where that was not agreed": broken(frame(TEXT, DEFLATED, reserved=4)),
    "close of 1 byte": bad_close(b"\x03"),
    "close 999": bad_close(close_payload(999)),
    "close 1004": bad_close(close_payload(1004)),
    "close 1005": bad_close(close_payload(1005)),
    "close 1006": bad_close(close_payload(1006)),
    "close 1015": bad_close(close_payload(1015)),
    "close 2999": bad_close(close_payload(2999)),
    "close 5000": bad_close(close_payload(5000)),
    "close, reason not UTF-8": bad_close(b"\x03\xe8\xff", 1007),
    "after a failure nothing is heard": Scenario(
        accepting(raw(build(0x3) + build(TEXT, b"late") + build(CLOSE, close_payload(1000))), gone, go=True),
        [*AFTER, *FAILED, "server: sees the end"],
        GO,
    ),
}

OUR_END = {
    "close()": we_close(),
    "close(1000)": we_close(1000),
    "close(1000, reason)": we_close(1000, "bye"),
    "close(3000, 122 bytes)": we_close(3000, "ä" * 61),
    "close(4999, 123 bytes)": we_close(4999, R123),
    "close(999)": close_refused("InvalidAccessError", 999),
    "close(1001)": close_refused("InvalidAccessError", 1001),
    "close(1005)": close_refused("InvalidAccessError", 1005),
    "close(1006)": close_refused("InvalidAccessError", 1006),
    "close(1011)": close_refused("InvalidAccessError", 1011),
    "close(2999)": close_refused("InvalidAccessError", 2999),
    "close(5000)": close_refused("InvalidAccessError", 5000),
    "close(-1)": close_refused("InvalidAccessError", -1),
    "close(text)": close_refused("TypeError", "1000"),
    "close(reason of 124 bytes)": close_refused("SyntaxError", 1000, R123 + "r"),
    "close(reason of 62 ä)": close_refused("SyntaxError", 1000, "ä" * 62),
    "a second close": Scenario(
        accepting(closing),
        [OPEN, "close(3001): closing", "close(3002): closing", closed(3001), 'server: sees close 3001 ""'],
        {"open": [["close", 3001], ["close", 3002]]},
    ),
    "send after close": Scenario(
        accepting(sees_messages),
        [
            OPEN,
            "close(1000): closing",
            'send("12345"): closing, 5 more buffered',
            closed(1000),
            'send(""): closed',
            "server: sees nothing and close 1000",
        ],
        {"open": [["close", 1000], ["send", "12345"]], "close": [["send", ""]]},
    ),
    "the peer's code wins": Scenario(
        accepting(closing_with_another_code),
        [OPEN, "close(4001): closing", closed(4002, "mine"), "server: sees close 4001"],
        {"open": [["close", 4001]]},
    ),
    "messages after close": Scenario(
        accepting(text("one"), text("two"), closing),
        [OPEN, 'message: open, "one"', "close(1000): closing", closed(1000), 'server: sees close 1000 ""'],
        {"message": [["close", 1000]]},
    ),
    "close answered by EOF": Scenario(
        accepting(sees_close),
        [OPEN, "close(1000): closing", 'close: closed, 1006 "", not clean', 'server: sees close 1000 ""'],
        {"open": [["close", 1000]]},
    ),
    "close answered by nothing": Scenario(
        accepting(gone),
        [OPEN, "close(1000): closing", 'close: closed, 1006 "", not clean', "server: sees the end"],
        {"open": [["close", 1000]]},
        parameters={"close_timeout": 0.2},
    ),
    "close, and the peer breaks the protocol": Scenario(
        accepting(frame(0x3), gone),
        [OPEN, "close(1000): closing", *FAILED, "server: sees the end"],
        {"open": [["close", 1000]]},
    ),
}


SCENARIOS: dict[str, Scenario] = {
    **OPENING,
    **CONNECTING,
    **MESSAGES,
    **THEIR_END,
    **BROKEN_PROTOCOL,
    **OUR_END,
}


class Difference(NamedTuple):
    """Where a browser does something else, and why we do not."""

    reason: str
    trace: list[str]  # the browser's


CODES = (
    "RFC 6455 section 7.4 reserves the code, so a peer that sends it breaks the protocol; Autobahn 7.9 wants it refused. "
    "Chromium takes every code but 1005, 1006 and 1015."
)
UTF_8 = "RFC 6455 section 8.1 and Autobahn 6 want code 1007; Chromium sends 1002. The events are the same."
PYTHON = "JavaScript turns it into what it needs; in Python a wrong type is a TypeError."


def takes_code(code: int) -> Difference:
    return Difference(CODES, [*AFTER, closed(code), f"server: sees close {code}"])


DIFFERENCES: dict[str, Difference] = {
    "subprotocol asked for and none given": Difference(
        "VoxEngine offers `chat` when nothing is said and works with servers that choose none; `require_protocol` is the "
        "browser's rule.",
        [*FAILED, "server: sees the end"],
    ),
    "redirect": Difference(
        "A browser's WebSocket follows no redirect, other clients of servers do; `max_redirects=0` is the browser's rule.",
        FAILED,
    ),
    "onmessage set after a listener": Difference(
        "VoxEngine calls the property's handler right before those of addEventListener, a browser in the order they "
        "were set.",
        [OPEN, 'message: open, "x"', "onmessage", closed(1000), "server: sees close 1000"],
    ),
    "a handler that is no function": Difference(
        "In VoxEngine a handler must be a function; a browser takes anything for none.",
        [OPEN, "listen(1): open", "close(): closing", closed(1005), 'server: sees close 1005 ""'],
    ),
    "send a number": Difference(
        PYTHON, [OPEN, "send(1): open", "close(1000): closing", closed(1000), "server: sees 1 and close 1000"]
    ),
    "close(text)": Difference(
        PYTHON,
        [OPEN, 'close("1000"): closing', "close(1000): closing", closed(1000), 'server: sees close 1000 ""'],
    ),
    "RST": Difference(
        "Our ERROR event says what happened to the connection, which 1006 alone does not; a browser has no word for it.",
        [*AFTER, 'close: closed, 1006 "", not clean'],
    ),
    "what follows the peer's close": Difference(
        "RFC 6455 section 5.5.1 forbids it to the peer and section 7.1.1 lets us ignore it: the close was agreed on. "
        "Chromium calls it a failure.",
        [OPEN, *FAILED, "server: sees close 1000"],
    ),
    "text that is not UTF-8": Difference(UTF_8, [*BROKEN, "server: sees close 1002"]),
    "surrogate in a text": Difference(UTF_8, [*BROKEN, "server: sees close 1002"]),
    "text that ends in a character": Difference(UTF_8, [*BROKEN, "server: sees close 1002"]),
    "close, reason not UTF-8": Difference(UTF_8, [*BROKEN, "server: sees close 1002"]),
    "close 999": takes_code(999),
    "close 1004": takes_code(1004),
    "close 2999": takes_code(2999),
    "close 5000": takes_code(5000),
}

TOO_LONG_FOR_A_BROWSER = {"close answered by nothing": "Chromium waits 60 s for the answer; ours has `close_timeout`."}

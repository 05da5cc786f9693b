"""What the browser's semantics are tried with: a raw server's script, what the client does, and the trace that follows.

Nothing here runs a client: `support.traces` plays a scenario with ours, `tests/peers/chromium/trace.js` with a browser.
Both write the same lines, a line for each event and each call, with the state after it; the server's own view is last.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import frames
from .raw import GUID, RawPeer

Action = list[Any]
Script = Callable[[RawPeer], str | None]
R123 = "r" * 123


@dataclass(frozen=True)
class Scenario:
    """`actions` are done at a trigger: start (right after construction), later (0.1 s after it), open, message, error,
    close. `trace` is what ours writes.
    """

    script: Script
    trace: list[str]
    actions: dict[str, list[Action]] = field(default_factory=dict)
    protocols: list[str] = field(default_factory=list)
    url: str | None = None  # instead of the server's
    parameters: dict[str, Any] = field(default_factory=dict)  # only for ours
    property_last: bool = False  # `onmessage` is set too, after the listeners


# Servers


def refusing(peer: RawPeer) -> None:
    """Never called: its scenario connects elsewhere."""
    raise AssertionError(peer)


def answer(head: str) -> Script:
    """Any HTTP response, then the end. `{accept}` in it is the right token."""

    def script(peer: RawPeer) -> None:
        peer.read_head()
        key = peer.headers["sec-websocket-key"]
        token = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        peer.write(head.format(accept=token).replace("\n", "\r\n").encode() + b"\r\n\r\n")
        peer.hang_up()

    return script


UPGRADE = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade"


def accepting(
    *steps: Callable[[RawPeer], object], protocol: str | None = None, extra: tuple[str, ...] = (), go: bool = False
) -> Script:
    """The handshake, then the steps; `go` waits for a message before. What the last step saw is the server's view."""

    def script(peer: RawPeer) -> str | None:
        peer.accept(protocol, extra)
        if go:
            peer.frame()
        seen: object = None
        for step in steps:
            seen = step(peer)
        return seen if isinstance(seen, str) else None

    return script


def resetting(peer: RawPeer) -> None:
    peer.read_head()
    peer.reset()


def redirecting(peer: RawPeer) -> str | None:
    """From / to /there, which is a WebSocket."""
    if peer.read_head().startswith("GET / "):
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.hang_up()
        return None
    peer.read_head = lambda: peer.request  # type: ignore[method-assign]
    peer.accept(None)
    return closing(peer)


def text(data: str) -> Callable[[RawPeer], None]:
    return lambda peer: peer.text(data)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> Callable[[RawPeer], None]:
    return lambda peer: peer.send(opcode, payload, fin=fin, reserved=reserved)


def raw(data: bytes) -> Callable[[RawPeer], None]:
    return lambda peer: peer.write(data)


def close(code: int | None, reason: str = "") -> Callable[[RawPeer], None]:
    return lambda peer: peer.close(code, reason)


def sees_close(peer: RawPeer) -> str:
    """The client's close frame; then we hang up."""
    code, reason = peer.until(frames.CLOSE).close
    peer.hang_up()
    return f'server: sees close {code} "{reason}"'


def sees_answer(peer: RawPeer) -> str:
    """The code of the client's answer to our close (a browser echoes the code, and no reason); then we hang up."""
    code, _ = peer.until(frames.CLOSE).close
    peer.hang_up()
    return f"server: sees close {code}"


def sees_failure(peer: RawPeer) -> str:
    """The code of the client that refuses what we did (its reason is its own); then we hang up."""
    code, _ = peer.until(frames.CLOSE).close
    peer.wait_eof()
    return f"server: sees close {code}"


def closing(peer: RawPeer) -> str:
    code, reason = peer.answer_close()
    return f'server: sees close {code} "{reason}"'


def closing_with_another_code(peer: RawPeer) -> str:
    code, _ = peer.until(frames.CLOSE).close
    peer.close(4002, "mine")
    peer.hang_up()
    return f"server: sees close {code}"


def sees_messages(peer: RawPeer) -> str:
    """Text as it is, anything long as its size; Chromium cuts a long message into frames of 131,000 bytes."""
    seen: list[bytes] = []
    while (got := peer.frame()).opcode != frames.CLOSE:
        if got.opcode == frames.CONTINUATION:
            seen[-1] += got.payload
        else:
            seen.append(got.payload)
    peer.send(frames.CLOSE, got.payload)
    peer.hang_up()
    said = ", ".join(data.decode() if len(data) < 100 else f"{len(data)} bytes" for data in seen)
    return f"server: sees {said or 'nothing'} and close {got.close[0]}"


def sees_pong(peer: RawPeer) -> str:
    payload = peer.until(frames.PONG).payload.decode()
    peer.hang_up()
    return f'server: sees pong "{payload}"'


def gone(peer: RawPeer) -> str:
    """What is sent after a failure reaches nobody, and the client hangs up."""
    peer.wait_eof()
    return "server: sees the end"


# Traces

FAILED = ["error: closed", 'close: closed, 1006 "", not clean']
OPEN = 'open: open, protocol ""'
EOF = [OPEN, 'close: closed, 1006 "", not clean']
BROKEN = [OPEN, 'send("go"): open', *FAILED]
GO: dict[str, list[Action]] = {"open": [["send", "go"]]}


def closed(code: int, reason: str = "") -> str:
    return f'close: closed, {code} "{reason}", clean'


def cannot_open(script: Script, protocols: list[str] | None = None, **parameters: Any) -> Scenario:
    return Scenario(script, FAILED, protocols=protocols or [], parameters=parameters)


def never_made(url: str = "", call: str = "SyntaxError", protocols: list[str] | None = None) -> Scenario:
    return Scenario(refusing, [f"new WebSocket: raises {call}"], url=url or None, protocols=protocols or [])


def broken(*steps: Callable[[RawPeer], object], code: int = 1002) -> Scenario:
    """The peer breaks the protocol in an open connection."""
    return Scenario(accepting(*steps, sees_failure, go=True), [*BROKEN, f"server: sees close {code}"], GO)


def bad_close(payload: bytes, code: int = 1002) -> Scenario:
    script = accepting(frame(frames.CLOSE, payload), sees_answer, go=True)
    return Scenario(script, [*BROKEN, f"server: sees close {code}"], GO)


def peer_closes(code: int | None, reason: str = "") -> Scenario:
    said = 1005 if code is None else code
    return Scenario(
        accepting(close(code, reason), sees_answer), [OPEN, closed(said, reason), f"server: sees close {said}"]
    )


def we_close(*arguments: Any) -> Scenario:
    code, reason = (*arguments, 1005, "")[:2] if arguments else (1005, "")
    reason = reason if isinstance(reason, str) else ""
    call = f"close({shown(arguments)}): closing"
    return Scenario(
        accepting(closing),
        [OPEN, call, closed(code, reason), f'server: sees close {code} "{reason}"'],
        {"open": [["close", *arguments]]},
    )


def close_refused(error: str, *arguments: Any) -> Scenario:
    call = f"close({shown(arguments)}): raises {error}, open"
    return Scenario(
        accepting(closing),
        [OPEN, call, "close(1000): closing", closed(1000), 'server: sees close 1000 ""'],
        {"open": [["close", *arguments], ["close", 1000]]},
    )


def shown(arguments: tuple[Any, ...] | list[Any]) -> str:
    """Arguments as JSON."""
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in arguments)

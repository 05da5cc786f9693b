"""Peers that put a text of theirs wherever a peer can put one: each is the script of a raw server."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .raw import RawPeer

Script = Callable[[RawPeer], object]


@dataclass
class Hostile:
    """What the peer does, and with which parameters we go there."""

    script: Script
    parameters: dict[str, Any] = field(default_factory=dict)


def scripts(text: str) -> dict[str, Hostile]:
    """All of them, by name."""
    raw = text.encode()
    wire = text.replace("\0", "").replace("\r", "").replace("\n", "")  # what can stand in a line
    upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"

    def answers(head: bytes | str, body: bytes = b"") -> Hostile:
        data = head.encode() if isinstance(head, str) else head

        def script(peer: RawPeer) -> None:
            peer.read_head()
            peer.write(data + b"\r\n\r\n" + body)
            peer.hang_up()

        return Hostile(script)

    def opens(*extra: str, protocol: str | None = "chat") -> Hostile:
        def script(peer: RawPeer) -> None:
            with contextlib.suppress(OSError, EOFError):
                peer.accept(protocol, extra)
                peer.wait_eof()

        return Hostile(script)

    def then(act: Callable[[RawPeer], object], *, close: bool = True) -> Hostile:
        def script(peer: RawPeer) -> None:
            peer.accept()
            with contextlib.suppress(OSError, EOFError):
                act(peer)
                if close:
                    peer.close(4000, text[:30])
                peer.wait_eof()

        return Hostile(script)

    def says(*events: object) -> Hostile:
        def say(peer: RawPeer) -> None:
            for event in events:
                peer.text(event if isinstance(event, str) else json.dumps(event, ensure_ascii=False))

        return then(say)

    def start(**format_: object) -> dict[str, object]:
        return {"event": "start", "start": {"tag": text, "mediaFormat": format_}}

    def lost(peer: RawPeer) -> None:
        peer.text(text)
        peer.reset()

    def several(peer: RawPeer) -> None:
        peer.text(text)
        peer.send(9, raw[:100])
        peer.send(2, raw)

    refusal = f"HTTP/1.1 403 Forbidden\r\nX-Why: {wire}\r\nContent-Length: {len(raw)}"
    return {
        "reason phrase": answers(f"HTTP/1.1 403 {text}"),
        "header and body of a refusal": answers(refusal, raw),
        "no HTTP": answers(raw),
        "malformed header": answers(f"HTTP/1.1 101 X\r\n{text}"),
        "Upgrade": answers(f"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: {wire}"),
        "Accept": answers(f"{upgrade}\r\nSec-WebSocket-Accept: {wire}"),
        "subprotocol": opens(protocol=wire),
        "extension": opens(f"Sec-WebSocket-Extensions: {wire}"),
        "extension's parameter": opens(f"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={wire}"),
        "extension's quote": opens(f'Sec-WebSocket-Extensions: permessage-deflate; x="{wire}'),
        "Location": answers(f"HTTP/1.1 302 Found\r\nLocation: ftp://host/{wire}?{wire}"),
        "Location's fragment": answers(f"HTTP/1.1 302 Found\r\nLocation: ws://host/#{wire}"),
        "Location that is no URL": answers(f"HTTP/1.1 302 Found\r\nLocation: ws://[{wire}"),
        "redirects in a loop": answers(f"HTTP/1.1 302 Found\r\nLocation: /{wire}?{wire}"),
        "proxy's reason phrase": Hostile(answers(f"HTTP/1.1 407 {wire}", raw).script, {"proxy": "http://{peer}"}),
        "proxy without HTTP": Hostile(answers(raw).script, {"proxy": "http://{peer}"}),
        "close reason": then(lambda peer: peer.close(4000, text[:30]), close=False),
        "reset": then(lost, close=False),
        "reserved opcode": then(lambda peer: peer.send(3, raw), close=False),
        "text that is not UTF-8": then(lambda peer: peer.send(1, raw + b"\xff"), close=False),
        "message and ping": then(several),
        "encoding": says(start(encoding=text)),
        "rate": says(start(encoding="PCM16", sampleRate=text)),
        "tag of another type": says({"event": "start", "start": {"tag": [text]}}),
        "payload of another type": says(start(encoding="ULAW"), {"event": "media", "media": {"payload": [text]}}),
        "payload that is no base64": says(
            start(encoding="ULAW"), {"event": "media", "media": {"tag": text, "chunk": 1, "payload": text}}
        ),
        "JSON cut off": says('{"event": "media", "media": {"payload": "' + text),
        "JSON with a line break": says('{"event": "start", "start": ["' + wire + '",\n"\x7f"]}'),
        "too many streams": says(
            *(
                {"event": "start", "start": {"tag": f"{n} {text}", "mediaFormat": {"encoding": "ULAW"}}}
                for n in range(34)
            )
        ),
    }

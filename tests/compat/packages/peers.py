"""The other ends: servers that speak what the packages expect, and a client for theirs, on the original `websockets`.

`peers.py NAME` serves and prints its port; `peers.py NAME FILE` does so with TLS and writes its CA's certificate to the
file; `peers.py call URL` talks to a server.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

PAYLOAD = "größer " * 20_000
"""140,000 characters: more than one read brings."""


async def graphql(ws: ServerConnection) -> None:
    """Serve the protocol graphql-transport-ws: a subscription that counts down."""
    async for raw in ws:
        message: dict[str, Any] = json.loads(raw)
        match message["type"]:
            case "connection_init":
                await ws.send(json.dumps({"type": "connection_ack"}))
            case "subscribe":
                start = message["payload"]["variables"]["start"]
                for number in range(start, -1, -1):
                    data = {"data": {"number": number}}
                    await ws.send(json.dumps({"id": message["id"], "type": "next", "payload": data}))
                await ws.send(json.dumps({"id": message["id"], "type": "complete"}))


async def realtime(ws: ServerConnection) -> None:
    """Serve OpenAI's Realtime API, as far as a text conversation needs it."""
    assert ws.request is not None
    assert ws.request.headers["Authorization"] == "Bearer a-key"
    await ws.send(json.dumps({"type": "session.created", "event_id": "1", "session": {"type": "realtime"}}))
    said = ""
    async for raw in ws:
        event: dict[str, Any] = json.loads(raw)
        match event["type"]:
            case "conversation.item.create":
                said = event["item"]["content"][0]["text"]
            case "response.create":
                place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
                for word in said.split():
                    delta = {"type": "response.output_text.delta", "event_id": "2", "delta": word, **place}
                    await ws.send(json.dumps(delta))
                await ws.send(json.dumps({"type": "response.done", "event_id": "3", "response": {"id": "r"}}))


async def devtools(ws: ServerConnection) -> None:
    """Serve the Chrome DevTools Protocol: answers with an event before each."""
    async for raw in ws:
        command: dict[str, Any] = json.loads(raw)
        event = {"targetInfo": {"targetId": "t", "type": "page", "title": PAYLOAD, "url": "about:blank"}}
        await ws.send(json.dumps({"method": "Target.targetCreated", "params": event}))
        await ws.send(json.dumps({"id": command["id"], "result": {"targetInfos": [], "of": command["method"]}}))


async def live(ws: ServerConnection) -> None:
    """Serve Gemini's Live API, as far as a text conversation needs it; in binary messages, as the original does."""
    setup = json.loads(await ws.recv())
    assert "setup" in setup, setup
    await ws.send(json.dumps({"setupComplete": {}}).encode())
    async for raw in ws:
        turn: dict[str, Any] = json.loads(raw)["client_content"]["turns"][0]
        for word in turn["parts"][0]["text"].split():
            content = {"modelTurn": {"role": "model", "parts": [{"text": word}]}}
            await ws.send(json.dumps({"serverContent": content}).encode())
        await ws.send(json.dumps({"serverContent": {"turnComplete": True}}).encode())


async def run(name: str, ca_file: str | None = None) -> None:
    """Serve until the input ends."""
    context = None
    if ca_file is not None:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
    protocol: Any = ["graphql-transport-ws"] if name == "graphql" else None
    handler = {"graphql": graphql, "realtime": realtime, "devtools": devtools, "live": live}[name]
    async with serve(handler, "127.0.0.1", 0, subprotocols=protocol, ssl=context) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def call(url: str) -> None:
    """Talk to an ASGI application that echoes: text, bytes, something long, a refusal, a close."""
    async with connect(f"{url}/echo", subprotocols=["talk"]) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "talk"
        assert ws.response is not None
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        for message in ("hello", PAYLOAD, b"\x00\xff", b"\x01" * 200_000, [b"in ", b"parts"]):
            await ws.send(message)
            assert await ws.recv() == (message if isinstance(message, (str, bytes)) else b"in parts")
        await (await ws.ping())
        await ws.send("close")
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4000, "as you say"), ws.close_code
    try:
        async with connect(f"{url}/refused"):
            pass
    except Exception as exc:
        assert "403" in str(exc), exc
    else:
        raise AssertionError("not refused")  # noqa: EM101, TRY003


if __name__ == "__main__":
    asyncio.run(call(sys.argv[2]) if sys.argv[1] == "call" else run(*sys.argv[1:]))

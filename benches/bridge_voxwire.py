"""The measured process of the bridge cases: voxwire routes the audio in the core. Compare `bridge_by_hand`."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

from voxwire import AppEvents, Engine, NewWebSocketEvent, OpenEvent, WebSocket, WebSocketAudioEncoding

from . import child
from .blocker import blocks_when_told
from .clients import LOOPS


def figures() -> dict[str, Any]:
    """What became of the audio, as the bridge knows it."""
    counted = Engine.statistics()
    return {field.name: getattr(counted, field.name) for field in fields(counted) if field.name.startswith("media_")}


async def serve(agent_port: int) -> None:
    """Bridges each call to the agent."""

    def on_call(event: NewWebSocketEvent) -> None:
        caller, agent = event.websocket, WebSocket(f"ws://127.0.0.1:{agent_port}/")

        def on_agent_open(_event: OpenEvent) -> None:
            caller.sendMediaTo(agent, {"encoding": WebSocketAudioEncoding.PCM16_16KHZ, "tag": "call"})
            agent.sendMediaTo(caller, {"encoding": WebSocketAudioEncoding.ULAW, "tag": "call"})

        agent.onopen = on_agent_open
        agent.onclose = lambda _: caller.close()
        caller.onclose = lambda _: agent.close()

    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, on_call)
    server = engine.allowWebSocketConnections(max_connections=10_000)
    child.say(port=server.port)
    await blocks_when_told(figures)


def main() -> None:
    """Runs until the parent ends."""
    job = child.argument()
    with asyncio.Runner(loop_factory=LOOPS[job["loop"]]) as runner:
        runner.run(serve(job["agent_port"]))


if __name__ == "__main__":
    main()

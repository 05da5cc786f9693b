"""A first bridge: a phone call that comes in as µ-law 8 kHz is connected to an agent that wants PCM 16 kHz.

Usage:
    python examples/first_bridge.py ws://127.0.0.1:8002     bridges calls to port 8001 to this agent, until Ctrl-C
    python examples/first_bridge.py                         starts an agent that echoes, calls it, and ends
"""

import asyncio
import contextlib
import sys
from pathlib import Path

from voxwire import AppEvents, Engine, NewWebSocketEvent, OpenEvent, Player, WebSocket, WebSocketAudioEncoding


def bridge(to: str, call: NewWebSocketEvent) -> None:
    caller, agent = call.websocket, WebSocket(to)

    # From here on the audio flows both ways in the core, whatever Python does; until the agent is there, it waits.
    caller.sendMediaTo(agent, {"encoding": WebSocketAudioEncoding.PCM16_16KHZ})
    agent.sendMediaTo(caller, {"encoding": WebSocketAudioEncoding.ULAW})

    def on_agent_open(_: OpenEvent) -> None:
        # Messages that are not audio pass through here. Those that came before this line have waited.
        caller.onmessage = lambda event: agent.send(event.data)
        agent.onmessage = lambda event: caller.send(event.data)

    agent.onopen = on_agent_open
    agent.onclose = lambda _: caller.close()  # also when the agent cannot be reached
    caller.onclose = lambda _: agent.close()


async def try_it() -> None:
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, lambda event: event.websocket.sendMediaTo(event.websocket))
    bridges = Engine()
    async with engine.allowWebSocketConnections() as agent, bridges.allowWebSocketConnections() as server:
        bridges.addEventListener(AppEvents.WebSocket, lambda event: bridge(agent.url, event))
        async with WebSocket(server.url) as caller:
            caller.onmediastarted = lambda event: print("the agent answers:", event.encoding)
            player = Player(Path(__file__).with_name("speech.wav"))
            player.sendMediaTo(caller, {"encoding": WebSocketAudioEncoding.ULAW})
            player.start()
            await asyncio.sleep(2)
            print("frames sent and received:", caller.statistics().media_frames_sent > 0, end=", ")
            print(caller.statistics().media_frames_received > 0)


async def main() -> None:
    if len(sys.argv) == 1:
        await try_it()
        return
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, lambda event: bridge(sys.argv[1], event))
    async with engine.allowWebSocketConnections("127.0.0.1", 8001):
        await asyncio.Event().wait()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())

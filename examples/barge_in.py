"""Barge-in: a caller interrupts an agent, and the agent learns how much of its speech was heard.

The agent has marks of its own, as Twilio's Media Streams have: it sends audio and then `{"event": "mark", …}`, gets the
mark back when that audio has been played, or at once when it was cleared. When the caller begins to speak, the bridge clears
what waits of the agent's audio and tells it.

    python examples/barge_in.py
"""

import asyncio
import json
import wave
from pathlib import Path

from voxwire import (
    AppEvents,
    AudioUnit,
    Engine,
    MarkEvent,
    MessageEvent,
    Player,
    SpeechStartedEvent,
    VoiceActivity,
    WebSocket,
    WebSocketParameters,
)

SPEECH = Path(__file__).parent / "speech.wav"


def bridge(caller: WebSocket, agent: WebSocket) -> None:
    """Connect a caller and an agent that may be interrupted."""
    caller.sendMediaTo(agent, {"encoding": "PCM16"})
    agent.sendMediaTo(caller, {"encoding": "ULAW"})

    def on_message(event: MessageEvent) -> None:
        message = json.loads(event.data)
        if message["event"] == "mark":
            agent.mark(message["mark"]["name"])
        elif message["event"] == "clear":
            agent.clearMediaBuffer()

    def on_mark(event: MarkEvent) -> None:
        agent.send(json.dumps({"event": "mark", "mark": {"name": event.mark, "played": event.played}}))

    def on_speech(_event: SpeechStartedEvent) -> None:
        if agent.buffered_media() > 0:
            dropped = agent.clearMediaBuffer()  # heard with the next frame
            print(f"the caller speaks: {dropped / 1000:.1f} s of the agent are not played")
            agent.send(json.dumps({"event": "interrupted"}))

    agent.onmessage = on_message
    agent.onmark = on_mark
    caller.onspeechstarted = on_speech
    caller.onclose = lambda _event: agent.close()
    agent.onclose = lambda _event: caller.close()


async def talkative_agent(ws: WebSocket, done: asyncio.Event) -> None:
    """Send three sentences faster than they are played, and a mark behind each."""
    with wave.open(str(SPEECH), "rb") as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    waiting = {"first", "second", "third"}

    def on_message(event: MessageEvent) -> None:
        message = json.loads(event.data)
        if message["event"] == "mark":
            name, played = message["mark"]["name"], message["mark"]["played"]
            print(f"agent: my {name} sentence was {'heard' if played else 'cut off'}")
            waiting.discard(name)
            if not waiting:
                done.set()

    ws.onmessage = on_message
    await ws.wait_open()
    async with AudioUnit(rate, lead=10) as voice:
        voice.sendMediaTo(ws, {"encoding": "PCM16"})
        third = len(pcm) // 3 // 640 * 640  # whole frames of 20 ms
        for number, name in enumerate(("first", "second", "third")):
            voice.write(pcm[number * third : number * third + third])
            await voice.drain()  # sent, well before it is heard
            ws.send(json.dumps({"event": "mark", "mark": {"name": name}}))
            await asyncio.sleep(0.2)  # the next sentence is made; the mark goes behind what has come when it is handled
        await done.wait()


async def main() -> None:
    agents, bridges = Engine(), Engine()
    done = asyncio.Event()
    agents.addEventListener(AppEvents.WebSocket, lambda event: talkative_agent(event.websocket, done))
    listening: WebSocketParameters = {"voice_activity": VoiceActivity(min_speech=0.1)}
    async with (
        agents.allowWebSocketConnections() as agent,
        bridges.allowWebSocketConnections(parameters=listening) as server,
    ):
        bridges.addEventListener(AppEvents.WebSocket, lambda event: bridge(event.websocket, WebSocket(agent.url)))
        async with WebSocket(server.url) as caller:
            caller_speaks = Player(SPEECH)
            caller_speaks.sendMediaTo(caller, {"encoding": "ULAW"})
            await asyncio.sleep(3)  # the caller listens, and then has enough
            caller_speaks.start()
            await asyncio.wait_for(done.wait(), 20)


if __name__ == "__main__":
    asyncio.run(main())

"""The measured process of the bridge cases, as one writes it with `websockets` and `audioop` in asyncio.

Each frame is converted and passed on as it comes: no jitter buffer, no pacing, which makes it cheaper and quicker than
what it is compared with, and dependent on the loop being free. Resampling is `ratecv`, which does not filter.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import websockets

from . import child
from .blocker import blocks_when_told
from .clients import LOOPS

try:
    import audioop
except ModuleNotFoundError:  # Python 3.13
    raise SystemExit("the bridge by hand needs audioop: Python 3.12 or older, or `pip install audioop-lts`") from None

_ULAW = {"encoding": "ULAW", "sampleRate": 8000, "channels": 1}
_PCM16 = {"encoding": "PCM16", "sampleRate": 16000, "channels": 1}


async def to_agent(caller: Any, agent: Any) -> None:
    """µ-law at 8 kHz to PCM at 16 kHz."""
    state, samples = None, 0
    async for message in caller:
        event = json.loads(message)
        kind = event.get("event")
        if kind == "start":
            state, samples = None, 0
            event["start"]["mediaFormat"] = _PCM16
        elif kind == "media":
            media = event["media"]
            pcm = audioop.ulaw2lin(base64.b64decode(media["payload"]), 2)
            pcm, state = audioop.ratecv(pcm, 2, 1, 8000, 16000, state)
            media["payload"] = base64.b64encode(pcm).decode()
            media["timestamp"] = samples
            samples += len(pcm) // 2
        await agent.send(json.dumps(event))


async def to_caller(agent: Any, caller: Any) -> None:
    """PCM at 16 kHz to µ-law at 8 kHz."""
    state, samples = None, 0
    async for message in agent:
        event = json.loads(message)
        kind = event.get("event")
        if kind == "start":
            state, samples = None, 0
            event["start"]["mediaFormat"] = _ULAW
        elif kind == "media":
            media = event["media"]
            pcm, state = audioop.ratecv(base64.b64decode(media["payload"]), 2, 1, 16000, 8000, state)
            media["payload"] = base64.b64encode(audioop.lin2ulaw(pcm, 2)).decode()
            media["timestamp"] = samples
            samples += len(pcm) // 2
        await caller.send(json.dumps(event))


async def serve(agent_port: int) -> None:
    """Bridges each call to the agent."""

    async def on_call(caller: Any) -> None:
        async with websockets.connect(f"ws://127.0.0.1:{agent_port}/") as agent:
            pumps = asyncio.gather(to_agent(caller, agent), to_caller(agent, caller))
            try:
                await pumps
            except websockets.ConnectionClosed:
                pumps.cancel()

    async with websockets.serve(on_call, "127.0.0.1", 0) as server:
        child.say(port=next(iter(server.sockets)).getsockname()[1])
        await blocks_when_told()


def main() -> None:
    """Runs until the parent ends."""
    job = child.argument()
    with asyncio.Runner(loop_factory=LOOPS[job["loop"]]) as runner:
        runner.run(serve(job["agent_port"]))


if __name__ == "__main__":
    main()

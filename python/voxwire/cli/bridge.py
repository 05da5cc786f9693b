"""`voxwire bridge`: each incoming call is bridged to a new outgoing connection.

Audio is routed and transcoded in the core, both ways; Python passes on the messages and the close. Messages and audio
wait until the agent is there.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine
from typing import Any

from voxwire import CloseEvent, ConnectionClosed, VoxwireError, WebSocket, WebSocketCloseCode
from voxwire.cli.arguments import (
    ENCODING_HELP,
    Subparsers,
    add_connect_group,
    add_listen_group,
    add_report_group,
    connect_parameters,
    encoding,
    websocket_url,
)
from voxwire.cli.calls import CLOSING, Call, Calls
from voxwire.cli.leg import Leg

DESCRIPTION = """\
Accepts calls and bridges each one to a new connection to --to, for example a phone platform to a speech service.
Audio (media streams) goes both ways and is converted between the two encodings; other messages are passed on as they
are; when one side closes, the other is closed too.
"""
EXAMPLES = """\
examples:
  voxwire bridge --listen 127.0.0.1:8001 --to ws://127.0.0.1:8002
  voxwire bridge --listen 0.0.0.0:8001 --to wss://speech.example.org/v1 --header "Authorization: Bearer $TOKEN"
"""


def add_parser(commands: Subparsers) -> None:
    """Adds `bridge` to the command line."""
    parser = commands.add_parser(
        "bridge",
        help="bridge each incoming call to a new outgoing connection",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_listen_group(parser)
    parser.add_argument(
        "--to", type=websocket_url, required=True, metavar="URL", help="where each call is connected to: the agent"
    )
    parser.add_argument(
        "--caller-encoding",
        type=encoding,
        default="ULAW",
        metavar="ENC",
        help=f"audio that callers get (default: ULAW): {ENCODING_HELP}. What they send says its encoding itself",
    )
    parser.add_argument(
        "--agent-encoding",
        type=encoding,
        default="PCM16",
        metavar="ENC",
        help="audio that the agent gets (default: PCM16)",
    )
    add_connect_group(parser)
    add_report_group(parser)
    parser.set_defaults(run=run)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Bridges calls until `stop`."""
    return await Bridge(options).calls.run(stop)


class Bridge:
    """Connects each call of `calls` to the agent."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._parameters = {**connect_parameters(options), "close_timeout": CLOSING}
        self.calls = Calls(options, self._begin)

    def _begin(self, call: Call) -> Coroutine[Any, Any, None]:
        caller = call.event.websocket
        call.legs.append(Leg("caller", caller, self.calls.timeline, call.number))
        return self._bridge(call, caller)

    async def _bridge(self, call: Call, caller: WebSocket) -> None:
        # When the block raises, `async with` closes with 1011: the other side is not to blame.
        async with caller:
            agent = WebSocket(self._options.to, **self._parameters)
            call.legs.append(Leg("agent", agent, self.calls.timeline, call.number))
            # What the caller says while the agent is being reached waits for it in the core.
            caller.sendMediaTo(agent, {"encoding": self._options.agent_encoding})
            agent.sendMediaTo(caller, {"encoding": self._options.caller_encoding})
            try:
                await agent.wait_open()
            except (VoxwireError, OSError) as error:
                raise ConnectionError(f"cannot reach the agent: {error}") from error
            async with agent:
                await self._talk(call, caller, agent)

    async def _talk(self, call: Call, caller: WebSocket, agent: WebSocket) -> None:
        """Passes messages both ways until one side closes, then closes the other in the same way."""
        to_agent = asyncio.create_task(pass_on(call, caller, agent))
        to_caller = asyncio.create_task(pass_on(call, agent, caller))
        try:
            done, _ = await asyncio.wait((to_agent, to_caller), return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_agent.cancel()
            to_caller.cancel()
        if to_agent in done:
            hang_up(agent, "caller", to_agent.result())
        if to_caller in done:
            hang_up(caller, "agent", to_caller.result())


async def pass_on(call: Call, source: WebSocket, target: WebSocket) -> CloseEvent:
    """Passes on messages until `source` closes. While `target` is slow it waits, and `source` is not read either."""
    try:
        async for message in source:
            target.send(message)
            call.messages += 1
            await target.drain()
    except ConnectionClosed:
        pass  # which side, and how, the close events say
    return await source.wait_closed()


def hang_up(websocket: WebSocket, other: str, closed: CloseEvent) -> None:
    """Closes one side of a bridge as the other side did. Raises ConnectionClosed when that was a failure.

    The application's codes go through. Who goes away, or gives no code, ended the call in a normal way.
    """
    if closed.code == WebSocketCloseCode.CLOSE_NORMAL or 3000 <= closed.code <= 4999:
        websocket.close(closed.code, closed.reason)
    elif closed.code in (WebSocketCloseCode.CLOSE_GOING_AWAY, WebSocketCloseCode.CLOSED_NO_STATUS):
        websocket.close(WebSocketCloseCode.CLOSE_NORMAL, closed.reason)
    else:
        text = f"the {other} closed with {closed.code} {closed.reason}".rstrip()
        raise ConnectionClosed(text, code=closed.code, reason=closed.reason, wasClean=closed.wasClean)

"""Plays a scenario with our client and writes its trace, line for line as `tests/peers/chromium/trace.js` does."""

from __future__ import annotations

import asyncio
from typing import Any

import voxwire
from voxwire import WebSocket
from voxwire import WebSocketEvents as E

from .raw import RawPeer, RawServer
from .scenarios import Action, Scenario, shown

LATER = 0.1  # seconds after construction
SETTLE = 0.03  # seconds in which nothing may follow a CLOSE

DOM_NAMES = {
    voxwire.InvalidState: "InvalidStateError",
    voxwire.InvalidURL: "SyntaxError",
    TypeError: "TypeError",
}


class ThrownByHandlerError(Exception):
    """What the action `throw` raises."""


def name_of(error: Exception) -> str:
    """The browser's name for what we raise."""
    if isinstance(error, voxwire.InvalidParameter):
        return "InvalidAccessError" if error.field == "code" else "SyntaxError"
    return DOM_NAMES[type(error)]


class Serving:
    """The scenario's server, which keeps what its script saw."""

    def __init__(self, scenario: Scenario) -> None:
        self.seen: list[str] = []
        self.server = RawServer(lambda peer: self._run(scenario, peer))

    def _run(self, scenario: Scenario, peer: RawPeer) -> None:
        try:
            seen = scenario.script(peer)
        except (EOFError, ConnectionError):
            seen = "server: sees the end"
        if seen is not None:
            self.seen.append(seen)


class Player:
    """Our client, doing the actions of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.trace: list[str] = []
        self.over = asyncio.Event()

    async def play(self, url: str) -> list[str]:
        try:
            self.websocket = WebSocket(
                self.scenario.url or url, protocols=self.scenario.protocols, media=False, **self.scenario.parameters
            )
        except Exception as error:
            return [f"new WebSocket: raises {name_of(error)}"]
        for event, handler in ((E.OPEN, self._open), (E.ERROR, self._error), (E.CLOSE, self._close)):
            self.websocket.addEventListener(event, handler)
        self.websocket.addEventListener(E.MESSAGE, self._message)
        if self.scenario.property_last:
            self.websocket.onmessage = lambda _event: self.trace.append("onmessage")
        self._act("start")
        asyncio.get_running_loop().call_later(LATER, self._act, "later")
        await self.over.wait()
        return self.trace

    @property
    def state(self) -> str:
        return str(self.websocket.readyState)

    def _open(self, _event: Any) -> None:
        self.trace.append(f'open: {self.state}, protocol "{self.websocket.protocol}"')
        self._act("open")

    def _message(self, event: Any) -> None:
        data = event.data
        self.trace.append(
            f'message: {self.state}, "{data}"' if isinstance(data, str) else f"message: {self.state}, {len(data)} bytes"
        )
        self._act("message")

    def _error(self, _event: Any) -> None:
        self.trace.append(f"error: {self.state}")
        self._act("error")

    def _close(self, event: Any) -> None:
        clean = "clean" if event.wasClean else "not clean"
        self.trace.append(f'close: {self.state}, {event.code} "{event.reason}", {clean}')
        asyncio.get_running_loop().call_later(SETTLE, self.over.set)
        self._act("close")

    def _act(self, trigger: str) -> None:
        for action in self.scenario.actions.get(trigger, []):
            self._do(action)

    def _do(self, action: Action) -> None:
        name, *arguments = action
        if name == "throw":
            raise ThrownByHandlerError
        before = self.websocket.bufferedAmount
        line = f"{name}({shown(arguments)}): "
        try:
            if name == "send":
                self.websocket.send(*arguments)
            elif name == "sendBytes":
                self.websocket.send(bytes(arguments[0]))
            elif name == "listen":
                self.websocket.onmessage = arguments[0]
            else:
                self.websocket.close(*arguments)
        except Exception as error:
            line += f"raises {name_of(error)}, "
        after = self.websocket.bufferedAmount
        grown = f", {after - before} more buffered" if self.state.startswith("clos") and after != before else ""
        self.trace.append(line + self.state + grown)

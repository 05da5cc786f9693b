"""The answering side that `bridge` and `agent` share: listens, runs each call as a task, counts, ends cleanly.

What happens inside a call is the command's: it hands over a function that begins one.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from voxwire import AppEvents, Engine, NewWebSocketEvent, NewWebSocketFailedEvent, VoxwireError, WebSocketServer
from voxwire.cli.arguments import CommandError, server_tls
from voxwire.cli.leg import Figures, Leg, total
from voxwire.cli.screen import Screen
from voxwire.cli.timeline import Timeline

CLOSING = 5.0
"""Seconds that open calls get to end when the command is stopped."""


@dataclass(slots=True)
class Call:
    """One call: the legs that `begin` made, and what went wrong, if anything did."""

    number: int
    event: NewWebSocketEvent
    legs: list[Leg] = field(default_factory=list)
    messages: int = 0
    failure: str | None = None
    started: float = field(default_factory=time.monotonic)


Begin = Callable[[Call], Coroutine[Any, Any, None]]


class Calls:
    """Accepts calls and runs what `begin` answers for each.

    `begin` runs before the call's first event, so that the listeners it adds see all of them; the coroutine it returns
    is the call, and ends when the call does.
    """

    def __init__(self, options: argparse.Namespace, begin: Begin) -> None:
        self._options = options
        self._begin = begin
        self._open: dict[int, tuple[Call, asyncio.Task[None]]] = {}
        self._number = 0
        self._failed = 0
        self._refused = 0
        self._messages = 0
        self._past = Figures()
        self.screen = Screen(None if options.quiet else self.status)
        self.timeline = Timeline(options.json, self.screen.say if options.verbose else None)

    async def run(self, stop: asyncio.Event) -> int:
        """Listens until `stop`, then ends the open calls and prints the summary."""
        server = self._listen()
        with self.timeline:
            async with self.screen:
                self.screen.say(f"listening on {server.url}")
                self.timeline.add("Listening", self._options.command, url=server.url)
                await stop.wait()
                server.close(CLOSING)
                await server.wait_closed()
                await self._end_calls()
        self.screen.say(self.summary())
        return 0

    def status(self) -> str:
        """The line that is refreshed while the command runs."""
        return f"{len(self._open)} open, {self.summary()}"

    def summary(self) -> str:
        """What was done since the start."""
        now = self._figures()
        messages = self._messages + sum(call.messages for call, _ in self._open.values())
        troubles = [
            f"{number} {what}"
            for number, what in ((self._failed, "failed"), (self._refused, "refused"), (now.lost, "frames lost"))
            if number
        ]
        return ", ".join(
            [
                f"{self._number} call{'' if self._number == 1 else 's'}",
                f"frames in {now.frames_in} out {now.frames_out}",
                f"audio played {now.played / 1000:.1f} s",
                f"messages {messages}",
                *troubles,
            ]
        )

    def _figures(self) -> Figures:
        return sum((total(call.legs) for call, _ in self._open.values()), self._past)

    def _listen(self) -> WebSocketServer:
        options = self._options
        host, port = options.listen
        engine = Engine()
        engine.addEventListener(AppEvents.WebSocket, self._on_call)
        engine.addEventListener(AppEvents.NewWebSocketFailed, self._on_refused)
        try:
            return engine.allowWebSocketConnections(
                host, port, tls=server_tls(options), max_connections=options.max_calls
            )
        except OSError as error:
            raise CommandError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    def _on_call(self, event: NewWebSocketEvent) -> None:
        self._number += 1
        call = Call(self._number, event)
        self.screen.say(f"call {call.number}: from {_address(event.remoteAddress)} to {event.path}")
        task = asyncio.create_task(self._run_call(call, self._begin(call)))
        self._open[call.number] = (call, task)

    async def _run_call(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (VoxwireError, OSError) as error:
            call.failure = str(error)
        finally:
            del self._open[call.number]
            self._past += total(call.legs)
            self._messages += call.messages
            self._failed += call.failure is not None
            self.screen.say(f"call {call.number}: {_outcome(call)}")

    def _on_refused(self, event: NewWebSocketFailedEvent) -> None:
        self._refused += 1
        self.screen.say(f"refused a call from {_address(event.remoteAddress)}: {event.reason}")
        self.timeline.add(str(AppEvents.NewWebSocketFailed), self._options.command, reason=event.reason)

    async def _end_calls(self) -> None:
        """The connections are closed; what is left is the calls' own ends, and those that hang are cut off."""
        tasks = [task for _, task in self._open.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _outcome(call: Call) -> str:
    seconds = time.monotonic() - call.started
    if call.failure is not None:
        return f"failed after {seconds:.1f} s: {call.failure}"
    played = ", ".join(f"{leg.name} {leg.figures().played / 1000:.1f} s" for leg in call.legs)
    return f"ended after {seconds:.1f} s; audio played: {played}"


def _address(address: tuple[str, int] | None) -> str:
    if address is None:
        return "an unknown address"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

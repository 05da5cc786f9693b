"""Python programs in processes of their own: what they print, what they hold, how they are stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

SECONDS = 20.0
"""The most that anything here may take."""
TESTS = Path(__file__).parent.parent
HEAD = """
import asyncio, json, os, resource, socket, sys, threading, time
import uvloop, voxwire
from voxwire import AppEvents, Engine, WebSocket
from voxwire import WebSocketEvents as E
LOOP = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[sys.argv[1]]
def say(*words): print(*words, flush=True)
def run(main):
    with asyncio.Runner(loop_factory=LOOP) as runner: runner.run(main())
"""


class Program:
    """A running program: `HEAD`, then the source given. Its lines are read one by one."""

    def __init__(
        self, source: str, loop_name: str = "asyncio", *arguments: str, before: Callable[[], None] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            self.command(sys.executable, "-c", HEAD + textwrap.dedent(source), loop_name, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )
        self.errors = ""
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        self._patience = threading.Timer(SECONDS * 3, self.process.kill)
        self._patience.start()

    def command(self, *words: str) -> list[str]:
        """What is run."""
        return list(words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reading.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait(SECONDS)
            self._reading.join(SECONDS)
            raise AssertionError(f"the program ended with {code}:\n{self.errors}")
        return line.rstrip("\n")

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def finish(self) -> tuple[int, list[str]]:
        """Wait for its end; answer the exit code and the lines not read yet."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        lines = self.process.stdout.read().splitlines()
        code = self.process.wait(SECONDS)
        self._reading.join(SECONDS)
        return code, lines

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        """As a debugger or a suspended machine does it: the kernel still answers for its sockets."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read()


def memory(pid: int, what: str = "VmRSS") -> int:
    """Bytes resident now (`VmRSS`) or at most since `forget_peak` (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(what)


def forget_peak(pid: int) -> None:
    """Begin to measure the most that is resident anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def echo_server(loop_name: str, **parameters: object) -> Iterator[tuple[Program, str]]:
    """An echo server in a process of its own, and its URL."""
    with Program(ECHO, loop_name, repr(parameters)) as program:
        yield program, program.line()


ECHO = """
async def echo(event):
    ws = event.websocket
    async for message in ws:
        ws.send(message)
async def main():
    engine = Engine()
    engine.addEventListener(AppEvents.WebSocket, echo)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: say("raised", context["exception"]))
    async with engine.allowWebSocketConnections(**eval(sys.argv[2])) as server:
        say(server.url)
        await asyncio.to_thread(sys.stdin.read)
run(main)
"""

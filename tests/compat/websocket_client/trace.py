"""One program on two libraries: what it sees and what its peer receives, as lines that can be compared."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from support import frames
from support.raw import RawPeer, RawServer

ORIGINAL = "websocket"
OURS = "voxwire.compat.websocket"
PATIENCE = 10.0

Program = Callable[[Any, "Trace"], None]
Script = Callable[["Peer"], object]


@dataclass(frozen=True)
class Scenario:
    """A program, and the peer it talks to."""

    name: str
    program: Program
    script: Script
    tls: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(script: Script, *, tls: bool = False) -> Callable[[Program], Program]:
    """Add a program to `SCENARIOS`; `script` is run for each connection to its peer."""

    def add(program: Program) -> Program:
        name = program.__name__
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, program, script, tls)
        return program

    return add


class Peer(RawPeer):
    """A scripted server that writes down what it receives."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        super().__init__(sock)
        self.sock.settimeout(PATIENCE)
        self.number = number
        self.seen: list[str] = []

    def read_head(self) -> str:
        first = super().read_head()
        self.seen.append(first)
        self.seen += [f"{name}: {value}" for name, value in self.headers.items()]
        return first

    def frame(self) -> frames.Frame:
        frame = super().frame()
        payload = frame.payload if len(frame.payload) < 200 else f"{len(frame.payload)} bytes"
        self.seen.append(f"frame {frame.opcode} fin={frame.fin} rsv={frame.reserved} masked={frame.masked} {payload!r}")
        return frame

    def answer(self, status: str, *headers: str, body: bytes = b"") -> None:
        """Answer the request with something else than a WebSocket."""
        self.read_head()
        self.write("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body)

    def rest(self) -> None:
        """Write down what still comes, to the end."""
        try:
            while True:
                self.frame()
        except (EOFError, ConnectionError, ValueError):
            self.seen.append("end")
        except TimeoutError:
            self.seen.append("nothing more, and no end")
        except OSError:
            self.seen.append("hung up")


class _Server(RawServer):
    """A `RawServer` whose peers write down."""

    def __init__(self, scenario: Scenario, context: Any) -> None:
        super().__init__(cast("Callable[[RawPeer], object]", scenario.script), context)
        self.seen: list[Peer] = []

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.context is not None:
                sock.settimeout(PATIENCE)
                sock = self.context.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            return
        peer = Peer(sock, len(self.seen))
        self.peers.append(peer)
        self.seen.append(peer)
        try:
            self.script(peer)
        except (EOFError, OSError) as error:
            peer.seen.append(f"the script ended with {type(error).__name__}")
        peer.rest()
        peer.sock.close()


class _Log(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"log {record.levelname} {record.getMessage()}")


@dataclass
class Trace:
    """What a program sees."""

    url: str
    port: int
    certificates: Any
    lines: list[str] = field(default_factory=list)
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def note(self, *values: Any) -> None:
        """Write values down."""
        self.lines.append(" ".join(shown(value) for value in values))

    def attempt(self, label: str, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """Call, and write down the result or the exception. Answers the result."""
        try:
            result = call(*args, **keywords)
        except BaseException as error:
            self.lines.append(f"{label} ! {shown(error)}")
            return error
        self.lines.append(f"{label} = {shown(result)}")
        return result

    def connect(self, websocket: Any, *args: Any, **options: Any) -> Any:
        """A connection with a time-out, which is let go of at the end."""
        options.setdefault("timeout", 5)
        ws = websocket.create_connection(self.url, *args, **options)
        self.ends.callback(ws.shutdown)
        return ws

    def callbacks(self, *names: str) -> dict[str, Callable[..., None]]:
        """Callbacks for a `WebSocketApp` that write down how they are called."""

        def called(name: str, _app: Any, *args: Any) -> None:
            self.lines.append(f"{name}({', '.join(shown(arg) for arg in args)})")

        return {name: functools.partial(called, name) for name in names}

    def run(self, websocket: Any, app: Any, **options: Any) -> None:
        """Run an app to its end, in this thread, under a watch."""
        watch = threading.Timer(PATIENCE, app.close)
        watch.daemon = True
        watch.start()
        try:
            self.attempt("run_forever", app.run_forever, **options)
        finally:
            watch.cancel()


def shown(value: Any) -> str:
    """A value as a line shows it: exceptions with their classes, nothing of the library that it comes from."""
    if isinstance(value, BaseException):
        classes = [kind.__name__ for kind in type(value).__mro__ if kind not in (object, BaseException)]
        fields = {name: item for name, item in sorted(vars(value).items()) if not name.startswith("__")}
        return f"{'<'.join(classes)}({value!s}){fields or ''}"
    if hasattr(value, "opcode") and hasattr(value, "fin"):
        return f"frame({value})"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(shown(item) for item in value)})"
    if isinstance(value, str | bytes | int | float | bool | dict | None):
        return repr(value) if len(repr(value)) < 300 else f"{type(value).__name__} of {len(value)}"  # type: ignore[arg-type]
    return type(value).__name__


def traced(scenario: Scenario, library: str, certificates: Any) -> list[str]:
    """Run the program of a scenario on one of the two libraries."""
    websocket = importlib.import_module(library)
    context = certificates.server_context() if scenario.tls else None
    with _Server(scenario, context) as server:
        trace = Trace(server.url, server.port, certificates)
        with trace.ends, _logged(trace.lines):
            trace.attempt("the program", scenario.program, websocket, trace)
        gc.collect()  # whatever the library has let go of without closing it
    lines = list(trace.lines)
    for peer in server.seen:
        lines += [f"peer {peer.number}: {line}" for line in peer.seen]
    return [_plain(line, server.port) for line in lines]


@contextlib.contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    logger, handler = logging.getLogger("websocket"), _Log(lines)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _plain(line: str, port: int) -> str:
    """What differs from run to run is named, not shown."""
    line = line.replace(str(port), "PORT")
    line = re.sub(r"(sec-websocket-key: ).*", r"\1KEY", line)
    line = re.sub(r"(sec-websocket-accept'?: )'?[A-Za-z0-9+/=]*'?", r"\1TOKEN", line, flags=re.IGNORECASE)
    line = re.sub(r" \[\d+ frames in stack\]", "", line)
    line = re.sub(r"<(bound method|function|functools.partial)[^>]*>", "FUNCTION", line)
    line = re.sub(r"functools\.partial\(.*?>, '(\w+)'\)", "FUNCTION", line)
    return re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", line)

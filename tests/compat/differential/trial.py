"""`Trial`: one run of a scenario on one of the two libraries, and the trace of what the program and its peer saw.

Whatever differs from run to run (ports, keys, dates, addresses of objects) is made equal when it is noted; nothing else is.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import trustme
from support import frames
from support.frames import Frame
from support.raw import RawClient, RawPeer, RawServer
from support.tls import Certificates

ORIGINAL = "websockets"
OURS = "voxwire.compat.websockets"
PATIENCE = 8.0

_NAMES = {1: "TEXT", 2: "BINARY", 0: "CONT", 8: "CLOSE", 9: "PING", 10: "PONG"}
_EQUAL = [
    (r"voxwire\.compat\.websockets", "websockets"),
    (r" voxwire/[0-9.a-z]+", ""),
    (r"(127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0)(:|', |, )\d+", r"\1\2PORT"),
    (r"0x[0-9a-f]{6,}", "0xADDRESS"),
    (r"(Sec-WebSocket-(?:Key|Accept)'?[:,] '?)[A-Za-z0-9+/=]{20,}", r"\1KEY"),
    (r"(Date'?[:,] '?)\w{3}, [^'\"\n]*GMT", r"\1DATE"),
    (r"/tmp/[\w./-]+", "FILE"),
]


def plain(value: object) -> str:
    """What a value looks like, without what is different in every run."""
    text = value if isinstance(value, str) else repr(value)
    for pattern, equal in _EQUAL:
        text = re.sub(pattern, equal, text)
    return text if len(text) < 400 else f"{text[:200]}...{text[-100:]} ({len(text)} characters)"


def described(error: BaseException | None) -> str:
    """An exception with everything of it that a program can see, and its causes."""
    if error is None:
        return "None"
    words = f"{type(error).__name__}({str(error)!r})"
    for name in (
        "rcvd",
        "sent",
        "rcvd_then_sent",
        "uri",
        "msg",
        "proxy",
        "name",
        "value",
        "size",
        "max_size",
        "current_size",
    ):
        if hasattr(error, name) and not (name == "name" and isinstance(error, (AttributeError, ImportError))):
            words += f" {name}={getattr(error, name)!r}"
    response = getattr(error, "response", None)
    if response is not None:
        words += f" response={response.status_code} {response.reason_phrase} {bytes(response.body)!r}"
    if isinstance(error, BaseExceptionGroup):
        words += f" [{'; '.join(described(inner) for inner in error.exceptions)}]"
    if error.__cause__ is not None:
        words += f" from {described(error.__cause__)}"
    return words


def shown(frame: Frame) -> str:
    """A frame that the peer received."""
    payload: object = frame.close if frame.opcode == frames.CLOSE else frame.payload
    return (
        f"{_NAMES[frame.opcode]} {plain(payload)}{'' if frame.fin else ' continued'}{' masked' if frame.masked else ''}"
    )


class _Records(logging.Handler):
    def __init__(self, trial: Trial) -> None:
        super().__init__(logging.DEBUG)
        self.trial = trial

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        words = plain(record.getMessage())
        if error is not None:
            words += f" | {plain(described(error))}"
        self.trial.log.append(f"{record.levelname} {record.name.replace('voxwire.compat.', '')}: {words}")


class Trial:
    """One run."""

    def __init__(self, base: str, certificates: Certificates, directory: Path) -> None:
        self.base = base
        self.certificates = certificates
        self.directory = directory
        self.steps: list[str] = []
        self.peer: list[str] = []
        self.log: list[str] = []
        self.client = self.module("asyncio.client")
        self.server = self.module("asyncio.server")
        self.exceptions = self.module("exceptions")
        self.frames = self.module("frames")
        self.http11 = self.module("http11")
        self.datastructures = self.module("datastructures")
        self.deflate = self.module("extensions.permessage_deflate")

    def module(self, name: str = "") -> Any:
        return importlib.import_module(f"{self.base}.{name}" if name else self.base)

    # What the program sees

    def note(self, what: str, value: object = "") -> None:
        self.steps.append(f"{what}: {plain(value)}" if value != "" else what)

    async def outcome(self, what: str, awaitable: Awaitable[Any], *, show: bool = True) -> Any:
        """Wait for something, and note its result or its exception."""
        try:
            async with asyncio.timeout(PATIENCE):
                result = await awaitable
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.note(what, f"raises {described(error)}")
            await asyncio.sleep(0.01)  # what was aborted is closed in the loop's next turn, for which a peer may wait
            return error
        self.note(what, repr(result) if show else "done")
        return result

    def attempt(self, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something, and note its result or its exception."""
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            self.note(what, f"raises {described(error)}")
            return error
        self.note(what, repr(result))
        return result

    async def logged(self, words: str) -> None:
        """Wait for a record of the log: what another task writes may come before or after what this one does next."""
        async with asyncio.timeout(PATIENCE):
            while not any(words in line for line in self.log):
                await asyncio.sleep(0.001)

    def look(self, ws: Any) -> None:
        """Note what the connection says of itself."""
        self.note(
            "state", f"{ws.state!r} code={ws.close_code!r} reason={ws.close_reason!r} subprotocol={ws.subprotocol!r}"
        )

    # Peers

    def heard(self, frame: Frame) -> Frame:
        """Note a frame that the peer received."""
        self.peer.append(shown(frame))
        return frame

    def hear(self, peer: RawPeer, count: int = 1) -> None:
        for _ in range(count):
            self.heard(peer.frame())

    def hear_all(self, peer: RawPeer) -> None:
        """Note everything that comes; a close frame is answered."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                frame = self.heard(peer.frame())
                if frame.opcode == frames.CLOSE:
                    peer.send(frames.CLOSE, frame.payload)
                    peer.hang_up()
                    return
        self.peer.append("EOF")

    @contextlib.contextmanager
    def raw(
        self, script: Callable[[RawPeer], object], context: ssl.SSLContext | None = None, *, handshake: bool = True
    ) -> Iterator[RawServer]:
        """A server that follows a script, behind its handshake."""

        def whole(peer: RawPeer) -> None:
            with contextlib.suppress(EOFError, ConnectionError):  # the client may go when it likes
                if handshake:
                    peer.accept(None)
                script(peer)
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
            peer.hang_up()

        with RawServer(whole, context) as server:
            yield server

    @contextlib.asynccontextmanager
    async def connected(self, script: Callable[[RawPeer], object], **kwargs: Any) -> AsyncIterator[Any]:
        """A client's connection to a scripted peer."""
        with self.raw(script) as server:
            connection = await self.client.connect(server.url, **{"compression": None, "ping_interval": None, **kwargs})
            try:
                yield connection
            finally:
                connection.transport.abort()
                await connection.wait_closed()

    @contextlib.asynccontextmanager
    async def serving(self, handler: Callable[[Any], Awaitable[None]], **kwargs: Any) -> AsyncIterator[Any]:
        """A server on a free port; its `url` is where."""
        options = {"compression": None, "ping_interval": None, **kwargs}
        async with self.server.serve(handler, "127.0.0.1", 0, **options) as server:
            secure = kwargs.get("ssl") is not None
            port = server.sockets[0].getsockname()[1]
            server.url = f"{'wss' if secure else 'ws'}://{'localhost' if secure else '127.0.0.1'}:{port}/"
            server.port = port
            yield server

    async def visit(
        self, url: str, script: Callable[[RawClient], object], *, handshake: bool = True, **kwargs: Any
    ) -> None:
        """Be a scripted client of a server."""

        def whole() -> None:
            peer = RawClient(url, **kwargs)
            try:
                if handshake:
                    peer.open()
                script(peer)
            finally:
                peer.hang_up()

        await asyncio.to_thread(whole)

    async def request(self, port: int, request: bytes) -> None:
        """Send bytes to a server, and note all that it answers; a connection that opens is closed."""

        def whole() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                sock.sendall(request)
                answer, answered = b"", False
                with contextlib.suppress(ConnectionError):
                    while piece := sock.recv(65536):
                        answer += piece
                        if answer.startswith(b"HTTP/1.1 101 ") and b"\r\n\r\n" in answer and not answered:
                            answered = True
                            sock.sendall(frames.build(frames.CLOSE, b"", mask=True))
                return answer

        answer = (await asyncio.to_thread(whole)).decode("latin-1")
        for line in answer.split("\r\n"):
            self.peer.append(plain(line))

    @property
    def trace(self) -> list[str]:
        return [*self.steps, *(f"peer: {line}" for line in self.peer), *(f"log: {line}" for line in self.log)]


Scenario = Callable[[Trial], Coroutine[Any, Any, None]]
SCENARIOS: dict[str, tuple[Scenario, int]] = {}


def scenario(function: Scenario) -> Scenario:
    """Register a scenario under the name of its file and its own. What is logged counts, too."""
    return _register(function, logging.INFO)


def debugged(function: Scenario) -> Scenario:
    """The same with everything that is logged for debugging."""
    return _register(function, logging.DEBUG)


def _register(function: Scenario, level: int) -> Scenario:
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    assert name not in SCENARIOS, name
    SCENARIOS[name] = function, level
    return function


_shared: list[Any] = []
_lock = threading.Lock()


def _things() -> tuple[Certificates, Path]:
    """Certificates and a directory, made once."""
    with _lock:
        if not _shared:
            directory = tempfile.TemporaryDirectory(prefix="compat-")
            _shared.extend([directory, Certificates(trustme.CA(), Path(directory.name))])
    return _shared[1], Path(_shared[0].name)


def run(name: str, base: str, factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> list[str]:
    """Run a scenario on one library and answer its trace."""
    function, level = SCENARIOS[name]
    trial = Trial(base, *_things())
    records = _Records(trial)
    logger = logging.getLogger("websockets")
    logger.addHandler(records)
    propagates, logger.propagate = logger.propagate, False
    logger.setLevel(level)

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _, context: trial.note("loop", f"{context['message']} {described(context.get('exception'))}")
        )
        try:
            async with asyncio.timeout(3 * PATIENCE):
                await function(trial)
        except Exception as error:
            trial.note("scenario", f"raises {described(error)}")

    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())
    finally:
        logger.removeHandler(records)
        logger.setLevel(logging.NOTSET)
        logger.propagate = propagates
    return trial.trace

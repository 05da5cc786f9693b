"""`Blocking`: a trial of the API for threads. Each call is made in a thread of its own and may not take for ever."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from support.raw import RawPeer

from .trial import PATIENCE, Trial, described, scenario


class Blocking:
    """What a scenario without a loop has of its trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.client = trial.module("sync.client")
        self.server = trial.module("sync.server")
        self.exceptions = trial.exceptions
        self.note = trial.note
        self.look = trial.look
        self.heard = trial.heard
        self.hear = trial.hear
        self.hear_all = trial.hear_all
        self.raw = trial.raw

    def outcome(self, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something, wait for it, and note its result or its exception."""
        call = Call(self, what, function, *args, **kwargs)
        return call.end()

    def begin(self, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
        """Begin a call whose end is noted later."""
        return Call(self, what, function, *args, **kwargs)

    @contextlib.contextmanager
    def connected(self, script: Callable[[RawPeer], object], **kwargs: Any) -> Iterator[Any]:
        """A client's connection to a scripted peer."""
        with self.raw(script) as server:
            options = {"compression": None, "ping_interval": None, "legacy": True, **kwargs}
            connection = self.client.connect(server.url, **options)
            try:
                yield connection
            finally:
                connection.close_socket()
                connection.wait_closed()

    @contextlib.contextmanager
    def serving(self, handler: Callable[[Any], None], **kwargs: Any) -> Iterator[Any]:
        """A server on a free port, in a thread; its `url` is where."""
        options = {"compression": None, "ping_interval": None, **kwargs}
        server = self.server.serve(handler, "127.0.0.1", 0, **options)
        secure = kwargs.get("ssl") is not None
        server.port = server.socket.getsockname()[1]
        server.url = f"{'wss' if secure else 'ws'}://{'localhost' if secure else '127.0.0.1'}:{server.port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(PATIENCE)


class Call:
    """A call in a thread."""

    def __init__(self, trial: Blocking, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.trial = trial
        self.what = what
        self.result: Any = None
        self.error: BaseException | None = None

        def whole() -> None:
            try:
                self.result = function(*args, **kwargs)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=whole, daemon=True)
        self.thread.start()

    def end(self, *, show: bool = True) -> Any:
        """Wait for its end, and note it."""
        self.thread.join(PATIENCE)
        if self.thread.is_alive():
            message = f"{self.what}: no end after {PATIENCE} s"
            raise TimeoutError(message)
        if self.error is not None:
            self.trial.note(self.what, f"raises {described(self.error)}")
            return self.error
        self.trial.note(self.what, repr(self.result) if show else "done")
        return self.result


def blocking(function: Callable[[Blocking], None]) -> Callable[[Blocking], None]:
    """Register a scenario without a loop."""

    @functools.wraps(function)
    async def whole(trial: Trial) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            error: BaseException | None = None
            try:
                function(Blocking(trial))
            except BaseException as raised:
                error = raised

            def tell() -> None:
                if done.done():
                    return
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

            with contextlib.suppress(RuntimeError):  # the trial's time was over
                loop.call_soon_threadsafe(tell)

        threading.Thread(target=run, daemon=True).start()
        try:
            await done
        finally:
            trial.log.sort()  # which of two threads was first to log something says nothing

    scenario(whole)
    return function

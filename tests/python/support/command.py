"""`voxwire` commands in processes of their own, what they are given, and peers for them."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import threading
import wave
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from websockets.sync.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

SECONDS = 20.0
"""The most that anything here may take."""


class Command:
    """A running `voxwire …`, whose output is read as it comes."""

    def __init__(self, *arguments: str, stdin: int | None = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voxwire", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._ended = 0  # of the two streams
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def wait_for(self, text: str, *, err: bool = False) -> str:
        """The first line of the output with `text` in it, when it comes."""
        lines = self.err if err else self.out

        def found() -> str | None:
            return next((line for line in lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended == 2, SECONDS)
        line = found()
        output = "\n".join([*self.out, *self.err])
        assert line is not None, f"no {text!r} from the command (exit code {self.process.poll()}):\n{output}"
        return line

    def url(self) -> str:
        """What the first line says."""
        self.wait_for("listening on")
        assert self.out[0].startswith("listening on ws://127.0.0.1:")
        return self.out[0].split()[-1]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Sends Ctrl-C; answers the exit code and the last line of the output."""
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> tuple[int, str]:
        """Waits for the end; answers the exit code and the last line of the output."""
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        return code, self.out[-1] if self.out else ""

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended += 1
            self._changed.notify_all()


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "voxwire", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def free_port() -> Iterator[int]:
    """A port that is bound, so that nobody else takes it, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def write_tone(path: Path, seconds: float = 2.0) -> Path:
    """A 440 Hz tone at 16 kHz, at a quarter of full scale."""
    samples = array("h", (int(8192 * math.sin(2 * math.pi * 440 * n / 16000)) for n in range(int(16000 * seconds))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path


def read_wav(path: Path) -> tuple[int, array[int]]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), array("h", file.readframes(file.getnframes()))


def rms(samples: array[int]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def peer(handler: object) -> Iterator[str]:
    """A server of the `websockets` library."""
    with serve(handler, "127.0.0.1", 0, subprotocols=["chat"]) as server:  # type: ignore[arg-type, list-item]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(SECONDS)

"""Peers as child processes: unprivileged where they can be, on free ports, gone at the end, their output at hand."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

START = 20.0  # seconds in which a peer must listen
STOP = 5.0  # seconds in which it must end when it is told to


def needs(*programs: str, files: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Skips what this machine has not."""
    missing = [name for name in programs if program(name) is None] + [name for name in files if not Path(name).exists()]
    reason = f"{', '.join(missing)} is not installed; tools/install_peers.sh installs it"
    return pytest.mark.skipif(bool(missing), reason=reason)


def program(name: str) -> str | None:
    """Where it is; Debian keeps servers in directories that not every PATH has."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def free_port() -> int:
    """A port that was free a moment ago, for servers that cannot say which one they took."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Child:
    """A running program in a process group of its own; its output goes to a file in `directory`."""

    def __init__(self, directory: Path, name: str, *arguments: str | Path, **environment: str) -> None:
        path = program(name)
        assert path is not None, name
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [path, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"{self.name} wrote:\n{self.output()}")

    def output(self) -> str:
        """The last of what it wrote."""
        return self.log.read_text(errors="replace")[-4000:]

    def listens(self, port: int) -> Self:
        """Returns when the port takes connections."""
        deadline = time.monotonic() + START
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return self
            self._wait(deadline, f"does not listen on port {port}")

    def says(self, text: str) -> str:
        """The first whole line of its output with `text` in it, when it is there."""
        deadline = time.monotonic() + START
        while True:
            lines = self.log.read_text(errors="replace").splitlines(keepends=True)
            line = next((line for line in lines if text in line and line.endswith("\n")), None)
            if line is not None:
                return line.rstrip("\n")
            self._wait(deadline, f"does not say {text!r}")

    def ended(self) -> int:
        """Its exit code, when it ends by itself."""
        return self.process.wait(START)

    def stop(self) -> None:
        """Ends it and all that it started."""
        for number, patience in ((signal.SIGTERM, STOP), (signal.SIGKILL, START)):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                if number is signal.SIGTERM:
                    continue  # the rest of its group, if any is left
                return

    def _wait(self, deadline: float, problem: str) -> None:
        if self.process.poll() is not None or time.monotonic() > deadline:
            code = self.process.poll()
            self.stop()
            raise AssertionError(f"{self.name} {problem} (exit code {code}):\n{self.output()}")
        time.sleep(0.02)

"""Processes of a benchmark: Python modules or native programs, one JSON object a line each way. They end when their stdin does."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from . import native
from .machine import on_core
from .native import ROOT


class Child:
    """The parent's side."""

    def __init__(
        self,
        module: str,
        argument: dict[str, Any] | None = None,
        *,
        core: int | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """Starts `python -m module`, or the native program `native/<name>`, on one core if one is given, `under` another
        command.
        """
        self._module = module
        folder, _, name = module.rpartition("/")
        python = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", module]
        command = [*under, *([native.program(name)] if folder else python), json.dumps(argument or {})]
        with on_core(core):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def tell(self, **message: Any) -> None:
        """Sends it an object."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def hear(self, timeout: float = 60.0) -> dict[str, Any]:
        """The next object it says. Raises RuntimeError when it ends or says nothing for that many seconds."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise RuntimeError(f"{self._module} said nothing for {timeout} s") from None
        if line is None:
            raise RuntimeError(f"{self._module} ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


def argument() -> dict[str, Any]:
    """The child's side: what it was started with."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def say(**message: Any) -> None:
    """The child's side: sends an object to the parent."""
    print(json.dumps(message), flush=True)


def hear() -> dict[str, Any]:
    """The child's side: the next object from the parent; ends the process when there is none."""
    line = sys.stdin.readline()
    if not line:
        raise SystemExit
    return parse(line)


def parse(line: str) -> dict[str, Any]:
    """One line of the other side's."""
    message: dict[str, Any] = json.loads(line)
    return message

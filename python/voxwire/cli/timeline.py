"""The events of a command with their times, as JSON lines (`--json FILE`).

Each line has `time` (seconds of `time.time()`), `name`, `leg`, mostly `call` (its number), and the event's own fields.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO


class Timeline:
    """Writes to `path`, or nowhere when it is None; `show` gets each event as a line of text."""

    def __init__(self, path: str | None, show: Callable[[str], None] | None = None) -> None:
        self._file: TextIO | None = None if path is None else Path(path).open("w", encoding="utf-8")  # noqa: SIM115
        self._show = show

    def add(self, name: str, leg: str, call: int | None = None, /, **fields: Any) -> None:
        """Writes one event, at once: who reads along sees it."""
        if self._show is not None:
            where = leg if call is None else f"call {call} {leg}"
            details = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
            self._show(f"  {where}: {name} {details}".rstrip())
        if self._file is not None:
            line: dict[str, Any] = {"time": time.time(), "name": name, "leg": leg}
            if call is not None:
                line["call"] = call
            line.update(fields)
            print(json.dumps(line, default=str), file=self._file, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

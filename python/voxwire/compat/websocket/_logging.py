"""The logger `websocket`, and the switch that makes it tell everything."""

from __future__ import annotations

import logging
from dataclasses import dataclass

_logger = logging.getLogger("websocket")
_logger.addHandler(logging.NullHandler())


@dataclass
class _Trace:
    """Whether everything is told, and the handler that was added for it."""

    on: bool
    handler: logging.Handler | None
    level_before: int


_state = _Trace(on=False, handler=None, level_before=_logger.getEffectiveLevel())


def enableTrace(traceable: bool, handler: logging.Handler | None = None, level: str = "DEBUG") -> None:
    """Switch tracing on, to `handler` (None: standard error) at `level`, or off again."""
    if _state.handler is not None:
        _logger.removeHandler(_state.handler)
    _state.on = traceable
    _state.handler = (handler or logging.StreamHandler()) if traceable else None
    if _state.handler is not None:
        _logger.addHandler(_state.handler)
    _logger.setLevel(getattr(logging, level) if traceable else _state.level_before)


def dump(title: str, message: str) -> None:
    """Log a block of text, while tracing is on."""
    if _state.on:
        for line in (f"--- {title} ---", message, "-----------------------"):
            _logger.debug(line)


def error(msg: str) -> None:
    """Log an error."""
    _logger.error(msg)


def warning(msg: str) -> None:
    """Log a warning."""
    _logger.warning(msg)


def debug(msg: str) -> None:
    """Log a detail."""
    _logger.debug(msg)


def info(msg: str) -> None:
    """Log a step."""
    _logger.info(msg)


def trace(msg: str) -> None:
    """Log what is sent and received, while tracing is on."""
    if _state.on:
        _logger.debug(msg)


def isEnabledForError() -> bool:
    """Answer whether errors are logged."""
    return _logger.isEnabledFor(logging.ERROR)


def isEnabledForDebug() -> bool:
    """Answer whether details are logged."""
    return _logger.isEnabledFor(logging.DEBUG)


def isEnabledForTrace() -> bool:
    """Answer whether tracing is on."""
    return _state.on

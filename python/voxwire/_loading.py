"""Loads the compiled module, or says why it cannot be loaded here. Imported before everything else of the package."""

from __future__ import annotations

import importlib


def _refuse_subinterpreter() -> None:
    """Raise ImportError outside the main interpreter, where loading the compiled module would never return."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # since 3.13, and before
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            message = "voxwire works in the main interpreter only, not in subinterpreters; use threads or processes"
            raise ImportError(message, name="voxwire")
        return


_refuse_subinterpreter()

try:
    from ._core import __version__
except ImportError as error:
    if __spec__ is not None and type(__spec__.loader).__name__ == "zipimporter":
        _message = "voxwire cannot be imported from a zip file: its compiled module must be a file; unpack the package"
        raise ImportError(_message, name="voxwire", path=error.path) from error
    raise

__all__ = ["__version__"]

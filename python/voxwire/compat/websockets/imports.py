"""Names of a module that are imported when they are first used."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["lazy_import"]

_LEGACY = "the legacy implementation is not part of voxwire.compat; use the names of .asyncio or .sync"


def lazy_import(
    namespace: dict[str, Any],
    aliases: Mapping[str, str] | None = None,
    deprecated_aliases: Mapping[str, str] | None = None,
    *,
    legacy: Iterable[str] = (),
) -> None:
    """Give a module `__getattr__` and `__dir__` for names of other modules of its package.

    Those in `deprecated_aliases` warn when they are used; those in `legacy` raise AttributeError with the reason.
    """
    deprecated = dict(deprecated_aliases or {})
    sources = {**(aliases or {}), **deprecated}
    gone = frozenset(legacy)
    package = namespace["__name__"]

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562
        if name in sources:
            if name in deprecated:
                warnings.warn(f"{package}.{name} is deprecated", DeprecationWarning, stacklevel=2)
            return getattr(importlib.import_module(sources[name], namespace["__package__"]), name)
        if name in gone:
            message = f"module {package!r} has no attribute {name!r}: {_LEGACY}"
            raise AttributeError(message)
        message = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(message)

    def __dir__() -> list[str]:  # noqa: N807 - PEP 562
        return sorted({*namespace, *sources})

    namespace["__getattr__"] = __getattr__
    namespace["__dir__"] = __dir__

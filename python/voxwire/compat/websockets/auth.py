"""A module of the legacy implementation, which is not here: what it had can be imported and says so when it is used."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

__all__ = ["BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory"]

_LEGACY = "the legacy implementation is not part of voxwire.compat; use basic_auth of .asyncio.server or .sync.server"


class BasicAuthWebSocketServerProtocol:
    """Refused."""

    def __init_subclass__(cls, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError."""
        raise NotImplementedError(_LEGACY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError(_LEGACY)


def basic_auth_protocol_factory(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise NotImplementedError."""
    del args, kwargs
    raise NotImplementedError(_LEGACY)


warnings.warn(
    "websockets.auth, an alias for websockets.legacy.auth, is deprecated; "
    "see https://websockets.readthedocs.io/en/stable/howto/upgrade.html for upgrade instructions",
    DeprecationWarning,
    stacklevel=2,
)

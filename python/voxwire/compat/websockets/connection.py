"""The former name of `protocol`. Warns when it is imported."""

from __future__ import annotations

import warnings

from .protocol import SEND_EOF, Side, State  # noqa: F401 - what this module is for
from .protocol import Protocol as Connection  # noqa: F401

warnings.warn(
    "websockets.connection was renamed to websockets.protocol and Connection was renamed to Protocol",
    DeprecationWarning,
    stacklevel=2,
)

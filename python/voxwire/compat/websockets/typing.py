"""Types in the signatures of the public API."""

from __future__ import annotations

import http
import logging
import os
from collections.abc import Sequence
from typing import Any, NewType

__all__ = [
    "Data",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "StatusLike",
    "Subprotocol",
]

Data = str | bytes
"""A message: str for text, bytes for binary."""

BytesLike = bytes | bytearray | memoryview
"""What is taken where bytes are expected."""

DataLike = str | bytes | bytearray | memoryview
"""What is taken as a message."""

LoggerLike = logging.Logger | logging.LoggerAdapter[Any]
"""What is taken as a logger."""

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""What is taken as the path of a file."""

StatusLike = http.HTTPStatus | int
"""What is taken as an HTTP status."""

Origin = NewType("Origin", str)
"""The value of an Origin header."""

Subprotocol = NewType("Subprotocol", str)
"""The name of a subprotocol."""

ExtensionName = NewType("ExtensionName", str)
"""The name of an extension."""

ExtensionParameter = tuple[str, str | None]
"""A parameter of an extension: its name, and its value if it has one."""

ExtensionHeader = tuple[ExtensionName, Sequence[ExtensionParameter]]
"""An extension as it stands in a Sec-WebSocket-Extensions header."""

ConnectionOption = NewType("ConnectionOption", str)
"""An option of a Connection header."""

UpgradeProtocol = NewType("UpgradeProtocol", str)
"""A protocol of an Upgrade header."""

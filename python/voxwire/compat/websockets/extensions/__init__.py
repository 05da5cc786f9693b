"""Extensions. The core has one, permessage-deflate; extensions written in Python are refused when a connection is made."""

from __future__ import annotations

from .base import ClientExtensionFactory, Extension, ServerExtensionFactory

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]

"""The version of the `websockets` API that this package offers."""

from __future__ import annotations

__all__ = ["commit", "tag", "version"]

released = True
"""As a release of the original says it."""

tag = version = commit = "17.4"

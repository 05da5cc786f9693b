"""The version of the `websockets` API that this package offers."""

from __future__ import annotations

__all__ = ["commit", "tag", "version"]

tag = version = commit = "17.4"

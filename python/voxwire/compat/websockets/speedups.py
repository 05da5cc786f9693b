"""What the original has in C: here the same function as in `utils`."""

from __future__ import annotations

from .utils import apply_mask

__all__ = ["apply_mask"]

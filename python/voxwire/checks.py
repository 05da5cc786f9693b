"""What every check of what people give needs: how a wrong value is refused, and what a number is. No parameter by name."""

from __future__ import annotations

from math import isfinite
from typing import NoReturn, TypeGuard

from .errors import InvalidParameter


def refuse(field: str, value: object, expected: str) -> NoReturn:
    """Raise InvalidParameter for one parameter."""
    message = f"{field}: {value!r:.200} is not valid, expected {expected}"
    raise InvalidParameter(message, field=field, value=value, expected=expected)


def is_number(value: object) -> TypeGuard[float]:
    """Say whether it is a finite int or float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)

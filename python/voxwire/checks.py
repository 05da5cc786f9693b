"""What every check of what people give needs: how a wrong value is refused, and what a number is. No parameter by name."""

from __future__ import annotations

from math import isfinite
from typing import NoReturn, TypeGuard

from .errors import InvalidParameter

_LONGEST_REASON = 123  # bytes; RFC 6455 section 5.5 less the code


def refuse(field: str, value: object, expected: str) -> NoReturn:
    """Raise InvalidParameter for one parameter."""
    message = f"{field}: {value!r:.200} is not valid, expected {expected}"
    raise InvalidParameter(message, field=field, value=value, expected=expected)


def is_number(value: object) -> TypeGuard[float]:
    """Say whether it is a finite int or float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def check_close(code: object, reason: object) -> None:
    """Check what `close()` is given (RFC 6455 section 7.4.2). Raises InvalidParameter, TypeError."""
    if not isinstance(reason, str):
        message = f"reason must be a str, not {type(reason).__name__}"
        raise TypeError(message)
    if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
        message = f"code must be an int or None, not {type(code).__name__}"
        raise TypeError(message)
    if code is not None and code != 1000 and not 3000 <= code <= 4999:  # noqa: PLR2004
        refuse("code", code, "1000 or 3000 to 4999")
    if reason and code is None:
        refuse("reason", "...", "no reason without a code")
    if len(reason.encode(errors="surrogatepass")) > _LONGEST_REASON:
        refuse("reason", "...", f"at most {_LONGEST_REASON} UTF-8 bytes")

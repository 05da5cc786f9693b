"""`basic_auth`: HTTP Basic Auth for servers."""

from __future__ import annotations

import hmac
import http
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from voxwire.compat.websockets.exceptions import InvalidHeader
from voxwire.compat.websockets.headers import build_www_authenticate_basic, parse_authorization_basic

if TYPE_CHECKING:
    from voxwire.compat.websockets.http11 import Request, Response

    from .server import ServerConnection

__all__ = ["basic_auth"]


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:
    """Answer a `process_request` that wants user and password: a pair, several, or what `check_credentials` accepts.

    The user is the connection's `username` then. Raises TypeError, ValueError.
    """
    if (credentials is None) == (check_credentials is None):
        message = "provide either credentials or check_credentials"
        raise ValueError(message)
    check = check_credentials if check_credentials is not None else known(credentials)

    def refuse(connection: ServerConnection, why: str) -> Response:
        response = connection.respond(http.HTTPStatus.UNAUTHORIZED, f"{why} credentials\n")
        response.headers["WWW-Authenticate"] = build_www_authenticate_basic(realm)
        return response

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        try:
            username, password = parse_authorization_basic(request.headers["Authorization"])
        except KeyError:
            return refuse(connection, "Missing")
        except InvalidHeader:
            return refuse(connection, "Unsupported")
        valid = check(username, password)
        if isinstance(valid, Awaitable):
            valid = await valid
        if not valid:
            return refuse(connection, "Invalid")
        connection.username = username
        return None

    return process_request


def known(credentials: Any) -> Callable[[str, str], bool]:
    """Answer what checks against pairs that are known."""
    pairs = [credentials] if _is_pair(credentials) else credentials
    if isinstance(pairs, Iterable):
        pairs = list(cast("Iterable[tuple[str, str]]", pairs))
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        message = f"invalid credentials argument: {credentials}"
        raise TypeError(message)
    passwords = dict(pairs)

    def check(username: str, password: str) -> bool:
        # Something is compared for an unknown user, too: the time does not tell which users there are.
        expected = passwords.get(username)
        same = hmac.compare_digest(_bytes(password if expected is None else expected), _bytes(password))
        return same and expected is not None

    return check


def _is_pair(credentials: Any) -> bool:
    try:
        username, password = credentials
    except (TypeError, ValueError):
        return False
    return isinstance(username, str) and isinstance(password, str)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")

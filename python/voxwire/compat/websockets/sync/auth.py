"""`basic_auth`: HTTP Basic Auth for servers."""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from voxwire.compat.websockets.asyncio.auth import known
from voxwire.compat.websockets.exceptions import InvalidHeader
from voxwire.compat.websockets.headers import build_www_authenticate_basic, parse_authorization_basic

if TYPE_CHECKING:
    from voxwire.compat.websockets.http11 import Request, Response

    from .server import ServerConnection

__all__ = ["basic_auth"]


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
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

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        try:
            username, password = parse_authorization_basic(request.headers["Authorization"])
        except KeyError:
            return refuse(connection, "Missing")
        except InvalidHeader:
            return refuse(connection, "Unsupported")
        if not check(username, password):
            return refuse(connection, "Invalid")
        connection.username = username
        return None

    return process_request

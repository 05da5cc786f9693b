"""The opening handshake (RFC 6455 section 4): the request, the answer's checks, and the cookies that servers have set."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from http.cookies import SimpleCookie
from typing import Any, cast

from ._exceptions import WebSocketBadStatusException, WebSocketException
from ._http import read_headers
from ._logging import dump, error
from ._socket import recv, send

SUPPORTED_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
_SWITCHING = 101
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_READ = 16384


class SimpleCookieJar:
    """Cookies by domain, which begins with a dot. One that comes without any domain is not kept."""

    def __init__(self) -> None:
        """Begin empty."""
        self.jar: dict[str, dict[str, str]] = {}

    def add(self, header: str | None) -> None:
        """Keep the cookies of a `Set-Cookie` header, for each domain that it names."""
        cookies = SimpleCookie(header or "")
        values = {name: morsel.value for name, morsel in cookies.items()}
        for domain in {morsel["domain"].lower() for morsel in cookies.values()} - {""}:
            self.jar.setdefault(f".{domain.removeprefix('.')}", {}).update(values)

    def get(self, host: str) -> str:
        """Answer what a request to this host says."""
        host = host.lower()
        return "; ".join(
            sorted(
                f"{name}={value}"
                for domain, cookies in self.jar.items()
                if host.endswith(domain) or host == domain[1:]
                for name, value in cookies.items()
            )
        )


CookieJar = SimpleCookieJar()
"""The cookies of this process."""


class handshake_response:  # noqa: N801 - its name in websocket-client
    """What the server answered: status, headers with lower-case names, subprotocol in lower case."""

    def __init__(self, status: int, headers: dict[str, str], subprotocol: str | None) -> None:
        """Keep the cookies, too."""
        self.status = status
        self.headers = headers
        self.subprotocol = subprotocol
        CookieJar.add(headers.get("set-cookie"))


def handshake(sock: Any, url: str, hostname: str, port: int, resource: str, **options: Any) -> handshake_response:
    """Ask for a WebSocket. A redirect is an answer, too. Raises WebSocketBadStatusException, WebSocketException."""
    lines, key = _request(url, hostname, port, resource, options)
    request = "\r\n".join([*lines, "", ""])
    send(sock, request)
    dump("request header", request)
    status, headers, reason = read_headers(sock)
    if status in SUPPORTED_REDIRECT_STATUSES:
        return handshake_response(status, headers, None)
    if status != _SWITCHING:
        raise _refusal(sock, status, headers, reason)
    subprotocol = _chosen(headers, options.get("subprotocols"))
    _check(headers, key)
    return handshake_response(status, headers, subprotocol)


def _request(url: str, hostname: str, port: int, resource: str, options: dict[str, Any]) -> tuple[list[str], str]:
    given = options.get("header") or {}
    name = f"[{hostname}]" if ":" in hostname else hostname
    address = name if port in (80, 443) else f"{name}:{port}"
    lines = [f"GET {resource} HTTP/1.1", "Upgrade: websocket"]
    if not options.get("suppress_host"):
        lines.append(f"Host: {options.get('host') or address}")
    if not options.get("suppress_origin"):
        origin = options.get("origin")
        scheme = "https" if url.startswith("wss:") else "http"
        lines.append(f"Origin: {scheme}://{address}" if origin is None else f"Origin: {origin}")
    key = base64.b64encode(os.urandom(16)).decode()
    if "Sec-WebSocket-Key" in given:
        key = given["Sec-WebSocket-Key"]
    else:
        lines.append(f"Sec-WebSocket-Key: {key}")
    if "Sec-WebSocket-Version" not in given:
        lines.append("Sec-WebSocket-Version: 13")
    lines.append(options.get("connection") or "Connection: Upgrade")
    if offered := options.get("subprotocols"):
        lines.append(f"Sec-WebSocket-Protocol: {','.join(offered)}")
    if isinstance(given, dict):
        lines += [f"{header}: {value}" for header, value in given.items() if value is not None]
    else:
        lines += given
    if cookie := "; ".join(filter(None, [CookieJar.get(hostname), options.get("cookie")])):
        lines.append(f"Cookie: {cookie}")
    return lines, key


def _refusal(sock: Any, status: int | None, headers: dict[str, str], reason: str | None) -> WebSocketBadStatusException:
    body: bytes | None = None
    if length := headers.get("content-length"):
        body = b""
        try:
            size = int(length)
        except ValueError:
            raise WebSocketException(f"Invalid content-length header: {length!r}") from None
        while len(body) < size:
            body += recv(sock, min(size - len(body), _READ))
    shown = body.decode("utf-8", errors="replace") if body else None
    message = f"Handshake status {status} {reason} -+-+- {headers} -+-+- {shown}"
    return WebSocketBadStatusException(message, cast("int", status), reason, headers, body)


def _chosen(headers: dict[str, str], offered: list[str] | None) -> str | None:
    """Answer the subprotocol. A server that has to choose one and does not is refused."""
    for name, token in (("upgrade", "websocket"), ("connection", "upgrade")):
        if token not in [part.strip().lower() for part in headers.get(name, "").split(",")]:
            raise WebSocketException("Invalid WebSocket Header")
    if not offered:
        return None
    chosen = headers.get("sec-websocket-protocol", "").lower()
    if not chosen or chosen not in [name.lower() for name in offered]:
        error(f"Invalid subprotocol: {offered}")
        raise WebSocketException("Invalid WebSocket Header")
    return chosen


def _check(headers: dict[str, str], key: str) -> None:
    expected = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest())  # noqa: S324 - RFC 6455 wants SHA-1
    answer = headers.get("sec-websocket-accept", "").encode()
    if not hmac.compare_digest(expected.lower(), answer.lower()):
        raise WebSocketException("Invalid WebSocket Header")

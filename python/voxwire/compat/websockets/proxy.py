"""Which proxy leads to a server, and the request that asks an HTTP proxy for it."""

from __future__ import annotations

import dataclasses
import urllib.parse
import urllib.request

from .datastructures import Headers
from .exceptions import InvalidProxy
from .headers import build_authorization_basic, build_host
from .http11 import USER_AGENT
from .uri import WebSocketURI, unquoted

__all__ = ["Proxy", "get_proxy", "parse_proxy"]

SCHEMES = ("socks5h", "socks5", "socks4a", "socks4", "https", "http")


@dataclasses.dataclass
class Proxy:
    """The parts of a proxy's address. `username` and `password` are both there, or neither."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User and password, if the address has them."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


def parse_proxy(proxy: str) -> Proxy:
    """Take a proxy's address apart. Raises InvalidProxy."""
    parsed = urllib.parse.urlparse(proxy)
    if parsed.scheme not in SCHEMES:
        raise InvalidProxy(proxy, f"scheme {parsed.scheme} isn't supported")
    if parsed.hostname is None:
        raise InvalidProxy(proxy, "hostname isn't provided")
    if parsed.path not in ("", "/"):
        raise InvalidProxy(proxy, "path is meaningless")
    for part in ("query", "fragment"):
        if getattr(parsed, part):
            raise InvalidProxy(proxy, f"{part} is meaningless")
    username = parsed.username
    if username is not None and parsed.password is None:
        raise InvalidProxy(proxy, "username provided without password")
    host = parsed.hostname if proxy.isascii() else parsed.hostname.encode("idna").decode()
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    password = None if username is None else unquoted(parsed.password)
    return Proxy(parsed.scheme, host, port, unquoted(username), password)


def get_proxy(uri: WebSocketURI) -> str | None:
    """Answer the proxy that the environment (or the system) names for this URI, None for none."""
    if urllib.request.proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    proxies = urllib.request.getproxies()
    for scheme in ("wss", "socks", "https") if uri.secure else ("ws", "socks", "https", "http"):
        proxy = proxies.get(scheme)
        if proxy is not None:
            # Systems say that a SOCKS proxy is an HTTP one under another name.
            return f"socks5h://{proxy[7:]}" if scheme == "socks" and proxy.startswith("http://") else proxy
    return None


def prepare_connect_request(proxy: Proxy, ws_uri: WebSocketURI, user_agent_header: str | None = USER_AGENT) -> bytes:
    """Answer the CONNECT request that asks an HTTP proxy for a server (RFC 9110 section 9.3.6)."""
    place = ws_uri.host, ws_uri.port, ws_uri.secure
    headers = Headers()
    headers["Host"] = build_host(*place)
    if user_agent_header is not None:
        headers["User-Agent"] = user_agent_header
    if proxy.user_info is not None:
        headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
    return f"CONNECT {build_host(*place, always_include_port=True)} HTTP/1.1\r\n".encode() + headers.serialize()

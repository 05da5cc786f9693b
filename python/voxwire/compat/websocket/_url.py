"""URLs, and which proxy one goes through: from options, else from the environment."""

from __future__ import annotations

import ipaddress
import os
from typing import Any
from urllib.parse import unquote, urlsplit

from ._exceptions import WebSocketProxyException

_PORTS = {"ws": 80, "wss": 443}


def parse_url(url: str) -> tuple[str, int, str, bool]:
    """Answer host, port, resource (path and query), and whether TLS is wanted. Raises ValueError."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise ValueError("url is invalid")
    # The rules for http are those for ws (RFC 6455 section 3), and urlsplit knows them.
    parts = urlsplit(f"http:{rest}")
    if not parts.hostname:
        raise ValueError("hostname is invalid")
    port = parts.port
    if scheme not in _PORTS:
        raise ValueError(f"scheme {scheme} is invalid")
    query = f"?{parts.query}" if parts.query else ""
    return parts.hostname, port or _PORTS[scheme], (parts.path or "/") + query, scheme == "wss"


def get_proxy_info(
    hostname: str,
    is_secure: bool,
    proxy_host: str | None = None,
    proxy_port: Any = 0,
    proxy_auth: tuple[str, str] | None = None,
    no_proxy: list[str] | None = None,
    proxy_type: str = "http",  # noqa: ARG001 - it is the same for all of them
) -> tuple[str | None, Any, tuple[str, str] | None]:
    """Answer host, port and credentials of the proxy, or a host of None. Raises WebSocketProxyException."""
    if _goes_direct(hostname, no_proxy):
        return None, 0, None
    if proxy_host:
        if not proxy_port:
            raise WebSocketProxyException("Cannot use port 0 when proxy_host specified")
        return proxy_host, proxy_port, proxy_auth
    name = "https_proxy" if is_secure else "http_proxy"
    value = os.environ.get(name, os.environ.get(name.upper(), "")).replace(" ", "")
    if not value:
        return None, 0, None
    parts = urlsplit(value)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return parts.hostname, parts.port, auth


def _goes_direct(hostname: str, no_proxy: list[str] | None) -> bool:
    """Answer whether `no_proxy`, or that of the environment, has the host."""
    exceptions = no_proxy
    if not exceptions:
        value = os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).replace(" ", "")
        exceptions = value.split(",") if value else []
    if "*" in exceptions or hostname in exceptions:
        return True
    try:
        address = ipaddress.ip_address(hostname)
    except ValueError:
        return any(_within(hostname, domain) for domain in exceptions)
    return any(address in network for network in _networks(exceptions))


def _within(hostname: str, domain: str) -> bool:
    # A domain with a leading dot is any host that ends in the rest, as websocket-client has it.
    return hostname.endswith(domain.lstrip(".")) if domain.startswith(".") else hostname.endswith(f".{domain}")


def _networks(names: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks = []
    for name in names:
        try:
            networks.append(ipaddress.ip_network(name))
        except ValueError:
            continue
    return networks

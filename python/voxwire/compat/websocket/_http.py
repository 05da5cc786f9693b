"""From a URL to a connected socket: addresses, socket options, proxies, TLS. And the head of an HTTP answer."""

from __future__ import annotations

import base64
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._exceptions import WebSocketAddressException, WebSocketException, WebSocketProxyException
from ._logging import debug, dump, trace
from ._socket import DEFAULT_SOCKET_OPTION, recv_line, send, sock_opt
from ._url import get_proxy_info, parse_url

_OK = 200
_PROXY_PORT = 80  # of a proxy of the environment that names none
_PROTOCOLS = ("http", "socks4", "socks4a", "socks5", "socks5h")
_TRY_THE_NEXT = (errno.ECONNREFUSED, errno.ENETUNREACH)
_CHAIN = 3  # certificate, key, password

Place = tuple[str, int, str]

try:
    from python_socks import ProxyError as _ProxyError
except ImportError:
    _ProxyError = type("ProxyError", (Exception,), {})
ProxyError: type[Exception] = _ProxyError
"""The kind of proxy is not known."""


class proxy_info:  # noqa: N801 - its name in websocket-client
    """The proxy that the options name."""

    def __init__(self, **options: Any) -> None:
        """Take `http_proxy_host` and its kind out of the options of a connection."""
        self.proxy_host = options.get("http_proxy_host")
        given = options if self.proxy_host else {}
        self.proxy_port = given.get("http_proxy_port", 0)
        self.auth = given.get("http_proxy_auth")
        self.no_proxy = given.get("http_no_proxy")
        self.proxy_protocol = given.get("proxy_type", "http")
        self.proxy_timeout = given.get("http_proxy_timeout")
        if self.proxy_protocol not in _PROTOCOLS:
            raise ProxyError("Only http, socks4, socks5 proxy protocols are supported")


def connect(url: str, options: sock_opt, proxy: proxy_info, sock: Any) -> tuple[Any, Place]:
    """Answer a connected socket, or the one that was given, and host, port and resource of the URL.

    Raises ValueError for the URL, OSError, ssl.SSLError, WebSocketAddressException, WebSocketProxyException.
    """
    hostname, port, resource, is_secure = parse_url(url)
    if sock:
        return sock, (hostname, port, resource)
    if proxy.proxy_host and proxy.proxy_protocol != "http":
        opened = _through_socks(proxy, hostname, port)
    else:
        opened = _dialled(hostname, port, is_secure, options, proxy)
    with _closed_on_error(opened):
        if is_secure:
            opened = _secured(opened, options.sslopt, hostname)
    return opened, (hostname, port, resource)


@contextmanager
def _closed_on_error(sock: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise


def _dialled(hostname: str, port: int, is_secure: bool, options: sock_opt, proxy: proxy_info) -> Any:
    """Connect to the server, or through the proxy that the options or the environment name."""
    try:
        proxy_host, proxy_port, auth = get_proxy_info(
            hostname, is_secure, proxy.proxy_host, proxy.proxy_port, proxy.auth, proxy.no_proxy
        )
        at = (proxy_host, proxy_port or _PROXY_PORT) if proxy_host else (hostname, port)
        addresses = socket.getaddrinfo(*at, 0, socket.SOCK_STREAM, socket.SOL_TCP)
    except (socket.gaierror, TypeError) as error:
        raise WebSocketAddressException(error) from error
    if not addresses:
        raise WebSocketException(f"Host not found.: {hostname}:{port}")
    sock = _first_that_answers(addresses, options)
    if proxy_host:
        with _closed_on_error(sock):
            _tunnel(sock, hostname, port, auth)
    return sock


def _first_that_answers(addresses: list[Any], options: sock_opt) -> socket.socket:
    refused: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        with _closed_on_error(sock):
            sock.settimeout(options.timeout)
            for arguments in (*DEFAULT_SOCKET_OPTION, *options.sockopt):
                sock.setsockopt(*arguments)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            error.remote_ip = str(address[0])  # type: ignore[attr-defined]
            if error.errno not in _TRY_THE_NEXT:
                raise
            refused = error
        else:
            return sock
    raise refused or OSError("no address")


def _tunnel(sock: Any, host: str, port: int, auth: tuple[str, str] | None) -> None:
    debug("Connecting proxy...")
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if auth and auth[0]:
        credentials = f"{auth[0]}:{auth[1]}" if auth[1] else auth[0]
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    request = "\r\n".join([*lines, "", ""])
    dump("request header", request)
    send(sock, request)
    try:
        status, _, _ = read_headers(sock)
    except (OSError, WebSocketException) as error:
        raise WebSocketProxyException(str(error)) from error
    if status != _OK:
        raise WebSocketProxyException(f"failed CONNECT via proxy status: {status}")


def _through_socks(proxy: proxy_info, hostname: str, port: int) -> Any:
    if not proxy.proxy_port:
        raise WebSocketProxyException("Cannot use port 0 when proxy_host specified")
    try:
        from python_socks import ProxyType  # noqa: PLC0415 - only who has SOCKS proxies needs it
        from python_socks.sync import Proxy  # noqa: PLC0415
    except ImportError:
        raise WebSocketException("Python Socks is needed for SOCKS proxying but is not available") from None
    user, password = proxy.auth or (None, None)
    tunnel = Proxy.create(
        proxy_type=ProxyType.SOCKS4 if proxy.proxy_protocol.startswith("socks4") else ProxyType.SOCKS5,
        host=proxy.proxy_host,
        port=int(proxy.proxy_port),
        username=user,
        password=password,
        rdns=proxy.proxy_protocol in ("socks4a", "socks5h"),
    )
    return tunnel.connect(hostname, port, timeout=proxy.proxy_timeout)


def _secured(sock: Any, given: dict[str, Any], hostname: str) -> Any:
    """Do TLS, with `sslopt` as the user gave it."""
    sslopt = {"cert_reqs": ssl.CERT_REQUIRED, **given}
    bundle = os.environ.get("WEBSOCKET_CLIENT_CA_BUNDLE")
    if bundle and os.path.isfile(bundle) and given.get("ca_certs") is None:  # noqa: PTH113
        sslopt["ca_certs"] = bundle
    elif bundle and os.path.isdir(bundle) and given.get("ca_cert_path") is None:  # noqa: PTH112
        sslopt["ca_cert_path"] = bundle
    context = sslopt.get("context") or _context(sslopt)
    return context.wrap_socket(
        sock,
        do_handshake_on_connect=sslopt.get("do_handshake_on_connect", True),
        suppress_ragged_eofs=sslopt.get("suppress_ragged_eofs", True),
        server_hostname=sslopt.get("server_hostname") or hostname,
    )


@contextmanager
def _explained(what: str, *errors: type[BaseException]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise WebSocketException(f"{what}: {error}") from error


def _context(sslopt: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(sslopt.get("ssl_version", ssl.PROTOCOL_TLS_CLIENT))
    if (log := os.environ.get("SSLKEYLOGFILE")) is not None:
        context.keylog_filename = log
    cert_reqs = sslopt["cert_reqs"]
    if cert_reqs != ssl.CERT_NONE:
        _authorities(context, sslopt)
    if sslopt.get("certfile"):
        with _explained("SSL client certificate loading failed", FileNotFoundError, ValueError, ssl.SSLError):
            context.load_cert_chain(sslopt["certfile"], sslopt.get("keyfile"), sslopt.get("password"))
    check_hostname = sslopt.get("check_hostname", cert_reqs != ssl.CERT_NONE)
    if check_hostname and cert_reqs == ssl.CERT_NONE:
        raise WebSocketException(
            "SSL certificate verification configuration failed: "
            "check_hostname cannot be enabled when cert_reqs is CERT_NONE"
        )
    context.check_hostname = check_hostname
    context.verify_mode = cert_reqs
    if "ciphers" in sslopt:
        with _explained("SSL cipher configuration failed", ssl.SSLError):
            context.set_ciphers(sslopt["ciphers"])
    if "cert_chain" in sslopt:
        chain = sslopt["cert_chain"]
        if not isinstance(chain, tuple | list) or len(chain) != _CHAIN:
            raise ValueError("cert_chain must be a tuple/list of (certfile, keyfile, password)")
        with _explained("SSL client certificate configuration failed", FileNotFoundError, ssl.SSLError):
            context.load_cert_chain(*chain)
    if "ecdh_curve" in sslopt:
        with _explained("SSL ECDH curve configuration failed", ValueError):
            context.set_ecdh_curve(sslopt["ecdh_curve"])
    return context


def _authorities(context: ssl.SSLContext, sslopt: dict[str, Any]) -> None:
    file, directory = sslopt.get("ca_certs"), sslopt.get("ca_cert_path")
    if file or directory:
        with _explained("SSL CA certificate loading failed", FileNotFoundError, ssl.SSLError, ValueError):
            context.load_verify_locations(cafile=file, capath=directory)
        return
    with _explained("SSL default certificate loading failed", ssl.SSLError):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)


def read_headers(sock: Any) -> tuple[int | None, dict[str, str], str | None]:
    """Read the head of an HTTP answer: status, headers with lower-case names, reason. Raises WebSocketException.

    Of a header that is repeated the last one counts; those of `Set-Cookie` are joined.
    """
    status: int | None = None
    reason: str | None = None
    headers: dict[str, str] = {}
    trace("--- response header ---")
    while line := _line(sock):
        trace(line)
        if not status:
            status, reason = _status(line)
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise WebSocketException("Invalid header")
        name, value = name.lower(), value.strip()
        before = headers.get(name) if name == "set-cookie" else None
        headers[name] = f"{before}; {value}" if before else value
    trace("-----------------------")
    return status, headers, reason


def _line(sock: Any) -> str:
    line = recv_line(sock)
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        message = f"Invalid header line, not valid UTF-8 at byte {error.start}: {line!r}"
        raise WebSocketException(message) from None


def _status(line: str) -> tuple[int, str | None]:
    words = line.split(" ", 2)
    try:
        return int(words[1]), words[2] if len(words) > 2 else None  # noqa: PLR2004 - version, status, reason
    except (IndexError, ValueError):
        raise WebSocketException(f"Invalid status line: {line!r}") from None
